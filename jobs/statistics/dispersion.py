"""How much daily counts vary beyond chance, which entities learn from each other, and what a day's count is worth.

A day's count is negative binomial: Poisson with a mean that itself varies from day to day as a gamma variable of shape
k, its *size* (small: wild; large: Poisson). Four weeks tell little of the size of one entity, but those of all
entities together tell which sizes there are. So each entity has a weight for each of a few sizes: how likely its
counts are with this size, times how common the size is in the home (empirical Bayes; Robbins 1956). The
likelihood is that of the counts given their sum (Dirichlet-multinomial, Mosimann 1962), which needs no mean. A tail
is the weighted mean of the sizes' tails.
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
_ANY_SIZE: Final = 2.0  # as many entities as it takes to doubt that every size is as common
_ROUNDS: Final = 40  # of expectation and maximisation; the weights no longer move by then
_FAR: Final = 3.0  # standard deviations: what is further out says nothing of the day as a whole
_RARELY: Final = 0.15  # of the days; what happens more often is no anomaly
_MAD_TO_SIGMA: Final = 1.4826  # of a normal distribution
_OF_SIZE: Final = SIZES[:, None]


def within_reach(values: Floats, counted: Flags) -> Flags:
    """Which baseline counts of each column are no anomalies themselves.

    Kept are those within 5 · max(1.48 · MAD, √median, 1) of the median: earlier anomalies would inflate the variance.
    Where more than one and more than 15 % lie beyond (two days a week at a desk at home), all are kept: no anomalies.

    Args:
        values: Counts, shape (days, columns).
        counted: Which of them are the baseline, shape (days, columns).
    """
    median = _median(values, counted)
    spread = np.maximum(_MAD_TO_SIGMA * _median(np.abs(values - median), counted), np.sqrt(np.maximum(median, 1.0)))
    beyond = counted & (np.abs(values - median) > 5 * spread)
    rare = beyond.sum(axis=0) <= np.maximum(_RARELY * counted.sum(axis=0), 1)
    kept: Flags = counted & ~(beyond & rare)
    return kept


def _median(values: Floats, counted: Flags) -> Floats:
    """The median of the counted values of each column, shape (columns,); 0 where there is none."""
    ordered = np.sort(np.where(counted, values, np.inf), axis=0)
    count = counted.sum(axis=0)
    column = np.arange(values.shape[1])
    low, high = ordered[np.maximum(count - 1, 0) // 2, column], ordered[np.minimum(count // 2, len(values) - 1), column]
    return np.where(count > 0, (np.where(count > 0, low, 0) + np.where(count > 0, high, 0)) / 2, 0.0)


class Moments(NamedTuple):
    """Some days' counts, by column: how many days, mean (Σ + ½) / n, sum of squared distances from Σ / n."""

    days: Integers
    mean: Floats
    squares: Floats


def moments(counts: Floats, counted: Flags) -> Moments:
    """Of the counted days of each column; both of shape (days, columns)."""
    days = counted.sum(axis=0)
    n = np.maximum(days, 1)
    mean = np.where(counted, counts, 0.0).sum(axis=0) / n
    squares = (np.where(counted, counts - mean, 0.0) ** 2).sum(axis=0)
    return Moments(days, mean + 0.5 / n, squares)


def learn(counts: Floats, families: Sequence[Flags]) -> Floats:
    """The weight of each size for each entity, shape (sizes, columns); a column's weights sum to 1.

    Args:
        counts: Whole numbers, shape (days, columns).
        families: Which of them have one mean, such as the weekdays; disjoint, each of shape (days, columns).
    """
    factorials = np.cumsum(np.log(_OF_SIZE + np.arange(max(int(counts.max(initial=0)), 1))), axis=1)
    rising = np.concatenate((np.zeros((len(SIZES), 1)), factorials), axis=1)  # log Γ(size + count) - log Γ(size)
    likelihood = np.zeros((len(SIZES), counts.shape[1]))
    for counted in families:
        days, total = np.maximum(counted.sum(axis=0), 1), np.where(counted, counts, 0).sum(axis=0)
        of_each = np.where(counted, rising[:, counts.astype(np.int64)], 0).sum(axis=1)
        likelihood += of_each - (log_gamma(days * _OF_SIZE + total) - log_gamma(days * _OF_SIZE))
    likelihood = np.exp(likelihood - likelihood.max(axis=0, initial=-np.inf))
    common = np.full((len(SIZES), 1), 1 / len(SIZES))
    any_size = common * _ANY_SIZE
    for _ in range(_ROUNDS):
        weights = likelihood * common
        weights /= weights.sum(axis=0)
        common = (weights.sum(axis=1, keepdims=True) + any_size) / (counts.shape[1] + _ANY_SIZE)
    weights = likelihood * common
    normed: Floats = weights / weights.sum(axis=0)
    return normed


