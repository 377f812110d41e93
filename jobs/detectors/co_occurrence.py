"""Which two entities were active together more often than chance explains: one row for each such pair.

What is matched are the starts of bouts (runs of an entity's events at most 300 s apart), so a burst counts once.

* **Finding a pair:** given that both entities are active around the same time, are they closer than chance explains? Of
  the rarer entity's bouts that have the other entity around (± 600 s), more than chance allows must have it within 10,
  30 or 60 s, and at least three (``close_pairs.find_close_pairs``: binomial tail, the smallest of the three p-values
  times three, Benjamini and Hochberg at 5 % over the pairs that could be found).
* **Counting it:** ``co_occurrence_count`` is the number of matches within the window (300 s), one to one in time order.
  ``confidence`` is the Wilson 95 % lower bound of their share of the rarer entity's bouts. ``expected_count`` is what
  chance would give if the bouts of the hour around were spread evenly. ``typical_hours`` are the peak hours of the
  matches or, if there is none, the hours with at least a quarter of the matches.

Not every pair is a habit. Events caused by automations, pairs of one device, and pairs that act simultaneously (most of
their matches within half a second: a group and its member) are left out by default, and counted in the reason. The
setting ``linked = "flag"`` keeps them and says in ``linked_by`` what links them.

One day cannot prove lags of 60 to 300 s: in a busy home, nearly everything is that close.

A worked example: six times a day a motion sensor and, a few seconds later, a lamp; and a fridge, unrelated to both.

>>> from jobs.activity.building import example_day
>>> visits = [420, 490, 700, 1010, 1130, 1250]
>>> log = example_day(
...     [(0, "binary_sensor.motion", "off"), (0, "light.lamp", "off"), (0, "switch.fridge", "off")]
...     + [(m, "binary_sensor.motion", "on") for m in visits] + [(m + 1, "binary_sensor.motion", "off") for m in visits]
...     + [(m + 0.1, "light.lamp", "on") for m in visits] + [(m + 4, "light.lamp", "off") for m in visits]
...     + [(m, "switch.fridge", state) for m, state in zip(range(5, 1440, 45), ["on", "off"] * 16)])
>>> (row,), reason = CoOccurrence().detect(log)
>>> row.device_pair, row.co_occurrence_count, row.median_gap_seconds, row.first_share
('binary_sensor.motion|light.lamp', 6, 6.0, 1.0)
>>> round(row.confidence, 2), row.typical_hours
(0.61, [])
>>> reason
'3 pairs tested, 1 more often together than by chance'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from jobs.activity.events import AUTOMATION, DayLog, Events, Flags
from jobs.activity.window import SECOND
from jobs.detector import Evidence, Finding, detector, left_out
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.bouts import bout_starts, count_by_hour
from jobs.statistics.close_pairs import ClosePairs, find_close_pairs
from jobs.statistics.intervals import wilson_lower
from jobs.statistics.matching import (
    MAX_SIMULTANEOUS_GAP,
    MIN_HITS,
    Points,
    Scale,
    device_codes,
    expected_matches,
    link_kind,
    match_one_to_one,
)
from jobs.statistics.peaks import peak_hours
from storage.models import CoOccurrenceDaily, LinkedBy, tag_fault
from storage.plurals import counted

SCALES: Final = (Scale(10, 600), Scale(30, 600), Scale(60, 600))
_MIN_TYPICAL_SHARE: Final = 0.25  # of the matches, for an hour to be typical where no hour is a peak
_HOUR_SECONDS: Final = 3600
_PAIRS_AT_ONCE: Final = 500  # whose matches are held at once: bounds the memory
_ANY_RATE: Final = 0.99  # a false discovery rate at which a pair that was found is found again


@detector
@dataclass(frozen=True)
class CoOccurrence:
    """The ``co_occurrence`` detector.

    Attributes:
        time_window_seconds: How far apart two bouts may start and still count as together, inclusive.
        false_discovery_rate: The share of the pairs that may be due to chance.
        linked: What to do with pairs that an automation, a device or a group links: leave them out or flag them.
    """

    name: ClassVar = "co_occurrence"
    version: ClassVar = 2
    model: ClassVar = CoOccurrenceDaily

    time_window_seconds: Annotated[int, Field(ge=1, le=_HOUR_SECONDS)] = 300
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    linked: Literal["exclude", "flag"] = "exclude"

    def detect(self, log: DayLog) -> Finding:
        """Return the day's pairs; see the module's docstring."""
        events, notes = self._events(log)
        points, bout = _bouts(events, len(log.entities))
        device = device_codes(log.entities)
        owner = device if self.linked == "exclude" else np.arange(points.groups)
        found = find_close_pairs(points, SCALES, owner, ordered=False, rate=self.false_discovery_rate)
        rows, simultaneous, unnamed, apart = [], 0, 0, 0
        for begin in range(0, len(found.p), _PAIRS_AT_ONCE):
            pairs = _Pairs(log, points, found.part(begin, begin + _PAIRS_AT_ONCE), self.time_window_seconds)
            for index, linked_by in enumerate(pairs.linked_by(device, events.cause[bout])):
                if self.linked == "exclude" and linked_by:
                    simultaneous += 1
                elif tag_fault(pairs.name(index)) or pairs.name(index).count("|") > 1:
                    unnamed += 1
                elif pairs.count(index) < MIN_HITS:
                    apart += 1
                else:
                    rows.append(pairs.row(index, linked_by))
        rows.sort(key=lambda row: row.device_pair)
        notes += left_out(simultaneous, "pair that acts simultaneously", "pairs that act simultaneously")
        notes += left_out(
            unnamed, "pair whose name is too long or contains a bar", "pairs whose names are too long or contain a bar"
        )
        notes += left_out(
            apart, "pair with too few matches within the window", "pairs with too few matches within the window"
        )
        for bound in found.left_out(("entity", "entities"), ("pair", "pairs")):
            notes += left_out(*bound)
        together = f"{found.found or 'none'} more often together than by chance"
        return Finding(rows, "; ".join((f"{counted(found.tested, 'pair')} tested, {together}", *notes)))

    def _events(self, log: DayLog) -> tuple[Events, list[str]]:
        """Return the events to look at, and what was left out."""
        if self.linked == "flag":
            return log.events, []
        automatic = log.events.cause == AUTOMATION
        count = int(np.count_nonzero(automatic))
        return log.events[~automatic], left_out(count, "event caused by an automation", "events caused by automations")

    def explain(self, row: CoOccurrenceDaily, log: DayLog) -> Evidence:
        """Return the matches of the pair, how many chance would give, and p."""
        events, _ = self._events(log)
        points, _ = _bouts(events, len(log.entities))
        names = row.device_pair.split("|")
        codes = [log.code_of(entity_id) for entity_id in names]
        if -1 in codes:
            return Evidence((*names, "seconds between"), [], ("the raw events no longer contain both entities",))
        first, second = (np.array([code], np.int64) for code in codes)
        matches = match_one_to_one(points, first, second, row.time_window_seconds)
        one, other = points.at[matches.first], points.at[matches.second]
        lines: list[tuple[str | int | float, ...]] = [
            (log.clock(a), log.clock(b), round((b - a) / SECOND, 1))
            for a, b in zip(one.tolist(), other.tolist(), strict=True)
        ]
        bouts = " and ".join(str(points.sizes[code]) for code in codes)
        both = points.only(np.array(codes))
        found = find_close_pairs(both, SCALES, np.arange(2), ordered=False, rate=_ANY_RATE)
        p = f"p = {found.p[0]:.2g} before correction" if len(found.p) else "they are no closer than chance explains"
        note = f"{len(lines)} of {bouts} bouts match, {row.expected_count or 0:.2f} expected by chance; {p}"
        return Evidence((*names, "seconds between"), lines, (note,))


def _bouts(events: Events, entities: int) -> tuple[Points, Integers]:
    """Return the starts of bouts in order of time, and the index of each among the events."""
    order = np.lexsort((events.at, events.entity))
    starts = bout_starts(events.entity[order].astype(np.int64), events.at[order])
    bout = np.sort(order[starts])
    return Points(events.at[bout], events.entity[bout].astype(np.int64), entities), bout


class _Pairs:
    """The pairs that were found, with their matches within the window."""

    def __init__(self, log: DayLog, points: Points, found: ClosePairs, window: int) -> None:
        sizes = points.sizes
        self._log = log
        self._found = found
        self._window = window
        self._rarer = np.minimum(sizes[found.first], sizes[found.second])
        self._matches = match_one_to_one(points, found.first, found.second, window)
        self._count = np.bincount(self._matches.pair, minlength=len(found.p))
        self._bounds = np.concatenate(([0], np.cumsum(self._count)))
        at = points.at
        self._gap = at[self._matches.second] - at[self._matches.first]
        self._hours = self._typical_hours(np.minimum(at[self._matches.first], at[self._matches.second]))
        scale = Scale(window, max(_HOUR_SECONDS, 2 * window))
        fewer = sizes[found.first] <= sizes[found.second]
        self._expected = expected_matches(
            points, np.where(fewer, found.first, found.second), np.where(fewer, found.second, found.first), scale
        )

    def _typical_hours(self, at: Integers) -> Flags:
        """Return which hours are typical of each pair, shape (pairs, 24)."""
        pairs = len(self._found.p)
        order = np.lexsort((at, self._matches.pair))
        pair, at = self._matches.pair[order], at[order]
        counts = count_by_hour(pair, self._log.window.hours_of(at), pairs)
        peaks, _ = peak_hours(pair, at, pairs, self._log.window, self._log.known)
        often = (counts > 0) & (counts >= _MIN_TYPICAL_SHARE * counts.sum(axis=1, keepdims=True))
        typical: Flags = np.where(peaks.any(axis=1, keepdims=True), peaks, often)
        return typical

    def name(self, index: int) -> str:
        """Return the ids of both entities, in ascending order (that of the entities)."""
        entities = self._log.entities
        return f"{entities[self._found.first[index]].entity_id}|{entities[self._found.second[index]].entity_id}"

    def count(self, index: int) -> int:
        """Return how many matches a pair has."""
        return int(self._count[index])

    def linked_by(self, device: Integers, cause: NDArray[np.int8]) -> list[LinkedBy | None]:
        """Return what in the home itself links each pair; None where nothing does."""
        pairs = len(self._found.p)
        later = np.where(self._gap >= 0, self._matches.second, self._matches.first)
        switched = self._share(cause[later] == AUTOMATION, pairs)
        simultaneous = self._share(np.abs(self._gap) <= MAX_SIMULTANEOUS_GAP, pairs)
        same = device[self._found.first] == device[self._found.second]
        return [
            link_kind(
                same_device=bool(same[index]), automatic=float(switched[index]), simultaneous=float(simultaneous[index])
            )
            for index in range(pairs)
        ]

    def _share(self, flags: Flags, pairs: int) -> Floats:
        """Return the share of each pair's matches that have a flag."""
        flagged = np.bincount(self._matches.pair, flags, minlength=pairs).astype(np.float64)
        return flagged / np.maximum(self._count, 1)

    def row(self, index: int, linked_by: LinkedBy | None) -> CoOccurrenceDaily:
        """Return the aggregate of one pair."""
        gap = self._gap[self._bounds[index] : self._bounds[index + 1]]
        count = int(self._count[index])
        return CoOccurrenceDaily(
            date=self._log.window.day,
            device_pair=self.name(index),
            co_occurrence_count=count,
            time_window_seconds=self._window,
            confidence=wilson_lower(count, int(self._rarer[index])),
            typical_hours=np.flatnonzero(self._hours[index]).tolist(),
            expected_count=float(self._expected[index]),
            median_gap_seconds=float(np.median(np.abs(gap))) / SECOND,
            first_share=float(np.count_nonzero(gap > 0) + np.count_nonzero(gap == 0) / 2) / count,
            linked_by=linked_by,
        )
