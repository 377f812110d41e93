"""Days on which nobody is home, by what people entered, their calendar, and what is stored of persons.

Nobody is home on the days that people entered; on those of their calendar, unless the home was as active as usual; and
on those on which every ``person`` was away all day, as ``active_time`` says, unless the home was as active as usual: a
resident without a ``person``, or a tracker that no longer reports. A person who is never home says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.detector import AggregateReader
from jobs.detectors._stored_days import rows_by_week
from jobs.household import Household
from storage.dates import ONE_DAY, DateRange, Day
from storage.models import ActiveTimeDaily, TimeBasedDaily

MAX_AWAY_DAYS: Final = 62  # in the baseline: two months, so that it does not begin before the retention
MIN_ABSENCE_DAYS: Final = 3  # after fewer days away, the day of the return is like others
MIN_HOLIDAY_DAYS: Final = 7  # around fewer days away, those of leaving and of the return belong to the baseline
MIN_HOURS_OF_LIFE: Final = 6  # sensors that act in so many hours of a day show more than a visit

_QUIET_SHARE: Final = 0.5  # of the usual share of active entities: below it, nobody lives in the home
_USUAL_QUANTILE: Final = 0.8  # of the days
_LEAVING_HOUR: Final = 10  # whoever leaves on a day was there before
_RETURN_HOUR: Final = 20  # whoever returned on a day is still there
_PERSON_DOMAINS: Final = frozenset({"person", "device_tracker"})
_OPENINGS: Final = frozenset({"door", "garage_door", "garage", "gate", "opening", "window", "lock"})
_MOVEMENTS: Final = frozenset({"motion", "moving", "occupancy", "presence", "vibration"})


@dataclass(frozen=True)
class Absences:
    """The days on which nobody was home, up to the judged one.

    Attributes:
        days: All of them, ascending.
        sources: For each, why it is known, in words.
        partly: Those on which people may have been home for a part of the day.
        looked_at: The days of the baseline and, where people may have been away, those before it.
    """

    days: tuple[Day, ...]
    sources: Mapping[Day, str]
    partly: frozenset[Day]
    looked_at: DateRange

    def days_before(self, day: Day) -> int:
        """Return how many days nobody was home immediately before a day."""
        count, away = 0, set(self.days)
        while day - (count + 1) * ONE_DAY in away:
            count += 1
        return count

    def newest_others(self, reach: DateRange, count: int) -> list[Day]:
        """Return the newest days of a range on which somebody was home, at most ``count``, ascending."""
        away = set(self.days) | self._travelling()
        return [day for day in reach if day not in away or day == reach.last][-count:]

    def _travelling(self) -> set[Day]:
        """Return the days of leaving and of the return around a week away or more: they are like no other days."""
        ends = {day for day in self.days if self.days_before(day + ONE_DAY) >= MIN_HOLIDAY_DAYS}
        lasts = {day for day in ends if day + ONE_DAY not in ends}
        firsts = {day - (self.days_before(day + ONE_DAY) - 1) * ONE_DAY for day in lasts}
        return {day + ONE_DAY for day in lasts} | {day - ONE_DAY for day in firsts}


def find_absences(history: AggregateReader, days: DateRange, household: Household) -> Absences:
    """Return on which days nobody was home, from what is stored and what is known of the household.

    Args:
        history: Stored rows.
        days: The days of the baseline if nobody was away, and the judged one.
        household: What people entered and what their calendar says.
    """
    reach = DateRange(days.first - MAX_AWAY_DAYS * ONE_DAY, days.last)
    persons = sorted({row.entity_id for row in history.read(TimeBasedDaily, days, {"domain": "person"})})
    without_persons = _without_persons(history, reach, persons) if persons else []
    declared = {day: away for day in reach if (away := household.away_on(day)) is not None}
    if not declared and not without_persons:
        return Absences((), {}, frozenset(), days)
    quiet = _quiet_days(rows_by_week(history, TimeBasedDaily, reach), {*declared, *without_persons})
    sources = dict.fromkeys((day for day in without_persons if day in quiet), "every person was away")
    for day, away in declared.items():
        if away.origin == "entered" or day in quiet:
            where = "it was entered as a day away" if away.origin == "entered" else "the calendar says so"
            sources.setdefault(day, where + (f" ({away.note})" if away.note else ""))
    certain = set(without_persons)
    edges = {day for day, away in declared.items() if day in (away.first, away.last)}
    partly = frozenset(day for day in edges & sources.keys() - certain if _may_be_people(day, household, history))
    return Absences(tuple(sorted(sources)), sources, partly, reach)


def _without_persons(history: AggregateReader, days: DateRange, persons: Sequence[str]) -> list[Day]:
    """Return the days on which it is known of every person that he or she was away all day."""
    home: dict[str, dict[Day, float]] = {person: {} for person in persons}
    for row in history.read(ActiveTimeDaily, days, {"entity_id": persons}):
        home[row.entity_id][row.date] = row.active_seconds
    informative = [seconds for seconds in home.values() if any(seconds.values())]
    if not informative:
        return []
    return [day for day in days if all(seconds.get(day) == 0 for seconds in informative)]


def _quiet_days(rows: Iterable[TimeBasedDaily], candidates: Collection[Day]) -> set[Day]:
    """Return the candidates on which far fewer entities were active than on other days."""
    active: dict[Day, set[str]] = {}
    first: dict[str, Day] = {}
    for row in rows:
        if row.domain not in _PERSON_DOMAINS:
            active.setdefault(row.date, set()).add(row.entity_id)
            first[row.entity_id] = min(row.date, first.get(row.entity_id, row.date))

    def share(day: Day) -> float:
        existing = sum(begin <= day for begin in first.values())
        return len(active.get(day, ())) / max(existing, 1)

    others = [share(day) for day in active if day not in candidates]
    if not others:
        return set()
    limit = _QUIET_SHARE * float(np.quantile(others, _USUAL_QUANTILE))
    return {day for day in candidates if share(day) < limit}


def _may_be_people(day: Day, household: Household, history: AggregateReader) -> bool:
    """Return whether people may have been home for a part of the first or last day of an absence.

    Whoever leaves was there in the morning, unless the evening before was quiet already; whoever returns stays.
    """
    away = household.away_on(day)
    hours = _hours_of(history, day)
    if away is None or not hours:
        return False
    had_left = 0 < max(_hours_of(history, day - ONE_DAY), default=0) < _RETURN_HOUR
    may_be_leaving = day == away.first and min(hours) < _LEAVING_HOUR and not had_left
    may_be_return = day == away.last and max(hours) >= _RETURN_HOUR
    return may_be_leaving or may_be_return or len(hours) >= MIN_HOURS_OF_LIFE


def _hours_of(history: AggregateReader, day: Day) -> set[int]:
    """Return the hours of a day in which sensors show somebody inside."""
    of_day = (row for row in history.read(TimeBasedDaily, DateRange(day, day)) if is_opening(row) or is_movement(row))
    return {hour for row in of_day for hour, count in enumerate(row.hourly_distribution) if count}


def is_opening(row: TimeBasedDaily) -> bool:
    """Return whether a row is of a door, a window, a gate or a lock."""
    return row.domain == "lock" or (row.domain in {"binary_sensor", "cover"} and row.device_class in _OPENINGS)


def is_movement(row: TimeBasedDaily) -> bool:
    """Return whether a row is of a sensor of motion, occupancy or presence."""
    return row.domain == "binary_sensor" and row.device_class in _MOVEMENTS
