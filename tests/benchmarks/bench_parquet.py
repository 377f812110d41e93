"""One home's day out of files of many homes, and one home's 90 days out of exported rows of many homes.

    python -m tests.benchmarks.bench_parquet

Processor time, medians, in turns. A home has 30 entities and 1,000 events a day. Exits with 1 if a home costs more than
1.5 times as much among 10,000 homes as among 100, or its 90 days more than twice as much as in a folder of its own.
"""

from __future__ import annotations

import datetime as dt
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.activity.entities import EntityRules
from jobs.activity.window import DAY as DAY_LENGTH
from jobs.activity.window import DayWindow, to_instant
from jobs.sources.parquet_events import EventFiles
from jobs.sources.parquet_files import ParquetFiles
from storage.backends.memory import MemoryStore
from storage.backends.parquet import ALL_DAYS, ParquetStore
from storage.backends.parquet_layout import file_name
from storage.dates import DateRange
from storage.models import AGGREGATES, TimeBasedDaily
from storage.parquet_export import export_rows
from tests.support.homes.home import LivedHome
from tests.support.homes.lives import LIVES
from tests.support.homes.planting import EVERYTHING

DAYS: Final = DateRange(dt.date(2026, 3, 1), dt.date(2026, 3, 3))
DAY: Final = dt.date(2026, 3, 2)
EVENTS: Final = 1_000
ENTITIES: Final = 30
HOMES_IN_SHARD: Final = 1_000
MAX_GROWTH: Final = 1.5
MAX_RATIO: Final = 2.0


def write_events(folder: Path, homes: int, rng: np.random.Generator) -> None:
    """Write three days of events, sorted by home, in row groups of 50,000 rows."""
    entities = [f"light.number_{code}" for code in range(ENTITIES)]
    for day in DAYS:
        midnight = to_instant(dt.datetime.combine(day, dt.time(), dt.UTC))
        for first in range(0, homes, HOMES_IN_SHARD):
            names = [f"house {number:05}" for number in range(first, min(first + HOMES_IN_SHARD, homes))]
            rows = len(names) * EVENTS
            times = np.sort(rng.integers(midnight, midnight + DAY_LENGTH, (len(names), EVENTS)), axis=1).ravel()
            table = pa.table(
                {
                    "home_id": pc.take(pa.array(names), pa.array(np.repeat(np.arange(len(names)), EVENTS))),
                    "entity_id": pc.take(pa.array(entities), pa.array(rng.integers(0, ENTITIES, rows))),
                    "time": pa.array(times, pa.timestamp("us", tz="UTC")),
                    "state": pc.take(pa.array(["on", "off"]), pa.array(rng.integers(0, 2, rows))),
                }
            )
            file = folder / f"day={day}" / f"shard={first // HOMES_IN_SHARD:03}" / "part.parquet"
            file.parent.mkdir(parents=True)
            pq.write_table(table, file, row_group_size=50_000, compression="zstd")


def processor_ms(call: Callable[[], object]) -> float:
    """Return how many milliseconds of processor time a call takes."""
    began = time.process_time()
    call()
    return 1000 * (time.process_time() - began)


def cost_of_a_home(folder: Path, homes: int) -> tuple[float, float]:
    """Return milliseconds a home for 100 homes that follow each other, and for a bare read of the same rows."""
    files = EventFiles(str(folder))
    first = homes // 2 - 50
    names = [f"house {number:05}" for number in range(first, first + 100)]
    window = DayWindow(DAY, ZoneInfo("UTC"))

    def read() -> None:
        for name in names:
            log = ParquetFiles(files, name, window.zone, EntityRules(), lookback_days=1).read(window)
            assert log.samples == EVENTS

    def bare() -> None:
        for name in names[:10]:
            pq.read_table(folder, filters=[("home_id", "==", name), ("day", "in", [str(day) for day in DAYS])])

    return processor_ms(read) / len(names), processor_ms(bare) / 10


def quarter(home: str) -> MemoryStore:
    """Return a home of 100 entities in which people live for 90 days."""
    lived = LivedHome(LIVES["teenagers"], seed=9000, entities=100, plan=EVERYTHING)
    rows = [row.model_copy(update={"home": home}) for some in lived.rows_by_day.values() for row in some]
    return MemoryStore(rows, home=home)


def crowd(folder: Path, home: str, count: int) -> None:
    """Add other homes of the same shard, with the same rows, to every file."""
    others = [name for number in range(100 * count) if file_name(name := f"other {number}") == file_name(home)]
    for file in folder.rglob("*.parquet"):
        table = pq.read_table(file, partitioning=None)
        place = table.column_names.index("home")
        with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
            for name in sorted([home, *others[: count - 1]]):
                writer.write_table(table.set_column(place, table.schema.field("home"), [[name] * table.num_rows]))


def main() -> int:
    rng = np.random.default_rng(1)
    missed = False
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        sizes = (100, 10_000)
        for homes in sizes:
            write_events(root / str(homes), homes, rng)
        found = {homes: [cost_of_a_home(root / str(homes), homes) for _ in range(5)] for homes in sizes}
        costs = {homes: [statistics.median(one) for one in zip(*found[homes], strict=True)] for homes in sizes}
        for homes, (ours, bare) in costs.items():
            print(f"a day of one home among {homes:,}: {ours:.1f} ms a home (a bare filtered read: {bare:.1f} ms)")
        growth = costs[sizes[1]][0] / costs[sizes[0]][0]
        print(f"ratio {growth:.2f}, at most {MAX_GROWTH}")
        missed |= growth > MAX_GROWTH

        home = "house 7"
        store = quarter(home)
        days = DateRange(*(end(row.date for row in store.read(TimeBasedDaily, ALL_DAYS)) for end in (min, max)))
        rows = sum(len(store.read(model, ALL_DAYS)) for model in AGGREGATES)
        took = processor_ms(lambda: export_rows(store, root / "own", AGGREGATES, days, [home]))
        size = sum(file.stat().st_size for file in (root / "own").rglob("*.parquet"))
        print(f"export of {rows:,} rows: {1000 * rows / took:,.0f} rows/s, {size / rows:.1f} bytes a row")
        export_rows(store, root / "crowded", AGGREGATES, days, [home])
        crowd(root / "crowded", home, 156)  # a shard of 10,000 homes
        own, crowded = (ParquetStore(str(root / name), home=home) for name in ("own", "crowded"))
        assert own.read(TimeBasedDaily, days) == crowded.read(TimeBasedDaily, days)
        times = [
            [processor_ms(lambda: one.read(TimeBasedDaily, days)) for one in (own, crowded)]  # noqa: B023 - called here
            for _ in range(7)
        ]
        alone, among = (statistics.median(one) for one in zip(*times, strict=True))
        print(
            f"90 days of one home, 9,000 rows: {alone:.0f} ms alone, {among:.0f} ms among 10,000 ({among / alone:.2f}x)"
        )
        missed |= among > MAX_RATIO * alone
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
