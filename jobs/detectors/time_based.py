"""When each entity was active: one row for each entity with at least one activity event.

An event counts in the local wall-clock hour it happens in. On a 25-hour day the repeated hour counts both, on a 23-hour
day the skipped hour is 0. ``frequency`` is the share of the day's local hours that have activity. ``bouts`` counts the
runs of events with gaps of at most 300 s. ``peak_hours`` are those in which ``peaks.peak_hours`` finds more events than
chance explains; ``confidence`` is the Wilson 95 % lower bound of the share of events in them.

A worked example: a lamp goes on and off again every ten minutes from 19:00 to 19:50, and once at noon.

>>> from jobs.activity.building import example_day
>>> ticks = [(hour * 60 + minute, state) for hour, minute in [(12, 0)] + [(19, m) for m in range(0, 60, 10)]
...          for minute, state in ((minute, "on"), (minute + 5, "off"))]
>>> log = example_day([(0, "light.lamp", "off")] + [(minute, "light.lamp", state) for minute, state in ticks])
>>> (row,), reason = TimeBased().detect(log)
>>> row.occurrences, row.bouts, row.peak_hours, round(row.frequency, 4)
(14, 2, [19], 0.0833)
>>> round(row.confidence, 2)
0.6
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from jobs.activity.events import DayLog
from jobs.detector import Evidence, Finding, detector
from jobs.statistics.bouts import bouts_by_group, by_group, count_by_hour
from jobs.statistics.intervals import wilson_lower
from jobs.statistics.peaks import HOUR_COLUMNS, hours_explained, peak_hours
from storage.models import TimeBasedDaily
from storage.plurals import counted


@detector
@dataclass(frozen=True)
class TimeBased:
    """The ``time_based`` detector.

    Attributes:
        peak_false_discovery_rate: The share of an entity's peak hours that may be due to chance. The slots of short
            on/off cycles are not independent: at 5 %, 4.2 % of random devices get a peak, at 3 % 2.8 %.
    """

    name: ClassVar = "time_based"
    version: ClassVar = 3
    model: ClassVar = TimeBasedDaily

    peak_false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05

    def detect(self, log: DayLog) -> Finding:
        """Return the day's entities; see the module's docstring."""
        if not len(log.events):
            return Finding([], "no entity had an activity event")
        entities = len(log.entities)
        entity, at = by_group(log.events.entity, log.events.at)
        counts = count_by_hour(entity, log.window.hours_of(at), entities)
        bouts = bouts_by_group(entity, at, entities)
        peaks, _ = peak_hours(entity, at, entities, log.window, log.known, self.peak_false_discovery_rate)
        hours = int(np.count_nonzero(log.window.microseconds_by_hour()))
        occurrences = counts.sum(axis=1)
        in_peaks = np.where(peaks, counts, 0).sum(axis=1)
        rows = [
            TimeBasedDaily(
                date=log.window.day,
                entity_id=log.entities[code].entity_id,
                domain=log.entities[code].domain,
                hourly_distribution=counts[code].tolist(),
                peak_hours=np.flatnonzero(peaks[code]).tolist(),
                frequency=np.count_nonzero(counts[code]) / hours,
                confidence=wilson_lower(int(in_peaks[code]), int(occurrences[code])) if in_peaks[code] else 0.0,
                occurrences=int(occurrences[code]),
                bouts=int(bouts[code]),
                device_class=log.entities[code].device_class,
            )
            for code in np.flatnonzero(occurrences).tolist()
        ]
        with_peaks = int(np.count_nonzero(peaks.any(axis=1)))
        active = f"{counted(len(rows), 'entity', 'entities')} had {counted(len(log.events), 'activity event')}"
        return Finding(rows, f"{active}; {with_peaks or 'none'} with a peak hour")

    def explain(self, row: TimeBasedDaily, log: DayLog) -> Evidence:
        """Return the entity's events by hour, and those expected by chance."""
        at = log.events.at[log.events.entity == log.code_of(row.entity_id)]
        lines = hours_explained(at, log.window, log.known, self.peak_false_discovery_rate)
        return Evidence(HOUR_COLUMNS, lines, (f"{counted(len(at), 'event')} in {counted(row.bouts or 0, 'bout')}",))
