"""A home whose days are written as a test says, for what is published of them."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path
from typing import Any

from jobs.run_report import RunReport
from jobs.settings import Settings
from jobs.wiring import Home
from storage.dates import ONE_DAY
from storage.models import AnomalyDaily, Severity
from tests.support.rows import batch, finding

TODAY = dt.date(2026, 3, 10)
YESTERDAY = TODAY - ONE_DAY
JUDGED = "12 entities compared with 28 complete days; 1 anomaly"


def anomaly(
    entity_id: str = "light.hall", anomaly_type: str = "count_high", day: dt.date = YESTERDAY, **changes: Any
) -> AnomalyDaily:
    values: dict[str, Any] = {
        "date": day,
        "entity_id": entity_id,
        "anomaly_type": anomaly_type,
        "anomaly_score": 0.5,
        "baseline_deviation": 5.0,
        "occurrences": 40,
        "severity": Severity.HIGH,
        "group": entity_id,
        "home_activity": "usual",
    }
    return AnomalyDaily(**{**values, **changes})


class PublishedHome:
    """A home in a folder, on a morning that can be set forward.

    Args:
        folder: Where its files are.
        sections: Sections of its settings.
    """

    def __init__(self, folder: Path, **sections: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.now = dt.datetime.combine(TODAY, dt.time(3, 30), dt.UTC)
        settings = Settings.model_validate(
            {
                "source": {"kind": "csv_files", "path": "events.csv"},
                "store": {"url": "sqlite:///aggregates.db"},
                "ledger": {"path": "ledger.db"},
                **sections,
            }
        )
        self.home = Home(settings, folder, "test", lambda: self.now)
        with self.home.open_ledger() as ledger, closing(self.home.open_store()) as store:
            self.home.settle(ledger, store)

    @property
    def id(self) -> str:
        with self.home.open_ledger(read_only=True) as ledger:
            found = ledger.read_home()
        assert found is not None
        return found.identity.id

    def write(self, *rows: AnomalyDaily, day: dt.date = YESTERDAY, reason: str = JUDGED) -> None:
        """Write what ``anomaly`` has found of a day, in place of what was there."""
        self.now += dt.timedelta(seconds=1)
        found = finding(AnomalyDaily, rows, day, reason=reason)
        with self.home.open_ledger() as ledger, closing(self.home.open_store()) as store, ledger.day(day) as work:
            work.stage(found, f"fingerprint {self.now}", 100)
            store.replace_day(batch(found))
            work.written(batch(found))

    def waiting(self, channel: str = "mqtt") -> list[str]:
        """The entities of the anomalies that wait, sorted."""
        with self.home.open_ledger() as ledger:
            return sorted(key.entity_id for key in ledger.announcements(channel).waiting())


def done() -> RunReport:
    """The report of a run that has done everything."""
    return RunReport()
