"""The report of one day in detail."""

from __future__ import annotations

from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from jobs.names import Names
from jobs.report.calendar import ANOMALY
from jobs.report.drawings import level_of, level_paths
from jobs.report.gaps import Gap, find_gaps
from jobs.report.relations import Relations, find_relations
from jobs.report.stored_rows import StoredRows
from jobs.sentences.days import DayWord, word_of_day
from jobs.sentences.groups import Story, stories
from jobs.sentences.rows import sentence_of
from jobs.sentences.wording import active_state, length, times
from storage.query import (
    ActiveTimeDaily,
    AggregateQuery,
    AnomalyDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    TimeBasedDaily,
)

A = TypeVar("A", bound=DailyAggregate)


class DeviceDay(NamedTuple):
    """What one device did on the day, in words and as a line of 24 hours."""

    id: str
    name: str
    used: str
    when: str
    active: str
    longest: str
    paths: list[tuple[int, str]]


class OneDay(NamedTuple):
    """What the report of one day shows."""

    title: str
    word: DayWord
    stories: list[Story]
    devices: list[DeviceDay]
    rooms: list[str]
    relations: Relations
    runs: list[DetectorRunDaily]
    gaps: list[Gap]


def find_one_day(aggregates: AggregateQuery, rows: StoredRows, names: Names, zone: ZoneInfo) -> OneDay:
    """Return what the report of one day shows.

    Args:
        aggregates: The stored aggregates.
        rows: The rows of this day.
        names: What people call entities and areas.
        zone: The zone of the home.

    Raises:
        StoreUnavailable: The store cannot be reached now.
        StoreCorrupt: A row does not satisfy its model.
    """
    names = rows.named(names)
    day = rows.days.first
    anomalies = rows.of(AnomalyDaily)
    rooms = sorted(rows.of(RoomBasedDaily), key=lambda row: (-row.activity_level, row.area_id))
    return OneDay(
        title=f"{day:%A %-d %B %Y}",
        word=word_of_day(anomalies, rows.runs(ANOMALY).get(day)),
        stories=stories(anomalies, zone, rows, names),
        devices=_devices(rows, names),
        rooms=[sentence_of(row, zone, None, names) for row in rooms],
        relations=find_relations(rows, names),
        runs=rows.of(DetectorRunDaily),
        gaps=find_gaps(aggregates, rows),
    )


def _devices(rows: StoredRows, names: Names) -> list[DeviceDay]:
    used: dict[str, TimeBasedDaily] = _by_entity(rows.of(TimeBasedDaily))
    active: dict[str, ActiveTimeDaily] = _by_entity(rows.of(ActiveTimeDaily))
    ended: dict[str, DurationDaily] = _by_entity(rows.of(DurationDaily))
    return [
        _device(one, names.entity(one), used.get(one), active.get(one), ended.get(one))
        for one in sorted({*used, *active}, key=lambda one: (names.entity(one).casefold(), one))
    ]


def _by_entity(rows: list[A]) -> dict[str, A]:
    return {str(row.key()[0]): row for row in rows}


def _device(
    id_: str, name: str, used: TimeBasedDaily | None, active: ActiveTimeDaily | None, ended: DurationDaily | None
) -> DeviceDay:
    state = active_state(id_, used.device_class if used is not None else None)
    counts = used.hourly_distribution if used is not None else []
    highest = max(counts, default=0)
    return DeviceDay(
        id=id_,
        name=name,
        used=times(0 if used is None else used.occurrences if used.bouts is None else used.bouts),
        when=_spans([hour for hour, count in enumerate(counts) if count]),
        active="" if active is None else f"{state} for {length(active.active_seconds)}",
        longest="" if ended is None else length(ended.max_duration_seconds),
        paths=level_paths([[level_of(count, highest) for count in counts]]),
    )


def _spans(used: list[int]) -> str:
    """Return hours as short spans.

    >>> _spans([6, 7, 8, 12])
    '6-9, 12-13'
    """
    starts = [hour for hour in used if hour - 1 not in used]
    ends = [hour + 1 for hour in used if hour + 1 not in used]
    return ", ".join(f"{start}-{end}" for start, end in zip(starts, ends, strict=True))
