import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jobs.statistics.corrections import TestCount, adjusted, benjamini_hochberg, can_be_rejected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.001, 0.3))
def test_benjamini_hochberg_rejects_what_scipys_adjustment_rejects(p: list[float], rate: float) -> None:
    expected = stats.false_discovery_control(p)
    np.testing.assert_allclose(adjusted(np.array(p)), expected, rtol=1e-12)
    clear = np.abs(expected - rate) > 1e-9
    np.testing.assert_array_equal(benjamini_hochberg(np.array(p), rate)[clear], (expected <= rate)[clear])


def test_places_that_are_not_tests_do_not_raise_the_threshold() -> None:
    assert not benjamini_hochberg(np.ones(24), 0.05, 1).any()
    p = np.concatenate(([0.04], np.ones(23)))
    assert benjamini_hochberg(p, 0.05, 1).tolist() == [True] + [False] * 23
    assert not benjamini_hochberg(p, 0.05, 24).any()


def test_benjamini_hochberg_of_nothing_rejects_nothing() -> None:
    assert benjamini_hochberg(np.empty((3, 0)), 0.05).shape == (3, 0)


def test_only_tests_that_could_be_rejected_count() -> None:
    least = np.array([1e-6, 1e-4, 0.02, 0.5, 0.9])
    assert can_be_rejected(least, 0.05).tolist() == [True, True, False, False, False]
    assert not can_be_rejected(np.ones(100), 0.05).any()
    assert not can_be_rejected(np.empty(0), 0.05).any()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_number_of_tests_that_count_fits_the_threshold_that_they_can_reach(least: list[float]) -> None:
    chosen = can_be_rejected(np.array(least), 0.05)
    attained = np.array(least)[chosen]
    bars = [0.05 / tests for tests in range(1, len(least) + 1) if sum(p <= 0.05 / tests for p in least) <= tests]
    assert (attained <= max(bars)).all()
    assert chosen.sum() == sum(p <= max(bars) for p in least)


@pytest.mark.parametrize("seed", range(20))
def test_tests_that_are_counted_in_parts_are_those_that_are_counted_at_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    min_p = 10.0 ** -rng.integers(0, 9, 500).astype(np.float64) * rng.choice([1.0, 0.3, 0.07], 500)
    counted = TestCount(0.05, 500)
    surely = min_p <= counted.max_certain_p
    for part in np.array_split(np.arange(500), 7):
        counted.add(int(np.count_nonzero(surely[part])), min_p[part][~surely[part]])
    possible = can_be_rejected(min_p, 0.05)
    tests, limit = counted.result()
    assert tests == np.count_nonzero(possible)
    assert np.array_equal(min_p <= limit, possible)


def test_without_tests_none_is_counted() -> None:
    assert TestCount(0.05, 0).result() == (0, 0.0)
