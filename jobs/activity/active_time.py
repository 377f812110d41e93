"""How long entities were in an active state within a day, and how long their state was known, by entity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobs.activity.episodes import Group, groups_of
from jobs.activity.events import DayLog, StateIntervals
from jobs.activity.spans import Spans
from jobs.activity.window import SECOND, Instants


def active_intervals(log: DayLog) -> StateIntervals:
    """Return the intervals in active states; pauses between two of them are not active."""
    return log.intervals[groups_of(log.intervals, log.entities, log.states) == Group.ACTIVE]


def active_seconds(log: DayLog) -> NDArray[np.float64]:
    """Return for how many seconds of the day each entity is known to have been active, shape (entities,)."""
    return _seconds_within_day(log, active_intervals(log))


def state_known_seconds(log: DayLog) -> NDArray[np.float64]:
    """Return for how many seconds of the day each entity's state is known, shape (entities,)."""
    return _seconds_within_day(log, log.intervals)


def _seconds_within_day(log: DayLog, intervals: StateIntervals) -> NDArray[np.float64]:
    """Return the known time within the day of intervals that do not overlap within an entity, by entity."""
    start = np.clip(intervals.start, log.window.start, log.window.end)
    end = np.clip(intervals.end, log.window.start, log.window.end)
    microseconds = _known_before(log.known, end) - _known_before(log.known, start)
    return np.bincount(intervals.entity, microseconds, len(log.entities)) / SECOND  # whole numbers: exact sums


def _known_before(known: Spans, at: Instants) -> Instants:
    """Return how much known time lies before each instant, in microseconds."""
    if not len(known):
        return np.zeros(len(at), np.int64)
    before = np.concatenate(([0], np.cumsum(known[:, 1] - known[:, 0])))
    span = np.searchsorted(known[:, 0], at, side="right") - 1
    within = np.where(span >= 0, np.minimum(at, known[span, 1]) - known[span, 0], 0)
    total: Instants = before[np.maximum(span, 0)] + within
    return total
