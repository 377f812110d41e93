"""How many changes of level are found, and how many are reported that are none, on homes made for it.

The entities of a home differ in level, spread and weekends. Some may be more regular than by chance: the variance of
their counts is a share of the mean (binomial counts). ``oracle`` finds what nobody could beat: it knows the level and
the spread of the changed entity, and on which day the change was; it only has to be as rarely wrong.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, Protocol

import numpy as np
from scipy import stats

from jobs.rollups._level_shift import MAX_DAYS_AFTER, find_shifts, threshold
from jobs.rollups.drift_weekly import DriftWeekly
from jobs.statistics.arrays import Floats

ENTITIES: Final = 40
DAYS: Final = DriftWeekly.history_days
WEEKS_A_QUARTER: Final = 13
RATE: Final = DriftWeekly().max_false_alarms_a_quarter / WEEKS_A_QUARTER
SIZES: Final = (2, 5, 10, 50, 400)
RATIOS: Final = (0.25, 0.5)
_YEAR_DAYS: Final = 365


class Recall(NamedTuple):
    """The share of changes that were found within two weeks, by the rollup and by the oracle."""

    found: float
    oracle: float


def home(
    rng: np.random.Generator, entities: int, days: int, *, regular_share: float = 0.0, season: float = 0.0
) -> Floats:
    """Return daily bouts of a home in which nothing changes, shape (days, entities); the last day is a Sunday.

    Args:
        rng: Where chance comes from.
        entities: How many entities the home has.
        days: How many days.
        regular_share: The share of the entities that are more regular than by chance.
        season: How far each level rises and falls in a year, in shares of it.
    """
    mean, size = np.exp(rng.normal(np.log(4), 1, entities)), rng.choice(SIZES, entities)
    weekend = np.where(_weekend(days)[:, None], rng.choice([1.0, 1.5], entities), 1.0)
    if season:
        weekend = weekend * (
            1 + season * np.sin(2 * np.pi * (np.arange(days)[:, None] / _YEAR_DAYS + rng.random(entities)))
        )
    counts = rng.poisson(mean * weekend * rng.gamma(size, 1 / size, (days, entities))).astype(np.float64)
    if regular_share:
        is_regular = rng.random(entities) < regular_share
        regular = _regular(rng, mean * weekend, rng.choice(RATIOS, entities))
        counts = np.where(is_regular, regular, counts)
    return counts


def _regular(rng: np.random.Generator, mean: Floats, ratio: Floats) -> Floats:
    """Return counts whose variance is a ratio of their mean, or nearly."""
    most = np.ceil(mean / (1 - ratio))
    return rng.binomial(most.astype(np.int64), mean / most).astype(np.float64)


def scores(counts: Floats) -> Floats:
    """Return the score of each entity in the week that ends with the last day."""
    days = len(counts)
    everywhere = np.ones(counts.shape, np.bool_)
    return find_shifts(counts, everywhere, _weekend(days), np.arange(days)[::-1]).score


def false_drifts(
    seed: int, quarters: int, entities: int = ENTITIES, *, regular_share: float = 0.0, season: float = 0.0
) -> list[int]:
    """Return how many drifts are reported in each of some home-quarters without any change."""
    rng, limit, found = np.random.default_rng(seed), threshold(RATE, entities), []
    for _ in range(quarters):
        days = DAYS + 7 * (WEEKS_A_QUARTER - 1)
        counts = home(rng, entities, days, regular_share=regular_share, season=season)
        weeks = (scores(counts[7 * week : DAYS + 7 * week]) for week in range(WEEKS_A_QUARTER))
        found.append(sum(int((of_week >= limit).sum()) for of_week in weeks))
    return found


def recall(
    seed: int,
    homes: int,
    factor: float,
    *,
    level: float = 8.0,
    size: float = math.inf,
    ratio: float = 1.0,
    entities: int = ENTITIES,
) -> Recall:
    """Return how many changes of one entity are found at one of the two Sundays after it.

    Args:
        seed: The seed.
        homes: How many homes.
        factor: The new level in shares of the old one. It begins on a day of the first week, at random.
        level: The old level, in bouts a day.
        size: How far days vary beyond chance: not at all if infinite.
        ratio: The variance in shares of the mean; below 1, the entity is more regular than by chance.
        entities: How many entities a home has.
    """
    rng, limit, found, by_oracle = np.random.default_rng(seed), threshold(RATE, entities), 0, 0
    for _ in range(homes):
        counts, since = home(rng, entities, DAYS + 7), int(rng.integers(8, MAX_DAYS_AFTER + 1))
        mean = np.where(np.arange(DAYS + 7) >= DAYS + 7 - since, level * factor, level)
        if ratio < 1:
            counts[:, 0] = _regular(rng, mean, np.full(len(mean), ratio))
        else:
            counts[:, 0] = rng.poisson(mean if math.isinf(size) else mean * rng.gamma(size, 1 / size, len(mean)))
        sundays = [counts[:DAYS], counts[7:]]
        found += any(scores(until)[0] >= limit for until in sundays)
        by_oracle += any(
            _is_known_to_differ(float(until[-days:, 0].sum()), _sum_of(days, level, size, ratio), RATE / entities)
            for until, days in zip(sundays, (since - 7, since), strict=True)
        )
    return Recall(found / homes, by_oracle / homes)


class _Sum(Protocol):
    """The distribution of the sum of some days."""

    def sf(self, total: float) -> float: ...

    def cdf(self, total: float) -> float: ...


def _sum_of(days: int, level: float, size: float, ratio: float) -> _Sum:
    """Return the distribution of a sum of days without a change."""
    mean = level * days
    if ratio < 1:
        most = np.ceil(level / (1 - ratio))
        chance: _Sum = stats.binom(most * days, level / most)
    elif math.isinf(size):
        chance = stats.poisson(mean)
    else:
        chance = stats.nbinom(size * days, size * days / (size * days + mean))
    return chance


def _is_known_to_differ(total: float, chance: _Sum, rate: float) -> bool:
    """Return whether a sum of days is less likely than a rate, on either side, where the level has not changed."""
    return bool(min(chance.sf(total - 1), chance.cdf(total)) <= rate / 2)


def _weekend(days: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (np.arange(days)[::-1] % 7) < 2
