"""The routine of a week: a mean day, how alike the days are, and what has changed since the week before.

Stability is over the 28 days that end with the week, because a week alone overstates it; the regularity index is over
the week, and needs all of its days. ``jobs.rollups._routine`` says how the rows are made.

A worked example: a lamp is used at seven in the morning and from eight to ten in the evening, every day.

>>> from storage.dates import DateRange
>>> from storage.backends.memory import MemoryStore
>>> from storage.query import DetectorRunDaily, TimeBasedDaily
>>> rows = []
>>> for day in DateRange.parse("2026-03-02", "2026-03-29"):
...     rows.append(DetectorRunDaily(date=day, detector="time_based", version=1, rows=1, events=6, day_seconds=86400,
...         known_seconds=86400, reason="", computed_at="2026-04-01T00:00:00Z"))
...     rows.append(TimeBasedDaily(date=day, entity_id="light.lamp", domain="light", peak_hours=[], frequency=0.1,
...         hourly_distribution=[0] * 7 + [2] + [0] * 12 + [2, 2, 0, 0], confidence=0, occurrences=6, bouts=3))
>>> found = RoutineWeekly().judge(DateRange.parse("2026-03-29").last, MemoryStore(rows))
>>> lamp, home = found.rows
>>> lamp.scope, lamp.subject, lamp.interdaily_stability, lamp.regularity_index, lamp.change
('entity', 'light.lamp', 1.0, 100.0, 'none')
>>> lamp.hourly_profile[7], lamp.l5_onset_hour, lamp.m10_onset_hour, lamp.bouts_per_day, home.subject
(2.0, 0, 12, 3.0, 'home')
>>> found.reason
'1 entity on 7 complete days of 7; 2 compared with the period before, none changed'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jobs.detector import detector
from jobs.rollups._routine import STABILITY_DAYS, RoutineOfPeriod
from storage.periods import Cadence
from storage.query import RoutineWeekly as Row


@detector
@dataclass(frozen=True)
class RoutineWeekly(RoutineOfPeriod):
    """The ``routine_weekly`` rollup; see ``RoutineOfPeriod`` for its parameters."""

    name: ClassVar = "routine_weekly"
    version: ClassVar = 1
    model: ClassVar = Row
    cadence: ClassVar[Cadence] = "weekly"
    history_days: ClassVar = STABILITY_DAYS
