"""Kill what a fleet runs on with SIGKILL at random moments: in the end there is what a sequential run leaves.

Killed are the command, a worker, a worker with its nanny, the scheduler, the process of PostgreSQL that accepts
connections, and one that has a session. What ends is started again, as a service manager does. When the homes are done
before the kills, homes are added to the catalogue, so that there is always something to do.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from tests.fleet.simulated_fleet import SimulatedFleet
from tests.fleet.traces import count_written, homes_at_work, ledger_entries, left_overs, relations
from tests.support.dask_cluster import DaskCluster
from tests.support.postgresql import Cluster, new_database, running

SHARES: Final = {"command": 5, "worker": 6, "worker and nanny": 3, "scheduler": 4, "server": 3, "session": 4}
"""How often each kind of victim is chosen, out of 25."""
MAX_PROGRESS_SECONDS: Final = 300.0  # how long a fleet may take for its next home-day after a kill
MAX_AWAY_SECONDS: Final = 5.0  # of a scheduler or a server that was killed
MAX_LAST_RUNS: Final = 3  # until one ends with 0, when nothing is killed any more


@dataclass
class Disturbed:
    """A fleet at work, and what is killed of it.

    Attributes:
        fleet: The fleet.
        rng: Chooses.
        cluster: The server of its store and ledger; None for files.
        dask: Its scheduler and workers; None for processes of the command.
        homes_at_once: How many homes are added when all are done.
        process: The command.
        killed: How many of each kind were killed.
        killed_at_work: How many of these while a worker had the lock of a home, as far as the server knows.
        codes: How often the command ended by itself with each code.
    """

    fleet: SimulatedFleet
    rng: random.Random
    cluster: Cluster | None
    dask: DaskCluster | None
    homes_at_once: int
    process: subprocess.Popen[str]
    killed: Counter[str] = field(default_factory=Counter)
    killed_at_work: int = 0
    codes: Counter[int] = field(default_factory=Counter)

    def kinds(self) -> Iterator[str]:
        """Yield what to kill next, without end: each kind as often as its share, in random order."""
        possible = {"command", "worker"}
        possible |= {"worker and nanny", "scheduler"} if self.dask else set()
        possible |= {"server", "session"} if self.cluster else set()
        while True:
            chosen = [kind for kind, count in SHARES.items() if kind in possible for _ in range(count)]
            self.rng.shuffle(chosen)
            yield from chosen

    def kill(self, kind: str) -> None:
        """Kill something, and start it again after a while unless something else does so."""
        at_work = homes_at_work(self.fleet)
        if self._kill(kind):
            self.killed[kind] += 1
            self.killed_at_work += at_work > 0

    def _kill(self, kind: str) -> bool:
        away_seconds = self.rng.uniform(0.0, MAX_AWAY_SECONDS)
        if kind == "command":
            self.process.kill()
        elif kind == "server" and self.cluster is not None:
            self.cluster.kill()
            time.sleep(away_seconds)
            self.cluster.start()
        elif kind == "session" and self.cluster is not None:
            return self.cluster.kill_session(self.rng.choice)
        elif self.dask is None:
            with suppress(psutil.Error, IndexError):
                self.rng.choice(psutil.Process(self.process.pid).children(recursive=True)).kill()
                return True
            return False
        elif kind == "scheduler":
            self.dask.kill_scheduler()
            time.sleep(away_seconds)
            self.dask.start()
        else:
            number = self.rng.randrange(len(self.dask.workers))
            (self.dask.kill_worker if kind == "worker" else self.dask.kill_machine)(number)
        return True

    def keep_running(self) -> None:
        """Start again what has ended; add homes if all are done."""
        if self.dask is not None:
            self.dask.restart_ended_workers()
        if self.process.poll() is None:
            return
        self.process.communicate()
        if self.process.returncode >= 0:
            self.codes[self.process.returncode] += 1
        if self.process.returncode == 0:
            self.fleet.write_catalogue(self.fleet.homes + self.homes_at_once)
        self.process = self.fleet.start(*options(self.dask))

    def wait_for_progress(self) -> None:
        """Wait until the ledger has more home-days as written than now."""
        until = time.monotonic() + MAX_PROGRESS_SECONDS
        before = count_written(self.fleet)
        while (count := count_written(self.fleet)) is None or before is None or count <= before:
            before = count if before is None else before
            assert time.monotonic() < until, f"nothing was written for {MAX_PROGRESS_SECONDS:.0f} s"
            time.sleep(0.3)
            self.keep_running()

    def finish(self) -> None:
        """Let everything run until all is done."""
        for _ in range(MAX_LAST_RUNS):
            while self.process.poll() is None:
                self.keep_running()
                time.sleep(1.0)
            self.process.communicate()
            if self.process.returncode == 0:
                return
            self.process = self.fleet.start(*options(self.dask))
        raise AssertionError(f"the last run ended with {self.process.returncode}")


def options(dask: DaskCluster | None) -> tuple[str, str]:
    """Return the options of the command for the workers of a scheduler, or for two processes."""
    return ("--workers", "2") if dask is None else ("--scheduler", dask.address)


def kills(folder: Path, homes: int, nights: int, count: int, *, seed: int, is_server: bool, is_dask: bool) -> None:
    """Kill something ``count`` times, let the fleet end, and compare it with a sequential run.

    Args:
        folder: Where files go.
        homes: How many homes there are at first, and are added whenever all are done.
        nights: How many nights each has.
        count: How many kills.
        seed: Of the random choices.
        is_server: Store and ledger are in PostgreSQL; otherwise each is a file.
        is_dask: A scheduler has two workers; otherwise the command has two processes.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        cluster = stack.enter_context(running()) if is_server else None
        dask = stack.enter_context(DaskCluster(folder / "dask")) if is_dask else None
        if dask is not None:
            dask.start_workers(2)
        urls = ["", ""]
        if cluster is not None:
            urls = [new_database(cluster.url).render_as_string(hide_password=False) for _ in range(2)]
        fleet = SimulatedFleet(folder / "killed", homes, nights, store=urls[0])
        process = fleet.start(*options(dask))
        disturbed = Disturbed(fleet, random.Random(seed), cluster, dask, homes, process)
        _kill_at_random(disturbed, count)
        disturbed.finish()
        kill_seconds = time.monotonic() - began
        if dask is not None:
            dask.kill()
        calm = SimulatedFleet(folder / "calm", fleet.homes, nights, store=urls[1])
        assert calm.run("--workers", "1").document["homes"]["failed"] == 0
        rows, entries = compare(fleet, calm)
    killed = ", ".join(f"{kind} {number}" for kind, number in disturbed.killed.items())
    print(
        f"{disturbed.killed.total()} kills in {kill_seconds:.0f} s ({killed}), {disturbed.killed_at_work} of them "
        f"while a home was locked; the command ended by itself with {dict(disturbed.codes)}\n"
        f"{fleet.homes} homes x {nights} nights: {rows:,} rows and {entries:,} ledger entries, the same as those of a "
        "sequential run; nothing staged, locked or left over",
        flush=True,
    )


def _kill_at_random(disturbed: Disturbed, count: int) -> None:
    kinds, began = disturbed.kinds(), time.monotonic()
    while disturbed.killed.total() < count:
        if disturbed.rng.random() < 0.75:  # the others fall into what a kill has just broken
            disturbed.wait_for_progress()
        time.sleep(disturbed.rng.uniform(0.0, 2.0))
        disturbed.keep_running()
        kind = next(kinds)
        disturbed.kill(kind)
        print(f"{time.monotonic() - began:6.0f} s: {disturbed.killed.total()} {kind}", flush=True)


def compare(fleet: SimulatedFleet, calm: SimulatedFleet) -> tuple[int, int]:
    """Check that two fleets have ended alike, with nothing left to do; returns how many rows and entries there are."""
    assert left_overs(fleet) == []
    status = fleet.status()
    assert status["homes"]["done"] == fleet.homes, status
    assert status["oldest_due"] is None
    assert status["reasons"] == []
    rows = fleet.rows()
    assert rows
    assert rows == calm.rows()
    entries = ledger_entries(fleet)
    assert entries == ledger_entries(calm)
    assert relations(fleet) == relations(calm)
    return len(rows), len(entries)
