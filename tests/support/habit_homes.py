"""Four weeks of bouts of a home: noise, and pairs that act one after the other twice a day."""

from __future__ import annotations

from typing import Final

import numpy as np

from storage.backends.memory import MemoryStore
from storage.dates import ONE_DAY
from storage.models import DailyAggregate
from storage.rollup_models import BoutTimesDaily
from tests.support.weeks_of_rows import FIRST, run_of

DAYS: Final = 28

Times = dict[str, list[list[int]]]
"""Starts of bouts by entity and day."""


def noise(rng: np.random.Generator, entities: int, a_day: float, *, clumped: bool = False) -> Times:
    """Return independent entities: active at any waking hour, or all of them in two quarters of an hour a day."""
    found: Times = {}
    for code in range(entities):
        found[f"light.n{code:02}"] = [
            sorted(
                (
                    rng.choice([7 * 3600, 20 * 3600], count) + rng.integers(0, 900, count)
                    if clumped
                    else rng.integers(7 * 3600, 23 * 3600, count)
                ).tolist()
            )
            for count in rng.poisson(a_day, DAYS)
        ]
    return found


def plant(times: Times, rng: np.random.Generator, first: str, second: str, lag: float) -> None:
    for day in range(DAYS):
        at = rng.integers(7 * 3600, 22 * 3600, 2)
        later = at + np.clip(lag + rng.normal(0, 15, 2), 2, 300).astype(np.int64)
        times[first][day] = sorted([*times[first][day], *at.tolist()])
        times[second][day] = sorted([*times[second][day], *later.tolist()])


def stored(
    times: Times, more: list[DailyAggregate] | None = None, devices: dict[str, str] | None = None
) -> MemoryStore:
    days = max(map(len, times.values()))
    rows: list[DailyAggregate] = [run_of(FIRST + day * ONE_DAY, "bout_times") for day in range(days)]
    rows += [
        BoutTimesDaily(date=FIRST + day * ONE_DAY, entity_id=name, starts=starts, device_id=(devices or {}).get(name))
        for name, by_day in times.items()
        for day, starts in enumerate(by_day)
        if starts
    ]
    return MemoryStore([*rows, *(more or [])])
