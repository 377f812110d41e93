"""How many planted pairs are found over four weeks, and how many of those found were planted."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.rollups.habit_weekly import HabitWeekly
from storage.rollup_models import HabitWeekly as Row
from tests.support.habit_homes import DAYS, noise, plant, stored
from tests.support.weeks_of_rows import last_day

ENTITIES: Final = 40
PAIRS: Final = 8
BOUTS_A_DAY: Final = 6.0  # of each entity, beside those of its pair


class Shares(NamedTuple):
    """The share of the planted pairs that was found, and the share of those found that was planted."""

    recall: float
    precision: float


def recall_and_precision(seed: int, homes: int, lags: tuple[float, float] = (5.0, 290.0)) -> Shares:
    """Return what ``habit_weekly`` finds of eight pairs in each home, twice a day, with a lag in a range of seconds."""
    rng = np.random.default_rng(seed)
    planted, right, reported = 0, 0, 0
    for _ in range(homes):
        times, truth = noise(rng, ENTITIES, BOUTS_A_DAY), set()
        for pair in range(PAIRS):
            first, second = f"light.n{2 * pair:02}", f"light.n{2 * pair + 1:02}"
            plant(times, rng, first, second, lag=float(rng.uniform(*lags)))
            truth.add(f"{first}|{second}")
        rows = HabitWeekly().judge(last_day(DAYS), stored(times)).rows
        habits = {row.habit for row in rows if isinstance(row, Row)}
        planted, right, reported = planted + len(truth), right + len(habits & truth), reported + len(habits)
    return Shares(right / planted, right / max(reported, 1))


def habits_by_chance(seed: int, homes: int, *, clumped: bool) -> int:
    """Return how many habits are reported in homes of noise."""
    rng = np.random.default_rng(seed)
    stores = (stored(noise(rng, ENTITIES, BOUTS_A_DAY, clumped=clumped)) for _ in range(homes))
    return sum(len(HabitWeekly().judge(last_day(DAYS), store).rows) for store in stores)
