"""Other programs at the same time: a second daemon, a backfill beside the daemon, one that locks the raw events."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final

from jobs.activity.entities import EntityRules
from jobs.activity.events import Samples
from jobs.sources.simulated_home import SimulatedHome
from storage.errors import LedgerError
from storage.ledger.entry import Status
from tests.faults.homes import BACKFILL, DAYS, EXIT_UNAVAILABLE, ZONE, Bench, HomeUnderTest, Result
from tests.support import forked
from tests.support.recorder import from_samples

TRIES: Final = 4
MAX_SECONDS: Final = 120.0

_FORK = multiprocessing.get_context("fork")


def concurrent_programs(bench: Bench) -> Iterator[Result]:
    """Start two programs at once, which share the lock."""
    for fault, words in (("two daemons started at once", ("serve",)), ("a daemon and a backfill at once", BACKFILL)):
        result = Result(fault)
        for number in range(TRIES):
            home = bench.home()
            daemon, other = home.start("serve"), home.start(*words)
            deadline = time.monotonic() + MAX_SECONDS
            while (
                len(_done(home)) < len(bench.expected(home.kind)["detector_run_daily"]) and time.monotonic() < deadline
            ):
                time.sleep(0.05)
            time.sleep(1.0)  # longer than needed: neither may do anything twice
            for process in (daemon, other):
                if process.exitcode is None:
                    os.kill(process.pid, signal.SIGTERM)
                code = forked.ended(process)
                result.check("" if code == 0 else f"exit code {code}: {home.log_tail()}", number)
            result.tries += 1
            result.check(home.difference(bench.expected(home.kind)), number)
            output = home.log.read_text(encoding="utf-8", errors="replace")
            result.check("" if "Traceback" not in output else f"a traceback: {home.log_tail()}", number)
        result.seen = "exit code 0 of both"
        yield result


def _done(home: HomeUnderTest) -> set[tuple[dt.date, str]]:
    try:
        return {key for key, status in home.entries().items() if status is Status.WRITTEN}
    except LedgerError:  # it is being created
        return set()


def locked_source(bench: Bench) -> Iterator[Result]:
    """Make the raw events unreachable, from the start or from the middle of a backfill."""
    database = from_samples(bench.new_folder() / "recorder.db", _samples())
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # in WAL mode a lock keeps no reader out
    source = f'[source]\nkind = "home_assistant_db"\nurl = "sqlite:///{database}"\n'
    yield _unreachable(bench, "the recorder database locked", source, lambda: _locked(database))


def _unreachable(
    bench: Bench, fault: str, source: str, make_unreachable: Callable[[], AbstractContextManager[None]]
) -> Result:
    result, rng = Result(fault), random.Random(f"{bench.seed} {fault}")
    kind = bench.kinds[0]
    expected = bench.expected(kind, source)
    unread = []
    for number in range(TRIES):
        home = bench.home(kind, source=source)
        process = home.start(*BACKFILL, "--json")
        enough = rng.randrange(0, 100) if number else 0
        while len(_done(home)) < enough and process.exitcode is None:
            process.join(0.005)
        with make_unreachable():
            code = forked.ended(process)
        result.tries += 1
        result.check(home.false_claims(), number)
        if code:
            result.check("" if code == EXIT_UNAVAILABLE else f"exit code {code}: {home.log_tail()}", number)
            unread.append(len(DAYS) - len({day for day, _ in home.entries()}))
            judged = {day for day, name in home.entries() if name == "anomaly"}
            read = {day for day, name in home.entries() if name == "time_based"}
            result.check("" if judged <= read else "a day was judged that was not read", number)
        bench.until_done(home, result, number)
        result.check(home.difference(expected), number)
    result.seen = f"exit code {EXIT_UNAVAILABLE} with {', '.join(map(str, unread))} days left unread, then 0"
    return result


def _samples() -> Samples:
    home = SimulatedHome(ZONE, EntityRules(), seed=4, events_per_day=500, first_day=DAYS.first, last_day=DAYS.last)
    return home.samples(DAYS.first, DAYS.last)


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    """Lock a database from another process until the block ends."""
    is_locked = _FORK.Event()

    def hold() -> None:
        connection = sqlite3.connect(database, timeout=60, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        is_locked.set()
        signal.pause()

    process = _FORK.Process(target=hold, daemon=True)
    process.start()
    is_locked.wait(60)
    yield
    process.kill()
    process.join()
