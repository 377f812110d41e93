"""Find the pairs of groups that act close to each other more often than chance explains; for pairs and for chains.

The question is not "how often a day?" but "given that both were active around this time, how often so close?". The
other's points within a wide distance (*around*) say how likely it is that one of them lies within a narrow distance
(*near*) by chance; one that does is a *hit*. An hourly or quarter-hourly rate would not do, because a home is busy
and quiet in stretches of minutes.

A thousand entities make millions of pairs, most of them without the minimum number of hits. So pairs are handled in
blocks: of a pair without enough hits only its smallest possible p is kept, and only where it counts as a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import Flags
from jobs.activity.window import SECOND
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.corrections import benjamini_hochberg, can_be_rejected
from jobs.statistics.matching import MIN_HITS, Points, Scale
from jobs.statistics.tails import binomial_tail

_MAX_P: Final = 3e-4  # a pair must also be improbable by itself: see ``find_close_pairs``
_MAX_EXPECTED_BY_CHANCE: Final = 0.25  # or so improbable that chance gives at most this many such pairs a day
_SLOT: Final = 30 * SECOND  # the resolution at which the points around are counted
_MAX_CELLS: Final = 2**19  # values handled at once: bounds the memory
_TRIAL: Final = 2**44  # one trial, in the upper bits of a whole number whose lower bits hold a chance
_CHANCE_UNIT: Final = 2.0**-30  # chances are multiples of this, so that their sum is exact in whatever order


@dataclass(frozen=True, slots=True)
class ClosePairs:
    """Pairs of groups that are close more often than by chance, by ascending p.

    Attributes:
        first: Group, shape (m,): the one that comes first if order matters, else the one with the lower code.
        second: Group, shape (m,).
        p: p-value of the pair: the smallest over the scales, times their number, shape (m,).
        tested: The number of pairs that could have been found at all.
    """

    first: Integers
    second: Integers
    p: Floats
    tested: int


def find_close_pairs(
    points: Points, scales: Sequence[Scale], allowed: Flags, *, ordered: bool, rate: float
) -> ClosePairs:
    """Return the pairs of groups whose points are close more often than chance explains.

    For each scale, the trials are the points of the rarer group that have any of the other around. With K of the other
    around, at least one of them is near by chance with probability 1 - (1 - near / around)^K, with half of ``near``
    where the other has to come after. The hits are binomial with the mean chance of the trials; their exact
    distribution is at most as spread (Hoeffding 1956). A pair's p is the smallest over the scales times their number,
    corrected by Benjamini and Hochberg over the pairs that could be found at all (``can_be_rejected``).

    Counts are small, so many pairs share one p, and a few true pairs can raise the threshold above all of these at
    once: where everything in a home starts at the same minutes, this gave up to 30 false pairs on a day. Hence p must
    also be at most 0.0003, or a quarter over the number of tests if that is more. It costs none of the planted pairs.

    Args:
        points: Points of one group must be so far apart (unordered: over twice the largest ``near``; ordered: over
            ``near``) that each is in at most one hit of a pair.
        scales: The distances to try.
        allowed: Which pairs to test, shape (groups, groups); symmetric if unordered.
        ordered: Whether the second must come after the first.
        rate: The false discovery rate.
    """
    sizes = points.sizes
    groups = np.flatnonzero(sizes >= MIN_HITS)
    groups = groups[np.argsort(sizes[groups], kind="stable")]
    pairs = _Pairs(points.only(groups), scales, allowed[np.ix_(groups, groups)], ordered=ordered)
    blocks = list(pairs.by_block(rate))
    min_p = np.concatenate([np.empty(0), *(block.min_p for block in blocks)])
    min_p = min_p[can_be_rejected(min_p, rate)]
    tests = _Tests(*(np.concatenate(parts, axis=-1) for parts in zip(*(block.tests for block in blocks), strict=True)))
    tests = tests.only(tests.min_p <= min_p.max()) if len(min_p) else tests.only(slice(0))
    p = tests.p()
    by_itself = p <= max(_MAX_P, _MAX_EXPECTED_BY_CHANCE / max(len(min_p), 1))
    found = np.flatnonzero(benjamini_hochberg(p, rate, len(min_p)) & by_itself)
    one, other, p = groups[tests.first[found]], groups[tests.second[found]], p[found]
    first, second = (one, other) if ordered else (np.minimum(one, other), np.maximum(one, other))
    order = np.lexsort((second, first, p))
    return ClosePairs(first[order], second[order], p[order], len(min_p))


class _Tests(NamedTuple):
    """Pairs that have the minimum number of hits at some scale.

    Attributes:
        first: Group, shape (m,).
        second: Group, shape (m,).
        min_p: The smallest p that the pair could have, times the number of scales, shape (m,).
        hits: By scale, shape (scales, m).
        trials: By scale, shape (scales, m).
        chance: Mean chance of a trial by scale, shape (scales, m).
    """

    first: Integers
    second: Integers
    min_p: Floats
    hits: Integers
    trials: Integers
    chance: Floats

    def only(self, chosen: Flags | slice) -> _Tests:
        """Return some of them."""
        by_scale = self.hits[:, chosen], self.trials[:, chosen], self.chance[:, chosen]
        return _Tests(self.first[chosen], self.second[chosen], self.min_p[chosen], *by_scale)

    def p(self) -> Floats:
        """Return the p-value of each pair: the smallest over the scales, times their number, shape (m,)."""
        p = np.ones(self.hits.shape)
        enough = (self.hits >= MIN_HITS) & (self.hits > self.trials * self.chance)
        p[enough] = binomial_tail(self.hits[enough], self.trials[enough], self.chance[enough])
        smallest: Floats = np.minimum(p.min(axis=0) * len(p), 1.0)
        return smallest


class _Block(NamedTuple):
    """What is kept of a block of pairs.

    Attributes:
        min_p: The smallest possible p of each pair, where it is within the false discovery rate.
        tests: The pairs with enough hits.
    """

    min_p: Floats
    tests: _Tests


class _Pairs:
    """All pairs of groups, in blocks of the larger group of each.

    The trials of a pair come from its smaller group. If both have the same size, they come from the first or, if
    unordered, from the one with the larger chance (so groups of one size then stay in one block).

    Args:
        points: Points of groups in ascending order of size, none of them empty.
        scales: The distances to try.
        allowed: Which pairs to test, shape (groups, groups).
        ordered: Whether the second must come after the first.
    """

    def __init__(self, points: Points, scales: Sequence[Scale], allowed: Flags, *, ordered: bool) -> None:
        self._points = points
        self._scales = scales
        self._allowed = allowed
        self._ordered = ordered
        self._sizes = points.sizes
        self._order: Integers = np.argsort(points.group, kind="stable")
        self._bounds: Integers = np.concatenate(([0], np.cumsum(self._sizes)))
        slot = points.at // _SLOT
        self._slot: Integers = (slot - slot[:1])[self._order]
        self._slots = int(self._slot.max(initial=-1)) + 1

    def by_block(self, rate: float) -> Iterator[_Block]:
        """Yield what is kept of each block and, within it, of each direction; first an empty block."""
        no_group, none = np.empty(0, np.int64), np.empty((len(self._scales), 0))
        no_count = none.astype(np.int64)
        yield _Block(np.empty(0), _Tests(no_group, no_group, np.empty(0), no_count, no_count, none))
        for begin, end in self._blocks():
            yield from self._kept(begin, end, rate)

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Yield the begin and end of successive groups, as many at once as ``_MAX_CELLS`` allows."""
        low, high = self._near(self._order)
        neighbours = np.add.reduceat(high - low, self._bounds[:-1]) if len(low) else low
        cells = np.cumsum(neighbours + self._slots + len(self._sizes))
        begin = 0
        while begin < len(self._sizes):
            before = int(cells[begin - 1]) if begin else 0
            end = max(int(np.searchsorted(cells, before + _MAX_CELLS, side="right")), begin + 1)
            if not self._ordered:
                end = int(np.searchsorted(self._sizes, self._sizes[end - 1], side="right"))
            yield begin, end
            begin = end

    def _kept(self, begin: int, end: int, rate: float) -> Iterator[_Block]:
        """Yield what is kept of one block, for each direction."""
        sizes, larger = self._sizes, self._sizes[begin:end]
        rows = int(np.searchsorted(sizes, larger[-1], side="right"))
        smaller = sizes[:rows, None]
        counted = [self._chances(begin, end, rows, scale) for scale in self._scales]
        trials, chance = np.stack([trials for trials, _ in counted]), np.stack([chance for _, chance in counted])
        min_p = np.where(trials >= MIN_HITS, chance**trials, 1.0).min(axis=0) * len(self._scales)
        up, down = self._hits(begin, end, rows)
        if self._ordered:
            directions = [(up, (smaller <= larger) & self._allowed[:rows, begin:end])]
            directions.append((down, (smaller < larger) & self._allowed[begin:end, :rows].T))
        else:
            directions = [(up, np.less.outer(np.arange(rows), np.arange(begin, end)) & self._allowed[:rows, begin:end])]
        for hits, mask in directions:
            tested = mask & (min_p <= rate)
            row, column = np.nonzero(tested & (hits >= MIN_HITS).any(axis=0))
            one, other = (row, column + begin) if hits is up else (column + begin, row)
            cell = np.s_[:, row, column]
            tests = _Tests(one, other, min_p[row, column], hits[cell].astype(np.int64), trials[cell], chance[cell])
            yield _Block(min_p[tested], tests)

    def _near(self, index: Integers) -> tuple[Integers, Integers]:
        """Return, for some points, the first point within the largest ``near``, and the first beyond it."""
        reach, at = max(scale.near for scale in self._scales) * SECOND, self._points.at
        return np.searchsorted(at, at[index] - reach), np.searchsorted(at, at[index] + reach, side="right")

    def _hits(self, begin: int, end: int, rows: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return how often points of each group and of a block's groups are near each other, by scale.

        Returns:
            Two arrays of shape (scales, rows, end - begin): with the row's point first, and with the block's point
            first; if unordered, all hits are in the former.
        """
        at, group = self._points.at, self._points.group
        here = self._order[self._bounds[begin] : self._bounds[end]]
        low, high = self._near(here)
        count = high - low
        there = np.repeat(low - np.cumsum(count) + count, count) + np.arange(int(count.sum()))
        here = np.repeat(here, count)
        gap = at[here] - at[there]
        use = (group[there] < rows) & ((gap != 0) | (not self._ordered))
        here, there, gap = here[use], there[use], gap[use]
        width = end - begin
        place = group[there] * width + group[here] - begin + ((gap < 0) & self._ordered) * (rows * width)
        shape = len(self._scales), 2, rows, width
        counts = np.zeros(shape, np.int32)
        for index, scale in enumerate(self._scales):
            within = place[np.abs(gap) <= scale.near * SECOND]
            counts[index] = np.bincount(within, minlength=2 * rows * width).reshape(shape[1:])
        return counts[:, 0], counts[:, 1]

    def _chances(self, begin: int, end: int, rows: int, scale: Scale) -> tuple[Integers, Floats]:
        """Return the trials of each group with each of a block's, and their mean chance, shape (rows, end - begin)."""
        width = scale.around * SECOND // _SLOT
        around = self._around(begin, end, width)
        share = scale.near * SECOND / ((2 * width + 1) * _SLOT) * (1 if self._ordered else 2)
        chance_of = 1 - (1 - share) ** np.arange(int(around.max(initial=0)) + 1)
        packed = np.round(chance_of / _CHANCE_UNIT).astype(np.int64) + (np.arange(len(chance_of)) > 0) * _TRIAL
        sums = self._sums(packed[around], rows)
        trials: Integers = sums // _TRIAL
        chance: Floats = (sums % _TRIAL) * _CHANCE_UNIT / np.maximum(trials, 1)
        if not self._ordered:
            square, sizes = slice(begin, end), self._sizes[begin:end]
            swap = (sizes[:, None] == sizes) & (chance[square] < chance[square].T)
            trials[square] = np.where(swap, trials[square].T, trials[square])
            chance[square] = np.where(swap, chance[square].T, chance[square])
        return trials, chance

    def _around(self, begin: int, end: int, width: int) -> NDArray[np.int32]:
        """Return the points of a block's groups up to ``width`` slots around each slot, shape (slots, groups)."""
        sizes, chosen = self._sizes[begin:end], slice(self._bounds[begin], self._bounds[end])
        total = np.zeros((self._slots + 1, end - begin), np.int32)
        np.add.at(total, (self._slot[chosen] + 1, np.repeat(np.arange(end - begin), sizes)), 1)
        np.cumsum(total, axis=0, out=total)
        middle = np.arange(self._slots)
        last = np.minimum(middle + width + 1, self._slots)
        return total[last] - total[np.maximum(middle - width, 0)]

    def _sums(self, values: Integers, rows: int) -> Integers:
        """Return values (by slot, a column for each group of a block) summed over the slots of each group's points."""
        sums = np.zeros((rows, values.shape[1]), np.int64)
        for number in range(int(self._sizes[rows - 1])):
            first = int(np.searchsorted(self._sizes[:rows], number, side="right"))  # of those with as many points
            sums[first:] += values[self._slot[self._bounds[first:rows] + number]]
        return sums
