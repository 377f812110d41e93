"""Upper tails: the probability that chance alone gives a count (or a value) at least as high as the observed one.

All functions broadcast their arguments and return an array of the resulting shape.
"""

from __future__ import annotations

import numpy as np

from jobs.statistics.arrays import Floats, Integers, Numbers
from jobs.statistics.special_functions import incomplete_beta, incomplete_gamma


def binomial_tail(hits: Numbers, trials: Numbers, chance: Floats) -> Floats:
    """Return P(at least ``hits`` of ``trials`` succeed).

    This is the regularised incomplete beta function I_chance(hits, trials - hits + 1) (Abramowitz and Stegun 26.5.24).
    It is defined for fractions too: ``hits`` and ``trials`` may be counts divided by their overdispersion.
    """
    k, n, p = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (hits, trials, chance)))
    result = np.ones(k.shape)
    inner = (k > 0) & (p < 1)
    result[inner] = incomplete_beta(k[inner], n[inner] - k[inner] + 1, p[inner])
    result[(k > 0) & (p <= 0)] = 0.0
    return result


def hypergeometric_tail(hits: Integers, drawn: Integers, marked: Integers, total: int) -> Floats:
    """Return P(at least ``hits`` marked items among ``drawn``) where ``marked`` of ``total`` items are marked."""
    hits, drawn, marked = np.broadcast_arrays(hits, drawn, marked)
    log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, total + 1)))))

    def log_choose(n: Integers, k: Integers) -> Floats:
        chosen: Floats = log_factorial[n] - log_factorial[k] - log_factorial[n - k]
        return chosen

    tail = np.zeros(hits.shape)
    for marks in range(int(marked.max(initial=0)) + 1):
        possible = (marks >= hits) & (marks <= np.minimum(drawn, marked)) & (drawn - marks <= total - marked)
        d, m = drawn[possible], marked[possible]
        tail[possible] += np.exp(
            log_choose(m, np.full_like(m, marks))
            + log_choose(total - m, d - marks)
            - log_choose(np.full_like(d, total), d)
        )
    return np.minimum(np.where(hits <= 0, 1.0, tail), 1.0)


def negative_binomial_tail(hits: Numbers, mean: Floats, variance: Floats) -> Floats:
    """Return P(at least ``hits``) of a count with this mean and variance.

    With r = mean² / (variance - mean), the tail is I_(mean / (r + mean))(hits, r) (Abramowitz and Stegun 26.5.26).

    Args:
        hits: The count; P(0 or more) is 1.
        mean: Its expectation, above 0.
        variance: Its variance; where it is not above ``mean``, the count is taken to be Poisson distributed.
    """
    k, mean, variance = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (hits, mean, variance)))
    result = np.ones(k.shape)
    overdispersed = (k > 0) & (variance > mean * (1 + 1e-9))
    size = mean[overdispersed] ** 2 / (variance[overdispersed] - mean[overdispersed])
    result[overdispersed] = incomplete_beta(k[overdispersed], size, mean[overdispersed] / (size + mean[overdispersed]))
    poisson = (k > 0) & ~overdispersed
    result[poisson] = poisson_tail(k[poisson], mean[poisson])
    return result


def poisson_tail(hits: Numbers, mean: Floats) -> Floats:
    """Return P(at least ``hits``) of a Poisson count: the regularised incomplete gamma function P(hits, mean)."""
    k, mean = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(mean, np.float64))
    result = np.ones(k.shape)
    inner = k > 0
    result[inner] = incomplete_gamma(k[inner], mean[inner])
    return result


def student_tail(deviation: Floats, freedom: Floats) -> Floats:
    """Return P(at least ``deviation``) of Student's t with ``freedom`` degrees (Abramowitz and Stegun 26.5.27)."""
    t, freedom = np.broadcast_arrays(np.asarray(deviation, np.float64), np.asarray(freedom, np.float64))
    both = incomplete_beta(freedom / 2, np.full(t.shape, 0.5), freedom / (freedom + t * t))
    return np.where(t >= 0, both / 2, 1 - both / 2)


class BinomialBound:
    """A lower bound of ``binomial_tail`` that takes no iterations: its two largest terms.

    Args:
        max_trials: The most trials that it will be given.
    """

    def __init__(self, max_trials: int) -> None:
        self._log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, max_trials + 1)))))

    def log(self, hits: Integers, trials: Integers, chance: Floats | float) -> Floats:
        """Return the logarithm of the bound; 0 where ``hits`` is not above its expectation.

        Args:
            hits: Counts, at most ``trials``.
            trials: How many trials.
            chance: The chance of each, above 0 and below 1.
        """
        failures = trials - hits
        terms = self._log_factorial[trials] - self._log_factorial[hits] - self._log_factorial[failures]
        terms += hits * np.log(chance) + failures * np.log1p(-chance)
        terms += np.log1p(failures / (hits + 1) * chance / (1 - chance))
        bound: Floats = np.where(hits > trials * chance, np.minimum(terms, 0.0), 0.0)
        return bound

    def fewest_hits(self, max_trials: int, chance: float, max_log: float) -> Integers:
        """Return the fewest hits with which the bound is at most a value, for 0 to ``max_trials`` trials.

        It is one more than the trials if it never is.

        Args:
            max_trials: The most trials.
            chance: The chance of each.
            max_log: The logarithm of the value.
        """
        trials = np.arange(max_trials + 1)
        low, high = (trials * chance).astype(np.int64), trials + 1  # the bound is above the value at low
        while np.any(high - low > 1):
            middle = (low + high) // 2
            is_below = self.log(np.minimum(middle, trials), trials, chance) <= max_log
            high, low = np.where(is_below, middle, high), np.where(is_below, low, middle)
        return high
