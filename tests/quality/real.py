"""What the six detectors say of real homes: rows a day, and what recurs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from jobs.activity.events import DayLog
from jobs.detectors.anomaly import Anomaly
from jobs.registry import EventDetector, NotJudged, load
from storage.backends.memory import MemoryStore
from storage.models import AnomalyDaily, CoOccurrenceDaily, DailyAggregate, SequenceDaily, TimeBasedDaily
from tests.support.real_homes import RECORDED, day_logs, homes
from tests.support.routine_homes import day_rows

DETECTORS: Final = [one.detector for one in load() if isinstance(one.detector, EventDetector)]


@dataclass
class RealHome:
    """What was found in one home.

    Attributes:
        name: Which.
        days: How many whole days.
        judged: How many of them anomaly could judge.
        entities: How many had activity.
        events: Activity events.
        rows: By detector and day.
        recurring: On how many days each pair and chain was found.
        anomalies: All of them.
    """

    name: str
    days: int = 0
    judged: int = 0
    entities: set[str] = field(default_factory=set)
    events: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict)
    recurring: Counter[str] = field(default_factory=Counter)
    anomalies: list[AnomalyDaily] = field(default_factory=list)

    def see(self, log: DayLog) -> list[DailyAggregate]:
        """Judge one day; the rows that anomaly needs later."""
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
        """Mean and most rows a day."""
        rows = self.rows.get(detector, [])
        return f"{np.mean(rows):.1f} ({max(rows)})" if rows else "none judged"


def real_home(name: str) -> RealHome:
    """Judge all days of a home."""
    found, logs = RealHome(name), day_logs(name)
    store = MemoryStore(row for log in logs for row in found.see(log))
    for log in logs:
        finding = Anomaly().judge(log.window.day, store)
        if not isinstance(finding, NotJudged):
            found.judged += 1
            found.rows.setdefault("anomaly", []).append(len(finding.rows))
            found.anomalies += [row for row in finding.rows if isinstance(row, AnomalyDaily)]
    return found


def all_homes() -> list[str]:
    """The names of all real homes that are there."""
    return [*homes(), RECORDED] if homes() else []
