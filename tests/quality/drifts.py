"""How many changes of level are found, and how many are reported that are none, on homes made for it.

The entities of a home differ in level, spread and weekends. ``oracle`` finds what nobody could beat: it knows the level
and the spread of the changed entity, and on which day the change was; it only has to be as rarely wrong.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

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


class Recall(NamedTuple):
    """The share of changes that were found within two weeks, by the rollup and by the oracle."""

    found: float
    oracle: float


def home(rng: np.random.Generator, entities: int, days: int) -> Floats:
    """Return daily bouts of a home in which nothing changes, shape (days, entities); the last day is a Sunday."""
    mean, size = np.exp(rng.normal(np.log(4), 1, entities)), rng.choice(SIZES, entities)
    weekend = np.where(_weekend(days)[:, None], rng.choice([1.0, 1.5], entities), 1.0)
    return rng.poisson(mean * weekend * rng.gamma(size, 1 / size, (days, entities))).astype(np.float64)


def scores(counts: Floats) -> Floats:
    """Return the score of each entity in the week that ends with the last day."""
    days = len(counts)
    everywhere = np.ones(counts.shape, np.bool_)
    return find_shifts(counts, everywhere, _weekend(days), np.arange(days)[::-1]).score


def false_drifts(seed: int, quarters: int, entities: int = ENTITIES) -> list[int]:
    """Return how many drifts are reported in each of some home-quarters without any change."""
    rng, limit, found = np.random.default_rng(seed), threshold(RATE, entities), []
    for _ in range(quarters):
        counts = home(rng, entities, DAYS + 7 * (WEEKS_A_QUARTER - 1))
        weeks = (scores(counts[7 * week : DAYS + 7 * week]) for week in range(WEEKS_A_QUARTER))
        found.append(sum(int((of_week >= limit).sum()) for of_week in weeks))
    return found


def recall(
    seed: int, homes: int, factor: float, *, level: float = 8.0, size: float = math.inf, entities: int = ENTITIES
) -> Recall:
    """Return how many changes of one entity are found at one of the two Sundays after it.

    Args:
        seed: The seed.
        homes: How many homes.
        factor: The new level in shares of the old one. It begins on a day of the first week, at random.
        level: The old level, in bouts a day.
        size: How far days vary beyond chance: not at all if infinite.
        entities: How many entities a home has.
    """
    rng, limit, found, by_oracle = np.random.default_rng(seed), threshold(RATE, entities), 0, 0
    for _ in range(homes):
        counts, since = home(rng, entities, DAYS + 7), int(rng.integers(8, MAX_DAYS_AFTER + 1))
        mean = np.where(np.arange(DAYS + 7) >= DAYS + 7 - since, level * factor, level)
        counts[:, 0] = rng.poisson(mean if math.isinf(size) else mean * rng.gamma(size, 1 / size, len(mean)))
        sundays = [counts[:DAYS], counts[7:]]
        found += any(scores(until)[0] >= limit for until in sundays)
        by_oracle += any(
            _is_known_to_differ(float(until[-days:, 0].sum()), days, level, size, RATE / entities)
            for until, days in zip(sundays, (since - 7, since), strict=True)
        )
    return Recall(found / homes, by_oracle / homes)


def _is_known_to_differ(total: float, days: int, level: float, size: float, rate: float) -> bool:
    """Return whether a sum of days is less likely than a rate, on either side, where the level has not changed."""
    mean = level * days
    chance = stats.poisson(mean) if math.isinf(size) else stats.nbinom(size * days, size * days / (size * days + mean))
    return bool(min(chance.sf(total - 1), chance.cdf(total)) <= rate / 2)


def _weekend(days: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (np.arange(days)[::-1] % 7) < 2
