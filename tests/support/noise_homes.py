"""Homes in which every entity acts independently, so whatever a detector finds is false.

There are five kinds: ``uniform`` (changes at any time), ``on_off`` (switched on at any time, off a few minutes later),
``bursty`` (bursts of quick changes), ``morning`` (all active from 6 to 9 only) and ``quarters`` (all in two
quarter-hours).
"""

from __future__ import annotations

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.building import Recording
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DEVICE, DayLog, Samples
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow

KINDS: Final = ("uniform", "on_off", "bursty", "morning", "quarters")
DAY: Final = dt.date(2026, 3, 2)
UTC: Final = ZoneInfo("UTC")

Instants = NDArray[np.int64]


def noise_day(kind: str, entities: int, rng: np.random.Generator, day: dt.date = DAY) -> DayLog:
    """Return one day of independent entities with 4 to 40 changes each."""
    window = DayWindow(day, UTC)
    columns = [window.start + _changes(kind, int(rng.integers(4, 41)), rng) for _ in range(entities)]
    return log_of(columns, window)


def log_of(columns: list[Instants], window: DayWindow) -> DayLog:
    """Return a day on which entity i toggles at the instants ``columns[i]``; all are off when it begins."""
    opened = [np.unique(np.concatenate(([window.start], column))) for column in columns]
    sizes = [len(column) for column in opened]
    samples = Samples(
        at=np.concatenate(opened),
        entity=np.repeat(np.arange(len(columns)), sizes).astype(np.int32),
        state=np.concatenate([np.arange(size) % 2 for size in sizes]).astype(np.int32),
        cause=np.full(sum(sizes), DEVICE, np.int8),
        entities=[
            Description(f"binary_sensor.s{index:04}", area_id=f"room{index % 7}") for index in range(len(columns))
        ],
        states=["off", "on"],
        known=np.array([[window.start, window.end]], np.int64),
    )
    return Recording.of(samples, EntityRules()).day(window)


def _changes(kind: str, count: int, rng: np.random.Generator) -> Instants:
    """Return the instants of about ``count`` changes, in microseconds after midnight."""
    if kind == "uniform":
        return rng.integers(SECOND, 24 * HOUR, count)
    if kind == "morning":
        return rng.integers(6 * HOUR, 9 * HOUR, count)
    if kind == "quarters":
        return rng.choice([7 * HOUR, 19 * HOUR], count) + rng.integers(0, 15 * MINUTE, count)
    if kind == "on_off":
        on = rng.integers(SECOND, 23 * HOUR, max(count // 2, 1))
        return np.concatenate((on, on + _exponential(3 * MINUTE, len(on), rng)))
    if kind == "bursty":
        starts = rng.integers(SECOND, 23 * HOUR, max(count // 8, 2))
        return np.concatenate(
            [start + np.cumsum(_exponential(20 * SECOND, int(rng.integers(3, 16)), rng)) for start in starts]
        )
    raise ValueError(f"{kind} is not a kind of noise; there are {', '.join(KINDS)}")


def _exponential(mean: int, count: int, rng: np.random.Generator) -> Instants:
    return np.minimum(rng.exponential(mean, count), 40 * MINUTE).astype(np.int64) + 1
