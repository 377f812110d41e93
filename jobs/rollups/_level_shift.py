"""Whether a daily count has shifted to another level, and since when: a two-sided likelihood-ratio CUSUM.

The counts are taken to be negative binomial around a level that may change once. For each day on which it may have, the
likelihood of two levels is compared with that of one (generalised likelihood ratio; Lorden 1971):
S₁ log(S₁ / F₁) + S₂ log(S₂ / F₂) - S log(S / F), with the sums S of counts and F of expected shares before and after,
divided by how much the counts vary beyond chance (1 + mean / size, see ``jobs.statistics.dispersion``). The largest is
the score, and its day the day of the change; it must be a recent one, and most days since must be on the new level's
side of the old one. Weekdays and weekends may differ: F counts each day by its type's share of the mean. Counts further
than three standard deviations from the mean are cut to that: one wild day is no new level.

The more entities and weeks are looked at, the higher chance alone gets. ``threshold`` is the score that chance reaches
as rarely as is asked for; it comes from simulations of homes without any change
(``tests/unit/jobs/rollups/test_drift.py`` repeats them).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats, Integers

MIN_DAYS_AFTER: Final = 4
MAX_DAYS_AFTER: Final = 14
MIN_DAYS_BEFORE: Final = 21
MIN_COUNT: Final = 10.0  # of both levels together: less proves nothing

_HALF_A_BOUT: Final = 0.5
_MAX_DEVIATIONS: Final = 3.0
_TYPE_PRIOR_DAYS: Final = 10.0  # "weekends are like weekdays" weighs as much as so many days
_THRESHOLDS: Final = (
    (3e-2, 3.5),
    (1e-2, 4.6),
    (3e-3, 5.8),
    (1e-3, 6.8),
    (3e-4, 7.9),
    (1e-4, 9.0),
    (3e-5, 10.2),
    (1e-5, 11.3),
)
"""How often one entity's score reaches a height by chance in a week, and that height."""


class Shift(NamedTuple):
    """The most likely change of level of each entity, each of shape (entities,).

    Attributes:
        first: The place of the first day of the new level among the days.
        before: Mean of the days before it.
        after: Mean of the days from it on.
        score: The evidence; 0 for an entity that cannot be judged.
    """

    first: Integers
    before: Floats
    after: Floats
    score: Floats


def threshold(false_alarms_a_week: float, entities: int) -> float:
    """Return the score that so many entities together reach by chance so often a week."""
    rates, heights = np.log([rate for rate, _ in _THRESHOLDS]), [height for _, height in _THRESHOLDS]
    rate = np.log(false_alarms_a_week / max(entities, 1))
    slope = (heights[-1] - heights[-2]) / (rates[-2] - rates[-1])
    if rate < rates[-1]:
        return float(heights[-1] + (rates[-1] - rate) * slope)
    return float(np.interp(rate, rates[::-1], heights[::-1]))


def find_shifts(counts: Floats, counted: Flags, weekend: Flags, is_recent: Flags) -> Shift:
    """Return the most likely change of level of each entity.

    Args:
        counts: Daily counts, shape (days, entities).
        counted: Which days each entity exists, shape (days, entities).
        weekend: Which days are Saturdays or Sundays, shape (days,).
        is_recent: Which days may be the first of a new level, shape (days,). If another day is a likelier one, the
            level is not new.
    """
    days, entities = counts.shape
    best = Shift(np.zeros(entities, np.int64), np.zeros(entities), np.zeros(entities), np.zeros(entities))
    if not days or not entities:
        return best
    kinds = [counted & (weekend == kind)[:, None] for kind in (False, True)]
    ages = [(is_recent == recent)[:, None] for recent in (False, True)]  # a new level must not look like wide spread
    weights = dispersion.size_weights(counts, [kind & age for kind in kinds for age in ages])
    number = np.maximum(counted.sum(axis=0), 1)
    mean = np.where(counted, counts, 0).sum(axis=0) / number
    share = np.ones((days, entities))
    for kind in kinds:
        of_kind = kind.sum(axis=0)
        total = np.where(kind, counts, 0).sum(axis=0)
        level = (total + _TYPE_PRIOR_DAYS * mean) / (of_kind + _TYPE_PRIOR_DAYS)
        share = np.where(kind, level / np.maximum(mean, 1e-9), share)
    expected = mean * share
    limit = expected + _MAX_DEVIATIONS * np.sqrt(dispersion.variance(expected, weights)) + 1
    kept = np.where(counted, np.minimum(counts, limit), 0.0)
    exposure = np.where(counted, share, 0.0)
    excess = dispersion.variance(mean, weights) / np.maximum(mean, 1e-9)
    sums, shares, numbers = (_until(values) for values in (kept, exposure, counted.astype(np.float64)))
    uncut = _until(np.where(counted, counts, 0.0))
    enough = sums[-1] >= MIN_COUNT
    for first in range(MIN_DAYS_BEFORE, days - MIN_DAYS_AFTER + 1):
        after = numbers[-1] - numbers[first]
        possible = enough & (numbers[first] >= MIN_DAYS_BEFORE) & (after >= MIN_DAYS_AFTER)
        parts = ((sums[first], shares[first]), (sums[-1] - sums[first], shares[-1] - shares[first]))
        ratio = sum(_log_likelihood(*part) for part in parts) - _log_likelihood(sums[-1], shares[-1])
        score = np.where(possible, ratio / excess, 0.0)
        better = score > best.score
        totals = (uncut[first], numbers[first]), (uncut[-1] - uncut[first], after)
        levels = [total / np.maximum(number_of_days, 1) for total, number_of_days in totals]
        best = Shift(
            np.where(better, first, best.first),
            np.where(better, levels[0], best.before),
            np.where(better, levels[1], best.after),
            np.where(better, score, best.score),
        )
    is_new = is_recent[best.first] & _is_lasting(counts, counted, share, best)
    return best._replace(score=np.where(is_new, best.score, 0.0))


def _is_lasting(counts: Floats, counted: Flags, share: Floats, shift: Shift) -> Flags:
    """Return of which entities most days since the change are on the new level's side of the old one."""
    since = counted & (np.arange(len(counts))[:, None] >= shift.first)
    old = shift.before * share
    beyond = np.where(shift.after > shift.before, counts > old + _HALF_A_BOUT, counts < old - _HALF_A_BOUT)
    lasting: Flags = 2 * (beyond & since).sum(axis=0) > since.sum(axis=0)
    return lasting


def _until(values: Floats) -> Floats:
    """Return the sum of all days before each day, and of all days, shape (days + 1, entities)."""
    return np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))


def _log_likelihood(total: Floats, exposure: Floats) -> Floats:
    """Return S log(S / F), which is 0 for no count."""
    found: Floats = total * np.log(np.maximum(total, 1e-9) / np.maximum(exposure, 1e-9))
    return np.where(total > 0, found, 0.0)
