"""How much counts vary: below chance only where days prove it, and never by one's own choice of days."""

import numpy as np
import pytest

from jobs.rollups._spread import RATIOS, Spread, measure_spread
from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats

DAYS = 84
WEEKS = np.arange(DAYS)[::-1] // 7


def spread_of(counts: Floats) -> Spread:
    everywhere = np.ones(counts.shape, np.bool_)
    return measure_spread(counts, [everywhere], np.broadcast_to(counts.mean(axis=0), counts.shape), WEEKS)


def share_below_chance(spread: Spread) -> Floats:
    weight: Floats = (spread.ratio_weights * (spread.ratios < 0.7)).sum(axis=0)
    return weight


def binomial(rng: np.random.Generator, ratio: float, level: float | Floats, entities: int) -> Floats:
    most = round(float(np.max(level)) / (1 - ratio))
    return rng.binomial(most, np.broadcast_to(level, (entities, DAYS)).T / most).astype(np.float64)


def test_counts_that_vary_by_chance_are_not_taken_to_be_regular() -> None:
    rng = np.random.default_rng(1)
    for level in (0.3, 1, 8, 40):
        spread = spread_of(rng.poisson(level, (DAYS, 40)).astype(np.float64))
        assert np.median(share_below_chance(spread)) < 0.05
        assert spread.variance(np.full((1, 40), level)).mean() == pytest.approx(level, rel=0.15)


@pytest.mark.parametrize("ratio", [0.25, 0.5])
def test_the_variance_of_regular_counts_is_found_also_among_others_that_are_not(ratio: float) -> None:
    rng = np.random.default_rng(2)
    others = rng.poisson(8 * rng.gamma(10, 1 / 10, (DAYS, 39)))
    spread = spread_of(np.hstack((binomial(rng, ratio, 8.0, 1), others)))
    assert share_below_chance(spread)[0] > 0.9
    assert spread.variance(np.full((1, 40), 8.0))[0, 0] == pytest.approx(8 * ratio, rel=0.5)
    assert np.median(share_below_chance(spread)[1:]) < 0.01


def test_the_weights_of_sizes_and_ratios_together_sum_to_one() -> None:
    spread = spread_of(np.random.default_rng(3).poisson(4, (DAYS, 5)).astype(np.float64))
    assert spread.size_weights.shape == (len(dispersion.SIZES), 5)
    assert spread.ratio_weights.shape == spread.ratios.shape == (len(RATIOS), 5)
    np.testing.assert_allclose(spread.size_weights.sum(axis=0) + spread.ratio_weights.sum(axis=0), 1)


def test_days_that_are_alike_in_weeks_that_differ_are_not_taken_to_be_regular() -> None:
    rng = np.random.default_rng(4)
    steady = binomial(rng, 0.25, 8.0, 30)
    wandering = binomial(rng, 0.25, np.repeat(rng.uniform(6, 10, DAYS // 7), 7), 30)
    narrow, wide = (np.median(spread_of(counts).ratios[4]) for counts in (steady, wandering))
    assert narrow < 0.35
    assert wide > 2 * narrow


def test_counts_that_never_varied_still_may() -> None:
    spread = spread_of(np.ones((DAYS, 3)))
    assert (spread.variance(np.ones((1, 3))) >= RATIOS[-1]).all()
    assert spread.ratio_weights[-1].min() > 0.9


def test_entities_without_any_count_have_a_spread_all_the_same() -> None:
    spread = spread_of(np.zeros((DAYS, 2)))
    assert np.isfinite(spread.variance(np.zeros((1, 2)))).all()
