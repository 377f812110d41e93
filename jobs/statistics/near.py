"""Count how often the points of one group are near those of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from jobs.activity.window import SECOND
from jobs.statistics.arrays import Integers
from jobs.statistics.matching import ByGroup, Points, Scale

_MAX_POINTS: Final = 2**20  # handled at once: bounds the memory


class Near:
    """The points near those of some groups, among the points of these and all later groups.

    Points are ordered by time, so those near an instant are a slice of them.

    Args:
        points: The points.
        scales: The distances that are near.
        begin: The first of the groups.
        end: The group after the last of them.
    """

    def __init__(self, points: Points, scales: Sequence[Scale], begin: int, end: int) -> None:
        later = points.group >= begin
        self._at = points.at[later]
        self._group: Integers = points.group[later] - begin
        self._groups = points.groups - begin
        self._begin = begin
        self._scales = scales
        by_group = ByGroup(Points(self._at, self._group, self._groups))
        self._bounds = by_group.bounds
        here = by_group.at[: self._bounds[end - begin]]
        self._before, self._after = np.searchsorted(self._at, here), np.searchsorted(self._at, here, side="right")
        reach = [scale.near * SECOND for scale in scales]
        self._first = [np.searchsorted(self._at, here - near) for near in reach]
        self._last = [np.searchsorted(self._at, here + near, side="right") for near in reach]

    def hits(self, group: int) -> Integers:
        """Return how often each later group is near one, before or after it, shape (scales, later groups)."""
        return self._counts(group, self._first, self._last)

    def hits_after(self, group: int) -> Integers:
        """Return how often each later group is near one and comes after it, shape (scales, later groups)."""
        return self._counts(group, [self._after] * len(self._scales), self._last)

    def hits_before(self, group: int) -> Integers:
        """Return how often each later group is near one and comes before it, shape (scales, later groups)."""
        return self._counts(group, self._first, [self._before] * len(self._scales))

    def _counts(self, group: int, first: Sequence[Integers], last: Sequence[Integers]) -> Integers:
        """Return how often later groups have a point in the slices of one group's points, for each scale."""
        of_group = slice(*self._bounds[group - self._begin : group - self._begin + 2])
        slices = [(low[of_group], high[of_group]) for low, high in zip(first, last, strict=True)]
        later = group - self._begin + 1
        return np.stack([self._count(low, high)[later:] for low, high in slices])

    def _count(self, low: Integers, high: Integers) -> Integers:
        """Return how often each group has a point in some slices of the points, shape (groups,)."""
        counts = np.zeros(self._groups, np.int64)
        until = np.cumsum(high - low)
        begin = 0
        while begin < len(low):
            before = int(until[begin - 1]) if begin else 0
            end = max(int(np.searchsorted(until, before + _MAX_POINTS, side="right")), begin + 1)
            edges = zip(low[begin:end].tolist(), high[begin:end].tolist(), strict=True)
            counts += np.bincount(np.concatenate([self._group[a:b] for a, b in edges]), minlength=self._groups)
            begin = end
        return counts
