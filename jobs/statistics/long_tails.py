"""How long the longest use of a day may be by chance: the tails of lengths, which a home's entities teach each other.

Lengths are compared on a logarithmic scale. For each entity, the median of its daily maxima is the threshold. How far a
length exceeds it follows a generalised Pareto distribution (Pickands 1975) of the *logarithm*, with a shape of at most
0: with shape 0, lengths have a Pareto tail of exponent 1 / scale; the further below 0, the lighter the tail.

Four weeks say little about the tail of one entity, but all entities together show which tails are common in the home
(empirical Bayes, Robbins 1956). So each entity has a weight for each cell of a grid of scales and shapes: the
likelihood of its maxima, times how common the cell is. A tail is the weighted mean over the cells.

The maximum of n uses is higher than that of one. Uses above the threshold come at a rate of r a use, so a day with n
uses has a maximum beyond x with probability 1 - exp(-n · r · tail(x)) (block maxima of a Poisson process).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers

_SCALES: Final = np.geomspace(0.03, 1.6, 14)
_SHAPES: Final = np.array([-0.5, -0.3, -0.15, -0.07, 0.0])
_SCALE: Final = np.repeat(_SCALES, len(_SHAPES))[:, None]  # of each cell
_SHAPE: Final = np.tile(_SHAPES, len(_SCALES))[:, None]
_POWER: Final = -1 / np.where(_SHAPE == 0, -1.0, _SHAPE)
_PRIOR_ENTITIES: Final = 2.0  # "all cells are equally common" weighs as much as this many entities
_COLUMNS_AT_ONCE: Final = 200
_ROUNDS: Final = 40  # of expectation and maximisation
_RATE_ROUNDS: Final = 8
_MIN: Final = 1e-300
_MAD_TO_SIGMA: Final = 1.4826
_OUTLIER_SPREADS: Final = 5
_MIN_SPREAD: Final = 0.25  # of the logarithm of a length
_MAX_OUTLIER_SHARE: Final = 0.15  # of an entity's days; what happens more often is not an outlier
_MAX_OUTLIERS_A_DAY: Final = 0.2  # of the whole home: where there are more, the tails are heavy


class Tails:
    """What is learnt of the lengths of some entities, by column.

    Args:
        longest: The logarithm of the longest use of each day, shape (days, columns); not looked at where not counted.
        uses: How many uses each is the longest of, in the same shape.
        counted: Which to learn from, in the same shape.

    Attributes:
        kept: The days it was learnt from, without outliers, shape (days, columns).
    """

    def __init__(self, longest: Floats, uses: Floats, counted: Flags) -> None:
        self.kept = without_outliers(longest, counted)
        self._threshold = _median(np.where(self.kept, longest, np.nan))
        above = self.kept & (longest > self._threshold)
        self._above, self._longest, self._uses = above, longest, np.where(self.kept, uses, 0.0)
        self._rate = _rate(self._uses, self.kept, above)
        columns, cells = longest.shape[1], len(_SCALE)
        self._log_likelihood = np.zeros((cells, columns))
        for first in range(0, columns, _COLUMNS_AT_ONCE):  # all at once would take 100 KB of memory for each entity
            day, column = np.nonzero(above[:, first : first + _COLUMNS_AT_ONCE])
            np.add.at(self._log_likelihood.T, column + first, self._log_likelihood_of(day, column + first).T)
        likelihood = np.exp(self._log_likelihood - self._log_likelihood.max(axis=0, initial=-np.inf))
        self._common, prior = np.full((cells, 1), 1 / cells), _PRIOR_ENTITIES / cells
        for _ in range(_ROUNDS):
            shares = _normed(likelihood * self._common).sum(axis=1, keepdims=True)
            self._common = (shares + prior) / (columns + _PRIOR_ENTITIES)

    def chance(self, length: Floats, uses: Floats, column: Integers, without: Integers | None = None) -> Floats:
        """Return P(the longest of so many uses is at least this long); 1 for a length below the threshold.

        Args:
            length: Logarithms, shape (n,).
            uses: How many uses each is the longest of, shape (n,).
            column: The column of each, shape (n,).
            without: For each, the day that is not to count, shape (n,); by default all days count.
        """
        log_likelihood = self._log_likelihood[:, column]
        if without is not None:
            counts = self._above[without, column]
            log_likelihood[:, counts] -= self._log_likelihood_of(without[counts], column[counts])
        weights = _normed(np.exp(log_likelihood - log_likelihood.max(axis=0, initial=-np.inf)) * self._common)
        beyond = np.maximum(length - self._threshold[column], 0.0)
        chance = (weights * -np.expm1(-uses * self._rate[column] * _survival(beyond))).sum(axis=0)
        return np.where(beyond > 0, np.minimum(chance, 1.0), 1.0)

    def _log_likelihood_of(self, day: Integers, column: Integers) -> Floats:
        """Return the log-likelihood of maxima above the threshold by cell, but for a constant, shape (cells, n)."""
        beyond = self._longest[day, column] - self._threshold[column]
        events = self._uses[day, column] * self._rate[column]
        of_day: Floats = np.log(np.maximum(events * _density(beyond), _MIN)) - events * _survival(beyond)
        return of_day


def _normed(weights: Floats) -> Floats:
    normed: Floats = weights / weights.sum(axis=0)
    return normed


def without_outliers(longest: Floats, counted: Flags) -> Flags:
    """Return which days to learn from: all but outliers, which would hide the next one.

    An outlier is further above the median than 5 · max(1.48 · MAD, 0.25). Where an entity has several and they are more
    than 15 % of its days, or the home has more than one in five days, they are usual and are kept.

    Args:
        longest: Logarithms, shape (days, columns).
        counted: Which of them are the baseline, in the same shape.
    """
    values = np.where(counted, longest, np.nan)
    median = _median(values)
    spread = np.maximum(_MAD_TO_SIGMA * _median(np.abs(values - median)), _MIN_SPREAD)
    beyond = counted & (longest - median > _OUTLIER_SPREADS * spread)
    days = counted.sum(axis=0)
    rare = beyond.sum(axis=0) <= np.maximum(_MAX_OUTLIER_SHARE * days, 1)
    outliers = beyond & rare
    if outliers.sum() > _MAX_OUTLIERS_A_DAY * len(counted):
        return counted
    kept: Flags = counted & ~outliers
    return kept


def _median(values: Floats) -> Floats:
    """Return the median of each column without NaN; 0 where there is nothing else."""
    ordered = np.sort(values, axis=0)  # NaN last
    count = (~np.isnan(values)).sum(axis=0)
    column = np.arange(values.shape[1])
    low, high = ordered[np.maximum(count - 1, 0) // 2, column], ordered[np.minimum(count // 2, len(values) - 1), column]
    return np.where(count > 0, (low + high) / 2, 0.0)


def _rate(uses: Floats, kept: Flags, above: Flags) -> Floats:
    """Return the rate a use at which the threshold is exceeded, so that as many days exceed it as did."""
    days = kept.sum(axis=0)
    share = (above.sum(axis=0) + 0.5) / (days + 1)
    mean = np.maximum(uses.sum(axis=0) / np.maximum(days, 1), 1.0)
    rate: Floats = -np.log1p(-share) / mean
    for _ in range(_RATE_ROUNDS):
        exceeding = np.where(kept, -np.expm1(-rate * uses), 0.0).sum(axis=0) / np.maximum(days, 1)
        rate = rate * share / np.maximum(exceeding, 1e-9)
    return rate


def _survival(beyond: Floats) -> Floats:
    """Return P(more than this beyond the threshold), shape (cells, n)."""
    light = np.maximum(1 + _SHAPE * beyond / _SCALE, 0.0)
    return np.where(_SHAPE == 0, np.exp(-beyond / _SCALE), light**_POWER)


def _density(beyond: Floats) -> Floats:
    """Return the density at this distance beyond the threshold, shape (cells, n)."""
    light = np.maximum(1 + _SHAPE * beyond / _SCALE, 0.0)
    return np.where(_SHAPE == 0, np.exp(-beyond / _SCALE), light ** (_POWER - 1)) / _SCALE
