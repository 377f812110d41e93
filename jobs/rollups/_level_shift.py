"""Whether a daily count has shifted to another level, and since when: a two-sided likelihood-ratio CUSUM.

The counts are taken to be negative binomial around a level that may change once. For each day on which it may have, the
likelihood of two levels is compared with that of one (generalised likelihood ratio; Lorden 1971). The log-likelihood of
a level with a sum S of counts over shares of days F, and with the size k (``jobs.statistics.dispersion``: how much days
vary beyond chance), is at its maximum and up to a constant S log(S / F) - (S + kF) log(S / F + k). How large the ratio
gets by chance is known: twice it is like the square of a normal deviate (Wilks 1938). Counts that vary less than by
chance (``jobs.rollups._spread``) have a variance of a ratio r of their mean; their log-likelihood ratio is that of
Poisson counts over r (quasi-likelihood; McCullagh 1983), and at most half of the squared distance of the later sum from
its share of all, over r and its variance by chance. As size and ratio are not known for certain, the chance is the mean
over them, by their weights. Its negative logarithm is the score, and the day with the highest score is the day of the
change. It must be a recent one, and most days since must be on the new level's side of the old one. If an earlier day
has a clearly higher score, the level is not new. If it does not differ as plainly from the four weeks just before, it
has come slowly, as with the seasons.

Weekdays and weekends may differ: F counts each day by its type's share of the mean. Counts further than three standard
deviations from the mean are cut to that: one wild day is no new level.

The more entities and weeks are looked at, the higher chance alone gets. ``threshold`` is the score that chance reaches
as rarely as is asked for; it comes from simulations of homes without any change
(``python -m tests.quality drift`` repeats them).
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np

from jobs.activity.events import Flags
from jobs.rollups._spread import Spread, measure_spread
from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats, Integers

MIN_DAYS_AFTER: Final = 4
MAX_DAYS_AFTER: Final = 14
MIN_DAYS_BEFORE: Final = 21
MIN_COUNT: Final = 10.0  # of both levels together: less proves nothing

_HALF_A_BOUT: Final = 0.5
_MAX_DEVIATIONS: Final = 3.0
_CLEARLY_LESS: Final = 2.0  # of a score: a change of two weeks ago may look like one of some days before by chance
_JUST_BEFORE_DAYS: Final = 28
_SUDDEN_SHARE: Final = 0.7  # of the score: of a sudden change these days show 0.8, of a steady slope 0.2
_LESS_BY_CHANCE: Final = 1.5  # of that score, where days vary by chance or more: four weeks alone prove little then
_TYPE_PRIOR_DAYS: Final = 10.0  # "weekends are like weekdays" weighs as much as so many days
_THRESHOLDS: Final = (
    (3e-2, 4.8),
    (1e-2, 6.05),
    (3e-3, 7.35),
    (1e-3, 8.5),
    (3e-4, 9.6),
    (1e-4, 10.75),
)
"""How often one entity's score reaches a height by chance in a week, and that height."""

_TINY: Final = 1e-300
# Of the complementary error function: relative error below 1.2e-7 (Press et al., Numerical Recipes, section 6.2).
_ERFC: Final = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)


_Part: TypeAlias = tuple[Floats, Floats]
"""The sums of the counts and of the shares of a part of the days."""


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


