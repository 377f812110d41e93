"""How long each entity was on, open or at home within the day: one row for each entity that was active at any time.

``duration`` counts each finished episode on the day it ends on, in full. This detector counts the time within the day,
whether an episode has ended or not, so that days can be summed: the sum over days is the time in an active state.

* ``active_seconds`` is the time in active states (``jobs.activity.states``), as far as the state is known. A gap of at
  most 5 minutes after which the state is the same belongs to it; time in which the recorder did not run beyond that
  does not. A pause between two active states is part of an episode, but not active time.
* ``still_active_seconds`` is how long the episode that had not ended at the day's end had lasted: from its start,
  perhaps days before, to the end of the day. It is absent if the entity was not active at that instant, or if its state
  was not known then. Where the start is not known (``start_known`` is ``no``), it is the time for which the entity is
  known to have been active without a break: at least that long.
* A ``person`` or ``device_tracker`` that was away all day has a row of 0 seconds, if its state was known for all of the
  day's known time.

A worked example: a door is open from 00:10 to 00:20 and, from 22:00 on, does not close again.

>>> from jobs.activity.building import example_day
>>> log = example_day([
...     (0, "binary_sensor.door", "off"), (10, "binary_sensor.door", "on"), (20, "binary_sensor.door", "off"),
...     (22 * 60, "binary_sensor.door", "on"),
... ])
>>> (door,), reason = ActiveTime().detect(log)
>>> door.active_seconds, door.known_seconds, door.still_active_seconds, door.start_known
(7800.0, 86400.0, 7200.0, 'yes')
>>> reason
'1 entity was active; 1 was still active at the end of the day'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from jobs.activity.active_time import active_intervals, active_seconds, state_known_seconds
from jobs.activity.events import DayLog, Flags
from jobs.activity.window import SECOND
from jobs.registry import Evidence, Finding, detector
from jobs.statistics.arrays import Floats
from storage.models import ActiveTimeDaily
from storage.plurals import counted

_ROWS_OF_ABSENCE: Final = frozenset({"person", "device_tracker"})


@detector
@dataclass(frozen=True)
class ActiveTime:
    """The ``active_time`` detector."""

    name: ClassVar = "active_time"
    version: ClassVar = 1
    model: ClassVar = ActiveTimeDaily

    def detect(self, log: DayLog) -> Finding:
        """Return the day's active times; see the module's docstring."""
        active, known = active_seconds(log), state_known_seconds(log)
        still, start_known = _still_active(log)
        has_row = (active > 0) | (still > 0)
        all_known = log.known_seconds
        for code, entity in enumerate(log.entities):
            if entity.domain in _ROWS_OF_ABSENCE and 0 < all_known <= known[code]:
                has_row[code] = True
        rows = [
            ActiveTimeDaily(
                date=log.window.day,
                entity_id=log.entities[code].entity_id,
                active_seconds=float(active[code]),
                known_seconds=float(known[code]),
                still_active_seconds=float(still[code]) if still[code] > 0 else None,
                start_known=("yes" if start_known[code] else "no") if still[code] > 0 else None,
            )
            for code in np.flatnonzero(has_row).tolist()
        ]
        number, going_on = int(np.count_nonzero(active)), int(np.count_nonzero(still))
        reason = f"{counted(number, 'entity was', 'entities were')} active" if number else "no entity was active"
        if going_on:
            reason += f"; {counted(going_on, 'was', 'were')} still active at the end of the day"
        if away := len(rows) - int(np.count_nonzero((active > 0) | (still > 0))):
            reason += f"; {counted(away, 'person or tracker was', 'persons or trackers were')} away all day"
        return Finding(rows, reason)

    def explain(self, row: ActiveTimeDaily, log: DayLog) -> Evidence:
        """Return each stretch of the day in an active state."""
        of_entity = active_intervals(log)
        of_entity = of_entity[of_entity.entity == log.code_of(row.entity_id)]
        start = np.maximum(of_entity.start, log.window.start)
        end = np.minimum(of_entity.end, log.window.end)
        lines: list[tuple[str | int | float, ...]] = [
            (log.clock(begin), log.clock(until), round((until - begin) / SECOND, 1))
            for begin, until in zip(start.tolist(), end.tolist(), strict=True)
            if until > begin
        ]
        notes = []
        if row.still_active_seconds is not None:
            since = log.clock(log.window.end - round(row.still_active_seconds * SECOND))
            known = "since" if row.start_known == "yes" else "for longer than it is known, at least since"
            notes.append(f"still active at the end of the day, {known} {since}")
        return Evidence(("from", "to", "seconds"), lines, tuple(notes))


def _still_active(log: DayLog) -> tuple[Floats, Flags]:
    """Return for how long each entity had been active at the day's end, 0 if it was not, and if the start is known."""
    going_on = log.episodes[~log.episodes.end_known & (log.episodes.end >= log.window.end)]
    seconds, start_known = np.zeros(len(log.entities)), np.zeros(len(log.entities), np.bool_)
    seconds[going_on.entity] = (log.window.end - going_on.start) / SECOND
    start_known[going_on.entity] = going_on.start_known
    return seconds, start_known
