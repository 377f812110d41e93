"""Stores and ledgers of other homes, and stores that were emptied or restored from an older backup."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import product

from storage.backends.influxdb.home import MEASUREMENT
from storage.backends.influxdb.line_protocol import midnight_seconds
from storage.drivers.influxdb.influxql import Query, quote_name
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily, TimeBasedDaily
from storage.rollup_models import ROLLUPS
from tests.faults.homes import BACKFILL, DAYS, SIMULATED, Bench, HomeUnderTest, InfluxStoreKind, Result, StoreKind

EXIT_INCOMPLETE = 1
EXIT_SETTINGS = 78
HALF = DAYS.first + len(DAYS) // 2 * dt.timedelta(days=1)
Models = Sequence[type[DailyAggregate]]
ALL: Models = (*AGGREGATES, *ROLLUPS, DetectorRunDaily)
COMMANDS = (("run",), BACKFILL, ("init",), ("status",), ("health",), ("doctor",))


def other_homes(bench: Bench) -> Iterator[Result]:
    """Give a home the store of another one, or a second store; empty its store, or put an older one back."""
    for kind in bench.kinds:
        yield _two_homes(bench, kind)
        yield _two_stores(bench, kind)
        yield _lost(bench, kind, "the store emptied", DAYS.first)
        yield _lost(bench, kind, "the store restored from an older backup", HALF)
        yield _lost(bench, kind, "a measurement dropped, the records of runs left", DAYS.first, [TimeBasedDaily])
        yield _lost(bench, kind, "rows of some days deleted, the records of runs left", HALF, AGGREGATES)


def _computed(bench: Bench, kind: StoreKind, result: Result, source: str = SIMULATED) -> HomeUnderTest:
    home = bench.home(kind, source=source)
    bench.until_done(home, result, "before")
    return home


def _two_homes(bench: Bench, kind: StoreKind) -> Result:
    result = Result(f"two homes with ledgers of their own, one store, {kind.name}")
    first = _computed(bench, kind, result)
    second = _computed(bench, kind, result, SIMULATED.replace("seed = 4", "seed = 5"))
    new = bench.home(kind, source=SIMULATED.replace("seed = 4", "seed = 6"))
    for home, seed in ((second, 5), (new, 6)):
        _name_store_of(home, first)
        for words in COMMANDS if home is second else COMMANDS[:4]:
            result.tries += 1
            _expect_refusal(home, words, result, "seed 4", f"seed {seed}")
    result.check(first.difference(bench.expected(kind)), "the first home")
    result.seen = f"exit code {EXIT_SETTINGS} each time, both homes named; the first one's rows untouched"
    return result


def _two_stores(bench: Bench, kind: StoreKind) -> Result:
    result = Result(f"one ledger, two stores, {kind.name}")
    home = _computed(bench, kind, result)
    other = bench.home(kind)
    _name_store_of(home, other)
    for words in COMMANDS:
        result.tries += 1
        _expect_refusal(home, words, result, "init --adopt store")
    result.check("" if home.call("init", "--adopt", "store") == 0 else home.log_tail(), "adopt")
    bench.until_done(home, result, "afterwards")
    result.check("" if other.rows() == bench.expected(kind) else "the second store lacks rows", "afterwards")
    result.check("" if home.statuses() == {"written"} else f"status says {home.statuses()}", "afterwards")
    result.seen = f"exit code {EXIT_SETTINGS} each time; adopted, the days were computed again"
    return result


def _lost(bench: Bench, kind: StoreKind, fault: str, first: dt.date, models: Models = ALL) -> Result:
    result = Result(f"{fault}, {kind.name}")
    home = _computed(bench, kind, result)
    _forget_days(home, first, models)
    for words in (("status",), ("health",), ("doctor",), ("run",)):
        result.tries += 1
        home.log.unlink(missing_ok=True)
        code = home.call(*words)
        command = re.search(r"pattern-aggregates (backfill \S+ \S+ --redo lost)", home.log_tail(100_000))
        result.check("" if code == EXIT_INCOMPLETE and command else f"{code}: {home.log_tail()}", words)
    if command:
        result.check("" if home.call(*command[1].split()) == 0 else home.log_tail(), "repair")
    result.check(home.difference(bench.expected(kind)), "afterwards")
    result.seen = f"exit code {EXIT_INCOMPLETE} each time; the command that is named repaired it"
    return result


def _expect_refusal(home: HomeUnderTest, words: tuple[str, ...], result: Result, *named: str) -> None:
    home.log.unlink(missing_ok=True)
    code = home.call(*words)
    said = home.log_tail(100_000)  # doctor lists every entity
    wrong = code != EXIT_SETTINGS or any(name not in said for name in named)
    result.check(f"exit code {code}: {said[-300:]}" if wrong else "", words)


def _name_store_of(home: HomeUnderTest, other: HomeUnderTest) -> None:
    own, theirs = (one.config.read_text(encoding="utf-8").partition("[store]") for one in (home, other))
    home.config.write_text(own[0] + theirs[1] + theirs[2], encoding="utf-8")


def _forget_days(home: HomeUnderTest, first: dt.date, models: Models) -> None:
    """Take the days from ``first`` on out of the store; with all days of all models, the home as well."""
    names = [model.measurement for model in models]
    is_all = first == DAYS.first and models is ALL
    if isinstance(home.kind, InfluxStoreKind):
        names += [MEASUREMENT] if is_all else []
        with closing(home.kind.server.connection()) as connection:
            for bucket, name in product(home.kind.buckets_of(home.folder), names):
                text = f"DELETE FROM {quote_name(name)} WHERE time >= {midnight_seconds(first)}s"  # noqa: S608 - names
                connection.execute(Query(bucket, text, streamed=False), list)
        return
    if is_all:
        for file in home.folder.glob("aggregates.db*"):
            file.unlink()
        return
    with closing(sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)) as connection:
        for name in names:
            connection.execute(f"DELETE FROM {name} WHERE date >= ?", (first.isoformat(),))  # noqa: S608 - names
