"""What happened in each area: one row for each area with at least one activity event.

``activity_level`` is the area's share of the home's activity events that have an area (all areas sum to 1).
``device_usage`` counts the events by entity. ``peak_activity_hours`` are the area's peak hours (``peaks.peak_hours``).
An entity belongs to its own area or, if it has none, to that of its device.

``transition_patterns`` says where people went next. A *sign* that somebody came into an area is that a motion,
occupancy, presence or door sensor of it becomes active; in an area without such a sensor, that a light or switch of it
is turned on or off by hand (not by an automation). A sensor that turns off does not move anybody, but shows that
somebody was still there, if nothing has happened elsewhere since. Successive signs in one area are one stay, from the
first to the last. A *transition* is from one stay to the next in another area, if that begins within 5 minutes; its
time is that from the last sign of one to the first sign of the other.

``probability`` is the transition's count over all transitions out of the area. The counts are kept too, so that sums
over several days do not have to average shares. Both lists keep their largest entries if they would not fit 1 KB; the
reason says how many were cut.

A worked example: twice from the hall to the kitchen, and once to the bath.

>>> from jobs.activity.building import example_day
>>> moves = [(480, "hall"), (481, "kitchen"), (500, "hall"), (502, "kitchen"), (600, "hall"), (601, "bath")]
>>> log = example_day(
...     [(0, f"binary_sensor.{area}", "off") for area in ("hall", "kitchen", "bath")]
...     + [(minute + after, f"binary_sensor.{area}", state)
...        for minute, area in moves for after, state in ((0, "on"), (0.5, "off"))],
...     areas={f"binary_sensor.{area}": area for area in ("hall", "kitchen", "bath")}, device_class="motion")
>>> bath, hall, kitchen = RoomBased().detect(log).rows
>>> hall.activity_level, hall.device_usage
(0.5, {'binary_sensor.hall': 6})
>>> [(step["to"], step["count"], round(step["probability"], 2), step["median_seconds"])
...  for step in hall.transition_patterns]
[('kitchen', 2, 0.67, 60.0), ('bath', 1, 0.33, 30.0)]
>>> kitchen.transition_patterns, bath.transition_patterns
([], [])
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeVar

import numpy as np
from pydantic import Field

from jobs.activity.entities import Kind
from jobs.activity.events import AUTOMATION, DayLog, Flags
from jobs.activity.window import SECOND
from jobs.detector import Evidence, Finding, detector, left_out
from jobs.statistics.arrays import Integers
from jobs.statistics.bouts import by_group
from jobs.statistics.peaks import HOUR_COLUMNS, hours_explained, peak_hours
from storage.columns import to_json
from storage.models import JSON_BYTES, RoomBasedDaily
from storage.plurals import counted

_BY_HAND: Final = frozenset({"light", "switch"})
T = TypeVar("T")
Transition = dict[str, str | int | float | None]


@detector
@dataclass(frozen=True)
class RoomBased:
    """The ``room_based`` detector.

    Attributes:
        gap_seconds: How long after the last sign in one area the first sign in the next may come.
        peak_false_discovery_rate: The share of an area's peak hours that may be due to chance.
    """

    name: ClassVar = "room_based"
    version: ClassVar = 2
    model: ClassVar = RoomBasedDaily

    gap_seconds: Annotated[int, Field(ge=1, le=3600)] = 300
    peak_false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05

    def detect(self, log: DayLog) -> Finding:
        """Return the day's areas; see the module's docstring."""
        areas = sorted({entity.area_id for entity in log.entities if entity.area_id is not None})
        codes = {area_id: code for code, area_id in enumerate(areas)}
        area_of = np.array([-1 if e.area_id is None else codes[e.area_id] for e in log.entities], np.int64)
        located = np.flatnonzero(area_of[log.events.entity] >= 0) if len(log.events) else np.empty(0, np.int64)
        if not len(located):
            return Finding([], f"no activity event with an area, of {len(log.events):,}")
        entity = log.events.entity[located]
        area, at = by_group(area_of[entity], log.events.at[located])
        peaks, _ = peak_hours(area, at, len(areas), log.window, log.known, self.peak_false_discovery_rate)
        events = np.bincount(area, minlength=len(areas))
        usage = np.bincount(entity, minlength=len(log.entities))
        moves = _moves(log, area_of, self.gap_seconds * SECOND)
        members = _by_code(area_of, len(areas))
        moves_from = _by_code(moves[:, 0], len(areas))
        rows, cut_devices, cut_moves = [], 0, 0
        for code in np.flatnonzero(events).tolist():
            devices = _devices(log, usage, members[code])
            transitions = _transitions(areas, moves[moves_from[code]])
            kept_devices = _fitting(devices, dict)
            kept_transitions = _fitting(transitions, list)
            cut_devices += len(devices) - len(kept_devices)
            cut_moves += len(transitions) - len(kept_transitions)
            row = RoomBasedDaily(
                date=log.window.day,
                area_id=areas[code],
                activity_level=float(events[code] / len(located)),
                device_usage=dict(kept_devices),
                transition_patterns=kept_transitions,
                peak_activity_hours=np.flatnonzero(peaks[code]).tolist(),
            )
            rows.append(row)
        events_of_areas = f"{counted(len(rows), 'area')} had {counted(len(located), 'activity event')}"
        notes = [f"{events_of_areas}; {counted(len(moves), 'transition')} between areas"]
        notes += left_out(len(log.events) - len(located), "event without an area", "events without an area")
        notes += left_out(cut_devices, "least used entity", "least used entities")
        notes += left_out(cut_moves, "rarest transition", "rarest transitions")
        return Finding(rows, "; ".join(notes))

    def explain(self, row: RoomBasedDaily, log: DayLog) -> Evidence:
        """Return the area's events by hour, and those expected by chance."""
        of_area = np.array([entity.area_id == row.area_id for entity in log.entities], np.bool_)
        at = log.events.at[of_area[log.events.entity]]
        lines = hours_explained(at, log.window, log.known, self.peak_false_discovery_rate)
        return Evidence(HOUR_COLUMNS, lines, (f"{len(at):,} of the home's {counted(len(log.events), 'event')}",))


