"""How much daily counts vary beyond chance, and how unlikely a day's count is.

A daily count is taken to be negative binomial: Poisson, with a mean that itself varies from day to day as a gamma
variable of shape k. That k is called the *size*: small where counts vary wildly, large where they are Poisson.

Four weeks say little about the size of one entity, but all entities together show which sizes are common in the home
(empirical Bayes; Robbins 1956). So each entity has a weight for each of a few sizes: how likely its counts are with
this size, times how common the size is. The likelihood is that of the counts given their sum (Dirichlet-multinomial,
Mosimann 1962), which needs no mean. A tail is the weighted mean of the tails of the sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.special_functions import log_gamma
from jobs.statistics.tails import negative_binomial_tail

SIZES: Final = np.array([0.25, 0.5, 1, 2, 4, 6, 9, 14, 20, 30, 50, 100, 400])
_PRIOR_ENTITIES: Final = 2.0  # "all sizes are equally common" weighs as much as this many entities
_ROUNDS: Final = 40  # of expectation and maximisation; the weights no longer change by then
_MAX_DEVIATIONS: Final = 3.0  # standard deviations: an entity further out says nothing about the day as a whole
_UNUSUAL_DAY_ERRORS: Final = 2.0  # a day further out than so many standard errors is unlike all days before it
_MIN_ENTITIES_OF_UNUSUAL_DAY: Final = 8  # with fewer, two that fail together would look like a busy home
_MAX_OUTLIER_SHARE: Final = 0.15  # of the days; what happens more often is not an anomaly
_OUTLIER_SPREADS: Final = 5  # an outlier is further than this many spreads from the median
_MAD_TO_SIGMA: Final = 1.4826  # for a normal distribution
_COLUMN_OF_SIZES: Final = SIZES[:, None]


def without_outliers(values: Floats, counted: Flags) -> Flags:
    """Return which baseline counts of each column to keep: all but outliers, which would inflate the variance.

    An outlier is further than 5 · max(1.48 · MAD, √median, 1) from the median. Where there are several and they are
    more than 15 % of the days (such as two days a week of working at home), they are usual, and all days are kept.

    Args:
        values: Counts, shape (days, columns).
        counted: Which of them are the baseline, shape (days, columns).
    """
    median = _median(values, counted)
    spread = np.maximum(_MAD_TO_SIGMA * _median(np.abs(values - median), counted), np.sqrt(np.maximum(median, 1.0)))
    beyond = counted & (np.abs(values - median) > _OUTLIER_SPREADS * spread)
    rare = beyond.sum(axis=0) <= np.maximum(_MAX_OUTLIER_SHARE * counted.sum(axis=0), 1)
    kept: Flags = counted & ~(beyond & rare)
    return kept


def _median(values: Floats, counted: Flags) -> Floats:
    """Return the median of the counted values of each column, shape (columns,); 0 where there is none."""
    ordered = np.sort(np.where(counted, values, np.inf), axis=0)
    count = counted.sum(axis=0)
    column = np.arange(values.shape[1])
    low, high = ordered[np.maximum(count - 1, 0) // 2, column], ordered[np.minimum(count // 2, len(values) - 1), column]
    return np.where(count > 0, (np.where(count > 0, low, 0) + np.where(count > 0, high, 0)) / 2, 0.0)


class Moments(NamedTuple):
    """What some days' counts amount to, by column.

    Attributes:
        days: The number of days, n.
        mean: (Σ + ½) / n.
        squares: The sum of squared distances from Σ / n.
    """

    days: Integers
    mean: Floats
    squares: Floats


def moments(counts: Floats, counted: Flags) -> Moments:
    """Return the moments of the counted days of each column; both arguments are of shape (days, columns)."""
    days = counted.sum(axis=0)
    n = np.maximum(days, 1)
    mean = np.where(counted, counts, 0.0).sum(axis=0) / n
    squares = (np.where(counted, counts - mean, 0.0) ** 2).sum(axis=0)
    return Moments(days, mean + 0.5 / n, squares)


def size_weights(counts: Floats, families: Sequence[Flags]) -> Floats:
    """Return the weight of each size for each entity, shape (sizes, columns); a column sums to 1.

    Args:
        counts: Whole numbers, shape (days, columns).
        families: Groups of days that share one mean, such as the weekdays; disjoint, each of shape (days, columns).
    """
    return pooled_weights(log_likelihoods(counts, families))


def log_likelihoods(counts: Floats, families: Sequence[Flags]) -> Floats:
    """Return the log-likelihood of each size, up to a constant of each entity, shape (sizes, columns).

    Args:
        counts: Whole numbers, shape (days, columns).
        families: Groups of days that share one mean, as for ``size_weights``.
    """
    factorials = np.cumsum(np.log(_COLUMN_OF_SIZES + np.arange(max(int(counts.max(initial=0)), 1))), axis=1)
    rising = np.concatenate((np.zeros((len(SIZES), 1)), factorials), axis=1)  # log Γ(size + count) - log Γ(size)
    likelihood = np.zeros((len(SIZES), counts.shape[1]))
    for counted in families:
        days, total = np.maximum(counted.sum(axis=0), 1), np.where(counted, counts, 0).sum(axis=0)
        of_each = np.where(counted, rising[:, counts.astype(np.int64)], 0).sum(axis=1)
        likelihood += of_each - (log_gamma(days * _COLUMN_OF_SIZES + total) - log_gamma(days * _COLUMN_OF_SIZES))
    return likelihood


def pooled_weights(log_likelihood: Floats) -> Floats:
    """Return the weight of each kind of spread for each entity, in the same shape; a column sums to 1.

    Args:
        log_likelihood: Of each kind of spread, such as a size, up to a constant of each entity; (kinds, columns).
    """
    kinds, columns = log_likelihood.shape
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=0, initial=-np.inf))
    common = np.full((kinds, 1), 1 / kinds)
    prior = common * _PRIOR_ENTITIES
    for _ in range(_ROUNDS):
        weights = likelihood * common
        weights /= weights.sum(axis=0)
        common = (weights.sum(axis=1, keepdims=True) + prior) / (columns + _PRIOR_ENTITIES)
    weights = likelihood * common
    normed: Floats = weights / weights.sum(axis=0)
    return normed


def variance(mean: Floats, weights: Floats) -> Floats:
    """Return the variance of a count with this mean: mean + mean² / size, averaged over the sizes."""
    spread: Floats = mean + mean**2 * (weights / _COLUMN_OF_SIZES).sum(axis=0)
    return spread


def upper_tail(count: Floats, mean: Floats, days: Floats, weights: Floats) -> Floats:
    """Return P(at least ``count``) on a new day, shape (columns,).

    Args:
        count: The new day's count.
        mean: The expected count.
        days: The number of days that ``mean`` comes from; the variance is multiplied by 1 + 1 / days.
        weights: The weights of the sizes, from ``size_weights``.
    """
    spread = (mean + mean**2 / _COLUMN_OF_SIZES) * (1 + 1 / days)
    tail: Floats = (weights * negative_binomial_tail(count, mean, spread)).sum(axis=0)
    return np.minimum(tail, 1.0)


def zero_chance(mean: Floats, weights: Floats) -> Floats:
    """Return P(0) of a count with this mean, shape (columns,)."""
    chance: Floats = (weights * (1 + mean / _COLUMN_OF_SIZES) ** -_COLUMN_OF_SIZES).sum(axis=0)
    return chance


def log_silence_chance(total: Floats, days: Floats, silent: Floats) -> Floats:
    """Return log P(all bouts fell on ``days`` days and none on ``silent`` others) by size, shape (sizes, columns).

    This is exact whatever the mean is: given their sum, the counts are Dirichlet-multinomial.

    Args:
        total: The sum of the counts on all these days, shape (columns,).
        days: The number of days with counts, at least 1, shape (columns,).
        silent: The number of days without any, shape (columns,).
    """
    before, after = days * _COLUMN_OF_SIZES, (days + silent) * _COLUMN_OF_SIZES
    chance: Floats = log_gamma(total + before) + log_gamma(after) - log_gamma(before) - log_gamma(total + after)
    return chance


def busyness(counts: Floats, mean: Floats, spread: Floats, used: Flags) -> Floats:
    """Return how many times busier than usual the last day is for the other entities, at least 1, shape (columns,).

    It is never below 1: that people are away does not make a fridge or a pump, which go on as ever, too busy.

    The factor is the others' counts over their expected counts, drawn towards 1 as far as that ratio is uncertain: by
    its variance by chance, compared with how much whole days have varied beyond chance. A day that is more than two
    standard errors busier than this explains is unlike all days before it (visitors from morning to night). Its factor
    is not drawn towards 1, and is at least the median of the entities' own ratios.

    Args:
        counts: Shape (days, columns), the judged day last.
        mean: The expected counts, in the same shape.
        spread: The variance of the counts, in the same shape.
        used: Which counts to use, in the same shape.
    """
    limit = _MAX_DEVIATIONS * np.sqrt(spread)
    excess = np.where(used, np.clip(counts - mean, -limit, limit), 0.0)
    expected, spread = np.where(used, mean, 0.0), np.where(used, spread, 0.0)
    all_expected = np.maximum(expected.sum(axis=1), 1.0)
    by_chance = spread.sum(axis=1) / all_expected**2
    squared_effects = ((excess.sum(axis=1) / all_expected) ** 2 - by_chance)[:-1][used[:-1].any(axis=1)]
    day_effect = max(float(squared_effects.mean()), 0.0) if len(squared_effects) else 0.0
    others = np.maximum(expected[-1].sum() - expected[-1], 1.0)
    ratio, uncertainty = (excess[-1].sum() - excess[-1]) / others, (spread[-1].sum() - spread[-1]) / others**2
    factor: Floats = 1 + ratio * day_effect / np.maximum(day_effect + uncertainty, np.finfo(np.float64).tiny)
    often = used[-1] & (mean[-1] >= 1)
    if np.count_nonzero(often) >= _MIN_ENTITIES_OF_UNUSUAL_DAY:
        is_unusual = ratio > _UNUSUAL_DAY_ERRORS * np.sqrt(day_effect + uncertainty)
        typical = float(np.median(counts[-1, often] / mean[-1, often]))
        factor = np.where(is_unusual, np.maximum(np.maximum(factor, 1 + ratio), typical), factor)
    return np.maximum(factor, 1)
