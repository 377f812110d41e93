"""The points that chains are made of, by symbol: an entity taking a state."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import AUTOMATION, NEVER, DayLog, Events
from jobs.activity.window import SECOND
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.bouts import BURST_GAP, bout_starts
from jobs.statistics.close_pairs import ClosePairs
from jobs.statistics.matching import MAX_SIMULTANEOUS_GAP, ByGroup, Points, Scale, device_codes, link_kind
from jobs.statistics.tails import binomial_tail
from storage.models import LinkedBy

SCALES: Final = (Scale(10, 600), Scale(30, 600), Scale(120, 900))
MIN_P: Final = 1e-300  # its logarithm is finite


class Link(NamedTuple):
    """Two symbols of which the second often follows the first.

    Attributes:
        first: The symbol that comes first.
        second: The one that follows.
        following: For each point of the first, the point of the second that follows it, or -1.
        evidence: The logarithm of p.
        linked_by: What in the home itself links the two, if something does.
    """

    first: int
    second: int
    following: Integers
    evidence: float
    linked_by: LinkedBy | None


class Steps:
    """The points of each symbol: the first events of its entity's bursts.

    Args:
        log: The day.
        events: The events to use.

    Attributes:
        points: The points in order of time; their group is the symbol.
        at: The instants by symbol and, within a symbol, by time. "Point" below means an index into it.
    """

    def __init__(self, log: DayLog, events: Events) -> None:
        order = np.lexsort((events.at, events.entity))
        starts = bout_starts(events.entity[order].astype(np.int64), events.at[order], BURST_GAP)
        event = np.sort(order[starts])
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

    def owner(self, *, same_device: bool) -> Integers:
        """Return the owner of each symbol, of which no two may follow each other: its entity, or else its device."""
        owner: Integers = self._entity if same_device else self._device
        return owner

    def symbol_of(self, step: str) -> int:
        """Return the symbol of a step such as ``light.hall:on``; -1 if the day has none."""
        entity_id, _, state = step.partition(":")  # an entity id has no colon, a state may have some
        names = zip(self._entity.tolist(), self._state.tolist(), strict=True)
        code = self._log.code_of(entity_id)
        return next((i for i, (e, s) in enumerate(names) if e == code and self._log.states[s] == state), -1)

    def step_of(self, symbol: int) -> str:
        """Return a symbol as a step such as ``light.hall:on``."""
        entity_id = self._log.entities[self._entity[symbol]].entity_id
        return f"{entity_id}:{self._log.states[self._state[symbol]]}"

    def entity_of(self, symbol: int) -> int:
        """Return the code of the entity that takes the state."""
        return int(self._entity[symbol])

    def first_point(self, symbol: int) -> int:
        """Return the first point of a symbol."""
        return int(self._by_symbol.bounds[symbol])

    def paths_from(self, symbol: int) -> Integers:
        """Return the points of a symbol as paths of one step, shape (n, 1)."""
        return np.arange(self._by_symbol.bounds[symbol], self._by_symbol.bounds[symbol + 1])[:, None]

    def following(self, first: int, second: int) -> Integers:
        """Return, for each point of one symbol, the point of another that follows it, or -1."""
        bounds = self._by_symbol.bounds
        at, there = self.at[bounds[first] : bounds[first + 1]], self.at[bounds[second] : bounds[second + 1]]
        index = np.searchsorted(there, at, side="right")
        follows = (index < len(there)) & (there[np.minimum(index, len(there) - 1)] - at <= BURST_GAP)
        return np.where(follows, index + bounds[second], -1)

    def links(self, pairs: ClosePairs) -> list[Link]:
        """Return the pairs that were found, with what follows what."""
        device = self._device
        found = []
        for first, second, p in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.p.tolist(), strict=True):
            following = self.following(first, second)
            one, other = self.first_point(first) + np.flatnonzero(following >= 0), following[following >= 0]
            linked_by = link_kind(
                same_device=bool(device[first] == device[second]),
                automatic=float(np.mean(self._cause[other] == AUTOMATION)),
                simultaneous=float(np.mean(self.at[other] - self.at[one] <= MAX_SIMULTANEOUS_GAP)),
            )
            found.append(Link(first, second, following, math.log(max(p, MIN_P)), linked_by))
        return found

    def without_overlaps(self, first: Integers, last: Integers) -> tuple[Integers, Integers]:
        """Return the first and last points of occurrences that do not overlap, the earliest first."""
        if np.all(self.at[first[1:]] >= self.at[last[:-1]]):
            return first, last
        chosen, index = [], 0
        while index < len(first):
            chosen.append(index)
            index = max(int(np.searchsorted(self.at[first], self.at[last[index]])), index + 1)
        return first[chosen], last[chosen]

    def step_p(self, last: list[Integers], following: list[Integers], symbols: list[int]) -> tuple[Floats, Floats]:
        """Return the p-value of each chain's next step, and how often chance alone makes it follow.

        Args:
            last: For each chain, the last point of each occurrence.
            following: For each chain, the point of the next symbol that follows each occurrence, or -1.
            symbols: For each chain, the next symbol.
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
