"""What the detectors find in real homes: rows a day, and what recurs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from jobs.activity.events import DayLog
from jobs.detector import EventDetector, NotJudged
from jobs.detectors.anomaly import Anomaly
from jobs.registry import load
from storage.backends.memory import MemoryStore
from storage.models import AnomalyDaily, CoOccurrenceDaily, DailyAggregate, SequenceDaily, TimeBasedDaily
from tests.support.real_homes import RECORDED, day_logs, homes
from tests.support.routine_homes import day_rows

DETECTORS: Final = [one.detector for one in load() if isinstance(one.detector, EventDetector)]


@dataclass
class RealHome:
    """What was found in one home.

    Attributes:
        name: Its name.
        days: The number of whole days.
        compared: The number of days that anomaly could compare with earlier ones.
        entities: The entities with activity.
        events: The number of activity events.
        rows: The number of rows by detector and day.
        recurring: On how many days each pair and chain was found.
        anomalies: The rows of anomaly.
    """

    name: str
    days: int = 0
    compared: int = 0
    entities: set[str] = field(default_factory=set)
    events: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict)
    recurring: Counter[str] = field(default_factory=Counter)
    anomalies: list[AnomalyDaily] = field(default_factory=list)

    def add(self, log: DayLog) -> list[DailyAggregate]:
        """Run the event detectors on one day, and return the rows that anomaly needs later."""
        self.days += 1
        self.events += len(log.events)
        for detector in DETECTORS:
            rows = detector.detect(log).rows
            self.rows.setdefault(detector.name, []).append(len(rows))
            for row in rows:
                if isinstance(row, CoOccurrenceDaily):
                    self.recurring[row.device_pair.replace("|", " | ")] += 1
                elif isinstance(row, SequenceDaily):
                    self.recurring[" > ".join(row.sequence)] += 1
                elif isinstance(row, TimeBasedDaily):
                    self.entities.add(row.entity_id)
        return day_rows(log)

    def a_day(self, detector: str) -> str:
        """Return the mean and the maximum of a detector's rows a day."""
        rows = self.rows.get(detector, [])
        return f"{np.mean(rows):.1f} ({max(rows)})" if rows else "none compared"


def real_home(name: str) -> RealHome:
    """Run all detectors on all days of a home."""
    found, logs = RealHome(name), day_logs(name)
    store = MemoryStore(row for log in logs for row in found.add(log))
    for log in logs:
        finding = Anomaly().judge(log.window.day, store)
        if not isinstance(finding, NotJudged):
            found.compared += 1
            found.rows.setdefault("anomaly", []).append(len(finding.rows))
            found.anomalies += [row for row in finding.rows if isinstance(row, AnomalyDaily)]
    return found


def all_homes() -> list[str]:
    """Return the names of all real homes whose data is there."""
    return [*homes(), RECORDED] if homes() else []
