import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from jobs.statistics import shared as ours

SEED = 20_260_301


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def test_binomial_tail_is_scipys_for_whole_counts(rng: np.random.Generator) -> None:
    trials = rng.integers(1, 400, 3000)
    hits = np.minimum(rng.integers(0, 60, 3000), trials)
    chance = rng.uniform(1e-4, 0.99, 3000)
    np.testing.assert_allclose(
        ours.binomial_tail(hits, trials, chance), stats.binom.sf(hits - 1, trials, chance), rtol=1e-9, atol=1e-300
    )


def test_binomial_tail_carries_over_to_fractions_as_the_incomplete_beta_function(rng: np.random.Generator) -> None:
    hits = rng.uniform(0.01, 50, 3000)
    trials = hits + rng.uniform(0, 300, 3000)
    chance = rng.uniform(1e-4, 0.99, 3000)
    expected = special.betainc(hits, trials - hits + 1, chance)
    np.testing.assert_allclose(ours.binomial_tail(hits, trials, chance), expected, rtol=1e-9, atol=1e-300)


def test_binomial_tail_at_its_edges() -> None:
    hits, trials = np.array([0.0, 2.0, 2.0, 3.0]), np.array([3.0, 3.0, 3.0, 3.0])
    np.testing.assert_allclose(ours.binomial_tail(hits, trials, np.array([0.5, 0.0, 1.0, 0.5])), [1, 0, 1, 0.125])


def test_hypergeometric_tail_is_scipys(rng: np.random.Generator) -> None:
    drawn, marked = rng.integers(0, 60, 500), rng.integers(0, 24, 500)
    hits = rng.integers(0, 14, 500)
    np.testing.assert_allclose(
        ours.hypergeometric_tail(hits, drawn, marked, 288), stats.hypergeom.sf(hits - 1, 288, marked, drawn), atol=1e-12
    )


@pytest.mark.parametrize("overdispersion", [1.2, 3.0, 20.0])
def test_negative_binomial_tail_is_scipys(rng: np.random.Generator, overdispersion: float) -> None:
    mean = rng.uniform(0.05, 60, 2000)
    hits = rng.integers(0, 150, 2000)
    size = mean**2 / (mean * overdispersion - mean)
    expected = stats.nbinom.sf(hits - 1, size, size / (size + mean))
    np.testing.assert_allclose(
        ours.negative_binomial_tail(hits, mean, mean * overdispersion), expected, rtol=1e-8, atol=1e-280
    )


def test_negative_binomial_tail_is_poissons_where_the_count_is_not_overdispersed() -> None:
    hits, mean = np.arange(30), np.full(30, 7.5)
    np.testing.assert_allclose(
        ours.negative_binomial_tail(hits, mean, mean / 2), stats.poisson.sf(hits - 1, 7.5), rtol=1e-9
    )


def test_poisson_tail_is_scipys(rng: np.random.Generator) -> None:
    hits, mean = rng.integers(0, 120, 3000), rng.uniform(0.01, 90, 3000)
    np.testing.assert_allclose(ours.poisson_tail(hits, mean), stats.poisson.sf(hits - 1, mean), rtol=1e-8, atol=1e-14)


def test_student_tail_is_scipys(rng: np.random.Generator) -> None:
    deviation, freedom = rng.normal(0, 5, 2000), rng.integers(1, 60, 2000).astype(np.float64)
    np.testing.assert_allclose(
        ours.student_tail(deviation, freedom), stats.t.sf(deviation, freedom), rtol=1e-9, atol=1e-300
    )


@given(st.floats(0, 500), st.floats(0, 500), st.floats(0.001, 0.999))
def test_a_tail_is_a_probability_that_falls_with_the_hits(one: float, other: float, chance: float) -> None:
    few, many = sorted((one, other))
    trials = np.full(2, many)
    high, low = ours.binomial_tail(np.array([few, many]), trials, np.full(2, chance))
    assert 0 <= low <= high * (1 + 1e-9) <= 1 + 1e-9


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_bound_lies_below_the_share_and_is_scipys(successes: int, failures: int) -> None:
    trials = successes + failures
    bound = ours.wilson_lower(successes, trials)
    assert 0 <= bound <= successes / max(trials, 1) + 1e-12
    if trials:
        interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        assert bound == pytest.approx(interval.low, abs=1e-4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.001, 0.3))
def test_benjamini_hochberg_rejects_what_scipys_adjustment_rejects(p: list[float], rate: float) -> None:
    expected = stats.false_discovery_control(p)
    np.testing.assert_allclose(ours.adjusted(np.array(p)), expected, rtol=1e-12)
    clear = np.abs(expected - rate) > 1e-9
    np.testing.assert_array_equal(ours.benjamini_hochberg(np.array(p), rate)[clear], (expected <= rate)[clear])


def test_places_that_are_no_tests_do_not_lift_the_bar() -> None:
    assert not ours.benjamini_hochberg(np.ones(24), 0.05, 1).any()
    p = np.concatenate(([0.04], np.ones(23)))
    assert ours.benjamini_hochberg(p, 0.05, 1).tolist() == [True] + [False] * 23
    assert not ours.benjamini_hochberg(p, 0.05, 24).any()


def test_benjamini_hochberg_of_nothing_rejects_nothing() -> None:
    assert ours.benjamini_hochberg(np.empty((3, 0)), 0.05).shape == (3, 0)


def test_only_tests_that_could_be_rejected_count() -> None:
    least = np.array([1e-6, 1e-4, 0.02, 0.5, 0.9])
    assert ours.testable(least, 0.05).tolist() == [True, True, False, False, False]
    assert not ours.testable(np.ones(100), 0.05).any()
    assert not ours.testable(np.empty(0), 0.05).any()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_number_of_testable_tests_fits_the_bar_that_they_attain(least: list[float]) -> None:
    chosen = ours.testable(np.array(least), 0.05)
    attained = np.array(least)[chosen]
    bars = [0.05 / tests for tests in range(1, len(least) + 1) if sum(p <= 0.05 / tests for p in least) <= tests]
    assert (attained <= max(bars)).all()
    assert chosen.sum() == sum(p <= max(bars) for p in least)


def test_log_gamma_is_scipys(rng: np.random.Generator) -> None:
    x = np.concatenate((rng.uniform(1e-3, 12, 2000), rng.uniform(12, 1e5, 500)))
    np.testing.assert_allclose(ours.log_gamma(x), special.gammaln(x), rtol=1e-12, atol=1e-12)
