"""What must hold whatever the program is given: no traceback, a documented exit code, store and ledger stay valid.

Each property runs on few, always the same examples in ``make test``; ``make fuzz`` tries new ones for minutes.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest import mock

import hypothesis
from hypothesis import HealthCheck
from typer.testing import Result

from jobs.exit_codes import EXIT_CODES
from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.ledger.ledger import Ledger
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from tests.support.home import CSV_CONFIG, EVENTS, Home

MAX_SECONDS: Final = 60.0  # of one command, on a busy machine
EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "0"))  # set by tests.fuzz

FIRST, LAST = "2026-03-02", "2026-03-03"


def examples(count: int) -> hypothesis.settings:
    """Return how a property is tried: on ``count`` examples, always the same; on more and new ones by ``make fuzz``."""
    return hypothesis.settings(
        max_examples=EXAMPLES or count,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def new_home(config: str = CSV_CONFIG, events: str | None = EVENTS) -> Iterator[Home]:
    """Return a home in a folder that lives as long as the block."""
    with TemporaryDirectory(prefix="fuzz") as name:
        yield Home(Path(name), config, events)


def call(home: Home, *words: str, environment: Mapping[str, str] | None = None) -> Result:
    """Run a command, and check what holds for every call."""
    began = time.monotonic()
    with mock.patch.dict(os.environ, environment or {}):
        result = home.call(*words)
    check(result, words)
    assert time.monotonic() - began < MAX_SECONDS, words
    return result


def check(result: Result, words: object) -> None:
    """Check that a command ended as documented, and that what it calls JSON is JSON."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"{words}: a traceback reached the operator") from result.exception
    assert result.exit_code in EXIT_CODES.values(), (words, result.exit_code, result.output)
    assert "Traceback (most recent call last)" not in result.output, (words, result.output)
    if isinstance(words, tuple) and "--json" in words and result.exit_code != 2 and result.stdout:
        json.loads(result.stdout)


def check_files(home: Home) -> None:
    """Check that store and ledger are whole databases that the program itself can read."""
    for name in ("aggregates.db", "ledger.db"):
        if (home.folder / name).exists():
            with closing(sqlite3.connect(home.folder / name)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    if (home.folder / "ledger.db").exists():
        with Ledger(home.folder / "ledger.db", clock=lambda: dt.datetime.now(dt.UTC), read_only=True) as ledger:
            ledger.entries()
    if (home.folder / "aggregates.db").exists():
        with closing(SqlStore(f"sqlite:///{home.folder / 'aggregates.db'}", read_only=True)) as store:
            models: tuple[type[DailyAggregate], ...] = (*AGGREGATES, DetectorRunDaily)
            for model in models:
                store.read(model, DateRange.parse(FIRST, LAST))


def rows(home: Home, table: str = "time_based_daily") -> list[dict[str, Any]]:
    """Return the rows of a measurement as the store's file has them."""
    file = home.folder / "aggregates.db"
    if not file.exists():
        return []
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            return []
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]  # noqa: S608 - ours
