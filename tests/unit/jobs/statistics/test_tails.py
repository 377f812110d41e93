import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from jobs.statistics.tails import (
    BinomialBound,
    binomial_tail,
    hypergeometric_tail,
    negative_binomial_tail,
    poisson_tail,
    student_tail,
)

SEED = 20_260_301


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def test_binomial_tail_is_scipys_for_whole_counts(rng: np.random.Generator) -> None:
    trials = rng.integers(1, 400, 3000)
    hits = np.minimum(rng.integers(0, 60, 3000), trials)
    chance = rng.uniform(1e-4, 0.99, 3000)
    np.testing.assert_allclose(
        binomial_tail(hits, trials, chance), stats.binom.sf(hits - 1, trials, chance), rtol=1e-9, atol=1e-300
    )


def test_binomial_tail_carries_over_to_fractions_as_the_incomplete_beta_function(rng: np.random.Generator) -> None:
    hits = rng.uniform(0.01, 50, 3000)
    trials = hits + rng.uniform(0, 300, 3000)
    chance = rng.uniform(1e-4, 0.99, 3000)
    expected = special.betainc(hits, trials - hits + 1, chance)
    np.testing.assert_allclose(binomial_tail(hits, trials, chance), expected, rtol=1e-9, atol=1e-300)


def test_binomial_tail_at_its_edges() -> None:
    hits, trials = np.array([0.0, 2.0, 2.0, 3.0]), np.array([3.0, 3.0, 3.0, 3.0])
    np.testing.assert_allclose(binomial_tail(hits, trials, np.array([0.5, 0.0, 1.0, 0.5])), [1, 0, 1, 0.125])


def test_hypergeometric_tail_is_scipys(rng: np.random.Generator) -> None:
    drawn, marked = rng.integers(0, 60, 500), rng.integers(0, 24, 500)
    hits = rng.integers(0, 14, 500)
    np.testing.assert_allclose(
        hypergeometric_tail(hits, drawn, marked, 288), stats.hypergeom.sf(hits - 1, 288, marked, drawn), atol=1e-12
    )


@pytest.mark.parametrize("overdispersion", [1.2, 3.0, 20.0])
def test_negative_binomial_tail_is_scipys(rng: np.random.Generator, overdispersion: float) -> None:
    mean = rng.uniform(0.05, 60, 2000)
    hits = rng.integers(0, 150, 2000)
    size = mean**2 / (mean * overdispersion - mean)
    expected = stats.nbinom.sf(hits - 1, size, size / (size + mean))
    np.testing.assert_allclose(
        negative_binomial_tail(hits, mean, mean * overdispersion), expected, rtol=1e-8, atol=1e-280
    )


def test_negative_binomial_tail_is_poissons_where_the_count_is_not_overdispersed() -> None:
    hits, mean = np.arange(30), np.full(30, 7.5)
    np.testing.assert_allclose(negative_binomial_tail(hits, mean, mean / 2), stats.poisson.sf(hits - 1, 7.5), rtol=1e-9)


def test_poisson_tail_is_scipys(rng: np.random.Generator) -> None:
    hits, mean = rng.integers(0, 120, 3000), rng.uniform(0.01, 90, 3000)
    np.testing.assert_allclose(poisson_tail(hits, mean), stats.poisson.sf(hits - 1, mean), rtol=1e-8, atol=1e-14)


def test_student_tail_is_scipys(rng: np.random.Generator) -> None:
    deviation, freedom = rng.normal(0, 5, 2000), rng.integers(1, 60, 2000).astype(np.float64)
    np.testing.assert_allclose(student_tail(deviation, freedom), stats.t.sf(deviation, freedom), rtol=1e-9, atol=1e-300)


@given(st.floats(0, 500), st.floats(0, 500), st.floats(0.001, 0.999))
def test_a_tail_is_a_probability_that_falls_with_the_hits(one: float, other: float, chance: float) -> None:
    few, many = sorted((one, other))
    trials = np.full(2, many)
    high, low = binomial_tail(np.array([few, many]), trials, np.full(2, chance))
    assert 0 <= low <= high * (1 + 1e-9) <= 1 + 1e-9


def test_the_bound_of_a_binomial_tail_is_never_above_it_and_near_it_far_out() -> None:
    rng = np.random.default_rng(1)
    trials = rng.integers(1, 300, 2000)
    hits = np.minimum((trials * rng.random(2000)).astype(np.int64), trials)
    chance = rng.uniform(0.001, 0.6, 2000)
    bound, tail = np.exp(BinomialBound(300).log(hits, trials, chance)), stats.binom.sf(hits - 1, trials, chance)
    above = (hits > trials * chance) & (tail > 1e-290)  # scipy returns 0 below
    assert np.all(bound[above] <= tail[above] * (1 + 1e-6))
    far = above & (tail < 1e-6)
    assert np.all(bound[far] > tail[far] / 3)


@pytest.mark.parametrize("chance", [0.01, 0.2, 0.5])
def test_the_fewest_hits_are_those_at_which_the_bound_falls_to_the_value(chance: float) -> None:
    bound, max_log = BinomialBound(200), float(np.log(1e-4))
    fewest = bound.fewest_hits(200, chance, max_log)
    trials = np.arange(201)
    reachable = fewest <= trials
    assert np.all(bound.log(fewest[reachable], trials[reachable], chance) <= max_log)
    assert np.all(bound.log(np.maximum(fewest - 1, 0), trials, chance) > max_log)
    assert reachable.any()
