"""The tests of ``anomaly``: how unlikely each entity's day is, for each type of anomaly.

Each function tests all entities that have enough days; the module docstring of ``anomaly`` specifies the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.detectors._baseline import Baseline
from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.tails import negative_binomial_tail, student_tail
from storage.models import DurationDaily

Kind = Literal["count_high", "count_low", "long_duration", "unusual_hour"]

UNITS: Final = {"count_high": "bouts", "count_low": "bouts", "long_duration": "s", "unusual_hour": "unusual hours"}

_MIN_SPREAD: Final = 0.3  # of the logarithm of a duration: a third longer or shorter is not unusual
_MIN_WEIGHT: Final = 1e-300


class Deviations(NamedTuple):
    """The tests of one type of anomaly, one for each entity.

    Attributes:
        kind: The type of anomaly.
        entity: The tested entities, shape (n,).
        p: p-values, shape (n,).
        min_p: The smallest p that the judged day could have given, whatever happened on it, shape (n,).
        expected: The expected value, shape (n,).
        deviation: Signed standard deviations from it, shape (n,).
        occurrences: The bouts or episodes of the judged day, shape (n,).
    """

    kind: Kind
    entity: Integers
    p: Floats
    min_p: Floats
    expected: Floats
    deviation: Floats
    occurrences: Integers


def count_high(baseline: Baseline, min_days: int) -> Deviations:
    """Test for more bouts than expected."""
    entity = _with_enough_days(baseline.counted, min_days)
    bouts, usual = baseline.bouts[:, entity], baseline.usual(baseline.counted[:, entity], entity)
    spread = dispersion.variance(usual.by_day, usual.weights)
    expected = usual.by_day[-1] * dispersion.busyness(bouts, usual.by_day, spread, usual.used)
    p = dispersion.upper_tail(bouts[-1], expected, usual.days, usual.weights)
    deviation = usual.deviation(bouts[-1], expected)
    return Deviations("count_high", entity, p, np.zeros(len(p)), expected, deviation, baseline.today(entity))


def count_low(baseline: Baseline, min_days: int) -> Deviations:
    """Test for fewer bouts than expected, or for a silence that has lasted for days."""
    silent = (baseline.bouts == 0) | baseline.quiet[:, None]
    silence = np.ones(silent.shape, np.bool_)  # the judged day, as if it were silent, and the silent days before it
    silence[:-1] = np.logical_and.accumulate(silent[-2::-1])[::-1]
    counted = baseline.counted & ~silence
    entity = np.empty(0, np.int64) if baseline.quiet[-1] else _with_enough_days(counted, min_days)
    silence, counted, bouts = silence[:, entity], counted[:, entity], baseline.bouts[:, entity]
    usual = baseline.usual(counted, entity)
    today, expected = bouts[-1], usual.by_day[-1]
    basis = baseline.same_type(counted)
    rarity = ((basis & (bouts <= today)).sum(axis=0) + 0.5) / (basis.sum(axis=0) + 1)
    lower = 1 - dispersion.upper_tail(today + 1, expected, usual.days, usual.weights)
    p_of_silence = _silence_p(silence & ~baseline.quiet[:, None], counted, bouts, usual.weights, baseline.weekend)
    p = np.where(today > 0, np.maximum(lower, rarity), p_of_silence)
    deviation = usual.deviation(today, expected)
    return Deviations("count_low", entity, p, p_of_silence, expected, deviation, baseline.today(entity))


def _silence_p(silence: Flags, counted: Flags, bouts: Floats, weights: Floats, weekend: Flags) -> Floats:
    """Return how likely it is that nothing happened on the silent days, shape (columns,)."""
    by_size, zero_chance = np.log(np.maximum(weights, _MIN_WEIGHT)), np.empty(bouts.shape)
    for is_weekend in (False, True):
        of_type = weekend == is_weekend
        past = dispersion.moments(bouts[of_type], counted[of_type])
        days, total = np.maximum(past.days, 1), np.where(counted, bouts, 0)[of_type].sum(axis=0)
        by_size += dispersion.log_silence_chance(total, days, silence[of_type].sum(axis=0))
        zero_chance[of_type] = dispersion.zero_chance(past.mean, weights)
    earlier, days_after_first = counted & (bouts == 0), silence.sum(axis=0) - 1
    after_silent = earlier[:-1] & counted[1:]  # days that follow a silent day
    again = (after_silent & earlier[1:]).sum(axis=0)  # those of them that are silent too
    clustering = np.maximum((again + 1) / (np.where(after_silent, zero_chance[1:], 0).sum(axis=0) + 1), 1)
    explained = np.minimum(np.exp(by_size).sum(axis=0) * clustering**days_after_first, 1)
    unexpected = np.maximum(earlier.sum(axis=0) - np.where(counted, zero_chance, 0).sum(axis=0), 0)
    unexplained = (unexpected + 0.5) / (counted.sum(axis=0) + 1)
    repeated = np.maximum((again + unexplained) / (after_silent.sum(axis=0) + 1), unexplained)
    p: Floats = np.minimum(explained + unexplained * repeated**days_after_first, 1)
    return p


def unusual_hour(baseline: Baseline, min_days: int) -> Deviations:
    """Test for hours with activity that had none before, nor did the hours beside them."""
    entity = _with_enough_days(baseline.counted, min_days)
    active = baseline.active[:, entity]
    around = active | np.roll(active, 1, axis=2) | np.roll(active, -1, axis=2)
    counted = baseline.counted[:, entity]
    days = (around & counted[:, :, None]).sum(axis=0)
    new = (active & (days - (around & counted[:, :, None]) == 0)).sum(axis=2).astype(np.float64)
    past = dispersion.moments(new, counted)
    n = past.days.astype(np.float64)
    variance = past.squares / (n - 1) * (1 + 1 / n) * (n - 1) / (n - 3)
    p = negative_binomial_tail(new[-1], past.mean, variance)
    deviation = (new[-1] - past.mean) / np.sqrt(np.maximum(variance, past.mean))
    return Deviations("unusual_hour", entity, p, np.zeros(len(p)), past.mean, deviation, baseline.today(entity))


def long_duration(baseline: Baseline, min_days: int, rows: Sequence[DurationDaily]) -> Deviations:
    """Test for a longest episode beyond those of other days."""
    longest, episodes = _longest_episodes(baseline, rows)
    counted = baseline.counted & ~np.isnan(longest)
    entity = np.flatnonzero((counted.sum(axis=0) >= min_days) & ~np.isnan(longest[-1]))
    days = counted[:, entity].sum(axis=0)
    values = np.where(counted, longest, 0.0)[:, entity]
    mean = values.sum(axis=0) / days
    variance = (np.where(counted[:, entity], values - mean, 0.0) ** 2).sum(axis=0) / (days - 1)
    spread = np.maximum(np.sqrt(variance), _MIN_SPREAD) * np.sqrt(1 + 1 / days)
    deviation = (longest[-1, entity] - mean) / spread
    p = student_tail(deviation, days - 1.0)
    return Deviations("long_duration", entity, p, np.zeros(len(p)), np.exp(mean), deviation, episodes[entity])


def _longest_episodes(baseline: Baseline, rows: Sequence[DurationDaily]) -> tuple[Floats, Integers]:
    """Return the logarithm of each longest episode, shape (days, entities), and the episodes of the judged day."""
    longest = np.full(baseline.bouts.shape, np.nan)
    episodes = np.zeros(len(baseline.ids), np.int64)
    for row in rows:
        day, code = baseline.index_of(row.date), baseline.code_of(row.entity_id)
        if day >= 0 and code >= 0:
            longest[day, code] = math.log(max(row.max_duration_seconds, 1.0))
            if day == len(longest) - 1:
                episodes[code] = row.episodes or 1
    return longest, episodes


def _with_enough_days(counted: Flags, min_days: int) -> Integers:
    """Return the entities that can be compared with enough days."""
    return np.flatnonzero(counted.sum(axis=0) >= min_days)
