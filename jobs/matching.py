"""Which entities act close to each other more often than their surroundings explain: what pairs and chains share.

A *point* is an instant of a group: the start of a bout of an entity, or of a cluster of one of its states. The question
is never "how often per day" but "given that both were active around here, how often so close": the other's points
within a wide reach (the surroundings) say how likely one of them lies within a narrow one (a hit) by chance. An hourly
or quarter-hourly rate as the null fails, because a home is busy and quiet in stretches of minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.entities import Entity
from jobs.events import Flags
from jobs.statistics import Floats, Integers, benjamini_hochberg, binomial_tail, testable
from jobs.window import DAY, SECOND, Instants
from storage.models import Wired

LEAST_HITS: Final = 3  # fewer repeats in a day are no pattern
IN_STEP: Final = SECOND // 2  # people do not do two things at once, again and again
_MOST_P: Final = 3e-4  # a pair must be improbable by itself, whatever bar many others lift: see ``find_links``
_MOST_BY_CHANCE: Final = 0.25  # or so improbable that chance gives no more pairs like it a day
_MOSTLY_IN_STEP: Final = 0.8  # of the times that two act together
_MOSTLY_AUTOMATIC: Final = 0.5
_SLOT: Final = 30 * SECOND  # how finely it is told where a point lies when its surroundings are counted
_SPAN: Final = 4 * DAY  # more than a day and any reach beyond it
_CELLS: Final = 2**19  # how many values are summed at once: bounds the memory
_TRIAL: Final = 2**44  # one trial, in the upper bits of a whole number whose lower ones hold the chance in grains
_GRAIN: Final = 2.0**-30  # chances are multiples of this, so that their sums are exact in whatever order they are added


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
class Links:
    """Pairs of groups that beat chance, by ascending p.

    Attributes:
        first: Group, shape (m,); the one that comes first where order matters, else the one with the lower code.
        second: Group, shape (m,).
        p: p-value of the pair, the smallest over the scales times their number, shape (m,).
        tested: How many pairs could have been found at all.
    """

    first: Integers
    second: Integers
    p: Floats
    tested: int


def find_links(points: Points, scales: Sequence[Scale], allowed: Flags, *, ordered: bool, rate: float) -> Links:
    """Pairs of groups whose points lie close more often than chance explains.

    For each scale, the points of the rarer group that have any of the other around are trials. With K of the other
    around, at least one of them is near by chance with probability 1 - (1 - near / around)^K, or half of ``near`` where
    it has to come after; the hits follow, at most as spread as this (Hoeffding 1956), a binomial distribution with the
    trials' mean chance. The smallest p over the scales counts times their number; Benjamini and Hochberg over the
    pairs that could be found at all (``testable``).

    Counts are small, so many pairs share one p, and a few true ones can lift the bar over all of them at once: where
    everything in a home starts at the same minutes, this gave up to 30 false pairs on a day. Hence p must also be at
    most 0.0003, or a quarter over the number of tests if that is more, which costs none of the planted pairs.

    Args:
        points: Points of one group lie so far apart (unordered: over twice the largest ``near``; ordered: over
            ``near``) that each is in at most one hit of a pair.
        scales: Narrow and wide reaches.
        allowed: Which pairs to test, shape (groups, groups); unordered: symmetric.
        ordered: Whether the second must come after the first.
        rate: The false discovery rate.
    """
    sizes = points.sizes
    groups = np.flatnonzero(sizes >= LEAST_HITS)
    groups = groups[np.argsort(sizes[groups], kind="stable")]
    points, allowed = points.only(groups), allowed[np.ix_(groups, groups)]
    pairs = np.flatnonzero(allowed if ordered else np.triu(allowed, 1))
    least, p = np.ones(len(pairs)), np.ones(len(pairs))
    for scale in scales:
        all_trials, all_chances = _chances(points, scale, ordered=ordered)
        trials, chance = all_trials.take(pairs), all_chances.take(pairs)
        hits = _hits(points, scale.near, ordered=ordered).take(pairs)
        least = np.minimum(least, np.where(trials >= LEAST_HITS, chance**trials, 1.0))
        enough = np.flatnonzero((hits >= LEAST_HITS) & (hits > trials * chance))
        p[enough] = np.minimum(p[enough], binomial_tail(hits[enough], trials[enough], chance[enough]))
    possible = testable(least * len(scales), rate)
    p = np.minimum(np.where(possible, p, 1.0) * len(scales), 1.0)
    tested = int(possible.sum())
    by_itself = p <= max(_MOST_P, _MOST_BY_CHANCE / max(tested, 1))
    found = np.flatnonzero(benjamini_hochberg(p, rate, tested) & possible & by_itself)
    one, other = (groups[group] for group in np.divmod(pairs[found], len(groups)))
    first, second = (one, other) if ordered else (np.minimum(one, other), np.maximum(one, other))
    order = np.lexsort((second, first, p[found]))
    return Links(first[order], second[order], p[found][order], tested)


def close(at: Instants, reach: int) -> tuple[Integers, Integers]:
    """All pairs of points at most ``reach`` microseconds apart, as two index arrays, the earlier (in order) first."""
    count = np.searchsorted(at, at + reach, side="right") - np.arange(len(at)) - 1
    before = np.repeat(np.arange(len(at)), count)
    after = before + 1 + np.arange(len(before)) - np.repeat(np.cumsum(count) - count, count)
    return before, after


def _hits(points: Points, near: int, *, ordered: bool) -> Integers:
    """How often the second group's point is within ``near`` of (ordered: after) the first's, shape (groups, groups)."""
    before, after = close(points.at, near * SECOND)
    if ordered:
        distinct = points.at[before] < points.at[after]
        before, after = before[distinct], after[distinct]
    one, other = points.group[before], points.group[after]
    if not ordered:
        one, other = np.minimum(one, other), np.maximum(one, other)
    counts = np.bincount(one * points.groups + other, minlength=points.groups**2)
    return counts.reshape(points.groups, points.groups)


def _chances(points: Points, scale: Scale, *, ordered: bool) -> tuple[Integers, Floats]:
    """Trials and their mean chance for each pair, both of shape (groups, groups), entry [first, second].

    Groups are ascending by size, so above the diagonal the first is the rarer. Of two groups of the same size the first
    gives the trials or, where there is no first, the one with the larger chance.
    """
    sizes = points.sizes
    around = _around(points, scale.around * SECOND // _SLOT)
    share = scale.near * SECOND / ((2 * (scale.around * SECOND // _SLOT) + 1) * _SLOT) * (1 if ordered else 2)
    chance_of = 1 - (1 - share) ** np.arange(int(around.max(initial=0)) + 1)
    packed = np.round(chance_of / _GRAIN).astype(np.int64) + (np.arange(len(chance_of)) > 0) * _TRIAL
    sums = _sums(points, packed[around])
    trials, chance = sums // _TRIAL, (sums % _TRIAL) * _GRAIN
    chance /= np.maximum(trials, 1)
    same = sizes[:, None] == sizes[None, :]
    swap = np.tri(len(sizes), k=-1, dtype=np.bool_) & ~same if ordered else same & (chance < chance.T)
    return np.where(swap, trials.T, trials), np.where(swap, chance.T, chance)


def _around(points: Points, width: int) -> NDArray[np.int32]:
    """Points of each group from ``width`` slots before each slot to as many after it, shape (slots, groups)."""
    slot = _slots(points)
    slots = int(slot[-1]) + 1 if len(slot) else 0
    total = np.zeros((slots + 1, points.groups), np.int32)
    np.add.at(total, (slot + 1, points.group), 1)
    np.cumsum(total, axis=0, out=total)
    middle = np.arange(slots)
    return total[np.minimum(middle + width + 1, slots)] - total[np.maximum(middle - width, 0)]


def _slots(points: Points) -> Integers:
    slot = points.at // _SLOT
    return slot - slot[:1]


def _sums(points: Points, values: Integers) -> Integers:
    """For each group (rows) the values of each other one (columns) summed over the slots of its points.

    Groups are ascending by size; columns of smaller groups than the row's stay 0.

    Args:
        points: n points of g groups, none of them empty.
        values: By slot and group, shape (slots, g).
    """
    slot = _slots(points)[np.argsort(points.group, kind="stable")]
    sizes = points.sizes
    starts = np.cumsum(sizes) - sizes
    sums = np.zeros((points.groups, points.groups), np.int64)
    group = 0
    while group < points.groups:
        left = int(np.searchsorted(sizes, sizes[group]))
        until = int(np.searchsorted(starts, starts[group] + max(_CELLS // (points.groups - left), 1), side="right"))
        chosen = slice(starts[group], starts[until - 1] + sizes[until - 1])
        begins = starts[group:until] - starts[group]
        sums[group:until, left:] = np.add.reduceat(values[slot[chosen], left:], begins, axis=0)
        group = until
    return sums


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


def tie(*, same_device: bool, automatic: float, in_step: float) -> Wired | None:
    """What in the home itself ties two entities that act together, if something does.

    Args:
        same_device: Whether both belong to one device.
        automatic: The share of the times together at which an automation switched the later one.
        in_step: The share of them at which both acted within half a second, as a group and its member do.
    """
    if same_device:
        return "device"
    if automatic > _MOSTLY_AUTOMATIC:
        return "automation"
    return "in_step" if in_step >= _MOSTLY_IN_STEP else None
