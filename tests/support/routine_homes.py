"""Homes with a routine over many weeks, and planted anomalies.

The anomalies are jumps, dead sensors, absences, activity at unusual hours and lights left on.

Each entity has its own mean of 1 to 25 bouts a day, its own hours and its own weekend, and varies from day to day more
than by chance alone. The home as a whole has busy and quiet days.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DEVICE, DayLog
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow
from jobs.detectors.active_time import ActiveTime
from jobs.detectors.duration import Duration
from jobs.detectors.time_based import TimeBased
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import DailyAggregate, DetectorRunDaily

ZONE: Final = ZoneInfo("America/New_York")
FIRST: Final = dt.date(2026, 1, 19)
BASELINE: Final = 28
_DAY_SPREAD: Final = 0.12  # standard deviation of the logarithm of a day's factor
COMPUTED: Final = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


@dataclass
class PlantedAnomalies:
    """What was planted, by (entity id, day).

    Attributes:
        jumps: Days on which an entity acts more often: how many times, and its usual bouts a day.
        dead: The first day on which an entity is silent for good.
        absences: Days on which nobody is at home.
        unusual_hours: Nights on which an entity acts.
        left_on: Days on which a light is on for most of the day.
    """

    jumps: dict[tuple[str, dt.date], tuple[float, float]] = field(default_factory=dict)
    dead: dict[str, dt.date] = field(default_factory=dict)
    absences: set[dt.date] = field(default_factory=set)
    unusual_hours: set[tuple[str, dt.date]] = field(default_factory=set)
    left_on: set[tuple[str, dt.date]] = field(default_factory=set)


class RoutineHome:
    """A home with a routine.

    Args:
        rng: The source of random numbers.
        entities: The number of entities.
        days: The number of days after the first four weeks.
        with_anomalies: Whether to plant anything.
    """

    def __init__(
        self, rng: np.random.Generator, entities: int = 40, days: int = 62, *, with_anomalies: bool = True
    ) -> None:
        self.days = DateRange.ending(FIRST + dt.timedelta(BASELINE + days - 1), BASELINE + days)
        self.judged = DateRange.ending(self.days.last, days)
        self.planted = PlantedAnomalies()
        self._rng = rng
        self._builder = SampleBuilder()
        self.ids = [("light", "binary_sensor", "switch")[index % 3] + f".e{index:03}" for index in range(entities)]
        self._mean = np.clip(rng.lognormal(np.log(7), 0.8, entities), 0.7, 25)
        self._weekend = rng.uniform(0.5, 1.7, entities)
        self._spread = rng.uniform(0.05, 0.25, entities)
        self._hours = rng.dirichlet(np.ones(17) * 0.7, entities)  # from 6 to 22
        if with_anomalies:
            self._plant()
        for entity_id in self.ids:
            self._builder.describe(Description(entity_id))
            self._builder.add(DayWindow(self.days.first, ZONE).start, entity_id, "off")
        for day in self.days:
            self._live(day)

    def _plant(self) -> None:
        """Plant, apart from each other: two jumps a week, three dead sensors, a long weekend away, and nights."""
        rng, judged = self._rng, list(self.judged)
        away = int(rng.integers(25, 40))
        self.planted.absences = set(judged[away : away + 3])
        dying = rng.choice(len(self.ids), 3, replace=False).tolist()
        for code in dying:
            if self._mean[code] >= 2:
                self.planted.dead[self.ids[code]] = judged[int(rng.integers(45, 55))]
        alive = [code for code in range(len(self.ids)) if code not in dying]
        for day in judged[::4]:
            if day not in self.planted.absences:
                code = int(rng.choice(alive))
                usual = self._mean[code] * (self._weekend[code] if day.weekday() >= 5 else 1.0)
                self.planted.jumps[self.ids[code], day] = float(rng.uniform(3, 5)), float(usual)
        for day in judged[2::9]:
            if day not in self.planted.absences:
                self.planted.unusual_hours.add((self.ids[int(rng.choice(alive))], day))
                lights = [code for code in alive if code % 3 == 0 and self._mean[code] >= 3]
                self.planted.left_on.add((self.ids[int(rng.choice(lights))], day))

    def _live(self, day: dt.date) -> None:
        window, day_factor = DayWindow(day, ZONE), float(self._rng.lognormal(0, _DAY_SPREAD))
        midnight = window.end - 24 * HOUR  # on a day of 23 or 25 hours the clock is right from morning on
        for code, entity_id in enumerate(self.ids):
            if day in self.planted.absences or day >= self.planted.dead.get(entity_id, dt.date.max):
                continue
            mean = self._mean[code] * day_factor * (self._weekend[code] if day.weekday() >= 5 else 1.0)
            mean *= self._rng.gamma(1 / self._spread[code] ** 2, self._spread[code] ** 2)
            hours = 6 + self._rng.choice(17, int(self._rng.poisson(mean)), p=self._hours[code])
            starts = midnight + hours * HOUR + self._rng.integers(0, HOUR, len(hours))
            lengths = np.minimum(self._rng.exponential(3 * MINUTE, len(hours)), 45 * MINUTE).astype(np.int64) + SECOND
            if (entity_id, day) in self.planted.jumps:
                factor, usual = self.planted.jumps[entity_id, day]
                more = self._apart(starts - midnight, int(self._rng.poisson((factor - 1) * usual)))
                starts, lengths = np.append(starts, midnight + more), np.append(lengths, np.full(len(more), MINUTE))
            if (entity_id, day) in self.planted.unusual_hours:
                starts = np.append(starts, midnight + 2 * HOUR + np.arange(4) * 25 * MINUTE)
                lengths = np.append(lengths, [MINUTE] * 4)
            if (entity_id, day) in self.planted.left_on:
                starts, lengths = np.append(starts, midnight + 9 * HOUR), np.append(lengths, 11 * HOUR)
                outside = (starts <= midnight + 9 * HOUR) | (starts > midnight + 20 * HOUR)
                starts, lengths = starts[outside], lengths[outside]
            for at, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                self._builder.add(at, entity_id, "on", DEVICE)
                self._builder.add(min(at + length, window.end - 1), entity_id, "off", DEVICE)

    def _apart(
        self, taken: np.ndarray[tuple[int], np.dtype[np.int64]], more: int
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return further times of the waking day, at least seven minutes from any other: bouts of their own."""
        free = np.arange(6 * HOUR, 23 * HOUR, 7 * MINUTE)
        free = free[np.abs(free[:, None] - taken[None, :]).min(axis=1, initial=HOUR) > 7 * MINUTE]
        return self._rng.permutation(free)[:more]

    @property
    def spread(self) -> NDArray[np.float64]:
        """How much each entity's mean varies from day to day, as a share, including the home's busy and quiet days."""
        return np.hypot(self._spread, _DAY_SPREAD)

    def usual(self, entity_id: str) -> float:
        """Return how many bouts a day an entity usually has."""
        return float(self._mean[self.ids.index(entity_id)])

    def store(self) -> MemoryStore:
        """Return a store with the rows of time_based and duration for all days."""
        start, end = DayWindow(self.days.first, ZONE).start, DayWindow(self.days.last, ZONE).end
        recording = Recording.of(self._builder.build([(start, end)]), EntityRules())
        rows: list[DailyAggregate] = []
        for day in self.days:
            rows += day_rows(recording.day(DayWindow(day, ZONE)))
        return MemoryStore(rows)


def day_rows(log: DayLog) -> list[DailyAggregate]:
    """Return a day's rows of time_based, duration and active_time, with the record of the run of time_based."""
    found = TimeBased().detect(log)
    run = DetectorRunDaily(
        date=log.window.day,
        detector="time_based",
        version=1,
        rows=len(found.rows),
        events=len(log.events),
        known_seconds=log.known_seconds,
        day_seconds=log.window.seconds,
        reason=found.reason,
        computed_at=COMPUTED,
    )
    return [*found.rows, *Duration().detect(log).rows, *ActiveTime().detect(log).rows, run]
