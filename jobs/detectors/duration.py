"""How long each entity stayed active: one row for each entity with at least one finished episode.

An episode is a stretch of active states (on, open, unlocked, home, playing, cleaning ...; ``jobs.activity.states``
lists them by domain, ``jobs.activity.episodes`` says what belongs together). It belongs to the day it ends on or, if it
ends with a pause, to the day on which the pause had become too long. It counts in full, also if it began days before:
each finished episode is counted exactly once. An episode is not measured if its start is not known, or if it was
interrupted by a gap of more than 5 minutes or by a restart that found another value.

``efficiency_score`` is the share of the entity's active time on this day during which somebody was around: a motion,
occupancy, presence or door sensor of its area was on, or had its last event at most 10 minutes before. Time in which no
such sensor of the area was known does not count. If no time is left, there is no score. A light that burns in an empty
room scores low.

``active_seconds`` is the time within the day in an active state, as in ``active_time``.

A worked example: a lamp burns for an hour; somebody moves during the first 10 minutes of it.

>>> from jobs.activity.building import example_day
>>> log = example_day([
...     (0, "light.lamp", "off"), (0, "binary_sensor.motion", "off"),
...     (600, "binary_sensor.motion", "on"), (600, "light.lamp", "on"), (610, "binary_sensor.motion", "off"),
...     (660, "light.lamp", "off"),
... ], area="hall", device_class="motion")
>>> motion, lamp = Duration().detect(log).rows
>>> lamp.avg_duration_seconds, lamp.episodes, round(lamp.efficiency_score, 3), lamp.active_seconds
(3600.0, 1, 0.333, 3600.0)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from jobs.activity.active_time import active_seconds
from jobs.activity.events import DayLog, Episodes, StateIntervals
from jobs.activity.spans import Spans, intersection, length, union
from jobs.activity.window import SECOND
from jobs.detector import Evidence, Finding, detector, left_out
from storage.models import DurationDaily
from storage.plurals import counted


@detector
@dataclass(frozen=True)
class Duration:
    """The ``duration`` detector.

    Attributes:
        around_seconds: How long after its last event a motion, presence or door sensor still shows somebody around.
    """

    name: ClassVar = "duration"
    version: ClassVar = 3
    model: ClassVar = DurationDaily

    around_seconds: Annotated[int, Field(ge=0, le=86_400)] = 600

    def detect(self, log: DayLog) -> Finding:
        """Return the day's durations; see the module's docstring."""
        episodes = log.episodes
        ended = (episodes.known_at >= log.window.start) & (episodes.known_at < log.window.end)
        measured = ended & episodes.end_known & episodes.start_known
        interrupted = left_out(
            int(np.count_nonzero(ended & ~measured)),
            "episode that was interrupted or whose start is not known",
            "episodes that were interrupted or whose start is not known",
        )
        if not measured.any():
            return Finding([], "; ".join(("no finished episode", *interrupted)))
        lengths = (episodes.end - episodes.start)[measured] / SECOND
        codes, first, counts = np.unique(episodes.entity[measured], return_index=True, return_counts=True)
        shortest, longest = np.minimum.reduceat(lengths, first), np.maximum.reduceat(lengths, first)
        mean = np.clip(np.add.reduceat(lengths, first) / counts, shortest, longest)
        variance = np.add.reduceat((lengths - np.repeat(mean, counts)) ** 2, first) / counts
        active = active_seconds(log)
        around = _Around(log, self.around_seconds * SECOND)
        rows = [
            DurationDaily(
                date=log.window.day,
                entity_id=log.entities[code].entity_id,
                avg_duration_seconds=float(mean[i]),
                min_duration_seconds=float(shortest[i]),
                max_duration_seconds=float(longest[i]),
                duration_variance=float(variance[i]),
                efficiency_score=around.share(code),
                episodes=int(counts[i]),
                active_seconds=float(active[code]),
            )
            for i, code in enumerate(codes.tolist())
        ]
        finished = f"{counted(len(rows), 'entity', 'entities')} had {counted(int(counts.sum()), 'finished episode')}"
        return Finding(rows, "; ".join((finished, *interrupted)))

    def explain(self, row: DurationDaily, log: DayLog) -> Evidence:
        """Return each episode that touched the day, and whether it was measured."""
        episodes = log.episodes[log.episodes.entity == log.code_of(row.entity_id)]
        lines: list[tuple[str | int | float, ...]] = []
        for start, end, start_known, end_known in zip(
            episodes.start.tolist(),
            episodes.end.tolist(),
            episodes.start_known.tolist(),
            episodes.end_known.tolist(),
            strict=True,
        ):
            use = "not finished" if not end_known else "measured" if start_known else "its start is not known"
            lines.append((log.clock(start), log.clock(end), round((end - start) / SECOND, 1), use))
        return Evidence(("from", "to", "seconds", ""), lines)


class _Around:
    """When somebody was around in each area, as its motion, presence and door sensors show.

    Args:
        log: The day.
        linger: For how many microseconds after an event somebody is taken to be around.
    """

    def __init__(self, log: DayLog, linger: int) -> None:
        self._log = log
        self._linger = linger
        self._areas: dict[str, tuple[Spans, Spans]] = {}

    def share(self, code: int) -> float | None:
        """Return the share of an entity's active time with somebody around; None if no sensor of its area shows it."""
        area = self._log.entities[code].area_id
        if area is None:
            return None
        if area not in self._areas:
            self._areas[area] = self._of_area(area)
        known, around = self._areas[area]
        episodes = self._log.episodes  # ordered by entity
        on = self._spans(episodes[slice(*np.searchsorted(episodes.entity, (code, code + 1)))])
        judged = intersection(on, known)
        return length(intersection(judged, around)) / length(judged) if len(judged) else None

    def _of_area(self, area: str) -> tuple[Spans, Spans]:
        """Return when a sensor of the area was known, and when one was on or had its last event a short while ago."""
        codes = [code for code, entity in enumerate(self._log.entities) if entity.presence and entity.area_id == area]
        seen = self._log.intervals[np.isin(self._log.intervals.entity, codes)]
        on = self._log.episodes[np.isin(self._log.episodes.entity, codes)]
        changed = seen.start[seen.start_known]
        lingering = np.column_stack((changed, changed + self._linger))
        return self._spans(seen), union(np.concatenate((self._spans(on), self._within(lingering))))

    def _spans(self, stretches: StateIntervals | Episodes) -> Spans:
        return union(self._within(np.column_stack((stretches.start, stretches.end))))

    def _within(self, spans: Spans) -> Spans:
        return np.clip(spans, self._log.window.start, self._log.window.end)
