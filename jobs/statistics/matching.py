"""How points of groups are matched one to one, and what in the home itself ties two entities.

A *point* is an instant of a group: the start of a bout of an entity, or of a cluster of one of its states.
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

MIN_HITS: Final = 3  # fewer repeats in a day are no pattern
SIMULTANEOUS: Final = SECOND // 2  # people do not do two things at once, again and again
_MOSTLY_SIMULTANEOUS: Final = 0.8  # of the times that two act together
_MOSTLY_AUTOMATIC: Final = 0.5
_SPAN: Final = 4 * DAY  # more than a day and any reach beyond it


class Scale(NamedTuple):
    """A narrow reach and the wide one that says how busy it is around, both in seconds, inclusive."""

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
        """How many points each group has, shape (groups,)."""
        return np.bincount(self.group, minlength=self.groups).astype(np.int64)

    def only(self, chosen: Integers) -> Points:
        """The points of some groups, with ``chosen[i]`` as group i."""
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
    """Points by group and, within it, by time, so that a group's points around an instant are found at once.

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
        """Numbers that ascend over all groups."""
        keys: Integers = group * _SPAN + (at - self._origin)
        return keys

    def within(self, at: Instants, group: Integers, reach_seconds: int) -> tuple[Integers, Integers]:
        """For each instant: the first place of the group's points within reach, and the first one beyond it."""
        key, reach = self._keys(at, group), reach_seconds * SECOND
        return np.searchsorted(self._key, key - reach), np.searchsorted(self._key, key + reach, side="right")


def match_one_to_one(points: Points, first: Integers, second: Integers, reach_seconds: int) -> Matches:
    """Match points of pairs of groups in time order, within a reach, each point used once.

    Each point of the first group takes the earliest point of the second that is within reach and not yet taken. As all
    reaches are equally long, no other matching has more matches, and the second group's choice would be the same. All
    pairs advance together, one point of the first group a step.

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
    """How many of the first group's points chance alone puts near one of the second's, given the surroundings.

    Args:
        points: The points.
        first: The first group of each pair, shape (m,).
        second: The second group of each pair, shape (m,).
        scale: The reach of a match, and what is around.
    """
    by_group = ByGroup(points)
    sizes = points.sizes[first]
    pair = np.repeat(np.arange(len(first)), sizes)
    one = np.repeat(by_group.bounds[first] - np.cumsum(sizes) + sizes, sizes) + np.arange(len(pair))
    low, high = by_group.within(by_group.at[one], second[pair], scale.around)
    chance = 1 - (1 - scale.near / scale.around) ** (high - low)
    return np.bincount(pair, chance, minlength=len(first)).astype(np.float64)


def device_codes(entities: Sequence[Entity]) -> Integers:
    """A number for each entity's device, a negative one of its own for an entity without, shape (entities,)."""
    codes: dict[str, int] = {}
    return np.array(
        [
            -1 - index if entity.device_id is None else codes.setdefault(entity.device_id, len(codes))
            for index, entity in enumerate(entities)
        ],
        np.int64,
    )


def link_kind(*, same_device: bool, automatic: float, simultaneous: float) -> LinkedBy | None:
    """What in the home itself ties two entities that act together, if something does.

    Args:
        same_device: Whether both belong to one device.
        automatic: The share of the times together at which an automation switched the later one.
        simultaneous: The share of them at which both acted within half a second, as a group and its member do.
    """
    if same_device:
        return "same_device"
    if automatic > _MOSTLY_AUTOMATIC:
        return "automation"
    return "simultaneous" if simultaneous >= _MOSTLY_SIMULTANEOUS else None
