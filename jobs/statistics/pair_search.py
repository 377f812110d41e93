"""Search all pairs of groups for those that may be closer than chance explains, without keeping the others.

One group after the other, the smallest first, is compared with all that come after it. Hits and trials are counted for
all pairs; the chance of a trial is added up only where it is needed:

* whether a pair could be found at all (its smallest possible p): only where its trials are so few that this is open;
* its p: only where a lower bound of p, which takes no iterations, is low enough.

So the result is exact, and most of the millions of pairs of a large home cost a few nanoseconds. Where nearly all of
them are close, because all entities act at the same instants, the search ends once p of ``max_pairs`` is computed. The
pairs that it has not seen then count as tests, so that nothing is found more easily than if it had gone on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.corrections import TestCount
from jobs.statistics.matching import MIN_HITS, Points, Scale
from jobs.statistics.near import Near
from jobs.statistics.surroundings import Around, Surroundings, count_around
from jobs.statistics.tails import BinomialBound, binomial_tail

_MAX_SCREENED_P: Final = 1e-3  # in many tests, pairs of a larger p are dropped unseen: they are not found anyway, and
_MANY_TESTS: Final = 250_000  # could raise the threshold for others only if they were 2 % of all tests
_ROUNDING: Final = 1e-5  # of logarithms
_GROUPS_AT_ONCE: Final = 256
_PAIRS_AT_ONCE: Final = 2**15


class Candidates(NamedTuple):
    """Pairs that may be found: groups, the smallest p that they could have, and their p, each of shape (m,)."""

    first: Integers
    second: Integers
    min_p: Floats
    p: Floats

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Return all of some parts."""
        none = np.empty(0, np.int64)
        return cls(
            *map(np.concatenate, zip(cls(none, none, np.empty(0), np.empty(0)), *map(tuple, parts), strict=True))
        )

    def only(self, chosen: Flags) -> Candidates:
        """Return some of them."""
        return Candidates(self.first[chosen], self.second[chosen], self.min_p[chosen], self.p[chosen])


