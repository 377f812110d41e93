"""How much the daily counts of each entity vary: beyond chance, by chance, or less, as in a home with a fixed routine.

Counts that vary beyond chance are negative binomial, with a size (``jobs.statistics.dispersion``). Of counts that vary
less, the variance is a share of the mean, called the *ratio* here. With n days of a mean, X² = Σ (count - mean)² / mean
is about the ratio times a chi-square variable of n - 1 degrees of freedom, so that a ratio r is
-½ (n - 1) log r - ½ X² (1 / r - 1) more likely, as a logarithm, than chance (the double Poisson of Efron 1986, with X²
for its deviance). Sizes and ratios are weighed together, so what is usual in the home decides where days are few.

A level may wander from week to week although its days are alike. So the ratio of an entity is raised by what the sums
of weeks vary more than its days let expect. No ratio is below ``RATIOS[-1]``: counts that never varied still may.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats, Integers

RATIOS: Final = np.array([0.8, 0.6, 0.45, 0.34, 0.25, 0.19, 0.15])

_BY_CHANCE: Final = -1  # the last size: as good as Poisson
_TINY: Final = 1e-9


class Spread(NamedTuple):
    """What is known of how much counts vary; the weights of an entity, of sizes and ratios together, sum to 1.

    Attributes:
        size_weights: The weight of each of ``dispersion.SIZES``, shape (sizes, entities).
        ratio_weights: The weight of each ratio, shape (ratios, entities).
        ratios: Variance in shares of the mean, at most 1, shape (ratios, entities).
    """

    size_weights: Floats
    ratio_weights: Floats
    ratios: Floats

    def variance(self, mean: Floats) -> Floats:
        """Return the variance of counts with these means, shape (days, entities)."""
        by_chance = self.size_weights.sum(axis=0) + (self.ratio_weights * self.ratios).sum(axis=0)
        beyond: Floats = (self.size_weights / dispersion.SIZES[:, None]).sum(axis=0)
        spread: Floats = mean * by_chance + mean**2 * beyond
        return spread


def measure_spread(counts: Floats, families: Sequence[Flags], expected: Floats, weeks: Integers) -> Spread:
    """Return how much the counts of each entity vary.

    Args:
        counts: Whole numbers, shape (days, entities).
        families: Groups of days that share one mean; disjoint, each of shape (days, entities).
        expected: The expected counts of the days whose weeks are compared, 0 on all others, shape (days, entities).
        weeks: The week of each day, in order, shape (days,).
    """
    squares, freedom = _squares(counts, families)
    of_sizes = dispersion.log_likelihoods(counts, families)
    ratio = RATIOS[:, None]
    of_ratios = of_sizes[_BY_CHANCE] - (freedom * np.log(ratio) + squares * (1 / ratio - 1)) / 2
    weights = dispersion.pooled_weights(np.concatenate((of_sizes, of_ratios)))
    of_a_day = np.maximum(squares / np.maximum(freedom, 1), RATIOS[-1])
    raised = np.maximum(_ratio_of_weeks(counts, expected, weeks) / of_a_day, 1)
    return Spread(weights[: len(of_sizes)], weights[len(of_sizes) :], np.minimum(ratio * raised, 1))


def _squares(counts: Floats, families: Sequence[Flags]) -> tuple[Floats, Floats]:
    """Return X² around the means of the families and its degrees of freedom, each of shape (entities,)."""
    squares, freedom = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    for counted in families:
        days, _, around_mean = dispersion.moments(counts, counted)
        total = np.where(counted, counts, 0.0).sum(axis=0)
        squares += np.where(total > 0, around_mean * days / np.maximum(total, 1), 0.0)
        freedom += np.where(total > 0, np.maximum(days - 1, 0), 0)
    return squares, freedom


def _ratio_of_weeks(counts: Floats, expected: Floats, weeks: Integers) -> Floats:
    """Return the variance of the sums of weeks in shares of their means, shape (entities,)."""
    firsts = np.flatnonzero(np.diff(weeks, prepend=weeks[0] - 1))
    sums = np.add.reduceat(np.where(expected > 0, counts, 0.0), firsts, axis=0)
    means = np.add.reduceat(expected, firsts, axis=0)
    squares = np.where(means > 0, (sums - means) ** 2 / np.maximum(means, _TINY), 0.0)
    ratio: Floats = squares.sum(axis=0) / np.maximum((means > 0).sum(axis=0) - 1, 1)
    return ratio
