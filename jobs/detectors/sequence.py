"""Which changes of state followed each other repeatedly: one row per chain of 2 to 5 steps ``entity_id:state``.

* **Steps** are the first events of clusters: an entity's events within 120 s of its previous one are dropped. b follows
  a if it is the first b after a and comes before the next a, within 120 s; what other entities do in between does not
  matter (contiguous n-grams miss chains that a second person interleaves).
* **Links** a → b are kept if b lies within 10, 30 or 120 s after a more often than what is around (± 600, 600, 900 s)
  explains (``close_pairs.find_links``), at least three times; at most 400, those with the smallest p.
* **Chains** grow over kept links only, no entity twice, if the last step follows the ones before it more often than its
  points around explain (binomial tail, Benjamini and Hochberg over the chains of a length), at least three times.
* **Kept** are chains that no longer one with as many occurrences contains, at most 50, those with the most evidence
  (smallest product of p over the steps).

``frequency`` counts occurrences that do not overlap, ``avg_duration_seconds`` is their mean from first to last step,
``confidence`` the Wilson 95 % lower bound of how often the last step follows once the ones before have happened.

What automations switched, steps between entities of one device, and steps in step (mostly within half a second) are
left out by default, and counted; ``linked = "flag"`` keeps them, with the kind of tie in ``linked_by``.

A worked example: four times a day a door, then a hall lamp, then the kitchen lamp.

>>> from jobs.activity.building import example_day
>>> opening = [(0, entity, "off") for entity in ("binary_sensor.door", "light.hall", "light.kitchen")]
>>> steps = [("binary_sensor.door", 0, 1), ("light.hall", 0.1, 5), ("light.kitchen", 0.3, 9)]
>>> log = example_day(opening + [
...     (visit + (on if state == "on" else off), entity, state)
...     for visit in (421, 753, 1044, 1297) for entity, on, off in steps for state in ("on", "off")])
>>> (row,), reason = Sequence().detect(log)
>>> row.sequence
['binary_sensor.door:on', 'light.hall:on', 'light.kitchen:on']
>>> row.frequency, row.avg_duration_seconds, round(row.confidence, 2)
(4, 18.0, 0.51)
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

import numpy as np
from pydantic import Field

from jobs.activity.events import AUTOMATION, NEVER, DayLog, Events, Flags
from jobs.activity.window import SECOND
from jobs.registry import Evidence, Finding, detector, left_out
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.bouts import BURST_GAP, bout_starts
from jobs.statistics.close_pairs import Links, find_links
from jobs.statistics.corrections import benjamini_hochberg
from jobs.statistics.intervals import wilson_lower
from jobs.statistics.matching import MIN_HITS, SIMULTANEOUS, ByGroup, Points, Scale, device_codes, link_kind
from jobs.statistics.tails import binomial_tail
from storage.columns import to_json
from storage.models import JSON_BYTES, LinkedBy, SequenceDaily

SCALES: Final = (Scale(10, 600), Scale(30, 600), Scale(120, 900))
_LEAST_P: Final = 1e-300
_MOST_GROWING: Final = 400  # chains of a length that are lengthened further, those with the most evidence


@detector
@dataclass(frozen=True)
class Sequence:
    """The ``sequence`` detector.

    Attributes:
        max_steps: How many steps a chain has at most.
        max_links: How many links chains grow over, those with the smallest p.
        max_rows: How many chains are kept, those with the most evidence.
        false_discovery_rate: The share of links, and of longer chains, that chance may produce.
        linked: What becomes of steps that automations, devices or groups tie together.
    """

    name: ClassVar = "sequence"
    version: ClassVar = 1
    model: ClassVar = SequenceDaily

    max_steps: Annotated[int, Field(ge=2, le=5)] = 5
    max_links: Annotated[int, Field(ge=1, le=10_000)] = 400
    max_rows: Annotated[int, Field(ge=1, le=1000)] = 50
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    linked: Literal["exclude", "flag"] = "exclude"

    def detect(self, log: DayLog) -> Finding:
        """See the module's docstring."""
        events, notes = log.events, []
        if self.linked == "exclude":
            by_hand = events.cause != AUTOMATION
            events = events[by_hand]
            notes += left_out(int(np.count_nonzero(~by_hand)), "events that automations caused")
        steps = _Steps(log, events)
        links = find_links(
            steps.points,
            SCALES,
            steps.allowed(same_device=self.linked == "flag"),
            ordered=True,
            rate=self.false_discovery_rate,
        )
        found = steps.links(links)
        if self.linked == "exclude":
            notes += left_out(sum(link.linked_by is not None for link in found), "links in step")
            found = [link for link in found if link.linked_by is None]
        notes += left_out(max(len(found) - self.max_links, 0), f"links beyond the {self.max_links} best")
        chains, grown = _grow(steps, found[: self.max_links], self.max_steps, self.false_discovery_rate)
        chains = _closed(chains)
        chains.sort(key=lambda chain: (chain.evidence, chain.steps))
        fitting = [chain for chain in chains if _fits(steps.texts(chain))]
        notes += left_out(len(chains) - len(fitting), "chains over 1 KB or with half a character")
        notes += left_out(max(len(fitting) - self.max_rows, 0), f"chains beyond the {self.max_rows} best")
        rows = [steps.row(chain) for chain in fitting[: self.max_rows]]
        rows.sort(key=lambda row: row.sequence_id)
        tested = f"{links.tested:,} links could be tested, {len(found)} beat chance; {grown:,} longer chains tested"
        kept = f"{len(rows)} chains kept" if rows else "no chain kept"
        return Finding(rows, "; ".join((tested, kept, *notes)))

    def explain(self, row: SequenceDaily, log: DayLog) -> Evidence:
        """Each occurrence with the times of its steps, and how often each step followed, against chance."""
        events = log.events[log.events.cause != AUTOMATION] if self.linked == "exclude" else log.events
        steps = _Steps(log, events)
        symbols = [steps.symbol(step) for step in row.sequence]
        headings = *row.sequence, "seconds", ""
        if -1 in symbols:
            return Evidence(headings, [], ("the raw events no longer hold each of its steps",))
        path, notes = steps.begin(symbols[0]), []
        for first, second in itertools.pairwise(symbols):
            following = steps.after(first, second)[path[:, -1] - steps.offset(first)]
            (p,), (expected,) = steps.step_p([path[:, -1]], [following], [second])
            occurs = following >= 0
            notes.append(
                f"{row.sequence[path.shape[1]]} follows {np.count_nonzero(occurs)} of {len(path)} times, "
                f"{expected:.2g} expected by chance, p = {p:.2g}"
            )
            path = np.column_stack((path[occurs], following[occurs]))
        counted = set(steps.apart(path[:, 0], path[:, -1])[0].tolist())
        lines: list[tuple[str | int | float, ...]] = [
            (*map(log.clock, at), round((at[-1] - at[0]) / SECOND, 1), "" if point in counted else "overlaps another")
            for point, at in zip(path[:, 0].tolist(), steps.at[path].tolist(), strict=True)
        ]
        return Evidence(headings, lines, tuple(notes))