def find_shifts(counts: Floats, counted: Flags, weekend: Flags, days_ago: Integers) -> Shift:
    """Return the most likely change of level of each entity.

    Args:
        counts: Daily counts, shape (days, entities).
        counted: Which days each entity exists, shape (days, entities).
        weekend: Which days are Saturdays or Sundays, shape (days,).
        days_ago: How many days ago each day is, 0 for the last day of the week; descending, shape (days,).
    """
    days, entities = counts.shape
    if days < MIN_DAYS_BEFORE + MIN_DAYS_AFTER or not entities:
        return Shift(np.zeros(entities, np.int64), *(np.zeros(entities) for _ in range(3)))
    kinds = [counted & (weekend == kind)[:, None] for kind in (False, True)]
    weeks = np.minimum(days_ago // 7, MAX_DAYS_AFTER // 7)  # a new level must not look like wide spread
    families = [kind & (weeks == week)[:, None] for kind in kinds for week in np.unique(weeks)]
    share = _shares(counts, counted, kinds)
    spread = measure_spread(counts, families, _steady(counts, share, counted, days_ago), days_ago // 7)
    expected = share * np.where(counted, counts, 0).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    limit = _MAX_DEVIATIONS * np.sqrt(spread.variance(expected)) + 1
    kept = np.where(counted, np.clip(counts, expected - limit, expected + limit), 0.0)
    sums, shares, numbers = (
        _until(values) for values in (kept, np.where(counted, share, 0.0), counted.astype(np.float64))
    )
    firsts = np.arange(MIN_DAYS_BEFORE, days - MIN_DAYS_AFTER + 1)
    before, after = (sums[firsts], shares[firsts]), (sums[-1] - sums[firsts], shares[-1] - shares[firsts])
    possible = (sums[-1] >= MIN_COUNT) & (numbers[firsts] >= MIN_DAYS_BEFORE)
    possible &= numbers[-1] - numbers[firsts] >= MIN_DAYS_AFTER
    scores = np.where(possible, _scores(before, after, spread), 0.0)
    ago = days_ago[firsts]
    recent = np.where((ago < MAX_DAYS_AFTER)[:, None], scores, 0.0)
    older = np.where((ago >= MAX_DAYS_AFTER)[:, None], scores, 0.0).max(axis=0)
    best, column = recent.argmax(axis=0), np.arange(entities)
    first = firsts[best]
    uncut = _until(np.where(counted, counts, 0.0))
    levels = (
        uncut[first, column] / np.maximum(numbers[first, column], 1),
        (uncut[-1] - uncut[first, column]) / np.maximum(numbers[-1] - numbers[first, column], 1),
    )
    shift = Shift(first, *levels, recent[best, column])
    is_new = (shift.score >= older - _CLEARLY_LESS) & _is_lasting(counts, counted, share, shift)
    is_new &= _score_just_before(sums, shares, first, spread) >= _least_just_before(shift.score, spread)
    return shift._replace(score=np.where(is_new, shift.score, 0.0))


def _shares(counts: Floats, counted: Flags, kinds: list[Flags]) -> Floats:
    """Return what share of the mean day each day is expected to have, by its type, shape (days, entities)."""
    mean = np.where(counted, counts, 0).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    share = np.ones(counts.shape)
    for kind in kinds:
        level = (np.where(kind, counts, 0).sum(axis=0) + _TYPE_PRIOR_DAYS * mean) / (
            kind.sum(axis=0) + _TYPE_PRIOR_DAYS
        )
        share = np.where(kind, level / np.maximum(mean, 1e-9), share)
    return share


def _steady(counts: Floats, share: Floats, counted: Flags, days_ago: Integers) -> Floats:
    """Return the expected counts of the days before any new level, 0 on all others, shape (days, entities)."""
    old = np.where(counted & (days_ago >= MAX_DAYS_AFTER)[:, None], share, 0.0)
    level: Floats = np.where(old > 0, counts, 0.0).sum(axis=0) / np.maximum(old.sum(axis=0), 1e-9)
    return old * level


def _scores(before: _Part, after: _Part, spread: Spread) -> Floats:
    """Return the score of a change between two parts."""
    whole = before[0] + after[0], before[1] + after[1]
    chance = np.zeros(before[0].shape)
    for size, weight in zip(dispersion.SIZES.tolist(), spread.size_weights, strict=True):
        ratio = sum(_log_likelihood(*part, size) for part in (before, after)) - _log_likelihood(*whole, size)
        chance += weight * _two_sided_chance(ratio)
    expected = after[1] * whole[0] / np.maximum(whole[1], 1e-9)
    by_chance = expected * before[1] / np.maximum(whole[1], 1e-9)
    ratio = np.minimum(_poisson_ratio(before, after), (after[0] - expected) ** 2 / np.maximum(2 * by_chance, 1e-9))
    for share_of_mean, weight in zip(spread.ratios, spread.ratio_weights, strict=True):
        chance += weight * _two_sided_chance(ratio / share_of_mean)
    score: Floats = -np.log(np.maximum(chance, _TINY))
    return np.maximum(score, 0.0)


def _poisson_ratio(before: _Part, after: _Part) -> Floats:
    """Return the log-likelihood ratio of a change between two parts of Poisson counts."""
    parts = before, after, (before[0] + after[0], before[1] + after[1])
    of_before, of_after, of_whole = (
        total * np.log(np.maximum(total / np.maximum(share, 1e-9), 1e-9)) for total, share in parts
    )
    ratio: Floats = of_before + of_after - of_whole
    return ratio


def _log_likelihood(total: Floats, share: Floats, size: float) -> Floats:
    """Return the log-likelihood of a level at its maximum, up to a constant."""
    level = total / np.maximum(share, 1e-9)
    of_counts: Floats = total * np.log(np.maximum(level, 1e-9))
    return of_counts - (total + size * share) * np.log(level + size)


def _two_sided_chance(log_ratio: Floats) -> Floats:
    """Return how often chance reaches a log-likelihood ratio: P(|Z| ≥ √(2 ratio)) of a normal deviate Z."""
    x = np.sqrt(np.maximum(log_ratio, 0.0))
    t = 1 / (1 + x / 2)
    series = np.zeros_like(t)
    for term in reversed(_ERFC):
        series = series * t + term
    chance: Floats = t * np.exp(series - x * x)
    return chance


def _is_lasting(counts: Floats, counted: Flags, share: Floats, shift: Shift) -> Flags:
    """Return for which entities most of the days since are on the new level's side of the old one."""
    since = counted & (np.arange(len(counts))[:, None] >= shift.first)
    old = shift.before * share
    beyond = np.where(shift.after > shift.before, counts > old + _HALF_A_BOUT, counts < old - _HALF_A_BOUT)
    lasting: Flags = 2 * (beyond & since).sum(axis=0) > since.sum(axis=0)
    return lasting


def _score_just_before(sums: Floats, shares: Floats, first: Integers, spread: Spread) -> Floats:
    """Return the score of each entity's change against the days just before it alone, shape (entities,).

    Args:
        sums: Of the counts of all days before each day, and of all days.
        shares: Of the days, as ``sums``.
        first: The place of the first day of each entity's change.
        spread: How much the counts vary.
    """
    column, since = np.arange(len(first)), np.maximum(first - _JUST_BEFORE_DAYS, 0)
    just_before = sums[first, column] - sums[since, column], shares[first, column] - shares[since, column]
    return _scores(just_before, (sums[-1] - sums[first, column], shares[-1] - shares[first, column]), spread)


def _least_just_before(score: Floats, spread: Spread) -> Floats:
    """Return the least score against the days just before that a sudden change with this score has."""
    least: Floats = _SUDDEN_SHARE * score - _LESS_BY_CHANCE * spread.size_weights.sum(axis=0)
    return least


def _until(values: Floats) -> Floats:
    """Return the sum of all days before each day, and of all days, shape (days + 1, entities)."""
    return np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))
