"""A store in PostgreSQL with the rows of many homes, beside a store of one of them alone, in one run.

    python -m tests.benchmarks.bench_postgresql [--homes 10000] [--entities 5]

Starts a server of its own. It writes days as the job does, fills 90 days of many homes (within the server, night by
night), and reads one home's 90 days from both stores in turns. Exits with 1 if one home among many takes more than
twice as long as alone.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Final

import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.backends.sql_partitions import make_partition
from storage.backends.sql_tables import table_of
from storage.batch import DayBatch
from storage.columns import HOME
from storage.dates import DateRange
from storage.models import DurationDaily, TimeBasedDaily
from tests.support.postgresql import new_database, running
from tests.support.rows import batch, duration, finding, time_based

DAYS: Final = DateRange(dt.date(2026, 1, 1), dt.date(2026, 3, 31))
MAX_RATIO: Final = 2.0
TURNS: Final = 101
HOME_DAYS: Final = 200
TABLE: Final = TimeBasedDaily.measurement


def home_day(home: str, day: dt.date, entities: int) -> DayBatch:
    """Return a day with so many entities, a row of ``time_based`` and one of ``duration`` each."""
    names = [f"light.room_{number}" for number in range(entities)]
    return batch(
        finding(TimeBasedDaily, [time_based(name, day, home=home) for name in names], day, home=home),
        finding(DurationDaily, [duration(name, day, home=home) for name in names], day, home=home),
    )


def write(store: SqlStore, days: Sequence[DayBatch], homes: Sequence[str]) -> tuple[float, float]:
    """Write days of homes. Return the seconds by the clock, and those of this process."""
    began, busy = time.perf_counter(), time.process_time()
    for one, home in zip(days, homes, strict=True):
        store.for_home(home).replace_day(one)
    return time.perf_counter() - began, time.process_time() - busy


def measure_writing(store: SqlStore) -> None:
    """Print what it costs to write home-days, and to write them again."""
    homes = [f"written_{number}" for number in range(HOME_DAYS)]
    for entities in (15, 150):
        days = [home_day(home, DAYS.first, entities) for home in homes]
        rows = 2 * entities * HOME_DAYS
        for what in ("first", "again"):
            clock, busy = write(store, days, homes)
            print(
                f"{what} {HOME_DAYS} home-days of {2 * entities} rows: {rows / clock:,.0f} rows/s, "
                f"{1e6 * busy / rows:.0f} us of this process a row, {1e3 * busy / HOME_DAYS:.1f} ms a home-day"
            )


def fill(engine: sa.Engine, homes: int) -> None:
    """Give so many homes the rows that the home without a name has, night by night, as they would have come."""
    names = ", ".join(name for name in table_of(TimeBasedDaily).columns.keys() if name != HOME)  # noqa: SIM118 - not a mapping
    copy = sa.text(
        f"INSERT INTO {TABLE} (home, {names}) SELECT 'home_' || lpad(number::text, 7, '0'), {names} "  # noqa: S608 - names of columns
        f"FROM generate_series(1, :homes) AS number, {TABLE} WHERE home = '' AND date = :day ORDER BY number"
    )
    began = time.perf_counter()
    with engine.begin() as connection:
        for day in DAYS:
            make_partition(connection, TABLE, day)
    for day in DAYS:
        with engine.begin() as connection:
            connection.execute(copy, {"homes": homes, "day": day.isoformat()})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM ANALYZE {TABLE}")
    print(f"filled by the server in {time.perf_counter() - began:.0f} s")


def print_sizes(engine: sa.Engine) -> None:
    """Print the bytes a row of table and indexes."""
    query = """
        SELECT sum(pg_relation_size(part.oid)), sum(pg_indexes_size(part.oid)), sum(part.reltuples)
        FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid WHERE inhparent = CAST(:table AS regclass)
    """
    with engine.connect() as connection:
        heap, indexes, rows = map(float, connection.execute(sa.text(query), {"table": TABLE}).one())
    print(
        f"{rows:,.0f} rows, {(heap + indexes) / 1e9:.2f} GB: {heap / rows:.0f} B a row, indexes {indexes / rows:.0f} B"
    )


def medians(calls: Sequence[Callable[[], object]]) -> list[float]:
    """Return the median milliseconds of each call, called in turns."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(TURNS):
        for place, call in enumerate(calls):
            began = time.perf_counter()
            call()
            seconds[place].append(time.perf_counter() - began)
    return [1e3 * statistics.median(one) for one in seconds]


def measure_reading(many: SqlStore, alone: SqlStore) -> float:
    """Print what one home's questions take in both stores. Return the worst ratio."""
    worst = 0.0
    one = {"entity_id": "light.room_1"}
    questions: dict[str, Callable[[SqlStore], object]] = {
        "90 days, typed": lambda store: store.read(TimeBasedDaily, DAYS),
        "90 days of one entity": lambda store: store.read(TimeBasedDaily, DAYS, one),
        "sums of 90 days": lambda store: store.summarize(TimeBasedDaily, DAYS, {"occurrences": "sum"}, ["entity_id"]),
        "7 days, typed": lambda store: store.read(TimeBasedDaily, DateRange.ending(DAYS.last, 7)),
    }
    for what, ask in questions.items():
        among, by_itself = medians([partial(ask, store) for store in (many, alone)])
        worst = max(worst, among / by_itself)
        print(f"{what}: {among:.1f} ms among many, {by_itself:.1f} ms alone, {among / by_itself:.2f} times")
    return worst


def measure_retention(store: SqlStore) -> None:
    """Print what it takes to drop the oldest month, and to delete one day of the next."""
    for what, before in (("drop January", dt.date(2026, 2, 1)), ("delete 1 February", dt.date(2026, 2, 2))):
        began = time.perf_counter()
        changes = store.expire_all(before)
        print(f"{what}: {time.perf_counter() - began:.2f} s: {'; '.join(changes)}")


def main() -> int:
    """Print the figures. Return 1 if one home among many takes more than twice as long as alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_postgresql", description=__doc__)
    parser.add_argument("--homes", type=int, default=10_000)
    parser.add_argument("--entities", type=int, default=5, help="rows a day of each home")
    chosen = parser.parse_args()
    with running() as cluster:
        urls = [new_database(cluster.url) for _ in range(2)]
        many, alone = (SqlStore(url.render_as_string(), timeout_seconds=600.0) for url in urls)
        engine = sa.create_engine(urls[0])
        with closing(many), closing(alone):
            measure_writing(many)
            for store in (many, alone):
                for day in DAYS:
                    rows = [time_based(f"light.room_{number}", day) for number in range(chosen.entities)]
                    store.replace_day(batch(finding(TimeBasedDaily, rows, day)))
            fill(engine, chosen.homes)
            print_sizes(engine)
            worst = measure_reading(many.for_home(f"home_{chosen.homes // 2:07}"), alone)
            measure_retention(many)
        engine.dispose()
    if worst > MAX_RATIO:
        print(f"one home among many takes {worst:.2f} times as long as alone, at most {MAX_RATIO:g} is asked for")
    return int(worst > MAX_RATIO)


if __name__ == "__main__":
    sys.exit(main())
