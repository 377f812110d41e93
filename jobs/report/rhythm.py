"""The rhythm of the week: how active each room and device is at which hour of which day of the week."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from jobs.names import Names
from jobs.report.drawings import dots, level_of, level_paths
from jobs.report.stored_rows import StoredRows
from jobs.sentences.wording import hours
from storage.models import HOURS
from storage.query import RoomBasedDaily, TimeBasedDaily

WEEK_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MAX_DEVICES: Final = 100  # with a map of their own, the most used first

_MIN_PEAK_SHARE: Final = 0.5  # of the days of one day of the week, for its hour to be marked
_MIN_PEAK_DAYS: Final = 2  # days of the week with a marked hour, for it to be named
_WEEK: Final = len(WEEK_DAYS)
_Peaks = tuple[int, Sequence[int]]  # the day of the week, and its hours that stand out


class Rhythm(NamedTuple):
    """How active one room or device is.

    Attributes:
        id: Its id.
        name: Its name.
        a_day: Activity events on an average day.
        values: Activity events in an average hour, by day of the week (None if none was recorded) and hour.
        highest: The largest of these values.
        paths: Lines of a heat map, by level.
        peaks: Dots of hours that stand out.
        peak_hours: These hours in words; empty without any.
    """

    id: str
    name: str
    a_day: float
    values: tuple[tuple[float, ...] | None, ...]
    highest: float
    paths: list[tuple[int, str]]
    peaks: str
    peak_hours: str


class Group(NamedTuple):
    """The devices of a room; without a room if ``room`` is empty."""

    room: str
    devices: list[Rhythm]


class Rhythms(NamedTuple):
    """The rhythms of a home, the most used first.

    Attributes:
        rooms: Of each room as a whole.
        groups: Of the devices, by room.
        left_out: How many devices are used less and not shown.
    """

    rooms: list[Rhythm]
    groups: list[Group]
    left_out: int


def find_rhythms(rows: StoredRows, names: Names, max_devices: int = MAX_DEVICES) -> Rhythms:
    """Return the rhythm of each room, and of so many devices, the most used ones."""
    computed = Counter(day.weekday() for day in rows.runs("time_based"))
    by_entity: defaultdict[str, list[TimeBasedDaily]] = defaultdict(list)
    for row in rows.of(TimeBasedDaily):
        by_entity[row.entity_id].append(row)
    used = sorted(by_entity, key=lambda one: (-sum(row.occurrences for row in by_entity[one]), one))
    area_of = rows.area_of()
    in_room: defaultdict[str, list[str]] = defaultdict(list)
    for entity_id in used:
        in_room[area_of.get(entity_id, "")].append(entity_id)
    room_peaks: defaultdict[str, list[_Peaks]] = defaultdict(list)
    for found in rows.of(RoomBasedDaily):
        room_peaks[found.area_id].append((found.date.weekday(), found.peak_activity_hours))
    rooms = [
        _rhythm(area, names.area(area), [row for one in some for row in by_entity[one]], room_peaks[area], computed)
        for area, some in in_room.items()
        if area
    ]
    rooms.sort(key=lambda one: (-one.a_day, one.id))
    shown = set(used[:max_devices])
    groups = []
    for area in [*(room.id for room in rooms), ""]:
        devices = [_of_device(one, by_entity[one], names, computed) for one in in_room.get(area, ()) if one in shown]
        if devices:
            groups.append(Group(names.area(area) if area else "", devices))
    return Rhythms(rooms, groups, len(used) - len(shown))


def _of_device(entity_id: str, rows: Sequence[TimeBasedDaily], names: Names, computed: Mapping[int, int]) -> Rhythm:
    peaks = [(row.date.weekday(), row.peak_hours) for row in rows]
    return _rhythm(entity_id, names.entity(entity_id), rows, peaks, computed)


def _rhythm(
    id_: str,
    name: str,
    rows: Iterable[TimeBasedDaily],
    peaks: Iterable[_Peaks],
    computed: Mapping[int, int],
) -> Rhythm:
    sums = [[0] * HOURS for _ in WEEK_DAYS]
    for row in rows:
        of_day = sums[row.date.weekday()]
        for hour, count in enumerate(row.hourly_distribution):
            of_day[hour] += count
    values = tuple(
        tuple(count / computed[day] for count in sums[day]) if computed.get(day) else None for day in range(_WEEK)
    )
    highest = max((value for of_day in values for value in of_day or ()), default=0.0)
    levels = [[level_of(value, highest) for value in of_day or [0.0] * HOURS] for of_day in values]
    peak_days = Counter((day, hour) for day, of_day in peaks for hour in of_day)
    cells = sorted(cell for cell, days in peak_days.items() if days >= _MIN_PEAK_SHARE * computed.get(cell[0], days))
    known = sum(of_day is not None for of_day in values)
    often = Counter(hour for _, hour in cells)
    named = [hour for hour, days in often.items() if days >= min(_MIN_PEAK_DAYS, known)]
    return Rhythm(
        id_,
        name,
        sum(map(sum, sums)) / max(1, sum(computed.values())),
        values,
        highest,
        level_paths(levels),
        dots(cells),
        hours(named),
    )
