"""When each entity's bouts began: what one day cannot prove, the weeks of ``habit_weekly`` can add up from these rows.

A bout is a run of an entity's activity events at most 300 s apart. Its start is kept in seconds of the local day.
Events caused by automations are left out, as in ``co_occurrence``. Entities whose starts do not fit into 1 KB (about
170) are left out and counted: what acts that often is near everything.

A worked example: a lamp is used at eight and at half past nine.

>>> from jobs.activity.building import example_day
>>> log = example_day([(0, "light.lamp", "off"), (480, "light.lamp", "on"), (482, "light.lamp", "off"),
...     (570, "light.lamp", "on")])
>>> (row,), reason = BoutTimes().detect(log)
>>> row.entity_id, row.starts, reason
('light.lamp', [28800, 34200], '1 entity with 2 bouts')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from jobs.activity.events import AUTOMATION, DayLog
from jobs.activity.window import SECOND
from jobs.detector import Finding, detector, left_out
from jobs.statistics.bouts import bout_starts, by_group
from storage.plurals import counted
from storage.rollup_models import BoutTimesDaily

_MAX_BYTES: Final = 1000  # of the starts as JSON


@detector
@dataclass(frozen=True)
class BoutTimes:
    """The ``bout_times`` detector."""

    name: ClassVar = "bout_times"
    version: ClassVar = 1
    model: ClassVar = BoutTimesDaily

    def detect(self, log: DayLog) -> Finding:
        """Return the day's entities; see the module's docstring."""
        events = log.events[log.events.cause != AUTOMATION]
        entity, at = by_group(events.entity, events.at)
        if not len(at):
            return Finding([], "no entity had an activity event that no automation caused")
        is_start = bout_starts(entity, at)
        seconds = (at[is_start] - log.window.start) // SECOND
        codes, firsts = np.unique(entity[is_start], return_index=True)
        rows, too_many = [], 0
        for code, part in zip(codes.tolist(), np.split(seconds, firsts[1:]), strict=True):
            starts = part.tolist()
            if len(str(starts)) - len(starts) > _MAX_BYTES:
                too_many += 1
                continue
            about = log.entities[code]
            rows.append(
                BoutTimesDaily(
                    date=log.window.day, entity_id=about.entity_id, starts=starts, device_id=about.device_id or None
                )
            )
        bouts = sum(len(row.starts) for row in rows)
        notes = left_out(too_many, "entity with too many bouts", "entities with too many bouts")
        active = f"{counted(len(rows), 'entity', 'entities')} with {counted(bouts, 'bout')}"
        return Finding(rows, "; ".join((active, *notes)))