def _devices(log: DayLog, usage: Integers, codes: Integers) -> list[tuple[str, int]]:
    """Return how often each entity of an area was used, the most used first."""
    used = [(log.entities[code].entity_id, int(usage[code])) for code in codes.tolist() if usage[code]]
    return sorted(used, key=lambda item: (-item[1], item[0]))


def _transitions(areas: list[str], moves: Integers) -> list[Transition]:
    """Return where people went from an area, the most frequent first."""
    codes, counts = np.unique(moves[:, 1], return_counts=True)
    found = [(areas[code], count, code) for code, count in zip(codes.tolist(), counts.tolist(), strict=True)]
    return [
        {
            "to": to,
            "count": count,
            "probability": count / len(moves),
            "median_seconds": float(np.median(moves[moves[:, 1] == code, 2])) / SECOND,
        }
        for to, count, code in sorted(found, key=lambda move: (-move[1], move[0]))
    ]


def _by_code(codes: Integers, count: int) -> list[Integers]:
    """Return where each code is, ascending; negative ones are left out."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(count + 1)))[1:-1]


def _fitting(items: list[T], kind: Any) -> list[T]:  # noqa: ANN401 - dict or list, both called with the items
    """Return as many of the first items as fit a JSON field."""
    kept = bisect_right(
        range(1, min(len(items), JSON_BYTES) + 1),
        JSON_BYTES,
        key=lambda count: len(to_json(kind(items[:count])).encode()),
    )
    return items[:kept]


def _moves(log: DayLog, area_of: Integers, gap: int) -> Integers:
    """Return every transition: from area, to area, microseconds; shape (n, 3)."""
    came, sign = _signs(log, area_of)
    at, area, moving = log.events.at[sign], area_of[log.events.entity[sign]], came[sign]
    latest = np.maximum.accumulate(np.where(moving, np.arange(len(at)), -1))  # where somebody was seen to come last
    still = moving | ((latest >= 0) & (area == area[latest]))
    at, area = at[still], area[still]
    moved = np.flatnonzero((area[1:] != area[:-1]) & (np.diff(at) <= gap))
    return np.column_stack((area[moved], area[moved + 1], at[moved + 1] - at[moved]))


def _signs(log: DayLog, area_of: Integers) -> tuple[Flags, Integers]:
    """Return which events show that somebody came, and the indices of all that show that somebody was there."""
    presence = [e.presence and e.area_id is not None and e.kind is Kind.ACTIVITY for e in log.entities]
    sensed = {e.area_id for e, shows in zip(log.entities, presence, strict=True) if shows}
    sensor = np.array(presence, np.bool_)[log.events.entity]
    by_hand = np.array([e.domain in _BY_HAND and e.area_id not in sensed for e in log.entities], np.bool_)
    touched = by_hand[log.events.entity] & (log.events.cause != AUTOMATION) & (area_of[log.events.entity] >= 0)
    width = len(log.states)
    pairs, which = np.unique(log.events.entity.astype(np.int64) * width + log.events.state, return_inverse=True)
    on = [log.entities[pair // width].is_active(log.states[pair % width]) for pair in pairs.tolist()]
    came: Flags = touched | (sensor & np.array(on, np.bool_)[which])
    return came, np.flatnonzero(sensor | touched)