def variance(mean: Floats, weights: Floats) -> Floats:
    """Of a count with this mean: mean + mean² / size."""
    spread: Floats = mean + mean**2 * (weights / _OF_SIZE).sum(axis=0)
    return spread


def upper_tail(count: Floats, mean: Floats, days: Floats, weights: Floats) -> Floats:
    """P(at least ``count``) on a new day, shape (columns,).

    Args:
        count: The new day's count.
        mean: What is expected of it.
        days: From how many days that is known: it makes the variance (1 + 1/days) times as large.
        weights: Of the sizes, from ``learn``.
    """
    spread = (mean + mean**2 / _OF_SIZE) * (1 + 1 / days)
    tail: Floats = (weights * negative_binomial_tail(count, mean, spread)).sum(axis=0)
    return np.minimum(tail, 1.0)


def no_count(mean: Floats, weights: Floats) -> Floats:
    """P(0) of a count with this mean, shape (columns,)."""
    chance: Floats = (weights * (1 + mean / _OF_SIZE) ** -_OF_SIZE).sum(axis=0)
    return chance


def silence(total: Floats, days: Floats, silent: Floats) -> Floats:
    """The logarithm, by size, of P(all of ``total`` fell on ``days`` days and none on ``silent`` others).

    That is exact whatever the mean is: given their sum, counts are Dirichlet-multinomial.

    Args:
        total: The sum of the counts on all these days, shape (columns,).
        days: On how many of them there may be some, at least 1, shape (columns,).
        silent: On how many there was none, shape (columns,).
    """
    before, after = days * _OF_SIZE, (days + silent) * _OF_SIZE
    chance: Floats = log_gamma(total + before) + log_gamma(after) - log_gamma(before) - log_gamma(total + after)
    return chance


def busyness(counts: Floats, mean: Floats, spread: Floats, used: Flags) -> Floats:
    """How many times as busy as usual the last day is for each entity, by the others, at least 1, shape (columns,).

    A day on which people are away makes nothing that goes on as ever, a fridge or a pump, too much.

    Their counts over what is expected of them, drawn towards 1 by as much as it is unsure: by the variance of that
    ratio against how much whole days vary beyond it.

    Args:
        counts: Shape (days, columns), the judged day last.
        mean: What is expected of each, in the same shape.
        spread: Its variance, in the same shape.
        used: Which of them to use, in the same shape.
    """
    reach = _FAR * np.sqrt(spread)
    beyond = np.where(used, np.clip(counts - mean, -reach, reach), 0.0)
    expected, spread = np.where(used, mean, 0.0), np.where(used, spread, 0.0)
    all_expected = np.maximum(expected.sum(axis=1), 1.0)
    by_chance = spread.sum(axis=1) / all_expected**2
    moods = ((beyond.sum(axis=1) / all_expected) ** 2 - by_chance)[:-1][used[:-1].any(axis=1)]
    mood = max(float(moods.mean()), 0.0) if len(moods) else 0.0
    others = np.maximum(expected[-1].sum() - expected[-1], 1.0)
    ratio, unsure = (beyond[-1].sum() - beyond[-1]) / others, (spread[-1].sum() - spread[-1]) / others**2
    factor: Floats = 1 + ratio * mood / np.maximum(mood + unsure, np.finfo(np.float64).tiny)
    return np.maximum(factor, 1)
