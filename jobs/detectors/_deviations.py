"""The tests of ``anomaly``: how unlikely each entity's day is, for each type of anomaly.

Each function tests all entities that have enough days; the module docstring of ``anomaly`` specifies the tests.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.detectors._baseline import Baseline
from jobs.household import AnomalyType
from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.corrections import adjusted, can_be_rejected

UNITS: Final = {
    "count_high": "bouts",
    "count_low": "bouts",
    "long_duration": "s",
    "still_active": "s",
    "unusual_hour": "unusual hours",
}

DAYS_REPORTED: Final = 3  # what goes on, or stays silent, is reported on so many days; then it is the new normal
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
        earlier_p: The p-values of the same silence ``DAYS_REPORTED`` days earlier, shape (n,); empty for another type.
    """

    kind: AnomalyType
    entity: Integers
    p: Floats
    min_p: Floats
    expected: Floats
    deviation: Floats
    occurrences: Integers
    earlier_p: Floats = np.empty(0)


class Corrected(NamedTuple):
    """The tests of one type of anomaly after the correction for many tests.

    Attributes:
        p: Adjusted p-values; 1 where nothing could have been rejected, shape (n,).
        reported: Which tests are rejected and are news, shape (n,).
        left_out: How many are rejected but are the new normal: they were as surprising ``DAYS_REPORTED`` days earlier.
    """

    p: Floats
    reported: Flags
    left_out: int


def corrected(deviations: Sequence[Deviations], rate: float) -> tuple[list[Corrected], int]:
    """Return the tests of each type, corrected over all types together, and how many tests there are.

    A test that could not be rejected, whatever the day brought, does not count.
    """
    p = np.concatenate([np.empty(0), *(tested.p for tested in deviations)])
    earlier = np.concatenate(
        [np.empty(0), *(tested.earlier_p if len(tested.earlier_p) else np.ones(len(tested.p)) for tested in deviations)]
    )
    possible = can_be_rejected(np.concatenate([np.empty(0), *(tested.min_p for tested in deviations)]), rate)
    of_each, tests = np.ones(len(p)), int(np.count_nonzero(possible))
    of_each[possible] = adjusted(p[possible])
    rejected = of_each <= rate
    known = rejected & (earlier <= rate * np.count_nonzero(rejected) / max(tests, 1))
    ends = np.cumsum([len(tested.p) for tested in deviations])[:-1]
    split = (np.split(values, ends) for values in (of_each, rejected & ~known, known))
    results = [Corrected(p, news, int(np.count_nonzero(old))) for p, news, old in zip(*split, strict=True)]
    return results if deviations else [], tests


class Surprises(NamedTuple):
    """The tests of one type of anomaly that are corrected by the home's own past, one for each entity.

    Attributes:
        kind: The type of anomaly.
        entity: The tested entities, shape (n,).
        reported: Which of them are rare enough to be reported, shape (n,).
        a_day: How many entities of this home are as surprising on a day by chance, shape (n,).
        p: p-values of each entity by itself, shape (n,).
        expected: The expected value, shape (n,).
        deviation: Signed standard deviations from it, shape (n,).
        occurrences: The bouts or episodes of the judged day, shape (n,).
        duration_seconds: The length of the episode, shape (n,); empty for another type.
        longest_before_seconds: The longest episode of the baseline, likewise.
        hours: The unusual hours of each, n lists; empty for another type.
        left_out: How many were left out because they are the new normal.
        note: Why nothing could be judged, in words; empty if something could.
    """

    kind: AnomalyType
    entity: Integers
    reported: Flags
    a_day: Floats
    p: Floats
    expected: Floats
    deviation: Floats
    occurrences: Integers
    duration_seconds: Floats = np.empty(0)
    longest_before_seconds: Floats = np.empty(0)
    hours: tuple[list[int], ...] = ()
    left_out: int = 0
    note: str = ""


def count_high(baseline: Baseline, min_days: int) -> Deviations:
    """Test for more bouts than expected."""
    entity = with_enough_days(baseline.counted, min_days)
    bouts, usual = baseline.bouts[:, entity], baseline.usual(baseline.counted[:, entity], entity)
    spread = dispersion.variance(usual.by_day, usual.weights)
    expected = usual.by_day[-1] * dispersion.busyness(bouts, usual.by_day, spread, usual.used)
    p = dispersion.upper_tail(bouts[-1], expected, usual.days, usual.weights)
    deviation = usual.deviation(bouts[-1], expected)
    return Deviations("count_high", entity, p, np.zeros(len(p)), expected, deviation, baseline.today(entity))


