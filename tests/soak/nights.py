"""Run many nights of the daemon in one process, and measure what they leave behind in it and on disk."""

from __future__ import annotations

import datetime as dt
import gc
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from jobs.wiring import system_clock
from storage.dates import ONE_DAY
from storage.ledger.ledger import Ledger
from tests.support.simulated_nights import serve

FIRST: Final = dt.date(2026, 1, 1)
NOON: Final = dt.time(12)
ZONE: Final = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Trace:
    """The state of the process and its files at noon after a night.

    Attributes:
        nights: How many nights there have been.
        memory_mb: Resident memory.
        descriptors: Open files and sockets.
        threads: Threads.
        ledger_rows: Days and detectors in the ledger.
        ledger_mb: The ledger's files.
        store_mb: The store's files.
    """

    nights: int
    memory_mb: float
    descriptors: int
    threads: int
    ledger_rows: int
    ledger_mb: float
    store_mb: float


def soak(folder: Path, nights: int, *, retention_days: int) -> tuple[list[Trace], str]:
    """Run the daemon over a number of nights of a simulated home.

    Args:
        folder: For ledger and store.
        nights: How many.
        retention_days: How long the store keeps a day.

    Returns:
        A trace of each night, and the problem that the daemon reports of the last run.
    """
    config = folder / "config.toml"
    config.write_text(
        f"""
        [home]
        time_zone = "{ZONE}"
        [source]
        kind = "simulated_home"
        events_per_day = 500
        first_day = {FIRST}
        [store]
        url = "sqlite:///{folder / "aggregates.db"}"
        retention_days = {retention_days}
        [ledger]
        path = "{folder / "ledger.db"}"
        [health]
        port = 0
        """,
        encoding="utf-8",
    )
    traces: list[Trace] = []
    begin = dt.datetime.combine(FIRST, NOON, ZONE)

    def watch(now: dt.datetime) -> None:
        passed = (now.date() - FIRST).days
        if passed > len(traces) and now.time() >= NOON:
            traces.append(_trace(folder, passed))

    daemon = serve(config, begin, dt.datetime.combine(FIRST + nights * ONE_DAY, NOON, ZONE), watch)
    return traces, daemon.last_error


def _trace(folder: Path, nights: int) -> Trace:
    gc.collect()  # garbage that is not yet freed is not a leak
    with Ledger(folder / "ledger.db", clock=system_clock, read_only=True) as ledger:
        rows = len(ledger.entries())
    memory_mb, threads = process_now(os.getpid())
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return Trace(
        nights, memory_mb, descriptors, threads, rows, _size_mb(folder, "ledger"), _size_mb(folder, "aggregates")
    )


def process_now(pid: int) -> tuple[float, int]:
    """Return resident memory in MB and the number of threads of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    fields = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines) if value.split()}
    return int(fields["VmRSS"]) / 1024, int(fields["Threads"])


def _size_mb(folder: Path, name: str) -> float:
    return sum(file.stat().st_size for file in folder.glob(f"{name}.db*")) / 1e6
