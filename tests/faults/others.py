"""Other programs: a second daemon, a backfill beside the daemon, and whoever holds the raw events."""

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
from tests.faults.homes import BACKFILL, DAYS, RETRY, ZONE, Bench, Result, TriedHome
from tests.support import forked
from tests.support.recorder import from_samples

TRIES: Final = 4
LATEST_SECONDS: Final = 120.0

_FORK = multiprocessing.get_context("fork")


def together(bench: Bench) -> Iterator[Result]:
    """Two programs that begin at once and share the lock."""
    for fault, words in (("two daemons started at once", ("serve",)), ("a daemon and a backfill at once", BACKFILL)):
        result = Result(fault)
        for number in range(TRIES):
            home = bench.home()
            daemon, other = home.start("serve"), home.start(*words)
            until = time.monotonic() + LATEST_SECONDS
            while len(_done(home)) < len(bench.expected(home.kind)["detector_run_daily"]) and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(1.0)  # a little more, to do again what is done
            for process in (daemon, other):
                if process.exitcode is None:
                    os.kill(process.pid, signal.SIGTERM)
                code = forked.ended(process)
                result.check("" if code == 0 else f"exit code {code}: {home.last_words()}", number)
            result.tries += 1
            result.check(home.differs(bench.expected(home.kind)), number)
            said = home.log.read_text(encoding="utf-8", errors="replace")
            result.check("" if "Traceback" not in said else f"a traceback: {home.last_words()}", number)
        result.seen = "exit code 0 of both"
        yield result


def _done(home: TriedHome) -> set[tuple[dt.date, str]]:
    try:
        return {key for key, status in home.entries().items() if status is Status.WRITTEN}
    except LedgerError:  # it is being made
        return set()


def locked_source(bench: Bench) -> Iterator[Result]:
    """Raw events that cannot be reached, from the start or from the middle of a backfill on."""
    database = from_samples(bench.new_folder() / "recorder.db", _samples())
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # in WAL mode nobody keeps a reader out
    source = f'[source]\nkind = "home_assistant_db"\nurl = "sqlite:///{database}"\n'
    yield _unreachable(bench, "the recorder database locked", source, lambda: _locked(database))


def _unreachable(bench: Bench, fault: str, source: str, away: Callable[[], AbstractContextManager[None]]) -> Result:
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
        with away():
            code = forked.ended(process)
        result.tries += 1
        result.check(home.boasts(), number)
        if code:
            result.check("" if code == RETRY else f"exit code {code}: {home.last_words()}", number)
            unread.append(len(DAYS) - len({day for day, _ in home.entries()}))
            judged = {day for day, name in home.entries() if name == "anomaly"}
            read = {day for day, name in home.entries() if name == "time_based"}
            result.check("" if judged <= read else "a day was judged of which nothing was read", number)
        bench.until_done(home, result, number)
        result.check(home.differs(expected), number)
    result.seen = f"exit code {RETRY} with {', '.join(map(str, unread))} days left unread, then 0"
    return result


def _samples() -> Samples:
    home = SimulatedHome(ZONE, EntityRules(), seed=4, events_per_day=500, first_day=DAYS.first, last_day=DAYS.last)
    return home.samples(DAYS.first, DAYS.last)


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    """A database that another process holds, as long as the block lasts."""
    held = _FORK.Event()

    def hold() -> None:
        connection = sqlite3.connect(database, timeout=60, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        held.set()
        signal.pause()

    process = _FORK.Process(target=hold, daemon=True)
    process.start()
    held.wait(60)
    yield
    process.kill()
    process.join()
