"""A fleet of simulated homes in a folder, worked on by the real command in processes of its own."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

from storage.connect import open_store
from storage.dates import ONE_DAY, DateRange
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.rollup_models import ROLLUPS
from storage.settings import SqlStoreSettings
from tests.support.home import ROOT

ZONES: Final = ("Pacific/Apia", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "Pacific/Honolulu")
FIRST: Final = dt.date(2026, 3, 2)
EVENTS_PER_DAY: Final = 2_000  # raw samples


class Measured(NamedTuple):
    """A run of the command.

    Attributes:
        document: What it printed.
        seconds: How long it took.
        processor_seconds: Processor time of the command and its workers.
        memory: The bytes of memory of each process every half second: of the command, then of its children.
    """

    document: Mapping[str, Any]
    seconds: float
    processor_seconds: float
    memory: Sequence[Sequence[int]]


class SimulatedFleet:
    """A folder with settings and a catalogue.

    Args:
        folder: The folder.
        homes: How many homes.
        nights: How many nights.
        store: The URL of the store; that of the ledger too, if it is a server and the settings know one.
        broken_every: Every so many homes, the row of one is not valid; 0 for none.
    """

    def __init__(self, folder: Path, homes: int, nights: int, *, store: str = "", broken_every: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.homes, self.nights, self._broken_every = folder, homes, nights, broken_every
        self.last = FIRST + (nights - 1) * ONE_DAY
        self.days = DateRange(FIRST, self.last)
        self.is_on_server = bool(store)
        self.store = store or f"sqlite:///{folder}/aggregates.db"
        self.config, self.catalogue = folder / "fleet.toml", folder / "homes.csv"
        ledger = f'url = "{store}"' if store else 'path = "ledger.db"'
        self.config.write_text(
            f'[source]\nkind = "simulated_home"\nseed = "{{seed}}"\nevents_per_day = {EVENTS_PER_DAY}\n'
            f"first_day = {FIRST}\nlast_day = {self.last}\n"
            f'[store]\nurl = "{self.store}"\nretention_days = 0\nrollup_retention_days = 0\n[ledger]\n{ledger}\n',
            encoding="utf-8",
        )
        self.write_catalogue(homes)

    def write_catalogue(self, homes: int) -> None:
        """Write the catalogue with that many homes."""
        self.homes = homes
        rows = ["home,time_zone,seed"]
        for number in range(homes):
            zone = "Mars" if self._broken_every and number % self._broken_every == 0 else ZONES[number % len(ZONES)]
            rows.append(f"h{number:06},{zone},{number}")
        self.catalogue.write_text("\n".join(rows) + "\n", encoding="utf-8")

    def start(self, *options: str, command: str = "run") -> subprocess.Popen[str]:
        """Start ``fleet run``, or another command of a fleet, for all nights; what it logs is in the file ``log``."""
        days = (FIRST.isoformat(), self.last.isoformat())
        words = [sys.executable, "-m", "jobs", "--config", str(self.config), "fleet", command, *days]
        words += ["--homes", str(self.catalogue), "--json", *options]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)

    def run(self, *options: str) -> Measured:
        """Run the command and measure it."""
        began = time.perf_counter()
        process = self.start(*options)
        with _watched(process.pid) as watched:
            output, _ = process.communicate()
        seconds = time.perf_counter() - began
        document = json.loads(output)
        return Measured(document, seconds, document["processor_seconds"], list(watched.values()))

    def status(self) -> Mapping[str, Any]:
        """Return what ``fleet status`` prints."""
        output, _ = self.start(command="status").communicate()
        document: Mapping[str, Any] = json.loads(output)
        return document

    def rows(self) -> list[tuple[Any, ...]]:
        """Return all rows, of rollups too, without the instants at which they were computed, sorted."""
        store = open_store(SqlStoreSettings(url=self.store), home=None, read_only=True)
        models: list[type[DailyAggregate]] = [*AGGREGATES, *ROLLUPS, DetectorRunDaily]
        try:
            return sorted(
                (row.measurement, *(str(value) for value in row.model_dump(exclude={"computed_at"}).values()))
                for model in models
                for row in store.read(model, self.days)
            )
        finally:
            store.close()


@contextmanager
def _watched(process: int) -> Iterator[Mapping[int, list[int]]]:
    """Note the memory of a process and its children every half second, by process."""
    noted: dict[int, list[int]] = {process: []}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            with suppress(psutil.Error):
                parent = psutil.Process(process)
                for one in (parent, *parent.children(recursive=True)):
                    with suppress(psutil.Error):
                        noted.setdefault(one.pid, []).append(one.memory_info().rss)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield noted
    finally:
        ended.set()
        thread.join()
