"""Find the pairs of groups that act close to each other more often than chance explains; for pairs and for chains.

The question is not "how often a day?" but "given that both were active around this time, how often so close?". The
other's points within a wide distance (*around*) say how likely it is that one of them lies within a narrow distance
(*near*) by chance; one that does is a *hit*. An hourly or quarter-hourly rate would not do, because a home is busy
and quiet in stretches of minutes.

Five thousand entities make millions of pairs. None of them is kept that cannot be found: one group after the other is
compared with all larger ones, whatever is not improbable even by a generous estimate is dropped at once, and of the
number of tests only those are looked at closely that are neither surely tests nor surely not. What is found does not
depend on that. ``Limits`` do leave something out, and are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.corrections import benjamini_hochberg
from jobs.statistics.matching import MIN_HITS, Points, Scale
from jobs.statistics.pair_search import PairSearch

_MAX_P: Final = 3e-4  # a pair must also be improbable by itself: see ``find_close_pairs``
_MAX_EXPECTED_BY_CHANCE: Final = 0.25  # or so improbable that chance gives at most this many such pairs a day


class Limits(NamedTuple):
    """What bounds memory and time, whatever the home is like.

    Attributes:
        groups: How many groups are compared with each other: those with the most points.
        pairs: Of how many pairs p is computed, in the order of their rarer groups.
        found: How many pairs are returned: those with the smallest p.
    """

    groups: int = 5_000
    pairs: int = 1_000_000
    found: int = 10_000


Noun = tuple[str, str]
_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class ClosePairs:
    """Pairs of groups that are close more often than by chance, by ascending p.

    Attributes:
        first: Group, shape (m,): the one that comes first if order matters, else the one with the lower code.
        second: Group, shape (m,).
        p: p-value of the pair: the smallest over the scales, times their number, shape (m,).
        tested: The number of pairs that could have been found at all.
        found: The number of pairs that were found, m of which are here.
        limits: The bounds that were kept to.
        groups_left_out: The number of groups beyond ``limits.groups``.
        pairs_left_out: The number of pairs beyond ``limits.pairs``.
    """

    first: Integers
    second: Integers
    p: Floats
    tested: int
    found: int
    limits: Limits
    groups_left_out: int = 0
    pairs_left_out: int = 0

    def part(self, begin: int, end: int) -> ClosePairs:
        """Return some of the pairs."""
        some = slice(begin, end)
        return replace(self, first=self.first[some], second=self.second[some], p=self.p[some])

    def left_out(self, group: Noun, pair: Noun) -> list[tuple[int, str, str]]:
        """Return what the bounds left out: how many, and of what, in the singular and in the plural.

        Args:
            group: What a group is called, in the singular and in the plural.
            pair: What a pair is called.
        """
        beyond_bounds = (
            (self.groups_left_out, group, f"beyond the {self.limits.groups:,} that are most often active"),
            (self.pairs_left_out, pair, f"not looked at, as more than {self.limits.pairs:,} are often close"),
            (self.found - len(self.p), pair, f"beyond the {self.limits.found:,} with the smallest p"),
        )
        return [(count, f"{one} {why}", f"{several} {why}") for count, (one, several), why in beyond_bounds]


def find_close_pairs(
    points: Points, scales: Sequence[Scale], owner: Integers, *, ordered: bool, rate: float, limits: Limits = _LIMITS
) -> ClosePairs:
    """Return the pairs of groups whose points are close more often than chance explains.

    For each scale, the trials are the points of the rarer group that have any of the other around. With K of the other
    around, at least one of them is near by chance with probability 1 - (1 - near / around)^K, with half of ``near``
    where the other has to come after. The hits are binomial with the mean chance of the trials; their exact
    distribution is at most as spread (Hoeffding 1956). A pair's p is the smallest over the scales times their number,
    corrected by Benjamini and Hochberg over the pairs that could be found at all (``corrections.TestCount``).

    Of groups of equal size, the trials come from the first or, if unordered, from the one with the larger chance.

    Counts are small, so many pairs share one p, and a few true pairs can raise the threshold above all of these at
    once: where everything in a home starts at the same minutes, this gave up to 30 false pairs on a day. Hence p must
    also be at most 0.0003, or a quarter over the number of tests if that is more. It costs none of the planted pairs.

    Args:
        points: Points of one group must be so far apart (unordered: over twice the largest ``near``; ordered: over
            ``near``) that each is in at most one hit of a pair.
        scales: The distances to try.
        owner: What each group belongs to; groups of one owner are not compared, shape (groups,).
        ordered: Whether the second must come after the first.
        rate: The false discovery rate.
        limits: What bounds memory and time.
    """
    sizes = points.sizes
    groups = np.flatnonzero(sizes >= MIN_HITS)
    groups = groups[np.argsort(sizes[groups], kind="stable")]
    groups_left_out = max(len(groups) - limits.groups, 0)
    groups = groups[groups_left_out:]
    search = PairSearch(points.only(groups), scales, owner[groups], ordered=ordered, rate=rate, max_pairs=limits.pairs)
    candidates = search.candidates()
    tested, max_min_p = search.count.result()
    candidates = candidates.only(candidates.min_p <= max_min_p)
    p = candidates.p
    by_itself = p <= max(_MAX_P, _MAX_EXPECTED_BY_CHANCE / max(tested, 1))
    found = np.flatnonzero(benjamini_hochberg(p, rate, tested) & by_itself)
    one, other, p = groups[candidates.first[found]], groups[candidates.second[found]], p[found]
    first, second = (one, other) if ordered else (np.minimum(one, other), np.maximum(one, other))
    order = np.lexsort((second, first, p))[: limits.found]
    return ClosePairs(
        first[order],
        second[order],
        p[order],
        tested - search.pairs_unseen,
        len(found),
        limits,
        groups_left_out,
        search.pairs_left_out,
    )