def _fits(sequence: list[str]) -> bool:
    try:
        return len(to_json(sequence).encode()) <= JSON_BYTES
    except UnicodeEncodeError:  # half of a character, which no store keeps
        return False


class _Link(NamedTuple):
    """That a symbol (an entity taking a state) follows another one.

    Attributes:
        first: The symbol that comes first.
        second: The one that follows.
        following: For each point of the first: the point of the second that follows it, or -1.
        evidence: The logarithm of p.
        linked_by: What ties the two, if the home itself does.
    """

    first: int
    second: int
    following: Integers
    evidence: float
    linked_by: LinkedBy | None


class _Chain(NamedTuple):
    """A chain and where it occurred.

    Attributes:
        steps: The symbol of each step.
        first: For each occurrence, the point of the first step, ascending.
        last: For each occurrence, the point of the last step, ascending.
        begun: How often the steps before the last one occurred.
        evidence: The sum of the links' and steps' logarithms of p.
        linked_by: What ties two of its steps, if the home itself does.
    """

    steps: tuple[int, ...]
    first: Integers
    last: Integers
    begun: int
    evidence: float
    linked_by: LinkedBy | None


class _Steps:
    """The points that chains are made of, by symbol and, within it, by time."""

    def __init__(self, log: DayLog, events: Events) -> None:
        order = np.lexsort((events.at, events.entity))
        opens = bout_starts(events.entity[order].astype(np.int64), events.at[order], BURST_GAP)
        event = np.sort(order[opens])
        width = max(len(log.states), 1)
        pairs, symbol = np.unique(
            events.entity[event].astype(np.int64) * width + events.state[event], return_inverse=True
        )
        self._log = log
        self._device = device_codes(log.entities)[pairs // width]
        self._entity, self._state = np.divmod(pairs, width)
        self.points = Points(events.at[event], symbol.astype(np.int64), len(pairs))
        self._by_symbol = ByGroup(self.points)
        self.at = self._by_symbol.at
        self._cause = events.cause[event][self._by_symbol.order]

    def allowed(self, *, same_device: bool) -> Flags:
        """Which symbols may follow each other: never of one entity, and of one device only if wanted."""
        of = self._entity if same_device else self._device
        allowed: Flags = of[:, None] != of[None, :]
        return allowed

    def symbol(self, step: str) -> int:
        """The symbol of a step in words, -1 if there is none; an entity id has no colon, a state may have some."""
        entity_id, _, state = step.partition(":")
        names = zip(self._entity.tolist(), self._state.tolist(), strict=True)
        code = self._log.code_of(entity_id)
        return next((i for i, (e, s) in enumerate(names) if e == code and self._log.states[s] == state), -1)

    def entity_of(self, symbol: int) -> int:
        """The code of the entity that takes the state."""
        return int(self._entity[symbol])

    def offset(self, symbol: int) -> int:
        """The first point of a symbol."""
        return int(self._by_symbol.bounds[symbol])

    def begin(self, symbol: int) -> Integers:
        """The points of a symbol, each the begin of a path, shape (n, 1)."""
        return np.arange(self._by_symbol.bounds[symbol], self._by_symbol.bounds[symbol + 1])[:, None]

    def apart(self, first: Integers, last: Integers) -> tuple[Integers, Integers]:
        """First and last points of occurrences that do not overlap, the earliest first."""
        if np.all(self.at[first[1:]] >= self.at[last[:-1]]):
            return first, last
        chosen, index = [], 0
        while index < len(first):
            chosen.append(index)
            index = max(int(np.searchsorted(self.at[first], self.at[last[index]])), index + 1)
        return first[chosen], last[chosen]

    def links(self, links: Links) -> list[_Link]:
        """The links that were found, with what follows what."""
        device = self._device
        found = []
        for first, second, p in zip(links.first.tolist(), links.second.tolist(), links.p.tolist(), strict=True):
            following = self.after(first, second)
            one, other = self.offset(first) + np.flatnonzero(following >= 0), following[following >= 0]
            linked_by = link_kind(
                same_device=bool(device[first] == device[second]),
                automatic=float(np.mean(self._cause[other] == AUTOMATION)),
                simultaneous=float(np.mean(self.at[other] - self.at[one] <= SIMULTANEOUS)),
            )
            found.append(_Link(first, second, following, math.log(max(p, _LEAST_P)), linked_by))
        return found

    def after(self, first: int, second: int) -> Integers:
        """For each point of the first symbol: the point of the second that follows it, or -1."""
        bounds = self._by_symbol.bounds
        at, there = self.at[bounds[first] : bounds[first + 1]], self.at[bounds[second] : bounds[second + 1]]
        index = np.searchsorted(there, at, side="right")
        follows = (index < len(there)) & (there[np.minimum(index, len(there) - 1)] - at <= BURST_GAP)
        return np.where(follows, index + bounds[second], -1)

    def step_p(self, last: list[Integers], following: list[Integers], symbols: list[int]) -> tuple[Floats, Floats]:
        """How likely chance alone lets a symbol follow chains as often as it did, and how often it does so on average.

        Args:
            last: For each chain, the last point of each occurrence.
            following: For each chain, the point of the symbol that follows each occurrence, or -1.
            symbols: For each chain, the symbol.
        """
        chain = np.repeat(np.arange(len(last)), [len(points) for points in last])
        at, then = self.at[np.concatenate(last)], np.concatenate(following)
        gap = np.where(then >= 0, self.at[then] - at, NEVER)
        p = np.ones(len(last))
        for scale in SCALES:
            low, high = self._by_symbol.within(at, np.array(symbols)[chain], scale.around)
            near = 1 - (1 - scale.near / (2 * scale.around)) ** (high - low)
            chance: Floats = np.bincount(chain, near, len(last)).astype(np.float64)
            trials = np.bincount(chain, high > low, len(last)).astype(np.float64)
            hits = np.bincount(chain, gap <= scale.near * SECOND, len(last)).astype(np.float64)
            p = np.minimum(p, binomial_tail(hits, trials, chance / np.maximum(trials, 1)))
        return np.minimum(p * len(SCALES), 1.0), chance

    def texts(self, chain: _Chain) -> list[str]:
        """A chain's steps in words."""
        return [
            f"{self._log.entities[self._entity[symbol]].entity_id}:{self._log.states[self._state[symbol]]}"
            for symbol in chain.steps
        ]

    def row(self, chain: _Chain) -> SequenceDaily:
        """The aggregate of one chain."""
        sequence = self.texts(chain)
        first, last = self.apart(chain.first, chain.last)
        return SequenceDaily(
            date=self._log.window.day,
            sequence_id=hashlib.sha256(to_json(sequence).encode()).hexdigest()[:16],
            sequence=sequence,
            frequency=len(first),
            avg_duration_seconds=float((self.at[last] - self.at[first]).mean()) / SECOND,
            confidence=wilson_lower(len(chain.first), chain.begun),
            linked_by=chain.linked_by,
        )


def _grow(steps: _Steps, links: list[_Link], longest: int, rate: float) -> tuple[list[_Chain], int]:
    """Chains over links, and how many longer than two steps were tested."""
    after: dict[int, list[_Link]] = defaultdict(list)
    level = []
    for link in links:
        after[link.first].append(link)
        begun = np.flatnonzero(link.following >= 0)
        pair = link.first, link.second
        first, last = begun + steps.offset(link.first), link.following[begun]
        level.append(_Chain(pair, first, last, len(link.following), link.evidence, link.linked_by))
    chains, tested = [*level], 0
    for _ in range(longest - 2):
        level, tests = _lengthen(steps, level, after, rate)
        level = sorted(level, key=lambda chain: (chain.evidence, chain.steps))[:_MOST_GROWING]
        chains += level
        tested += tests
    return chains, tested


def _lengthen(
    steps: _Steps, chains: list[_Chain], after: dict[int, list[_Link]], rate: float
) -> tuple[list[_Chain], int]:
    """The chains with one more step that beat chance, and how many were tested."""
    tests = 0
    grown: list[tuple[_Chain, _Link, Integers]] = []
    for chain in chains:
        entities = {steps.entity_of(symbol) for symbol in chain.steps}
        for link in after[chain.steps[-1]]:
            if steps.entity_of(link.second) in entities:
                continue
            tests += 1
            following = link.following[chain.last - steps.offset(link.first)]
            if np.count_nonzero(following >= 0) >= MIN_HITS:
                grown.append((chain, link, following))
    if not grown:
        return [], tests
    p, _ = steps.step_p(
        [chain.last for chain, _, _ in grown],
        [following for _, _, following in grown],
        [link.second for _, link, _ in grown],
    )
    kept = np.flatnonzero(benjamini_hochberg(p, rate, tests))
    return [_longer(*grown[index], float(p[index])) for index in kept.tolist()], tests


def _longer(chain: _Chain, link: _Link, following: Integers, p: float) -> _Chain:
    occurs = following >= 0
    return _Chain(
        steps=(*chain.steps, link.second),
        first=chain.first[occurs],
        last=following[occurs],
        begun=len(chain.first),
        evidence=chain.evidence + math.log(max(p, _LEAST_P)),
        linked_by=chain.linked_by or link.linked_by,
    )


def _closed(chains: list[_Chain]) -> list[_Chain]:
    """Without those that a longer chain with as many occurrences contains."""
    contained = {
        (part, len(chain.first))
        for chain in chains
        for length in range(2, len(chain.steps))
        for part in itertools.combinations(chain.steps, length)
    }
    return [chain for chain in chains if (chain.steps, len(chain.first)) not in contained]
