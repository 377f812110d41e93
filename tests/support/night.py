"""A home whose source, store and detectors a test can disturb, and its nightly run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

from jobs import nightly
from jobs.activity.window import HOUR, DayWindow
from jobs.detector import Detector
from jobs.pipeline import Pipeline
from jobs.run_report import RunReport
from storage.dates import ONE_DAY, DateRange
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.models import DetectorRunDaily
from tests.support.detectors import CountDaily, Counter, FlakyStore, Trend
from tests.support.memory_source import MemorySource, Row

ZONE = ZoneInfo("Europe/Berlin")
FIRST = dt.date(2026, 3, 2)
DAYS = DateRange(FIRST, FIRST + 4 * ONE_DAY)
YESTERDAY = DAYS.last


def uses(day: dt.date, entity_id: str = "light.a", times: int = 4) -> list[Row]:
    """A day in which an entity opens off and then changes so many times, at the full hours from 6."""
    start = DayWindow(day, ZONE).start
    changes = [Row(start + (6 + hour) * HOUR, entity_id, ("on", "off")[hour % 2]) for hour in range(times)]
    return [Row(start, entity_id, "off"), *changes]


class Night:
    """A home whose source, store and detectors a test can disturb."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = dt.datetime(2026, 3, 7, 3, 30, tzinfo=dt.UTC)
        end = DayWindow(YESTERDAY, ZONE).end
        rows = [row for day in DAYS for row in uses(day)]
        self.source = MemorySource(ZONE, rows, runs=[(DayWindow(FIRST, ZONE).start, end)])
        self.source.held = DAYS
        self.store = FlakyStore()
        self.counter = Counter()
        self.trend = Trend()
        self.detectors: list[Detector] = [self.counter, self.trend]
        self.ledger = Ledger(folder / "ledger.db", clock=lambda: self.now)

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.detectors, self.source, self.store, self.ledger, ZONE, lambda: self.now)

    def run(self, **changes: object) -> RunReport:
        arguments = {"yesterday": YESTERDAY, "retention_days": 90, "recheck_days": 2, **changes}
        return nightly.run(self.pipeline, **arguments)  # type: ignore[arg-type]

    def backfill(self, days: DateRange = DAYS, **changes: object) -> RunReport:
        arguments = {"yesterday": YESTERDAY, "retention_days": 90, **changes}
        return nightly.backfill(self.pipeline, days, **arguments)  # type: ignore[arg-type]

    def counts(self) -> dict[dt.date, int]:
        return {row.date: row.events for row in self.store.read(CountDaily, DateRange(dt.date.min, dt.date.max))}

    def statuses(self, detector: str = "count") -> dict[dt.date, Status]:
        return {day: entry.status for (day, name), entry in self.ledger.entries().items() if name == detector}

    def runs(self, detector: str) -> dict[dt.date, DetectorRunDaily]:
        runs = self.store.read(DetectorRunDaily, DateRange(dt.date.min, dt.date.max), {"detector": detector})
        return {run.date: run for run in runs}
