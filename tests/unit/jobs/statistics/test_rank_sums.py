"""The rank-sum test: as in scipy, and at the rate that it promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jobs.statistics.arrays import Floats
from jobs.statistics.rank_sums import rank_sum_p


@pytest.mark.parametrize("seed", range(20))
def test_p_is_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.poisson(3, int(rng.integers(7, 40))).astype(np.float64)
    second = rng.poisson(3 + seed % 4, int(rng.integers(7, 40))).astype(np.float64)
    expected = stats.mannwhitneyu(first, second, use_continuity=True, method="asymptotic").pvalue
    assert rank_sum_p([(first, second)]) == pytest.approx(expected, rel=1e-9)


def test_equal_values_differ_in_nothing() -> None:
    assert rank_sum_p([(np.ones(10), np.ones(14))]) == 1.0


def test_a_stratum_without_values_on_one_side_does_not_count() -> None:
    first, second = np.arange(9.0), np.arange(4.0, 20.0)
    assert rank_sum_p([(first, second), (np.array([]), second)]) == rank_sum_p([(first, second)])
    assert rank_sum_p([(np.array([]), second)]) == 1.0


def test_strata_of_different_levels_do_not_hide_a_difference_within_them() -> None:
    low, high = np.arange(10.0), np.arange(100.0, 110.0)
    within = rank_sum_p([(low, low + 5), (high, high + 5)])
    assert within < 0.01 < rank_sum_p([(np.concatenate([low, high]), np.concatenate([low, high]) + 5)])


def test_samples_of_one_level_are_rejected_at_the_rate_of_the_test() -> None:
    rng = np.random.default_rng(3)

    def days(level: float, count: int) -> Floats:
        return rng.poisson(level, count).astype(np.float64)

    p = [rank_sum_p([(days(4, 20), days(4, 20)), (days(9, 8), days(9, 8))]) for _ in range(2_000)]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.065
