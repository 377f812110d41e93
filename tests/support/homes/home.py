"""A home in which people have lived: its raw events, its days, and the rows that are stored of them."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from typing import Final

import numpy as np

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import DailyAggregate
from tests.support.homes.lives import Life
from tests.support.homes.planting import NOTHING, Plan, Planted, Planter
from tests.support.homes.residents import schedule
from tests.support.homes.stored_rows import stored_rows
from tests.support.homes.things import Thing, things
from tests.support.homes.uses import Calendar, Lived, live

BASELINE: Final = 28


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

    def thing(self, entity_id: str) -> Thing:
        """Return a thing with how often and for how long it is used."""
        return next(thing for thing in self._lived.things if thing.entity_id == entity_id)

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
        """The rows of each day; see ``tests.support.homes.stored_rows``."""
        return stored_rows(self._lived)
