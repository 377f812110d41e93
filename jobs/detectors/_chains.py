"""Grow chains over links, step by step."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from jobs.detectors._steps import MIN_P, Link, Steps
from jobs.statistics.arrays import Integers
from jobs.statistics.corrections import benjamini_hochberg
from jobs.statistics.matching import MIN_HITS
from storage.models import LinkedBy

_MAX_GROWING: Final = 400  # chains of one length that are lengthened further: those with the most evidence
_MAX_OCCURRENCES: Final = 2**18  # of chains whose next step is looked for at once: bounds the memory


class Chain(NamedTuple):
    """A chain and where it occurred.

    Attributes:
        steps: The symbol of each step.
        first: For each occurrence, the point of the first step, ascending.
        last: For each occurrence, the point of the last step, ascending.
        begun: How often the steps before the last one occurred.
        evidence: The sum of the logarithms of p of its first link and of each further step.
        linked_by: What in the home itself links two of its steps, if something does.
    """

    steps: tuple[int, ...]
    first: Integers
    last: Integers
    begun: int
    evidence: float
    linked_by: LinkedBy | None


def grow(steps: Steps, links: Sequence[Link], max_steps: int, rate: float) -> tuple[list[Chain], int]:
    """Return the chains over some links, and how many of more than two steps were tested."""
    links_from: dict[int, list[Link]] = defaultdict(list)
    longest = []
    for link in links:
        links_from[link.first].append(link)
        longest.append(_chain_of(steps, link))
    chains, tested = [*longest], 0
    for _ in range(max_steps - 2):
        longest, tests = _lengthen(steps, longest, links_from, rate)
        longest = sorted(longest, key=lambda chain: (chain.evidence, chain.steps))[:_MAX_GROWING]
        chains += longest
        tested += tests
    return chains, tested


def without_contained(chains: Sequence[Chain]) -> list[Chain]:
    """Return the chains that no longer chain with as many occurrences contains."""
    contained = {
        (part, len(chain.first))
        for chain in chains
        for length in range(2, len(chain.steps))
        for part in itertools.combinations(chain.steps, length)
    }
    return [chain for chain in chains if (chain.steps, len(chain.first)) not in contained]


def _chain_of(steps: Steps, link: Link) -> Chain:
    """Return a link as a chain of two steps."""
    begun = np.flatnonzero(link.following >= 0)
    first, last = begun + steps.first_point(link.first), link.following[begun]
    return Chain((link.first, link.second), first, last, len(link.following), link.evidence, link.linked_by)


def _lengthen(
    steps: Steps, chains: Sequence[Chain], links_from: dict[int, list[Link]], rate: float
) -> tuple[list[Chain], int]:
    """Return the chains with one more step that follows more often than by chance, and how many were tested."""
    candidates: list[tuple[Chain, Link]] = []
    for chain in chains:
        entities = {steps.entity_of(symbol) for symbol in chain.steps}
        candidates += [
            (chain, link) for link in links_from[chain.steps[-1]] if steps.entity_of(link.second) not in entities
        ]
    p = np.ones(len(candidates))
    for some in _in_parts(candidates):
        followed = [(place, chain, link, _following(steps, chain, link)) for place, chain, link in some]
        followed = [one for one in followed if np.count_nonzero(one[3] >= 0) >= MIN_HITS]
        if followed:
            p[[place for place, *_ in followed]], _ = steps.step_p(
                [chain.last for _, chain, _, _ in followed],
                [following for *_, following in followed],
                [link.second for _, _, link, _ in followed],
            )
    kept = np.flatnonzero(benjamini_hochberg(p, rate))
    return [_longer(steps, *candidates[index], float(p[index])) for index in kept.tolist()], len(candidates)


def _in_parts(candidates: Sequence[tuple[Chain, Link]]) -> Iterator[list[tuple[int, Chain, Link]]]:
    """Yield the candidates with their places, as many at a time as have ``_MAX_OCCURRENCES`` together."""
    part: list[tuple[int, Chain, Link]] = []
    occurrences = 0
    for place, (chain, link) in enumerate(candidates):
        part.append((place, chain, link))
        occurrences += len(chain.last)
        if occurrences >= _MAX_OCCURRENCES:
            yield part
            part, occurrences = [], 0
    yield part


def _following(steps: Steps, chain: Chain, link: Link) -> Integers:
    """Return, for each occurrence of a chain, the point of a link's second symbol that follows it, or -1."""
    return link.following[chain.last - steps.first_point(link.first)]


def _longer(steps: Steps, chain: Chain, link: Link, p: float) -> Chain:
    """Return a chain with one more step."""
    following = _following(steps, chain, link)
    occurs = following >= 0
    return Chain(
        steps=(*chain.steps, link.second),
        first=chain.first[occurs],
        last=following[occurs],
        begun=len(chain.first),
        evidence=chain.evidence + math.log(max(p, MIN_P)),
        linked_by=chain.linked_by or link.linked_by,
    )
