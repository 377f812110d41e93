"""The tails of lengths that a home's entities teach each other, against distributions whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import genpareto

from jobs.statistics import long_tails
from jobs.statistics.arrays import Floats
from jobs.statistics.long_tails import Tails

DAYS = 28


def maxima(rng: np.random.Generator, entities: int, uses: int, kind: str) -> Floats:
    """The logarithm of each day's longest of some uses."""
    shape = DAYS, entities, uses
    drawn = 1 + rng.pareto(1.5, shape) if kind == "pareto" else rng.lognormal(0, 0.5, shape)
    longest: Floats = np.log(drawn.max(axis=2))
    return longest


def p_of(longest: Floats, length: float, uses: int, columns: int) -> Floats:
    tails = Tails(longest, np.full(longest.shape, float(uses)), np.ones(longest.shape, np.bool_))
    column = np.arange(columns)
    return tails.chance(np.full(columns, np.log(length)), np.full(columns, float(uses)), column)


@pytest.mark.parametrize("uses", [1, 4])
def test_the_chance_of_a_pareto_length_is_about_the_true_one(uses: int) -> None:
    length = 60.0
    true = 1 - (1 - length**-1.5) ** uses
    p = p_of(maxima(np.random.default_rng(1), 200, uses, "pareto"), length, uses, 200)
    assert true / 2 < np.median(p) < 2 * true


def test_the_same_length_is_far_less_likely_where_all_tails_are_light() -> None:
    heavy = p_of(maxima(np.random.default_rng(2), 100, 3, "pareto"), 40.0, 3, 100)
    light = p_of(maxima(np.random.default_rng(2), 100, 3, "lognormal"), 40.0, 3, 100)
    assert np.median(light) < 1e-3 * np.median(heavy)


def test_an_entity_alone_is_less_certain_of_its_tail_than_one_among_many_alike() -> None:
    longest = maxima(np.random.default_rng(3), 100, 3, "lognormal")
    alone, among = p_of(longest[:, :1], 40.0, 3, 1)[0], p_of(longest, 40.0, 3, 100)[0]
    assert among < alone < 0.01


def test_p_values_of_days_judged_by_the_others_are_about_uniform_in_the_tail() -> None:
    longest = maxima(np.random.default_rng(4), 150, 2, "pareto")
    tails = Tails(longest, np.full(longest.shape, 2.0), np.ones(longest.shape, np.bool_))
    day, column = np.indices(longest.shape).reshape(2, -1)
    p = tails.chance(longest[day, column], np.full(len(day), 2.0), column, day)
    for level in (0.2, 0.05, 0.01):
        assert 0.6 * level < np.mean(p < level) < 1.5 * level


def test_the_longest_of_more_uses_is_less_surprising() -> None:
    longest = maxima(np.random.default_rng(5), 30, 3, "lognormal")
    tails = Tails(longest, np.full(longest.shape, 3.0), np.ones(longest.shape, np.bool_))
    column = np.zeros(3, np.int64)
    p = tails.chance(np.full(3, np.log(5.0)), np.array([1.0, 3.0, 30.0]), column)
    assert p[0] < p[1] < p[2]


def test_a_length_below_the_threshold_has_a_chance_of_one() -> None:
    longest = maxima(np.random.default_rng(6), 5, 3, "lognormal")
    assert np.all(p_of(longest, 0.01, 3, 5) == 1)


def test_survival_and_density_are_those_of_the_generalised_pareto_distribution() -> None:
    beyond = np.array([0.05, 0.4, 1.5])
    scale, shape = long_tails._SCALE[:, 0], long_tails._SHAPE[:, 0]  # noqa: SLF001 - the formula itself is tested
    expected = genpareto.sf(beyond, shape[:, None], scale=scale[:, None])
    assert np.allclose(long_tails._survival(beyond), expected)  # noqa: SLF001
    assert np.allclose(long_tails._density(beyond), genpareto.pdf(beyond, shape[:, None], scale=scale[:, None]))  # noqa: SLF001


def test_an_outlier_is_left_out_and_many_are_not() -> None:
    longest = np.random.default_rng(7).normal(0, 0.3, (DAYS, 10))
    longest[3, 0] = 4.0
    counted = np.ones(longest.shape, np.bool_)
    assert np.argwhere(~long_tails.without_outliers(longest, counted)).tolist() == [[3, 0]]
    longest[:6, 1] = 4.0  # more than 15 % of the days: usual
    assert long_tails.without_outliers(longest, counted)[:, 1].all()
    longest[3, :] = 4.0  # on one day in many entities: these tails are heavy
    assert long_tails.without_outliers(longest, counted).all()
