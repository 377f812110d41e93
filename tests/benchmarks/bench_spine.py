"""How fast a night is, as ratios against baselines that are measured in the same run: ``make bench``.

Nothing here fails: a table shows each figure, what it is compared with, and the target.
"""

from __future__ import annotations

import datetime as dt
import gc
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from rich.console import Console
from rich.table import Table

from jobs import nightly
from jobs.activity.entities import EntityRules
from jobs.activity.events import AUTOMATION, DEVICE, USER, DayLog
from jobs.activity.window import SECOND, DayWindow, midnight
from jobs.detectors.duration import Duration
from jobs.detectors.time_based import TimeBased
from jobs.outcome import Outcome
from jobs.run_report import RunReport
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from jobs.wiring import Home, open_home
from storage.backends.sql import SqlStore
from storage.dates import ONE_DAY, DateRange
from storage.query import Fields, TimeBasedDaily, open_query
from tests.support import mariadb, postgresql
from tests.support.recorder import RecorderDatabase, StateRow
from tests.support.recorder_servers import copy_recorder
from tests.support.rows import batch, duration, finding, time_based

ZONE: Final = ZoneInfo("Europe/Berlin")
FIRST: Final = dt.date(2026, 3, 2)
RUNS: Final = 9
BARE: Final = "bare SELECT into tuples"
_JSON: Final = {"hourly_distribution", "peak_hours"}
ENTITIES: Final = 100


class Figure(NamedTuple):
    """One row of the table."""

    what: str
    value: str
    baseline: str
    ratio: str
    target: str
    met: bool | None  # None: there is no target


def main() -> int:
    """Measure everything and print the table."""
    figures: list[Figure] = []
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        for part in (_one_day, _servers, _whole_run, _backfill, _by_events, _by_days, _history, _query):
            began = time.perf_counter()
            found = list(part(folder))
            figures += found
            console.print(f"{part.__name__.strip('_'):<12} {time.perf_counter() - began:6.1f} s", style="dim")
    table = Table("figure", "value", "baseline", "ratio", "target", "")
    for figure in figures:
        mark = {True: "[green]met[/]", False: "[bold red]missed[/]", None: ""}[figure.met]
        table.add_row(*figure[:-1], mark)
    console.print(table)
    return 0


# --- measuring -------------------------------------------------------------------------------------------------------


def _in_turns(*works: Callable[[], object], runs: int = RUNS) -> list[float]:
    """The median seconds of some works that take turns, so that whatever else the machine does hits all of them."""
    taken: list[list[float]] = [[] for _ in works]
    for run in range(runs + 1):  # the first one warms up
        for work, times in zip(works, taken, strict=True):
            gc.collect()
            began = time.perf_counter()
            work()
            if run:
                times.append(time.perf_counter() - began)
    return [statistics.median(times) for times in taken]


def _compared(what: str, seconds: float, baseline: float, named: str, target: float | None = None) -> Figure:
    ratio = seconds / baseline
    return Figure(
        what,
        f"{seconds * 1000:.1f} ms",
        f"{named} {baseline * 1000:.1f} ms",
        f"{ratio:.2f}x",
        "" if target is None else f"<= {target:g}x",
        None if target is None else ratio <= target,
    )


def _absolute(what: str, value: float, unit: str, target: float | None = None, baseline: str = "") -> Figure:
    return Figure(
        what,
        f"{value:.3g} {unit}",
        baseline,
        "",
        "" if target is None else f"<= {target:g} {unit}",
        None if target is None else value <= target,
    )


# --- what is measured ------------------------------------------------------------------------------------------------


