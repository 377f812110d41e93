"""How often a score is reached by chance, as the home's own past shows."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.statistics.home_rates import entities_a_day

DAYS = 28


def test_a_score_within_the_past_is_reached_as_often_as_it_was() -> None:
    past = np.arange(1, 101, dtype=np.float64)
    rate = entities_a_day(np.array([51.0, 80.5]), past, DAYS)
    assert rate[0] == pytest.approx(50 / DAYS)
    assert rate[1] == pytest.approx(20 / DAYS, rel=0.1)


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_beyond_the_past_the_rate_falls_as_fast_as_it_did_there(scale: float) -> None:
    rng, score = np.random.default_rng(1), np.array([8.0 * scale])
    true = 100 * np.exp(-8.0)
    found = np.median([entities_a_day(score, rng.exponential(scale, (DAYS, 100)), DAYS)[0] for _ in range(300)])
    assert 0.5 * true < found < 2 * true


def test_a_home_with_higher_scores_in_its_past_needs_a_higher_one() -> None:
    rng = np.random.default_rng(2)
    calm, wild = rng.exponential(1, 500), rng.exponential(3, 500)
    score = np.array([10.0])
    assert entities_a_day(score, calm, DAYS) < 0.1 * entities_a_day(score, wild, DAYS)


def test_two_anomalies_in_the_past_do_not_hide_the_next_one() -> None:
    past = np.random.default_rng(3).exponential(1, 500)
    score = np.array([25.0])
    with_two = entities_a_day(score, np.append(past, [30.0, 40.0]), DAYS)
    assert with_two < 1e-4


def test_without_a_past_a_score_counts_like_minus_log_p() -> None:
    rate = entities_a_day(np.array([3.0, 10.0]), np.empty(0), DAYS)
    assert rate[0] / rate[1] == pytest.approx(np.exp(7), rel=0.2)


def test_what_has_no_score_is_never_rare() -> None:
    assert np.isinf(entities_a_day(np.array([0.0]), np.ones(5), DAYS)).all()
