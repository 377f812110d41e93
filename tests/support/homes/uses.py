"""From a way of life to columns: when each thing in the home was in use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Description
from jobs.activity.spans import Spans, union
from jobs.activity.window import DAY, HOUR, SECOND, DayWindow, Instants
from tests.support.homes.lives import Life
from tests.support.homes.residents import MIDNIGHT, NEVER, Schedule
from tests.support.homes.things import PARTS_OF_DAY, Kind, Thing

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

PERSON: Final = Kind("person", "home", "not_home", may_be_long=False)
_BY_DAYLIGHT: Final = 0.3  # how often a lamp is used that would be used in the dark
_CHANGE_HOUR: Final = 3.0  # until then, a day's clock counts from its first midnight; afterwards from its last


class Calendar:
    """The days of a home, and its clock.

    Args:
        days: Consecutive days.
        zone: The home's zone.

    Attributes:
        days: The days.
        windows: The window of each.
        start: When the first begins.
        end: When the last ends.
    """

    def __init__(self, days: Sequence[dt.date], zone: ZoneInfo) -> None:
        self.days = list(days)
        self.windows = [DayWindow(day, zone) for day in days]
        self.start, self.end = self.windows[0].start, self.windows[-1].end
        self._starts = np.array([window.start for window in self.windows], np.int64)
        self._ends = np.array([window.end for window in self.windows], np.int64)

    def instants(self, day: Integers, hours: Floats) -> Instants:
        """Return instants from days, by index, and hours after local midnight, which may lie on the days around."""
        day, hours = day + np.floor(hours / 24).astype(np.int64), hours % 24
        inside = np.clip(day, 0, len(self.days) - 1)
        first, last = self._starts[inside], self._ends[inside] - DAY
        clock = np.where(hours < _CHANGE_HOUR, first, last) + (day - inside) * DAY
        instants: Instants = clock + (hours * HOUR).astype(np.int64)
        return instants


@dataclass(frozen=True, slots=True)
class Lived:
    """What happened in a home.

    Attributes:
        calendar: Its days.
        things: What is in it, without persons.
        about: Each entity, persons included.
        kinds: The kind of each.
        used: When each was in use: disjoint spans, ascending, at least a second apart.
        schedule: When the residents were where.
    """

    calendar: Calendar
    things: list[Thing]
    about: list[Description]
    kinds: list[Kind]
    used: list[Spans]
    schedule: Schedule


def separate(spans: Spans, calendar: Calendar) -> Spans:
    """Return spans within the calendar, ascending, with those joined that are less than a second apart."""
    clipped = np.clip(spans, calendar.start, calendar.end)
    joined = union(np.column_stack((clipped[:, 0], clipped[:, 1] + SECOND)))
    return np.column_stack((joined[:, 0], np.minimum(joined[:, 1] - SECOND, calendar.end)))


def live(rng: np.random.Generator, life: Life, things: list[Thing], calendar: Calendar, plan: Schedule) -> Lived:
    """Let the residents live for all days."""
    day_factor = rng.lognormal(0, life.day_spread, len(calendar.days))
    used = [separate(_uses(rng, thing, life, calendar, plan, day_factor=day_factor), calendar) for thing in things]
    about, kinds = [thing.about for thing in things], [thing.kind for thing in things]
    if life.persons:
        for person in range(life.residents):
            about.append(Description(f"person.resident_{person + 1}"))
            kinds.append(PERSON)
            used.append(_at_home(person, calendar, plan))
    return Lived(calendar, things, about, kinds, used, plan)


def _uses(
    rng: np.random.Generator, thing: Thing, life: Life, calendar: Calendar, plan: Schedule, *, day_factor: Floats
) -> Spans:
    """Return when a thing was in use, in any order."""
    kind, dates = thing.kind, calendar.days
    weekend = np.array([day.weekday() >= 5 for day in dates])
    mean = (
        thing.uses * np.where(weekend, thing.weekend, 1.0) * rng.gamma(1 / thing.spread**2, thing.spread**2, len(dates))
    )
    if life.seasons and kind.warms:
        mean = mean * np.array([_cold(day) for day in dates])
    if kind.by_itself:
        day = np.repeat(np.arange(len(dates)), rng.poisson(mean))
        return _spans(calendar, day, rng.uniform(0, 24, len(day)), thing.lengths(rng, len(day), life))
    present = plan.weight.sum(axis=1)
    day = np.repeat(np.arange(len(dates)), rng.poisson(mean * day_factor * present / life.residents))
    draw = rng.random(len(day)) * present[day]
    person = np.minimum((draw[:, None] >= np.cumsum(plan.weight, axis=1)[day]).sum(axis=1), life.residents)
    part = rng.choice(PARTS_OF_DAY, len(day), p=thing.parts) + rng.random(len(day))
    wake, bed = plan.wake[day, person], plan.bed[day, person]
    hour = wake + (bed - wake) * part / PARTS_OF_DAY
    chosen = is_home(plan, day, person, hour)
    if kind.in_the_dark:
        chosen &= _is_dark(dates, day, hour, life) | (rng.random(len(day)) < _BY_DAYLIGHT)
    day, hour, bed = day[chosen], hour[chosen], bed[chosen]
    seconds = thing.lengths(rng, len(day), life)
    if kind.until_bedtime and life.lengths == "usual":
        seconds = np.clip(np.minimum(seconds, (bed - hour) * 3600), 2.0, None)
    others = [_at_night(rng, thing, plan), *([_at_the_door(rng, plan)] if kind.at_the_door else [])]
    more_days = np.concatenate([days for days, _ in others])
    more_hours = np.concatenate([hours for _, hours in others])
    seconds = np.concatenate((seconds, thing.lengths(rng, len(more_days), life)))
    return _spans(calendar, np.concatenate((day, more_days)), np.concatenate((hour, more_hours)), seconds)


def _spans(calendar: Calendar, day: Integers, hour: Floats, seconds: Floats) -> Spans:
    start = calendar.instants(day, hour)
    return np.column_stack((start, start + (seconds * SECOND).astype(np.int64)))


def is_home(plan: Schedule, day: Integers, person: Integers, hour: Floats) -> NDArray[np.bool_]:
    """Return whether people are at home, by index of day and person and hours after midnight of that day."""
    out = np.zeros(len(day), np.bool_)
    for shift in (-1, 0, 1):
        at = hour - 24 * shift
        other = np.clip(day + shift, 0, len(plan.out) - 1)
        spans = plan.out[other, person]
        out |= ((spans[:, :, 0] <= at[:, None]) & (at[:, None] < spans[:, :, 1])).any(axis=1)
    return ~out


def _at_night(rng: np.random.Generator, thing: Thing, plan: Schedule) -> tuple[Integers, Floats]:
    """Return when residents who sleep at home get up in the night."""
    day = np.flatnonzero(rng.random(len(plan.wake)) < thing.kind.at_night)
    person = rng.integers(0, plan.wake.shape[1] - 1, len(day))
    bed, wake = plan.bed[day, person], plan.wake[day, person] + 24
    hour = bed + (wake - bed) * rng.uniform(0.1, 0.8, len(day))
    chosen = is_home(plan, day, person, hour)
    return day[chosen], hour[chosen]


def _at_the_door(rng: np.random.Generator, plan: Schedule) -> tuple[Integers, Floats]:
    """Return when residents leave and come home."""
    edges = (plan.out > 0) & (plan.out < NEVER) & (plan.out != MIDNIGHT)
    day, hour = np.nonzero(edges)[0], plan.out[edges]
    return day, hour + rng.uniform(-0.005, 0.005, len(hour))


def _at_home(person: int, calendar: Calendar, plan: Schedule) -> Spans:
    """Return when a resident was at home."""
    day, which = np.nonzero(plan.out[:, person, :, 0] < NEVER)
    from_, to = (calendar.instants(day, plan.out[day, person, which, edge]) for edge in (0, 1))
    out = separate(np.column_stack((from_, to)), calendar)
    edges = np.concatenate(([calendar.start], out.ravel(), [calendar.end])).reshape(-1, 2)
    return edges[edges[:, 0] + SECOND < edges[:, 1]]


def _daylight_hours(day: dt.date) -> float:
    return 12 + 4 * float(np.sin(2 * np.pi * (day.timetuple().tm_yday - 80) / 365))


def _is_dark(dates: Sequence[dt.date], day: Integers, hour: Floats, life: Life) -> NDArray[np.bool_]:
    half = np.array([(_daylight_hours(date) if life.seasons else 12.0) / 2 for date in dates])
    return np.abs(hour % 24 - 13) > half[day]


def _cold(day: dt.date) -> float:
    return max(0.1, 0.6 + 0.5 * float(np.cos(2 * np.pi * (day.timetuple().tm_yday - 20) / 365)))
