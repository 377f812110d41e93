"""A store with rows of several homes, and exports of it in processes of their own."""

from __future__ import annotations

import datetime as dt
import multiprocessing
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import DurationDaily, TimeBasedDaily
from storage.parquet_export import export_rows
from tests.support.rows import batch, finding, time_based

SPRING: Final = DateRange(dt.date(2026, 2, 20), dt.date(2026, 4, 10))
_SPAWN: Final = multiprocessing.get_context("spawn")  # Arrow has threads, with which a process must not be forked


def filled(*homes: str, days: DateRange = SPRING, occurrences: int = 12) -> MemoryStore:
    """Return a store with two rows a day of some homes, and the records of two detectors."""
    store = MemoryStore(home=None)
    for home in homes:
        for day in days:
            rows = [time_based(f"light.{name}", day, home=home, occurrences=occurrences) for name in "ab"]
            store.for_home(home).replace_day(
                batch(finding(TimeBasedDaily, rows, day, home=home), finding(DurationDaily, [], day, home=home))
            )
    return store


def export(store: MemoryStore, folder: Path, *homes: str, days: DateRange = SPRING) -> dict[str, int]:
    """Export some homes and return how many rows of each measurement."""
    return export_rows(store, folder, [TimeBasedDaily, DurationDaily], days, homes).rows


def start_exports(folder: Path, home: str, *occurrences: int) -> SpawnProcess:
    """Export one home, once for each number of occurrences; return the process when it begins with that."""
    is_ready = _SPAWN.Event()
    process = _SPAWN.Process(target=_run, args=(folder, home, occurrences, is_ready))
    process.start()
    assert is_ready.wait(120)
    return process


def _run(folder: Path, home: str, occurrences: tuple[int, ...], is_ready: Event) -> None:
    stores = [filled(home, occurrences=one) for one in occurrences]
    is_ready.set()
    for store in stores:
        export(store, folder, home)
