"""How fast rollups are, by days and by entities: ``python -m tests.benchmarks.bench_rollups``, processor time.

A month of rollups is all that is due in March 2026: five Sundays and the 31st, 17 rollups. They read an SQLite store in
which each entity has twelve bouts a day, as they do in a night: with nothing staged and nobody renamed.
"""

from __future__ import annotations

import datetime as dt
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from jobs.detector import Rollup
from jobs.registry import load
from storage.backends.sql import SqlStore
from storage.batch import DayBatch, DetectorDay
from storage.dates import DateRange
from storage.models import DailyAggregate, RoomBasedDaily, SequenceDaily
from storage.overlay import OverlaidReader
from storage.periods import has_rows_on
from storage.renamed import RenamedReader
from storage.rollup_models import BoutTimesDaily
from tests.support.weeks_of_rows import run_of, usage_row

MONTH: Final = DateRange.parse("2026-03-01", "2026-03-31")
BY_DAYS: Final = ((30, 100), (60, 100), (90, 100))
BY_ENTITIES: Final = ((90, 50), (90, 200))
BOUTS: Final = 12
AREA_SIZE: Final = 10
CHAINS: Final = 20
RUNS: Final = 3
ROLLUPS: Final = [one.detector for one in load() if isinstance(one.detector, Rollup)]


def day_of(rng: np.random.Generator, day: dt.date, entities: int) -> DayBatch:
    """A day on which each entity has about twelve bouts between six and midnight, with areas and chains."""
    rows: dict[str, list[DailyAggregate]] = {"time_based": [], "bout_times": [], "room_based": [], "sequence": []}
    used: dict[int, dict[str, int]] = {}
    for code in range(entities):
        name = f"light.l{code:04}"
        starts = np.sort(rng.integers(6 * 3600, 24 * 3600, rng.poisson(BOUTS)))
        if not len(starts):
            continue
        hours = np.bincount(starts // 3600, minlength=24) * 2
        rows["time_based"].append(usage_row(day, name, hours.tolist(), len(starts)))
        rows["bout_times"].append(BoutTimesDaily(date=day, entity_id=name, starts=starts.tolist()))
        used.setdefault(code // AREA_SIZE, {})[name] = 2 * len(starts)
    rows["room_based"] += [
        RoomBasedDaily(
            date=day,
            area_id=f"area_{area}",
            activity_level=0.5,
            device_usage=of_area,
            transition_patterns=[],
            peak_activity_hours=[],
        )
        for area, of_area in used.items()
    ]
    rows["sequence"] += [
        SequenceDaily(
            date=day,
            sequence_id=f"{chain:016x}",
            sequence=[f"light.l{chain:04}:on", f"light.l{chain + 1:04}:on"],
            frequency=3,
            avg_duration_seconds=20.0,
            confidence=0.5,
        )
        for chain in range(CHAINS)
    ]
    return DayBatch(
        day,
        tuple(
            DetectorDay(run_of(day, name).model_copy(update={"rows": len(of_name)}), type(of_name[0]), tuple(of_name))
            for name, of_name in rows.items()
        ),
    )


def fill(store: SqlStore, days: int, entities: int) -> None:
    """Write the days that end with the month."""
    rng = np.random.default_rng([days, entities])
    for day in DateRange.ending(MONTH.last, days):
        store.replace_day(day_of(rng, day, entities))


def month_of_rollups(store: SqlStore) -> dict[str, tuple[float, list[DailyAggregate]]]:
    """Compute every rollup that is due in the month; returns processor seconds and rows by rollup."""
    found: dict[str, tuple[float, list[DailyAggregate]]] = {}
    for day in MONTH:
        for one in ROLLUPS:
            if has_rows_on(one.name, day):
                began = time.process_time()
                rows = one.judge(day, RenamedReader(OverlaidReader(store, ()), {})).rows
                took, before = found.get(one.name, (0.0, []))
                found[one.name] = took + time.process_time() - began, [*before, *rows]
    return found


def figures(days: int, entities: int) -> Iterator[str]:
    """Measure one size; yields the median seconds of each rollup, and of all."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        closing(SqlStore(f"sqlite:///{Path(folder) / 'rows.db'}")) as store,
    ):
        fill(store, days, entities)
        month_of_rollups(store)  # warms up
        runs = [month_of_rollups(store) for _ in range(RUNS)]
    for name in sorted(runs[0]):
        yield f"{statistics.median(run[name][0] for run in runs):15.2f}"
    yield f"{statistics.median(sum(took for took, _ in run.values()) for run in runs):15.2f}"


def main() -> int:
    """Print the figures."""
    names = [*sorted(one.name for one in ROLLUPS), "all 17"]
    for title, sizes in (("Growth with days", BY_DAYS), ("Growth with entities", BY_ENTITIES)):
        sys.stdout.write(f"\n{title}: all rollups of a month, in s\n{'days':>5} {'entities':>8} ")
        sys.stdout.write(f"{' '.join(f'{name:>15}' for name in names)}\n")
        for days, entities in sizes:
            sys.stdout.write(f"{days:5} {entities:8} {' '.join(figures(days, entities))}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