def count_low(baseline: Baseline, min_days: int, in_use: Collection[str] = ()) -> Deviations:
    """Test for fewer bouts than expected, or for a silence that has lasted for days.

    Args:
        baseline: The bouts of all entities.
        min_days: With how many days an entity must be comparable.
        in_use: The entities that were in an active state on the judged day: without a bout, they are on, not silent.
    """
    silent = (baseline.bouts == 0) | baseline.quiet[:, None]
    silence = np.ones(silent.shape, np.bool_)  # the judged day, as if it were silent, and the silent days before it
    lasts = silent[:-1] & ~baseline.active_between[1:]
    silence[:-1] = np.logical_and.accumulate(lasts[::-1])[::-1]
    counted = baseline.counted & ~silence
    entity = np.empty(0, np.int64) if baseline.quiet[-1] else with_enough_days(counted, min_days)
    is_on = np.array([entity_id in in_use for entity_id in baseline.ids], np.bool_) & (baseline.bouts[-1] == 0)
    entity = entity[~is_on[entity]]
    silence, counted, bouts = silence[:, entity], counted[:, entity], baseline.bouts[:, entity]
    usual = baseline.usual(counted, entity)
    today, expected = bouts[-1], usual.by_day[-1]
    basis = baseline.same_type(counted)
    rarity = ((basis & (bouts <= today)).sum(axis=0) + 0.5) / (basis.sum(axis=0) + 1)
    lower = 1 - dispersion.upper_tail(today + 1, expected, usual.days, usual.weights)
    silence &= ~baseline.quiet[:, None]
    p_of_silence = _silence_p(silence, counted, bouts, usual.weights, baseline.weekend)
    p = np.where(today > 0, np.maximum(lower, rarity), p_of_silence)
    days_later = np.cumsum(silence[::-1], axis=0)[::-1]
    earlier_p = _silence_p(silence & (days_later > DAYS_REPORTED), counted, bouts, usual.weights, baseline.weekend)
    earlier_p[today > 0] = 1
    deviation = usual.deviation(today, expected)
    return Deviations("count_low", entity, p, p_of_silence, expected, deviation, baseline.today(entity), earlier_p)


def _silence_p(silence: Flags, counted: Flags, bouts: Floats, weights: Floats, weekend: Flags) -> Floats:
    """Return how likely it is that nothing happened on the silent days, shape (columns,); 1 without such days."""
    by_size, zero_chance = np.log(np.maximum(weights, _MIN_WEIGHT)), np.empty(bouts.shape)
    for is_weekend in (False, True):
        of_type = weekend == is_weekend
        past = dispersion.moments(bouts[of_type], counted[of_type])
        days, total = np.maximum(past.days, 1), np.where(counted, bouts, 0)[of_type].sum(axis=0)
        by_size += dispersion.log_silence_chance(total, days, silence[of_type].sum(axis=0))
        zero_chance[of_type] = dispersion.zero_chance(past.mean, weights)
    silent_days = silence.sum(axis=0)
    earlier, days_after_first = counted & (bouts == 0), np.maximum(silent_days - 1, 0)
    after_silent = earlier[:-1] & counted[1:]  # days that follow a silent day
    again = (after_silent & earlier[1:]).sum(axis=0)  # those of them that are silent too
    clustering = np.maximum((again + 1) / (np.where(after_silent, zero_chance[1:], 0).sum(axis=0) + 1), 1)
    explained = np.minimum(np.exp(by_size).sum(axis=0) * clustering**days_after_first, 1)
    unexpected = np.maximum(earlier.sum(axis=0) - np.where(counted, zero_chance, 0).sum(axis=0), 0)
    unexplained = (unexpected + 0.5) / (counted.sum(axis=0) + 1)
    repeated = np.maximum((again + unexplained) / (after_silent.sum(axis=0) + 1), unexplained)
    p = np.minimum(explained + unexplained * repeated**days_after_first, 1)
    return np.where(silent_days > 0, p, 1.0)


def with_enough_days(counted: Flags, min_days: int) -> Integers:
    """Return the entities that can be compared with enough days."""
    return np.flatnonzero(counted.sum(axis=0) >= min_days)
