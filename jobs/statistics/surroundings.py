"""How busy it is around the points of groups: the chance that two groups are near each other without being related.

Time is cut into slots of 30 s. Tables by slot and group say how many of the group's points lie within a distance of the
slot; a byte each, so that the tables of 5,000 groups take 30 MB and a row of them is added up in microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.window import SECOND
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.matching import Points, Scale

_SLOT: Final = 30 * SECOND  # the resolution at which the points around are counted
_GROUPS_AT_ONCE: Final = 256
_MAX_CELLS: Final = 2**20  # values handled at once: bounds the memory
_TRIAL: Final = 2**44  # one trial, in the upper bits of a whole number whose lower bits hold a chance
_CHANCE_UNIT: Final = 2.0**-30  # chances are multiples of this, so that their sum is exact in whatever order

Around = Mapping[int, NDArray[np.unsignedinteger]]
"""By distance in seconds (``Scale.around``): how many of a group's points lie around some points of another."""


class Surroundings:
    """The points around each slot, by group, and the chances that follow from them.

    A point is a *trial* of a pair if it has any point of the other group around. With K of them around, chance puts at
    least one of them near it with probability 1 - (1 - near / around)^K, with half of ``near`` where the other has to
    come after.

    Args:
        points: Points of groups in ascending order of size.
        scales: The distances to try.
        ordered: Whether the other has to come after.

    Attributes:
        max_count: By distance, the most points of one group around any slot.
    """

    def __init__(self, points: Points, scales: Sequence[Scale], *, ordered: bool) -> None:
        self._scales = scales
        slot = points.at // _SLOT
        order = np.argsort(points.group, kind="stable")
        self._slot: Integers = (slot - slot[:1])[order]
        self._sizes = points.sizes
        self._bounds: Integers = np.concatenate(([0], np.cumsum(self._sizes)))
        self._slots = int(self._slot.max(initial=-1)) + 1
        middle = np.arange(self._slots)
        self._edges = {}
        for around in sorted({scale.around for scale in scales}):
            width = around * SECOND // _SLOT
            self._edges[around] = np.maximum(middle - width, 0), np.minimum(middle + width + 1, self._slots)
        self._tables = {around: self._table(*edges) for around, edges in self._edges.items()}
        self.max_count = {around: max(int(table.max(initial=0)), 1) for around, table in self._tables.items()}
        self._packed = [self._packed_chances(scale, ordered=ordered) for scale in scales]

    def of(self, group: int, others: slice) -> Around:
        """Return the points of other groups around each point of one, by distance, shape (points, others)."""
        slots = self._slot[self._bounds[group] : self._bounds[group + 1]]
        return {around: table[slots, others] for around, table in self._tables.items()}

    def equal_sized(self, group: int, others: slice) -> Around:
        """Return the points of one group around each point of others of the same size, shape (points, others)."""
        first, last = self._bounds[others.start], self._bounds[others.stop]
        slots = self._slot[first:last].reshape(-1, self._sizes[group])
        # Reading a column of the table would take longer than counting again.
        own = self._slot[self._bounds[group] : self._bounds[group + 1]]
        total = np.concatenate(([0], np.cumsum(np.bincount(own, minlength=self._slots))))
        return {
            around: (total[last] - total[first]).astype(self._tables[around].dtype)[slots].T
            for around, (first, last) in self._edges.items()
        }

    def chance_bounds(self, number: int) -> tuple[float, float]:
        """Return the chance of a trial at a scale with one point around, and with the most."""
        chances = (self._packed[number] % _TRIAL) * _CHANCE_UNIT
        return float(chances[1]), float(chances[-1])

    def trials(self, around: Around, columns: Integers) -> tuple[Integers, Floats]:
        """Return the trials of some of the others, and their mean chance, by scale: shape (scales, columns)."""
        trials = np.zeros((len(self._scales), len(columns)), np.int64)
        chance = np.zeros(trials.shape)
        for number, (scale, packed) in enumerate(zip(self._scales, self._packed, strict=True)):
            counts = around[scale.around]
            step = max(_MAX_CELLS // max(len(counts), 1), 1)
            for begin in range(0, len(columns), step):
                some = slice(begin, begin + step)
                sums = packed[counts[:, columns[some]]].sum(axis=0)
                trials[number, some] = sums // _TRIAL
                chance[number, some] = (sums % _TRIAL) * _CHANCE_UNIT / np.maximum(sums // _TRIAL, 1)
        return trials, chance

    def _packed_chances(self, scale: Scale, *, ordered: bool) -> Integers:
        """Return, for each number of points around, one trial and its chance in one number."""
        width = scale.around * SECOND // _SLOT
        share = scale.near * SECOND / ((2 * width + 1) * _SLOT) * (1 if ordered else 2)
        chance = 1 - (1 - share) ** np.arange(self.max_count[scale.around] + 1)
        packed: Integers = np.round(chance / _CHANCE_UNIT).astype(np.int64)
        packed[1:] += _TRIAL
        return packed

    def _table(self, first: Integers, last: Integers) -> NDArray[np.unsignedinteger]:
        """Return how many points of each group lie around each slot, shape (slots, groups).

        Args:
            first: Of each slot, the first slot around it.
            last: Of each slot, the first slot beyond those around it.
        """
        table: NDArray[np.unsignedinteger] = np.zeros((self._slots, len(self._sizes)), np.uint8)
        for begin in range(0, len(self._sizes), _GROUPS_AT_ONCE):
            end = min(begin + _GROUPS_AT_ONCE, len(self._sizes))
            chosen = slice(self._bounds[begin], self._bounds[end])
            total = np.zeros((self._slots + 1, end - begin), np.int32)
            np.add.at(total, (self._slot[chosen] + 1, np.repeat(np.arange(end - begin), self._sizes[begin:end])), 1)
            np.cumsum(total, axis=0, out=total)
            counts = total[last] - total[first]
            if counts.max(initial=0) > np.iinfo(table.dtype).max:
                table = table.astype(np.uint32)
            table[:, begin:end] = counts
        return table


def count_around(counts: NDArray[np.unsignedinteger], most: int) -> tuple[Integers, Integers]:
    """Return how many points have any of the others around, and how many these are in all, shape (others,).

    Args:
        counts: The points around each point, shape (points, others).
        most: The most that any of them is.
    """
    some, total = np.zeros(counts.shape[1], np.int64), np.zeros(counts.shape[1], np.int64)
    step = max(np.iinfo(counts.dtype).max // most, 1)  # as many as surely add up without an overflow
    for begin in range(0, len(counts), step):
        part = counts[begin : begin + step]
        total += np.add.reduce(part, axis=0, dtype=counts.dtype)
        some += np.add.reduce((part != 0).view(np.uint8), axis=0, dtype=counts.dtype)
    return some, total
