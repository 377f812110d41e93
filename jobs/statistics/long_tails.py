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

from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers

_SCALES: Final = np.geomspace(0.03, 1.6, 14)
_SHAPES: Final = np.array([-0.5, -0.3, -0.15, -0.07, 0.0])
_SCALE: Final = np.repeat(_SCALES, len(_SHAPES))[:, None]  # of each cell
_SHAPE: Final = np.tile(_SHAPES, len(_SCALES))[:, None]
_POWER: Final = -1 / np.where(_SHAPE == 0, -1.0, _SHAPE)
_PRIOR_ENTITIES: Final = 2.0  # "all cells are equally common" weighs as much as this many entities
_ROUNDS: Final = 40  # of expectation and maximisation
_RATE_ROUNDS: Final = 8
_MIN: Final = 1e-300
_MAD_TO_SIGMA: Final = 1.4826
_OUTLIER_SPREADS: Final = 5
_MIN_SPREAD: Final = 0.25  # of the logarithm of a length
_MAX_OUTLIER_SHARE: Final = 0.15  # of an entity's days; what happens more often is not an outlier
_MAX_OUTLIERS_A_DAY: Final = 0.2  # of the whole home: where there are more, the tails are heavy


class Tails(NamedTuple):
    """What is learnt of the lengths of some entities, by column.

    Attributes:
        threshold: The logarithm from which on lengths are in the tail, shape (columns,).
        rate: The rate a use at which it is exceeded, shape (columns,).
        weights: The weights of the cells, shape (cells, columns).
        weights_without: The weights by all days but one, shape (cells, days, columns).
        kept: The days it was learnt from, without outliers, shape (days, columns).
    """

    threshold: Floats
    rate: Floats
    weights: Floats
    weights_without: Floats
    kept: Flags

    def chance(self, length: Floats, uses: Floats, column: Integers, weights: Floats) -> Floats:
        """Return P(the longest of so many uses is at least this long); 1 for a length below the threshold.

        Args:
            length: Logarithms, shape (n,).
            uses: How many uses each is the longest of, shape (n,).
            column: The column of each, shape (n,).
            weights: The weights to use for each, from ``weights`` or ``weights_without``, shape (cells, n).
        """
        beyond = np.maximum(length - self.threshold[column], 0.0)
        chance = (weights * -np.expm1(-uses * self.rate[column] * _survival(beyond))).sum(axis=0)
        return np.where(beyond > 0, np.minimum(chance, 1.0), 1.0)


def learn(longest: Floats, uses: Floats, counted: Flags) -> Tails:
    """Learn the tails of some entities from their longest uses by day.

    Args:
        longest: Logarithms, shape (days, columns); not looked at where not counted.
        uses: How many uses each is the longest of, in the same shape.
        counted: Which to learn from, in the same shape.
    """
    kept = without_outliers(longest, counted)
    threshold = _median(np.where(kept, longest, np.nan))
    above = kept & (longest > threshold)
    uses = np.where(kept, uses, 0.0)
    rate = _rate(uses, kept, above)
    day, column = np.nonzero(above)
    beyond, events = (longest - threshold)[day, column], (uses * rate)[day, column]
    survival, density = _survival(beyond), _density(beyond)
    of_day = np.zeros((len(_SCALE), *longest.shape))  # log-likelihood; that of a day below the threshold has no cell
    of_day[:, day, column] = np.log(np.maximum(events * density, _MIN)) - events * survival
    of_all = of_day.sum(axis=1)
    likelihood = np.exp(of_all - of_all.max(axis=0, initial=-np.inf))
    cells, prior = len(_SCALE), _PRIOR_ENTITIES / len(_SCALE)
    common = np.full((cells, 1), 1 / cells)
    for _ in range(_ROUNDS):
        weights = _normed(likelihood * common)
        common = (weights.sum(axis=1, keepdims=True) + prior) / (weights.shape[1] + _PRIOR_ENTITIES)
    without = of_all[:, None] - of_day
    without = np.exp(without - without.max(axis=0)) * common[:, :, None]
    return Tails(threshold, rate, _normed(likelihood * common), _normed(without), kept)


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