def _rows(days: DateRange, events_a_day: int, *, all_active: bool) -> Iterator[StateRow]:
    """Rows of 100 entities: 70 toggle, with one row in ten that changes attributes only; 30 are numeric.

    Or, where all are active, 100 that toggle, so that each row is an event.
    """
    discrete, repeats = (ENTITIES, 0.0) if all_active else (70, 0.1)
    rng = np.random.default_rng(1)
    domains = [
        *["binary_sensor.motion"] * 40,
        *["light.lamp"] * (discrete - 40),
        *["sensor.power"] * (ENTITIES - discrete),
    ]
    ids = [f"{domain}_{code}" for code, domain in enumerate(domains)]
    causes = (DEVICE, DEVICE, DEVICE, AUTOMATION, USER)
    on = [False] * ENTITIES
    since = [0] * ENTITIES
    start = midnight(days.first, ZONE)
    for code, entity_id in enumerate(ids):
        yield StateRow(start + code * SECOND // 100, entity_id, "off" if code < discrete else "0")
        since[code] = start + code * SECOND // 100
    for day in days:
        window = DayWindow(day, ZONE)
        at = np.sort(rng.integers(window.start + 2 * SECOND, window.end, events_a_day - ENTITIES * (day == days.first)))
        codes = rng.integers(0, ENTITIES, len(at))
        draws = rng.random(len(at))
        for instant, code, chance in zip(at.tolist(), codes.tolist(), draws.tolist(), strict=True):
            if code >= discrete:
                yield StateRow(instant, ids[code], f"{chance * 300:.1f}")
            elif chance < repeats:
                yield StateRow(instant, ids[code], "on" if on[code] else "off", DEVICE, since[code])
            else:
                on[code] = not on[code]
                since[code] = instant
                yield StateRow(instant, ids[code], "on" if on[code] else "off", causes[int(chance * 50) % 5])


def _database(path: Path, days: DateRange, events_a_day: int, *, all_active: bool = False) -> Path:
    if path.exists():
        return path
    with RecorderDatabase(path) as recorder:
        start = midnight(days.first, ZONE)
        recorder.run(start, midnight(days.last + ONE_DAY, ZONE))
        for code in range(40):
            recorder.describe(f"binary_sensor.motion_{code}", {"device_class": "motion", "friendly_name": "x" * 30})
        for code in range(70, ENTITIES):
            recorder.describe(f"sensor.power_{code}", {"unit_of_measurement": "W", "state_class": "measurement"})
        recorder.write(_rows(days, events_a_day, all_active=all_active))
        recorder.connection.execute("ANALYZE")
        recorder.connection.commit()
    return path


def _source(path: Path) -> HomeAssistantDatabase:
    return HomeAssistantDatabase(f"sqlite:///{path}", ZONE, EntityRules())


def _bare(path: Path, window: DayWindow) -> list[tuple[Any, ...]]:
    """The same rows, and of them what a reader needs, as Python tuples."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT metadata_id, state, last_updated_ts, CASE WHEN context_parent_id_bin IS NOT NULL THEN 2 "
            "WHEN context_user_id_bin IS NOT NULL THEN 1 ELSE 0 END FROM states "
            "WHERE last_updated_ts >= ? AND last_updated_ts < ? ORDER BY last_updated_ts, state_id",
            (window.start / SECOND, window.end / SECOND),
        ).fetchall()


def _one_day(folder: Path) -> Iterator[Figure]:
    window = DayWindow(FIRST + ONE_DAY, ZONE)
    for name, what in (("mixed", "100,000 rows, 3 in 10 numeric"), ("active", "100,000 rows, each an event")):
        path = _database(folder / f"{name}.db", DateRange(FIRST, window.day), 100_000, all_active=name == "active")
        source = _source(path)
        reading, bare, marking, spanning = _in_turns(
            lambda source=source: source.read(window),  # type: ignore[misc]
            lambda path=path: _bare(path, window),  # type: ignore[misc]
            lambda source=source: source.fingerprint(window),  # type: ignore[misc]
            source.span,
        )
        yield _compared(f"read a day of {what}", reading, bare, BARE, 2)
        yield _compared("its fingerprint", marking, bare, BARE)
        yield _compared("the source's span", spanning, bare, BARE)
        log = source.read(window)
        source.close()
    together = _in_turns(lambda: TimeBased().detect(log), lambda: Duration().detect(log))
    for name, taken in zip(("time_based", "duration"), together, strict=True):
        yield _compared(f"{name} on {len(log.events):,} events", taken, bare, BARE)
    yield _absolute("both together", sum(together), "s", 0.1)


def _servers(folder: Path) -> Iterator[Figure]:
    """The newest and the oldest of ten days of 100,000 rows, from each kind of database in turns."""
    if mariadb.find_programs() is None or postgresql.find_programs() is None:
        return
    days = DateRange(FIRST, FIRST + 9 * ONE_DAY)
    path = _database(folder / "ten.db", days, 100_000)
    (folder / "mariadb").mkdir()
    with mariadb.running(folder / "mariadb") as maria, postgresql.running() as cluster:
        urls = [copy_recorder(path, maria.new_database()), copy_recorder(path, postgresql.new_database(cluster.url))]
        sources = [_source(path)]
        sources += [
            HomeAssistantDatabase(url.render_as_string(hide_password=False), ZONE, EntityRules()) for url in urls
        ]
        for age, day in (("newest", days.last), ("second", days.first + ONE_DAY)):
            sqlite, *others = _in_turns(*(partial(source.read, DayWindow(day, ZONE)) for source in sources))
            for name, seconds in zip(("MariaDB", "PostgreSQL"), others, strict=True):
                yield _compared(f"read the {age} of ten days of 100,000 rows from {name}", seconds, sqlite, "SQLite", 3)
        for source in sources:
            source.close()


def _config(folder: Path, name: str, database: Path) -> Path:
    home = folder / name
    home.mkdir(exist_ok=True)
    config = home / "config.toml"
    config.write_text(
        f'[home]\ntime_zone = "{ZONE.key}"\n[source]\nkind = "home_assistant_db"\nurl = "sqlite:///{database}"\n'
        '[store]\nurl = "sqlite:///aggregates.db"\nretention_days = 0\n[ledger]\npath = "ledger.db"\n',
        encoding="utf-8",
    )
    return config


def _command(*arguments: str) -> tuple[float, float]:
    """Runs the command line; returns seconds, and the largest resident megabytes of it."""
    code = (
        "import resource, subprocess, sys, time\n"
        "began = time.perf_counter()\n"
        "done = subprocess.run([sys.executable, '-m', 'jobs', *sys.argv[1:]], capture_output=True, text=True)\n"
        "taken = time.perf_counter() - began\n"
        "print(taken, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
        "sys.exit(0 if done.returncode == 0 else done.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def _whole_run(folder: Path) -> Iterator[Figure]:
    path = _database(folder / "mixed.db", DateRange(FIRST, FIRST + ONE_DAY), 100_000)
    day = FIRST + ONE_DAY
    taken = []
    for number in range(3):
        config = _config(folder, f"run-{number}", path)
        taken.append(_command("--config", str(config), "run", "--day", str(day)))
    start = [_command("--help") for _ in range(3)]
    seconds, megabytes = min(one[0] for one in taken), max(one[1] for one in taken)
    began = min(one[0] for one in start)
    yield _absolute("`run --day` of 100,000 rows, start-up included", seconds, "s", 3, f"`--help` {began:.2f} s")
    yield _absolute("its peak resident memory", megabytes, "MB", 200, f"`--help` {max(one[1] for one in start):.0f} MB")


@contextmanager
def _home(folder: Path, name: str, database: Path) -> Iterator[Home]:
    yield open_home(_config(folder, name, database), clock=lambda: dt.datetime(2026, 12, 1, tzinfo=dt.UTC))


def _run_backfill(folder: Path, name: str, database: Path, days: DateRange) -> RunReport:
    with _home(folder, name, database) as home, home.open_pipeline() as pipeline:
        report = nightly.backfill(pipeline, days, yesterday=home.yesterday(), retention_days=0)
    assert report.outcome is Outcome.DONE, report.notices
    assert len(report.days) == len(days)
    return report


def _backfill(folder: Path) -> Iterator[Figure]:
    days = DateRange(FIRST, FIRST + 29 * ONE_DAY)
    path = _database(folder / "month.db", days, 10_000)
    began = time.perf_counter()
    _run_backfill(folder, "month", path, days)
    taken = time.perf_counter() - began
    (bare,) = _in_turns(lambda: [_bare(path, DayWindow(day, ZONE)) for day in days], runs=3)
    yield Figure(
        "backfill of 30 days of 10,000 rows",
        f"{taken:.2f} s",
        f"bare SELECTs {bare:.2f} s",
        f"{taken / bare:.1f}x",
        "<= 15 s",
        taken <= 15,
    )


def _by_events(folder: Path) -> Iterator[Figure]:
    window = DayWindow(FIRST + ONE_DAY, ZONE)
    counts = (25_000, 50_000, 100_000, 200_000)
    sources = [_source(_database(folder / f"events-{n}.db", DateRange(FIRST, window.day), n)) for n in counts]

    def work(source: HomeAssistantDatabase) -> DayLog:
        log = source.read(window)
        TimeBased().detect(log)
        Duration().detect(log)
        return log

    taken = _in_turns(*(partial(work, source) for source in sources))
    for source in sources:
        source.close()
    for count, seconds in zip(counts, taken, strict=True):
        unit = (taken[0] / counts[0], seconds / count)
        yield _linear(f"read and detect a day of {count:,} rows", seconds, unit, "row")


def _by_days(folder: Path) -> Iterator[Figure]:
    """What a day costs with all detectors, by how many lie before it; anomaly begins after 14 and looks back 28."""
    path = _database(folder / "days.db", DateRange(FIRST, FIRST + 74 * ONE_DAY), 5_000)
    taken = {}
    for before in (0, 15, 30, 45, 60):  # in processor time: what else the machine does would hide the growth
        days, began = DateRange(FIRST + before * ONE_DAY, FIRST + (before + 14) * ONE_DAY), time.process_time()
        _run_backfill(folder, "days", path, days)
        taken[before] = (time.process_time() - began) / len(days)
    for before, one in taken.items():
        yield _linear(
            f"a day of 5,000 rows with all six, {before} to {before + 14} before", one, (taken[30], one), "day"
        )


def _linear(what: str, taken: float, per_unit: tuple[float, float], unit: str) -> Figure:
    """How much a unit (a row, a day) costs, against another amount."""
    first, present = per_unit
    shown = f"{first * 1e6:.2f} µs a {unit}" if unit == "row" else f"{first * 1e3:.1f} ms a {unit}"
    ratio = present / first
    return Figure(what, f"{taken * 1000:.0f} ms", shown, f"{ratio:.2f}x a unit", "<= 1.3x a unit", ratio <= 1.3)


def _history(folder: Path) -> Iterator[Figure]:
    """What a day costs must not depend on how much the database holds beside it."""
    window = DayWindow(FIRST, ZONE)
    alone = _source(_database(folder / "alone.db", DateRange(FIRST, FIRST), 10_000))
    among = _source(_database(folder / "among.db", DateRange(FIRST, FIRST + 59 * ONE_DAY), 10_000))
    for what in ("read", "fingerprint"):
        one, other = _in_turns(
            lambda what=what: getattr(among, what)(window),  # type: ignore[misc]
            lambda what=what: getattr(alone, what)(window),  # type: ignore[misc]
        )
        yield _compared(f"{what} of a day among 60 days of 10,000 rows", one, other, "the day alone", 1.5)
    alone.close()
    among.close()


def _query(folder: Path) -> Iterator[Figure]:
    path = folder / "query.db"
    store = SqlStore(f"sqlite:///{path}")
    store.prepare()
    days = DateRange(FIRST, FIRST + 89 * ONE_DAY)
    ids = [f"light.lamp_{code}" for code in range(ENTITIES)]
    for day in days:
        store.replace_day(
            batch(
                finding(TimeBasedDaily, [time_based(one, day) for one in ids], day),
                finding(type(duration()), [duration(one, day) for one in ids], day),
            )
        )
    store.close()
    first, last = str(days.first), str(days.last)
    with open_query(f"sqlite:///{path}") as answers:

        def typed() -> int:
            return len(answers.daily(TimeBasedDaily, first, last))

        def bare() -> int:
            with closing(sqlite3.connect(path)) as connection:
                cursor = connection.execute("SELECT * FROM time_based_daily ORDER BY date, entity_id")
                texts = [place for place, column in enumerate(cursor.description) if column[0] in _JSON]
                return len([[json.loads(row[place]) for place in texts] for row in cursor.fetchall()])

        def summed() -> int:
            fields: Fields = {"occurrences": "sum", "bouts": "mean", "confidence": "max"}
            return len(answers.summarize(TimeBasedDaily, first, last, by=["entity_id"], fields=fields))

        assert typed() == bare() == len(days) * ENTITIES
        taken, baseline, summing = _in_turns(typed, bare, summed)
        ratio = taken / baseline
        yield Figure(
            "query 90 days x 100 entities, typed",
            f"{taken * 1000:.0f} ms",
            f"sqlite3 and json.loads {baseline * 1000:.0f} ms",
            f"{ratio:.1f}x",
            "<= 300 ms",
            taken <= 0.3,
        )
        yield _compared("summarize them by entity, in the store", summing, baseline, "sqlite3 and json.loads")


if __name__ == "__main__":
    sys.exit(main())
