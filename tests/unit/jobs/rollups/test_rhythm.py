"""Regularity by its definitions, against sums written out one by one, and on homes whose answer is known."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from jobs.rollups._rhythm import (
    interdaily_stability,
    intradaily_variability,
    regularity_index,
    relative_amplitude,
)
from jobs.statistics.arrays import Floats
from storage.dates import ONE_DAY

FIRST = dt.date(2026, 3, 2)


def days(count: int, *, without: int = -1) -> list[dt.date]:
    return [FIRST + place * ONE_DAY for place in range(count) if place != without]


def series(seed: int, count: int) -> Floats:
    rng = np.random.default_rng(seed)
    return rng.poisson(np.linspace(0.2, 3, 24), (1, count, 24)).astype(np.float64)


def by_variance_ratios(events: Floats) -> tuple[float, float]:
    """IS and IV as libraries compute them: ratios of sample variances (pyActigraphy)."""
    flat = events.reshape(-1)
    return (
        float(np.var(events.mean(axis=0), ddof=1) / np.var(flat, ddof=1)),
        float((np.diff(flat) ** 2).mean() / np.var(flat, ddof=1)),
    )


@pytest.mark.parametrize(("seed", "count"), [(1, 7), (2, 14), (3, 28)])
def test_stability_and_variability_differ_from_variance_ratios_by_the_known_factors(seed: int, count: int) -> None:
    events, n, p = series(seed, count), count * 24, 24
    stability, variability = by_variance_ratios(events[0])
    ours = float(interdaily_stability(events).value[0])
    assert stability == pytest.approx(ours * p * (n - 1) / ((p - 1) * n))
    assert variability == pytest.approx(float(intradaily_variability(events, days(count))[0]) * (n - 1) / n)


def test_the_same_day_again_and_again_is_perfectly_stable_and_regular() -> None:
    events = np.tile(np.arange(24.0) > 17, (1, 28, 1)).astype(np.float64)
    assert interdaily_stability(events).value[0] == pytest.approx(1)
    assert tuple(float(one[0]) for one in regularity_index(events, days(28))) == (100, 100, 100)


def test_noise_has_a_stability_of_one_in_the_number_of_days() -> None:
    rng = np.random.default_rng(4)
    noise = rng.poisson(0.5, (200, 28, 24)).astype(np.float64)
    assert float(interdaily_stability(noise).value.mean()) == pytest.approx(1 / 28, abs=0.004)
    assert float(intradaily_variability(noise, days(28)).mean()) == pytest.approx(2, abs=0.03)


def test_a_random_home_has_a_regularity_index_of_zero_and_an_alternating_one_of_minus_a_hundred() -> None:
    rng = np.random.default_rng(5)
    coin = rng.integers(0, 2, (100, 28, 24)).astype(np.float64)
    assert float(regularity_index(coin, days(28)).value.mean()) == pytest.approx(0, abs=1.5)
    flipped = np.tile(np.array([0.0, 1.0] * 14)[None, :, None], (1, 1, 24))
    assert float(regularity_index(flipped, days(28)).value[0]) == -100


def test_hours_beside_a_missing_day_are_not_compared() -> None:
    events = series(6, 8)
    with_gap = np.delete(events, 3, axis=1)
    flat = [events[0, :3].reshape(-1), events[0, 4:].reshape(-1)]
    squares = sum(float((np.diff(part) ** 2).sum()) for part in flat)
    pairs = sum(len(part) - 1 for part in flat)
    expected = squares / pairs / float(with_gap.var())
    assert float(intradaily_variability(with_gap, days(8, without=3))[0]) == pytest.approx(expected)
    active = events[0] > 0
    same = [(active[day] == active[day + 1]).mean() for day in range(7) if 3 not in (day, day + 1)]
    found = regularity_index(with_gap, days(8, without=3)).value[0]
    assert float(found) == pytest.approx(-100 + 200 * float(np.mean(same)))


def test_the_quiet_hours_go_round_midnight() -> None:
    profile = np.ones((1, 24))
    profile[0, 22:] = profile[0, :3] = 0
    profile[0, 8:18] = 4
    found = relative_amplitude(profile)
    assert (float(found.value[0]), int(found.least_active_onset[0]), int(found.most_active_onset[0])) == (1.0, 22, 8)


def test_a_constant_has_neither_stability_nor_variability() -> None:
    flat = np.ones((1, 28, 24))
    assert np.isnan(interdaily_stability(flat).value[0])
    assert np.isnan(intradaily_variability(flat, days(28))[0])
    assert float(relative_amplitude(np.ones((1, 24))).value[0]) == 0


@pytest.mark.parametrize("level", [0.1, 0.4, 1.5])
def test_the_interval_holds_the_mean_stability_of_such_homes_nine_times_in_ten(level: float) -> None:
    rng = np.random.default_rng(7)
    rates = level * (1 + np.sin(np.arange(24) / 24 * 2 * np.pi))
    found = interdaily_stability(rng.poisson(rates, (300, 28, 24)).astype(np.float64))
    truth = float(interdaily_stability(rng.poisson(rates, (2000, 28, 24)).astype(np.float64)).value.mean())
    assert float(((found.low <= truth) & (truth <= found.high)).mean()) >= 0.88