class _Pairs(NamedTuple):
    """Pairs whose p is to be computed.

    Attributes:
        first: Group, shape (m,).
        second: Group, shape (m,).
        min_p: The smallest p that the pair could have, shape (m,).
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

    def first_of(self, count: int) -> _Pairs:
        """Return so many of them, or all."""
        some = np.s_[..., :count]
        groups = self.first[:count], self.second[:count], self.min_p[:count]
        return _Pairs(*groups, self.hits[some], self.trials[some], self.chance[some])

    def with_p(self, max_p: float) -> Candidates:
        """Return those whose p (the smallest over the scales, times their number) is low enough."""
        p = np.ones(self.hits.shape)
        enough = (self.hits >= MIN_HITS) & (self.hits > self.trials * self.chance)
        p[enough] = binomial_tail(self.hits[enough], self.trials[enough], self.chance[enough])
        smallest = np.minimum(p.min(axis=0) * len(p), 1.0)
        return Candidates(self.first, self.second, self.min_p, smallest).only(smallest <= max_p)


class _Trials(NamedTuple):
    """What is known cheaply of the trials of one group with all later ones, by distance (``Scale.around``).

    Attributes:
        number: How many there are, shape (later groups,).
        mean: The mean number of points around them, likewise.
    """

    number: dict[int, Integers]
    mean: dict[int, Floats]

    def replaced(self, others: _Trials) -> _Trials:
        """Return these with those of the first groups replaced."""
        return self._with(others, lambda _, theirs: theirs)

    def lesser(self, others: _Trials) -> _Trials:
        """Return the smaller of these and, for the first groups, others."""
        return self._with(others, np.minimum)

    def _with(self, others: _Trials, choose: Callable[[Any, Any], Any]) -> _Trials:
        def changed(mine: Any, theirs: Any) -> Any:  # noqa: ANN401 - integers or floats
            return np.concatenate((choose(mine[: len(theirs)], theirs), mine[len(theirs) :]))

        return _Trials(
            {around: changed(count, others.number[around]) for around, count in self.number.items()},
            {around: changed(mean, others.mean[around]) for around, mean in self.mean.items()},
        )


class PairSearch:
    """Compares each group with all later ones.

    Args:
        points: Points of groups in ascending order of size, none of them empty.
        scales: The distances to try.
        owner: What each group belongs to.
        ordered: Whether the second must come after the first.
        rate: The false discovery rate.
        max_pairs: The number of pairs whose p is computed, at most.

    Attributes:
        count: The tests that could be rejected at all.
        pairs_left_out: The number of pairs beyond ``max_pairs`` that may be found, or were not seen.
        pairs_unseen: How many of them were not seen; ``count`` takes them for tests.
    """

    def __init__(
        self, points: Points, scales: Sequence[Scale], owner: Integers, *, ordered: bool, rate: float, max_pairs: int
    ) -> None:
        groups, sizes = points.groups, points.sizes
        self._points = points
        self._scales = scales
        self._owner = owner
        self._ordered = ordered
        self._rate = rate
        self._max_pairs = max_pairs
        self._last_of_size = np.searchsorted(sizes, sizes, side="right")
        self._max_trials = int(sizes.max(initial=0))
        self._surroundings = Surroundings(points, scales, ordered=ordered)
        self._chances = [self._surroundings.chance_bounds(number) for number in range(len(scales))]
        self._bound = BinomialBound(self._max_trials)
        self.count = TestCount(rate, groups * (groups - 1) // (1 if ordered else 2))
        log_p = np.log(self.count.max_certain_p / len(scales)) - _ROUNDING
        self._certain = [max(int(np.ceil(log_p / np.log(most))), MIN_HITS) for _, most in self._chances]
        self._max_p = 0.0
        self._fewest: list[Integers] = []  # hits, by scale and number of trials, with which a pair may be found
        self._waiting: list[_Pairs] = []
        self._waiting_count = 0
        self._found: list[Candidates] = []
        self._computed = 0
        self.pairs_left_out = 0
        self.pairs_unseen = 0

    def candidates(self) -> Candidates:
        """Return all pairs that may be found."""
        groups = self._points.groups
        group = 0
        while group < groups and self._computed < self._max_pairs:
            end = min(group + _GROUPS_AT_ONCE, groups)
            near = Near(self._points, self._scales, group, end)
            while group < end and self._computed < self._max_pairs:
                many = self.count.certain > _MANY_TESTS
                self._set_max_p(min(_MAX_SCREENED_P, self._rate) if many else self._rate)
                self._compare(group, near)
                group += 1
        self._leave_out(group)
        self._compute_p()
        return Candidates.joined(self._found)

    def _leave_out(self, begin: int) -> None:
        """Count the pairs of the groups from one on, without looking at them."""
        _, of_owner = np.unique(self._owner[begin:], return_counts=True)
        groups = int(of_owner.sum())
        apart = groups * (groups - 1) - int((of_owner * (of_owner - 1)).sum())
        self.pairs_unseen = apart if self._ordered else apart // 2
        self.pairs_left_out += self.pairs_unseen
        self.count.add(self.pairs_unseen, np.empty(0))

    def _set_max_p(self, max_p: float) -> None:
        """Set the p beyond which pairs are dropped."""
        if max_p != self._max_p:
            self._max_p = max_p
            self._max_log = float(np.log(max_p / len(self._scales))) + _ROUNDING
            fewest = [self._bound.fewest_hits(self._max_trials, low, self._max_log) for low, _ in self._chances]
            self._fewest = [np.maximum(hits, MIN_HITS) for hits in fewest]

    def _compare(self, group: int, near: Near) -> None:
        """Compare one group with all later ones, in both orders if order matters."""
        later = slice(group + 1, self._points.groups)
        own = self._surroundings.of(group, later)
        theirs = self._surroundings.equal_sized(group, slice(group + 1, int(self._last_of_size[group])))
        mine, others = self._trials(own), self._trials(theirs)
        if self._ordered:
            self._select(group, near.hits_after(group), mine, own, None)
            self._select(group, near.hits_before(group), mine.replaced(others), own, theirs)
        else:
            self._select(group, near.hits(group), mine.lesser(others), own, theirs)

    def _trials(self, around: Around) -> _Trials:
        counts = {
            distance: count_around(points, self._surroundings.max_count[distance])
            for distance, points in around.items()
        }
        return _Trials(
            {distance: count for distance, (count, _) in counts.items()},
            {distance: total / np.maximum(count, 1) for distance, (count, total) in counts.items()},
        )

    def _select(self, group: int, hits: Integers, trials: _Trials, own: Around, theirs: Around | None) -> None:
        """Count the tests of one group with all later ones, and keep the pairs that may be found.

        Args:
            group: The group.
            hits: Of each later group, by scale, shape (scales, later groups).
            trials: At least these are known.
            own: The points of later groups around each point of the group.
            theirs: The points of the group around each point of the groups of the same size, if these may make the
                trials.
        """
        apart = self._owner[group + 1 :] != self._owner[group]
        certain = np.zeros(len(apart), np.bool_)
        for number, scale in enumerate(self._scales):
            certain |= trials.number[scale.around] >= self._certain[number]
        certain &= apart
        likely = np.flatnonzero(certain & self._may_be_found(hits, trials))
        uncertain = np.flatnonzero(apart & ~certain)
        chosen = np.concatenate((uncertain, likely))
        exact, chance = self._exact(chosen, own, theirs)
        min_p = np.where(exact >= MIN_HITS, chance**exact, 1.0).min(axis=0, initial=1.0) * len(self._scales)
        self.count.add(int(np.count_nonzero(certain)), min_p[: len(uncertain)])
        kept = (min_p <= self._rate) & (hits[:, chosen] >= MIN_HITS).any(axis=0)
        other = chosen[kept] + group + 1
        one = np.full(len(other), group)
        first, second = (other, one) if self._ordered and theirs is not None else (one, other)
        self._keep(_Pairs(first, second, min_p[kept], hits[:, chosen[kept]], exact[:, kept], chance[:, kept]))

    def _may_be_found(self, hits: Integers, trials: _Trials) -> Flags:
        """Return which pairs are not too probable, by a lower bound of p.

        Chances grow ever less with the points around, so their mean is at least what a straight line from one point to
        the most points gives at the mean number of points.
        """
        found = np.zeros(hits.shape[1], np.bool_)
        for number, (scale, (low, high)) in enumerate(zip(self._scales, self._chances, strict=True)):
            around = scale.around
            places = np.flatnonzero(hits[number] >= self._fewest[number][trials.number[around]])
            count, mean = trials.number[around][places], trials.mean[around][places]
            span = max(self._surroundings.max_count[around] - 1, 1)
            chance = low + (high - low) * np.clip((mean - 1) / span, 0.0, 1.0)
            improbable = self._bound.log(np.minimum(hits[number, places], count), count, chance) <= self._max_log
            found[places[improbable]] = True
        return found

    def _exact(self, chosen: Integers, own: Around, theirs: Around | None) -> tuple[Integers, Floats]:
        """Return trials and mean chance of some later groups, shape (scales, chosen)."""
        trials, chance = self._surroundings.trials(own, chosen)
        equal = np.flatnonzero(chosen < theirs[self._scales[0].around].shape[1]) if theirs else chosen[:0]
        if theirs and len(equal):
            their_trials, their_chance = self._surroundings.trials(theirs, chosen[equal])
            swap = self._ordered | (chance[:, equal] < their_chance)
            trials[:, equal] = np.where(swap, their_trials, trials[:, equal])
            chance[:, equal] = np.where(swap, their_chance, chance[:, equal])
        return trials, chance

    def _keep(self, pairs: _Pairs) -> None:
        possible = self._max_pairs - self._computed
        self.pairs_left_out += max(len(pairs.first) - possible, 0)
        if possible > 0 and len(pairs.first):
            self._waiting.append(pairs.first_of(possible))
            self._waiting_count += len(self._waiting[-1].first)
            self._computed += len(self._waiting[-1].first)
        if self._waiting_count >= _PAIRS_AT_ONCE:
            self._compute_p()

    def _compute_p(self) -> None:
        if self._waiting:
            pairs = _Pairs(*(np.concatenate(columns, axis=-1) for columns in zip(*self._waiting, strict=True)))
            self._found.append(pairs.with_p(self._rate))
            self._waiting, self._waiting_count = [], 0
