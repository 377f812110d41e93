"""A home in which people have lived: its raw events, its days, and the rows that are stored of them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from functools import cached_property
from typing import Final

import numpy as np

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import SECOND, DayWindow
from jobs.statistics.bouts import bouts_by_group, by_group, count_by_hour
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import DailyAggregate, DetectorRunDaily, DurationDaily, TimeBasedDaily
from tests.support.homes.lives import Life
from tests.support.homes.planting import NOTHING, Plan, Planted, Planter
from tests.support.homes.residents import schedule
from tests.support.homes.things import things
from tests.support.homes.uses import Calendar, Integers, Lived, live

BASELINE: Final = 28
COMPUTED_AT: Final = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


class LivedHome:
    """A home made by seed.

    Args:
        life: The way of life.
        seed: Makes the home; the same arguments give the same home.
        entities: The number of entities without persons.
        judged: The number of days after the baseline of four weeks.
        plan: What to plant.

    Attributes:
        life: The way of life.
        days: All days.
        judged: The days after the baseline.
        about: Each entity, persons included.
        planted: What was planted, in order of time.
        circumstances: What the home as a whole was like, on days on which it was not usual: ``guests``, ``leaving``,
            ``away``, ``return`` or ``feast``.
    """

    def __init__(self, life: Life, seed: int, entities: int = 40, judged: int = 62, plan: Plan = NOTHING) -> None:
        rng = np.random.default_rng([seed, entities, judged])
        self.life = life
        self.days = DateRange(life.first, life.first + dt.timedelta(BASELINE + judged - 1))
        self.judged = DateRange.ending(self.days.last, judged)
        calendar = Calendar(list(self.days), life.zone)
        residents = schedule(rng, life, calendar.days, BASELINE)
        self._lived: Lived = live(rng, life, things(rng, entities, life), calendar, residents)
        self.about: list[Description] = self._lived.about
        self.planted: list[Planted] = Planter(rng, self._lived, BASELINE).plant(plan)
        self.circumstances = {day: what for day, what in zip(self.days, residents.circumstances, strict=True) if what}

    @cached_property
    def recording(self) -> Recording:
        """The home's raw events, traced."""
        start, end = self._lived.calendar.start, self._lived.calendar.end
        builder = SampleBuilder()
        for about, kind, used in zip(self.about, self._lived.kinds, self._lived.used, strict=True):
            builder.describe(about)
            is_used = bool(len(used)) and int(used[0, 0]) <= start
            builder.add(start, about.entity_id, kind.active if is_used else kind.inactive)
            for begin, until in used.tolist():
                if begin > start:
                    builder.add(begin, about.entity_id, kind.active)
                if until < end:
                    builder.add(until, about.entity_id, kind.inactive)
        return Recording.of(builder.build([(start, end)]), EntityRules())

    def log(self, day: dt.date) -> DayLog:
        """Return a day as detectors of raw events get it."""
        return self.recording.day(DayWindow(day, self.life.zone))

    def store(self) -> MemoryStore:
        """Return a store with the rows of all days that anomaly reads."""
        return MemoryStore(row for rows in self.rows_by_day.values() for row in rows)

    @cached_property
    def rows_by_day(self) -> dict[dt.date, list[DailyAggregate]]:
        """The rows of each day.

        They are those of the detectors but for ``peak_hours``, ``confidence`` and ``efficiency_score``, which are not
        computed: anomaly does not read them.
        """
        rows: dict[dt.date, list[DailyAggregate]] = defaultdict(list)
        starts, ends = self._columns()
        for window in self._lived.calendar.windows:
            rows[window.day] = [*self._time_based(window, starts, ends), *self._durations(window, starts, ends)]
        return rows

    def _columns(self) -> tuple[Integers, Integers]:
        """Return (entity, start, end) of every use, and of those with a known start, as columns, by end."""
        code = np.repeat(np.arange(len(self.about)), [len(used) for used in self._lived.used])
        spans = np.concatenate([np.empty((0, 2), np.int64), *self._lived.used])
        columns: Integers = np.column_stack((code, spans))
        return columns[np.argsort(columns[:, 1], kind="stable")], columns[np.argsort(columns[:, 2], kind="stable")]

    def _time_based(self, window: DayWindow, starts: Integers, ends: Integers) -> list[DailyAggregate]:
        begun = starts[slice(*np.searchsorted(starts[:, 1], (window.start, window.end)))]
        begun = begun[begun[:, 1] > self._lived.calendar.start]
        ended = ends[slice(*np.searchsorted(ends[:, 2], (window.start, window.end)))]
        entity, at = by_group(np.concatenate((begun[:, 0], ended[:, 0])), np.concatenate((begun[:, 1], ended[:, 2])))
        number = len(self.about)
        counts = count_by_hour(entity, window.hours_of(at), number)
        bouts = bouts_by_group(entity, at, number)
        hours = int(np.count_nonzero(window.microseconds_by_hour()))
        rows: list[DailyAggregate] = [
            TimeBasedDaily(
                date=window.day,
                entity_id=self.about[index].entity_id,
                domain=self._lived.kinds[index].domain,
                hourly_distribution=counts[index].tolist(),
                peak_hours=[],
                frequency=np.count_nonzero(counts[index]) / hours,
                confidence=0.0,
                occurrences=int(counts[index].sum()),
                bouts=int(bouts[index]),
            )
            for index in np.unique(entity).tolist()
        ]
        run = DetectorRunDaily(
            date=window.day,
            detector="time_based",
            version=1,
            rows=len(rows),
            events=len(at),
            known_seconds=window.seconds,
            day_seconds=window.seconds,
            reason="",
            computed_at=COMPUTED_AT,
        )
        return [*rows, run]

    def _durations(self, window: DayWindow, starts: Integers, ends: Integers) -> list[DailyAggregate]:
        ended = ends[slice(*np.searchsorted(ends[:, 2], (window.start, window.end)))]
        ended = ended[ended[:, 1] > self._lived.calendar.start]  # else the start is not known
        lengths = (ended[:, 2] - ended[:, 1]) / SECOND
        rows: list[DailyAggregate] = []
        for code in np.unique(ended[:, 0]).tolist():
            of_entity = lengths[ended[:, 0] == code]
            shortest, longest = float(of_entity.min()), float(of_entity.max())
            mean = float(np.clip(of_entity.mean(), shortest, longest))
            rows.append(
                DurationDaily(
                    date=window.day,
                    entity_id=self.about[code].entity_id,
                    avg_duration_seconds=mean,
                    min_duration_seconds=shortest,
                    max_duration_seconds=longest,
                    duration_variance=float(((of_entity - mean) ** 2).mean()),
                    efficiency_score=None,
                    episodes=len(of_entity),
                )
            )
        return rows
