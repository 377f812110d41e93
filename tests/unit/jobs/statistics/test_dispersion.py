import numpy as np
import pytest
from scipy import stats

from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats
from jobs.statistics.dispersion import SIZES

DAYS = 28


def counts(rng: np.random.Generator, means: Floats, size: float, days: int = DAYS) -> Floats:
    """Negative binomial counts of some entities, shape (days, entities)."""
    drawn: Floats = rng.poisson(means * rng.gamma(size, 1 / size, (days, len(means)))).astype(np.float64)
    return drawn


def usual_size(weights: Floats) -> Floats:
    """By the mean of 1 / size."""
    usual: Floats = 1 / (weights / SIZES[:, None]).sum(axis=0)
    return usual


def test_the_likelihood_of_a_size_is_the_dirichlet_multinomials() -> None:
    two = np.array([[3, 9], [0, 7], [5, 8], [2, 8]], np.float64)
    weights = dispersion.size_weights(two, [np.ones(two.shape, np.bool_)])
    logarithms = [
        [stats.dirichlet_multinomial.logpmf(column, [size] * 4, column.sum()) for size in SIZES]
        for column in two.T.astype(int)
    ]
    expected = np.array(logarithms[0]) - np.array(logarithms[1])  # what is common cancels out
    found = np.log(weights[:, 0]) - np.log(weights[:, 1])
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-9)


def test_how_much_an_entity_varies_is_learnt_from_the_others_too() -> None:
    rng = np.random.default_rng(5)
    calm, wild = counts(rng, np.full(40, 8.0), 400), counts(rng, np.full(1, 8.0), 400)
    alone = dispersion.size_weights(wild, [np.ones(wild.shape, np.bool_)])
    together = dispersion.size_weights(np.hstack((calm, wild)), [np.ones((DAYS, 41), np.bool_)])
    assert usual_size(together)[-1] > 2 * usual_size(alone)[0]


def test_a_wild_entity_among_calm_ones_stays_wild() -> None:
    rng = np.random.default_rng(6)
    both = np.hstack((counts(rng, np.full(40, 8.0), 400), counts(rng, np.full(1, 8.0), 1)))
    assert usual_size(dispersion.size_weights(both, [np.ones(both.shape, np.bool_)]))[-1] < 3


def test_an_upper_tail_is_the_negative_binomials() -> None:
    weights = np.eye(len(SIZES))[:, [4]]
    mean = np.array([6.0])
    variance = (mean + mean**2 / SIZES[4]) * 1.1
    size = mean**2 / (variance - mean)
    expected = stats.nbinom.sf(14, size, size / (size + mean))
    assert dispersion.upper_tail(np.array([15.0]), mean, np.array([10.0]), weights) == pytest.approx(expected)
    assert dispersion.variance(mean, weights) * 1.1 == pytest.approx(variance)
    assert dispersion.zero_chance(mean, weights) == pytest.approx(stats.nbinom.pmf(0, 4, 4 / (4 + 6)))


def test_silence_is_that_all_bouts_fell_on_the_other_days() -> None:
    found = np.exp(dispersion.log_silence_chance(np.array([40.0]), np.array([8.0]), np.array([2.0]))[:, 0])
    assert found == pytest.approx(stats.betabinom.pmf(0, 40, 2 * SIZES, 8 * SIZES))
    assert np.exp(dispersion.log_silence_chance(np.array([0.0]), np.array([8.0]), np.array([2.0]))) == pytest.approx(1)


@pytest.mark.parametrize(("factor", "low", "high"), [(2.0, 1.7, 2.05), (1.0, 0.99, 1.07), (0.5, 0.99, 1.01)])
def test_a_busy_day_shows_in_the_other_entities(factor: float, low: float, high: float) -> None:
    rng = np.random.default_rng(7)
    mean = np.full((DAYS + 1, 50), 10.0)
    moods = np.append(rng.lognormal(0, 0.3, DAYS), factor)
    drawn = rng.poisson(mean * moods[:, None]).astype(np.float64)
    busy = dispersion.busyness(drawn, mean, mean, np.ones(mean.shape, np.bool_))
    assert np.all((busy > low) & (busy < high))


def test_a_single_jump_does_not_make_a_day_busy_where_days_are_alike() -> None:
    rng = np.random.default_rng(8)
    mean = np.full((DAYS + 1, 20), 10.0)
    drawn = rng.poisson(mean).astype(np.float64)
    drawn[-1, 3] = 90
    assert dispersion.busyness(drawn, mean, mean, np.ones(mean.shape, np.bool_)) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("entities", "low", "high"), [(20, 2.4, 3.2), (8, 2.2, 3.5), (7, 0.99, 1.6)])
def test_a_day_unlike_all_days_before_it_is_as_busy_as_most_of_its_entities_if_there_are_enough(
    entities: int, low: float, high: float
) -> None:
    rng = np.random.default_rng(9)
    mean = np.full((DAYS + 1, entities), 10.0)
    drawn = rng.poisson(mean).astype(np.float64)
    drawn[-1] = rng.poisson(28, entities)
    busy = dispersion.busyness(drawn, mean, mean, np.ones(mean.shape, np.bool_))
    assert np.all((busy > low) & (busy < high))


def test_a_single_entity_does_not_show_how_busy_a_day_is() -> None:
    mean = np.full((DAYS + 1, 1), 10.0)
    assert dispersion.busyness(mean * 3, mean, mean, np.ones(mean.shape, np.bool_)) == pytest.approx(1)
    nobody = np.empty((DAYS + 1, 0))
    assert not len(dispersion.busyness(nobody, nobody, nobody, nobody > 0))
    assert dispersion.size_weights(nobody, [nobody > 0]).shape == (len(SIZES), 0)


def test_outliers_are_not_part_of_the_baseline() -> None:
    values = np.array([[8.0], [9.0], [7.0], [8.0], [40.0], [90.0]])
    counted = np.array([[True]] * 5 + [[False]])
    assert dispersion.without_outliers(values, counted)[:, 0].tolist() == [True, True, True, True, False, False]


@pytest.mark.parametrize(("odd", "kept"), [(1, False), (3, False), (4, True), (8, True)])
def test_outliers_are_kept_if_there_are_many(odd: int, *, kept: bool) -> None:
    values = np.array([[1.0]] * (20 - odd) + [[15.0]] * odd)
    assert dispersion.without_outliers(values, np.ones((20, 1), np.bool_)).all() == kept


def test_without_a_baseline_nothing_is_kept() -> None:
    assert not dispersion.without_outliers(np.ones((3, 2)), np.zeros((3, 2), np.bool_)).any()
