"""How regular activity is from hour to hour and from day to day (van Someren et al. 1999; Phillips et al. 2017).

With x_i the n hourly counts of complete days, x̄ their mean, x̄_h the mean of hour h, and p = 24:

* interdaily stability IS = n Σ_h (x̄_h - x̄)² / (p Σ_i (x_i - x̄)²): the share of the variance that the time of day
  explains. Noise gives about 1 / days, the same day again and again 1.
* intradaily variability IV = n Σ (x_i - x_{i-1})² / (m Σ_i (x_i - x̄)²), over the m pairs of hours that follow each
  other and are both known (m = n - 1 without gaps): about 2 for noise, near 0 for a smooth curve.
* relative amplitude RA = (M10 - L5) / (M10 + L5), with the mean activity of the most active 10 and the least active 5
  hours of the mean day, which goes round the clock.
* regularity index SRI = -100 + 200 / (M (N - 1)) Σ_j Σ_i [s_{i,j} = s_{i+1,j}]: how often an hour j has the same state,
  active or not, on two days that follow each other and are both known.

Intervals come from drawing days anew, with repetition (bootstrap). Days drawn several times look more regular than they
are, so the interval is centred on the value itself: what it tells is how far the value varies with the days. The draws
are always the same, so that the same rows give the same rollup.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.rollups._days import HOURS
from jobs.statistics.arrays import Floats, Integers

_DRAWS: Final = 200
_SEED: Final = 16  # any number: the draws must only be the same every time
_QUANTILES: Final = (0.025, 0.975)
_ONE_DAY: Final = dt.timedelta(days=1)
_MOST_ACTIVE_HOURS: Final = 10
_LEAST_ACTIVE_HOURS: Final = 5


class Estimate(NamedTuple):
    """A value for each subject with its 95 % interval; NaN where it is not defined. Each of shape (subjects,)."""

    value: Floats
    low: Floats
    high: Floats


class Amplitude(NamedTuple):
    """Relative amplitude of each subject, and the hours in which its quiet and its busy hours begin."""

    value: Floats
    least_active_onset: Integers
    most_active_onset: Integers


@cache
def _draws(size: int) -> Floats:
    """Return how often each of some days is drawn, in each draw, shape (draws, size)."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(size, np.full(size, 1 / size), size=_DRAWS).astype(np.float64)


def _with_interval(value: Floats, drawn: Floats, lowest: float, highest: float) -> Estimate:
    """Return values with intervals as wide as the drawn values, shape (subjects, draws), spread around their mean."""
    spread = np.quantile(drawn - drawn.mean(axis=1, keepdims=True), _QUANTILES, axis=1)
    low, high = np.minimum(spread[0], 0.0), np.maximum(spread[1], 0.0)
    return Estimate(value, np.maximum(value + low, lowest), np.minimum(value + high, highest))


def interdaily_stability(events: Floats) -> Estimate:
    """Return IS of each subject; NaN for one whose activity never varies.

    Args:
        events: Hourly counts of complete days, shape (subjects, days, 24).
    """
    days = events.shape[1]
    value = _stability(events.mean(axis=1), (events**2).sum(axis=(1, 2)), days)
    weights = _draws(days)
    means = np.tensordot(events, weights / days, axes=(1, 1)).transpose(0, 2, 1)  # (subjects, draws, 24)
    squares = (events**2).sum(axis=2) @ weights.T
    return _with_interval(value, np.nan_to_num(_stability(means, squares, days)), 0.0, 1.0)


def _stability(means: Floats, squares: Floats, days: int) -> Floats:
    """Return IS from the means by hour (..., 24) and the sum of all squared counts (...)."""
    level = means.mean(axis=-1) ** 2
    between, total = (means**2).sum(axis=-1) - HOURS * level, squares - days * HOURS * level
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(total > squares * 1e-12, np.clip(days * between / total, 0.0, 1.0), np.nan)
    return found


def intradaily_variability(events: Floats, days: Sequence[dt.date]) -> Floats:
    """Return IV of each subject, shape (subjects,); NaN for one whose activity never varies.

    Args:
        events: Hourly counts of complete days, shape (subjects, days, 24).
        days: The days, ascending.
    """
    within = (np.diff(events, axis=2) ** 2).sum(axis=(1, 2))
    after = follows(days)
    across = ((events[:, 1:, 0] - events[:, :-1, -1])[:, after] ** 2).sum(axis=1)
    pairs = events.shape[1] * (HOURS - 1) + int(after.sum())
    variance = events.var(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(variance > 0, (within + across) / pairs / variance, np.nan)
    return found


def follows(days: Sequence[dt.date]) -> Flags:
    """Return which days, from the second on, are the day after the one before them, shape (days - 1,)."""
    return np.array([later - earlier == _ONE_DAY for earlier, later in pairwise(days)], np.bool_)


def relative_amplitude(profile: Floats) -> Amplitude:
    """Return RA of each subject with its onsets; of equal hours the earliest counts.

    Args:
        profile: Mean events by hour, shape (subjects, 24), not all zero.
    """
    most, least = (_sums_round_the_clock(profile, width) for width in (_MOST_ACTIVE_HOURS, _LEAST_ACTIVE_HOURS))
    busy, quiet = most.max(axis=1) / _MOST_ACTIVE_HOURS, least.min(axis=1) / _LEAST_ACTIVE_HOURS
    value = np.clip((busy - quiet) / np.maximum(busy + quiet, np.finfo(np.float64).tiny), 0.0, 1.0)
    return Amplitude(value, least.argmin(axis=1), most.argmax(axis=1))


def _sums_round_the_clock(profile: Floats, width: int) -> Floats:
    """Return the sum of ``width`` hours that begin with each hour, shape (subjects, 24)."""
    total: Floats = sum(np.roll(profile, -shift, axis=1) for shift in range(width))  # type: ignore[assignment]
    return np.round(total, 9)  # so that rounding does not decide between equal hours


def regularity_index(events: Floats, days: Sequence[dt.date]) -> Estimate:
    """Return SRI of each subject.

    Args:
        events: Hourly counts of complete days, shape (subjects, days, 24); at least two follow each other.
        days: The days, ascending.
    """
    active = events > 0
    agree = (active[:, 1:] == active[:, :-1]).mean(axis=2)[:, follows(days)]
    value = -100 + 200 * agree.mean(axis=1)
    drawn = -100 + 200 * (agree @ _draws(agree.shape[1]).T) / agree.shape[1]
    return _with_interval(value, drawn, -100.0, 100.0)
