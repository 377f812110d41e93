"""A PostgreSQL store: killed programs and servers, two machines that share it, locks, a server that stands still."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.store import AggregateStore
from tests.faults.homes import BACKFILL, EXIT_UNAVAILABLE, Bench, HomeUnderTest, Result, StoreKind
from tests.faults.kills import kill_at_random_moments
from tests.support import forked
from tests.support.postgresql import Cluster, find_programs, new_database

TRIES: Final = 4
TIMEOUT_SECONDS: Final = 1.0


class PostgreSqlStoreKind(StoreKind):
    """PostgreSQL: every home has a database of its own, unless one is given.

    Args:
        cluster: The real server.
        timeout_seconds: How long the program waits for an answer.
    """

    name = "PostgreSQL"

    def __init__(self, cluster: Cluster, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        super().__init__()
        self._timeout_seconds = timeout_seconds
        self._cluster = cluster
        self.databases: dict[Path, sa.URL] = {}

    def section(self, folder: Path) -> str:
        url = self.databases.setdefault(folder, new_database(self._cluster.url))
        text = url.render_as_string()
        return f'[store]\nkind = "sql"\nurl = "{text}"\nretention_days = 0\ntimeout_seconds = {self._timeout_seconds}\n'

    def open(self, folder: Path) -> AggregateStore:
        return SqlStore(self.databases[folder].render_as_string(), read_only=True)


@contextmanager
def cluster() -> Iterator[Cluster | None]:
    """Run a server for as long as the block lasts; None where PostgreSQL is not installed."""
    programs = find_programs()
    if programs is None:
        sys.stderr.write("left out: PostgreSQL is not installed\n")
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = Cluster(programs, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def sql_servers(bench: Bench) -> Iterator[Result]:
    """Yield a line for each fault of a PostgreSQL store."""
    with cluster() as server:
        if server is not None:
            yield kill_at_random_moments(bench, PostgreSqlStoreKind(server, 60.0), bench.kills // 4)
            yield _server_process_killed(bench, PostgreSqlStoreKind(server, 60.0), server)
            yield _two_machines(bench, PostgreSqlStoreKind(server, 60.0))
            yield _locked(bench, PostgreSqlStoreKind(server))
            yield _stopped(bench, PostgreSqlStoreKind(server), server)


def _server_process_killed(bench: Bench, kind: PostgreSqlStoreKind, server: Cluster) -> Result:
    """Kill a process of the server with SIGKILL: it ends all others, and starts again by itself."""
    result, codes = Result("a process of PostgreSQL killed with SIGKILL"), Counter[int]()
    rng = random.Random(f"{bench.seed} server process")
    began = time.monotonic()
    bench.home(kind).call(*BACKFILL)
    whole_seconds = time.monotonic() - began
    for number in range(TRIES):
        home = bench.home(kind)
        result.check("" if home.call("init") == 0 else f"init failed: {home.log_tail()}", number)
        process = home.start(*BACKFILL)
        process.join(rng.uniform(0.0, whole_seconds))
        os.kill(rng.choice(_processes(server.process_id)[1:]), signal.SIGKILL)
        codes[code := forked.ended(process, seconds=300.0)] += 1
        result.tries += 1
        result.check("" if code in (0, EXIT_UNAVAILABLE) else f"exit code {code}: {home.log_tail()}", number)
        result.check(home.false_claims(), number)
        bench.until_done(home, result, number)
        result.check(home.difference(bench.expected(bench.kinds[0])), number)
    result.seen = f"exit code {EXIT_UNAVAILABLE} {codes[EXIT_UNAVAILABLE]} times, 0 {codes[0]} times; then 0"
    return result


def _two_machines(bench: Bench, kind: PostgreSqlStoreKind) -> Result:
    """Run the same home on two machines at once, each with a copy of the ledger, as after a copied disk."""
    result, seen = Result("two machines, a ledger each, one PostgreSQL"), Counter[int]()
    for number in range(TRIES):
        one = bench.home(kind)
        result.check("" if one.call("init") == 0 else f"init failed: {one.log_tail()}", number)
        folder = bench.new_folder()
        kind.databases[folder] = kind.databases[one.folder]
        shutil.copy(one.ledger, folder / "ledger.db")
        other = HomeUnderTest(folder, kind)
        codes = [forked.ended(process) for process in [home.start(*BACKFILL) for home in (one, other)]]
        result.tries += 1
        seen.update(codes)
        is_right = set(codes) <= {0, EXIT_UNAVAILABLE}  # a busy server may have let one wait too long for the other
        result.check("" if is_right else f"exit codes {codes}: {one.log_tail()}; {other.log_tail()}", number)
        for home in (one, other):
            result.check(home.false_claims(), number)
            bench.until_done(home, result, number)
            result.check(home.difference(bench.expected(bench.kinds[0])), number)
    result.seen = (
        f"exit code 0 {seen[0]} times, {EXIT_UNAVAILABLE} {seen[EXIT_UNAVAILABLE]} times; each day is wholly of one"
    )
    return result


def _locked(bench: Bench, kind: PostgreSqlStoreKind) -> Result:
    """Lock a table from a random moment of a backfill on, and let it go after the backfill has ended."""
    result, codes = Result("a table of PostgreSQL locked by another program"), Counter[int]()
    rng = random.Random(f"{bench.seed} locked")
    for number in range(TRIES):
        home = bench.home(kind)
        result.check("" if home.call("init") == 0 else f"init failed: {home.log_tail()}", number)
        engine = sa.create_engine(kind.databases[home.folder])
        process = home.start(*BACKFILL)
        time.sleep(rng.uniform(0.0, 1.0))
        with engine.begin() as connection:
            connection.execute(sa.text("LOCK TABLE duration_daily IN ACCESS EXCLUSIVE MODE"))
            codes[code := forked.ended(process)] += 1
        engine.dispose()
        result.tries += 1
        result.check("" if code in (0, EXIT_UNAVAILABLE) else f"exit code {code}: {home.log_tail()}", number)
        result.check(home.false_claims(), number)
        bench.until_done(home, result, number)
        result.check(home.difference(bench.expected(bench.kinds[0])), number)
    result.seen = f"exit code {EXIT_UNAVAILABLE} {codes[EXIT_UNAVAILABLE]} times, then 0"
    return result


def _stopped(bench: Bench, kind: PostgreSqlStoreKind, server: Cluster) -> Result:
    """Stop all processes of the server at a random moment, as a machine that hangs, and let them go on afterwards."""
    result, codes = Result("PostgreSQL stopped (SIGSTOP) at a random moment"), Counter[int]()
    rng = random.Random(f"{bench.seed} stopped")
    for number in range(TRIES):
        home = bench.home(kind)
        result.check("" if home.call("init") == 0 else f"init failed: {home.log_tail()}", number)
        process = home.start(*BACKFILL)
        time.sleep(rng.uniform(0.0, 1.0))
        stopped = _processes(server.process_id)
        for one in stopped:
            os.kill(one, signal.SIGSTOP)
        try:
            codes[code := forked.ended(process)] += 1
        finally:
            for one in stopped:
                os.kill(one, signal.SIGCONT)
        result.tries += 1
        result.check("" if code in (0, EXIT_UNAVAILABLE) else f"exit code {code}: {home.log_tail()}", number)
        result.check(home.false_claims(), number)
        bench.until_done(home, result, number)
        result.check(home.difference(bench.expected(bench.kinds[0])), number)
    result.seen = f"exit code {EXIT_UNAVAILABLE} {codes[EXIT_UNAVAILABLE]} times, then 0"
    return result


def _processes(parent: int) -> list[int]:
    """Return a process and its children (Linux)."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return [parent, *map(int, children)]
