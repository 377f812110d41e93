"""Match points of two groups one to one, and tell what in the home itself links two entities.

A *point* is an instant of a group: the start of a bout of an entity, or of a burst of one of its states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.entities import Entity
from jobs.activity.window import DAY, SECOND, Instants
from jobs.statistics.arrays import Floats, Integers
from storage.models import LinkedBy

MIN_HITS: Final = 3  # fewer repeats in a day are not a pattern
MAX_SIMULTANEOUS_GAP: Final = SECOND // 2  # people do not do two things at once, again and again
_MIN_SIMULTANEOUS_SHARE: Final = 0.8  # of the times that two entities act together
_MIN_AUTOMATION_SHARE: Final = 0.5  # exclusive
_KEYS_PER_GROUP: Final = 4 * DAY  # more than a day and any reach beyond it


class Scale(NamedTuple):
    """A distance that counts as near, and the distance within which we look how busy it is.

    Attributes:
        near: Seconds, inclusive.
        around: Seconds, inclusive.
    """

    near: int
    around: int


@dataclass(frozen=True, slots=True)
class Points:
    """Instants of groups.

    Attributes:
        at: Instants, microseconds since 1970, ascending, shape (n,).
        group: The group of each, shape (n,).
        groups: How many groups there are.
    """

    at: Instants
    group: Integers
    groups: int

    @property
    def sizes(self) -> Integers:
        """The number of points of each group, shape (groups,)."""
        return np.bincount(self.group, minlength=self.groups).astype(np.int64)

    def only(self, chosen: Integers) -> Points:
        """Return the points of some groups; ``chosen[i]`` becomes group i."""
        place = np.full(self.groups, -1, np.int64)
        place[chosen] = np.arange(len(chosen))
        kept = place[self.group] >= 0
        return Points(self.at[kept], place[self.group[kept]], len(chosen))


@dataclass(frozen=True, slots=True)
class Matches:
    """Points of two groups matched one to one.

    Attributes:
        pair: Which pair, ascending, shape (m,).
        first: Index of the point of the pair's first group, ascending within a pair, shape (m,).
        second: Index of the point of its second group, shape (m,).
    """

    pair: Integers
    first: Integers
    second: Integers


class ByGroup:
    """Points ordered by group and, within a group, by time, to find a group's points around an instant quickly.

    Attributes:
        order: The index of each among the points, shape (n,).
        at: Their instants, ascending within a group, shape (n,).
        bounds: Where each group starts, and the end, shape (groups + 1,).
    """

    def __init__(self, points: Points) -> None:
        self.order: Integers = np.argsort(points.group, kind="stable")
        self.at: Instants = points.at[self.order]
        self.bounds: Integers = np.concatenate(([0], np.cumsum(points.sizes)))
        self._origin = int(points.at[0]) if len(points.at) else 0
        self._key = self._keys(self.at, points.group[self.order])

    def _keys(self, at: Instants, group: Integers) -> Integers:
        """Return one number for each point, ascending over all groups."""
        keys: Integers = group * _KEYS_PER_GROUP + (at - self._origin)
        return keys

    def within(self, at: Instants, group: Integers, reach_seconds: int) -> tuple[Integers, Integers]:
        """Return, for each instant, the places of the group's first point within reach and of the first beyond it."""
        key, reach = self._keys(at, group), reach_seconds * SECOND
        return np.searchsorted(self._key, key - reach), np.searchsorted(self._key, key + reach, side="right")


def match_one_to_one(points: Points, first: Integers, second: Integers, reach_seconds: int) -> Matches:
    """Match points of pairs of groups in time order, within a reach, each point used once.

    Each point of the first group takes the earliest point of the second that is within reach and still free. As the
    reach is the same for all points, no other matching has more matches, and starting from the second group gives as
    many. The loop handles one point of the first group a step, for all pairs at once.

    Args:
        points: The points.
        first: The first group of each pair.
        second: The second group of each pair.
        reach_seconds: How far apart a match may be, inclusive.
    """
    by_group = ByGroup(points)
    starts, sizes = by_group.bounds[first], points.sizes[first]
    free = by_group.bounds[second].copy()  # the first point of the second group that is not yet taken
    found = [(first[:0], first[:0], first[:0])]
    for step in range(int(sizes.max(initial=0))):
        pair = np.flatnonzero(sizes > step)
        one = starts[pair] + step
        low, high = by_group.within(by_group.at[one], second[pair], reach_seconds)
        low = np.maximum(low, free[pair])
        hit = low < high
        free[pair] = low + hit
        found.append((pair[hit], by_group.order[one[hit]], by_group.order[low[hit]]))
    pairs, ones, others = (np.concatenate(part) for part in zip(*found, strict=True))
    by_pair = np.argsort(pairs, kind="stable")
    return Matches(pairs[by_pair], ones[by_pair], others[by_pair])


def expected_matches(points: Points, first: Integers, second: Integers, scale: Scale) -> Floats:
    """Return how many of the first group's points chance alone puts near one of the second's, shape (m,).

    Args:
        points: The points.
        first: The first group of each pair, shape (m,).
        second: The second group of each pair, shape (m,).
        scale: The reach of a match, and the distance within which the second group's points are counted.
    """
    by_group = ByGroup(points)
    sizes = points.sizes[first]
    pair = np.repeat(np.arange(len(first)), sizes)
    one = np.repeat(by_group.bounds[first] - np.cumsum(sizes) + sizes, sizes) + np.arange(len(pair))
    low, high = by_group.within(by_group.at[one], second[pair], scale.around)
    chance = 1 - (1 - scale.near / scale.around) ** (high - low)
    return np.bincount(pair, chance, minlength=len(first)).astype(np.float64)


def device_codes(entities: Sequence[Entity]) -> Integers:
    """Return a number for each entity's device, shape (entities,); without a device, a negative one of its own."""
    codes: dict[str, int] = {}
    return np.array(
        [
            -1 - index if entity.device_id is None else codes.setdefault(entity.device_id, len(codes))
            for index, entity in enumerate(entities)
        ],
        np.int64,
    )


def link_kind(*, same_device: bool, automatic: float, simultaneous: float) -> LinkedBy | None:
    """Return what in the home itself links two entities that act together; None if it is a person.

    Args:
        same_device: Whether both belong to one device.
        automatic: The share of these times at which an automation switched the later one.
        simultaneous: The share of these times at which both acted within half a second, as a group and its member do.
    """
    if same_device:
        return "same_device"
    if automatic > _MIN_AUTOMATION_SHARE:
        return "automation"
    return "simultaneous" if simultaneous >= _MIN_SIMULTANEOUS_SHARE else None
