"""Anomalies that are planted into what happened in a home, each with the days on which reporting it is right."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from jobs.activity.spans import Spans
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND, Instants
from jobs.statistics.bouts import bout_starts
from tests.support.homes.uses import Floats, Lived, is_home, separate

PlantedKind = Literal["jump", "dead", "long", "still_on", "night_door", "hub", "burglar"]

_BASELINE: Final = 28
_APART: Final = {True: 29, False: 7}  # days between two plants of one thing: of the same kind, of another kind
_MIN_USES: Final = 20  # within four weeks, of a thing whose length of use is said to be usual
_DOORS: Final = {"door", "window", "garage"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to plant.

    Attributes:
        jump: The chance of a judged day that a thing is used 3 to 5 times as often as usual.
        long: The chance of a judged day that a thing that was never in use for over two hours is for 12 to 13.
        still_on: The chance of a judged day that ends with a thing in use for 3 to 9 hours that never was for over one.
        night_door: The chance of a judged day that a door opens once in the night, in hours in which, and beside which,
            it has not opened for four weeks.
        dead: How many things fall silent for good.
        hubs: How often a third of the things fall silent together, for three days.
        burglar: Whether somebody comes in at the door while nobody is at home for days.
    """

    jump: float = 0.0
    long: float = 0.0
    still_on: float = 0.0
    night_door: float = 0.0
    dead: int = 0
    hubs: int = 0
    burglar: bool = False


NOTHING: Final = Plan()
EVERYTHING: Final = Plan(0.05, 0.05, 0.05, 0.05, 2, 0, burglar=True)


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted anomaly of one entity.

    Attributes:
        kind: What was planted.
        entity_id: The entity.
        day: The day it begins.
        last: The last day on which it is right to report it.
        story: The same number for what belongs together: one burglar, one dead hub.
        usual: How many bouts a day the entity usually has.
    """

    kind: PlantedKind
    entity_id: str
    day: dt.date
    last: dt.date
    story: int
    usual: float


@dataclass
class Planter:
    """Plants anomalies into ``lived.used``.

    Attributes:
        rng: The source of random numbers.
        lived: What happened; its spans are replaced.
        baseline: How many days come before the first that is judged.
        planted: What was planted so far.
    """

    rng: np.random.Generator
    lived: Lived
    baseline: int = _BASELINE
    planted: list[Planted] = field(default_factory=list)
    _stories: int = 0

    def plant(self, plan: Plan) -> list[Planted]:
        """Plant what a plan says, and return it in order of time."""
        for index in range(self.baseline, len(self._days)):
            for chance, attempt in (
                (plan.jump, self._jump),
                (plan.long, self._long),
                (plan.still_on, self._still_on),
                (plan.night_door, self._night_door),
            ):
                if self.rng.random() < chance and not self.lived.schedule.circumstances[index]:
                    self._try(attempt, index)
        if plan.burglar and "away" in self.lived.schedule.circumstances:
            self._burglar()
        for _ in range(plan.hubs):
            self._hub()
        for _ in range(plan.dead):
            self._dead()
        return sorted(self.planted, key=lambda one: (one.day, one.kind, one.entity_id))

    @property
    def _days(self) -> list[dt.date]:
        return self.lived.calendar.days

    def _try(self, attempt: Callable[[int, int], bool], index: int) -> None:
        """Plant into the first thing, in random order, that can take it on a day."""
        for code in self.rng.permutation(len(self.lived.things)).tolist():
            if self._is_free(code, index, attempt.__name__.removeprefix("_")) and attempt(code, index):
                return

    def _is_free(self, code: int, index: int, kind: str) -> bool:
        day, entity_id = self._days[index], self.lived.about[code].entity_id
        return not any(
            one.entity_id == entity_id
            and one.day - dt.timedelta(1) <= day + dt.timedelta(_APART[one.kind == kind])
            and day < one.last + dt.timedelta(_APART[one.kind == kind])
            for one in self.planted
        )

    def _note(self, kind: PlantedKind, code: int, index: int, last: int, story: int | None = None) -> None:
        if story is None:
            self._stories += 1
        days = self._days
        self.planted.append(
            Planted(
                kind, self.lived.about[code].entity_id, days[index], days[min(last, len(days) - 1)],
                self._stories if story is None else story, self._usual(code, index),
            )
        )  # fmt: skip

    def _past(self, code: int, index: int) -> Spans:
        """Return the uses that began in the four weeks before a day."""
        window, used = self.lived.calendar.windows[index], self.lived.used[code]
        return used[(used[:, 0] >= window.start - _BASELINE * DAY) & (used[:, 0] < window.start)]

    def _usual(self, code: int, index: int) -> float:
        """Return how many bouts a day a thing had in four weeks, on days of the same type with somebody at home."""
        weekend, away = self._days[index].weekday() >= 5, self.lived.schedule.circumstances
        past = [day for day in range(index - _BASELINE, index) if away[day] != "away"]
        of_type = [day for day in past if (self._days[day].weekday() >= 5) == weekend]
        return float(np.mean([self._bouts(code, day) for day in of_type])) if of_type else 0.0

    def _bouts(self, code: int, index: int) -> int:
        window, at = self.lived.calendar.windows[index], np.sort(self.lived.used[code].ravel())
        at = at[(at >= window.start) & (at < window.end)]
        return int(bout_starts(np.zeros(len(at), np.int64), at).sum())

    def _replace(self, code: int, start: int, end: int, *, margin: int = MINUTE) -> None:
        """Let a thing be in use from one instant to another, in place of what was then."""
        used = self.lived.used[code]
        apart = used[(used[:, 1] < start - margin) | (used[:, 0] > end + margin)]
        self._set(code, np.vstack((apart, [[start, end]])))

    def _set(self, code: int, used: Spans) -> None:
        self.lived.used[code] = separate(used, self.lived.calendar)

    def _at(self, index: int, hour: float) -> int:
        return int(self.lived.calendar.instants(np.array([index]), np.array([hour]))[0])

    def _jump(self, code: int, index: int) -> bool:
        usual, used = self._usual(code, index), self.lived.used[code]
        if usual < 1:
            return False
        more = int(self.rng.poisson((self.rng.uniform(3, 5) - 1) * usual))
        hours = np.arange(7, 23, 7 / 60)
        hours = hours[[self._may_act(code, index, hour) for hour in hours]]
        free = self.lived.calendar.instants(np.full(len(hours), index), hours)
        if not len(free):
            return False
        near = used[(used[:, 1] > free[0] - HOUR) & (used[:, 0] < free[-1] + HOUR)]
        taken = (free[:, None] > near[:, 0] - 7 * MINUTE) & (free[:, None] < near[:, 1] + 6 * MINUTE)
        starts: Instants = self.rng.permutation(free[~taken.any(axis=1)])[:more]
        if len(starts) < max(more, 3):
            return False
        self._note("jump", code, index, index)
        self._set(code, np.vstack((used, np.column_stack((starts, starts + 40 * SECOND)))))
        return True

    def _may_act(self, code: int, index: int, hour: float) -> bool:
        """Return whether somebody is at home to use a thing, unless it acts by itself."""
        people = np.arange(self.lived.schedule.wake.shape[1] - 1)
        day, hours = np.full(len(people), index), np.full(len(people), hour)
        return self.lived.kinds[code].by_itself or bool(is_home(self.lived.schedule, day, people, hours).any())

    def _longest(self, code: int, index: int) -> float:
        """Return the longest use of the last four weeks in hours; infinity if there were too few to say."""
        past = self._past(code, index)
        return float((past[:, 1] - past[:, 0]).max() / HOUR) if len(past) >= _MIN_USES else np.inf

    def _long(self, code: int, index: int) -> bool:
        if not self.lived.kinds[code].may_be_long or self._longest(code, index) > 2:
            return False
        hour = self.rng.uniform(6, 10.5)
        if not self._may_act(code, index, hour):
            return False
        start = self._at(index, hour)
        self._note("long", code, index, index)
        self._replace(code, start, start + int(self.rng.uniform(12, 13) * HOUR))
        return True

    def _still_on(self, code: int, index: int) -> bool:
        kind, longest = self.lived.kinds[code], self._longest(code, index)
        if not kind.may_be_long or kind.by_itself or longest > 1 or index + 1 == len(self._days):
            return False
        hours = self.rng.uniform(3, 9)
        if not self._may_act(code, index, 24 - hours):
            return False
        self._note("still_on", code, index, index + 1)
        self._replace(code, self._at(index, 24 - hours), self._at(index + 1, self.rng.uniform(6, 9)))
        return True

    def _night_door(self, code: int, index: int) -> bool:
        if self.lived.kinds[code].device_class not in _DOORS:
            return False
        hour, past = self.rng.uniform(0.5, 4.9), self._past(code, index)
        today = self.lived.calendar.windows[index]
        events = np.concatenate((past.ravel(), self.lived.used[code].ravel()))
        events = events[(events >= today.start - _BASELINE * DAY) & (events < today.start + int((hour + 2) * HOUR))]
        clock: Floats = (events - today.start) % DAY / HOUR  # a clock change of an hour is within the margin below
        if len(past) < _MIN_USES or np.any(np.abs((clock - hour + 12) % 24 - 12) < 3):
            return False
        start = self._at(index, hour)
        self._note("night_door", code, index, index)
        self._replace(code, start, start + int(self.rng.uniform(10, 120) * SECOND))
        return True

    def _silence(self, code: int, start: int, end: int) -> None:
        used = self.lived.used[code]
        self._set(code, used[(used[:, 1] < start) | (used[:, 0] >= end)])

    def _dead(self) -> None:
        """Let one thing fall silent, at least ten days before the end, and not while nobody is there to notice."""
        what = self.lived.schedule.circumstances
        first_days = [
            index
            for index in range(self.baseline + 5, len(self._days) - 10)
            if not {"leaving", "away", "return"} & set(what[index : index + 3])
        ]
        if not first_days:
            return
        index = int(self.rng.choice(first_days))
        for code in self.rng.permutation(len(self.lived.things)).tolist():
            if self._usual(code, index) >= 2 and self._is_free(code, index, "dead"):
                entity_id, day = self.lived.about[code].entity_id, self._days[index]
                # What was planted into it later does not happen any more.
                self.planted = [one for one in self.planted if one.entity_id != entity_id or one.day < day]
                self._note("dead", code, index, len(self._days) - 1)
                self._silence(code, self.lived.calendar.windows[index].start, self.lived.calendar.end)
                return

    def _hub(self) -> None:
        """Let a third of the things fall silent for three days, if there are enough days."""
        if len(self._days) - 4 <= self.baseline + 2:
            return
        self._stories += 1
        index = int(self.rng.integers(self.baseline + 2, len(self._days) - 4))
        windows = self.lived.calendar.windows
        number = len(self.lived.things) // 3
        for code in self.rng.permutation(len(self.lived.things))[:number].tolist():
            self._note("hub", code, index, index + 3, self._stories)
            self._silence(code, windows[index].start, windows[index + 2].end)

    def _burglar(self) -> None:
        """Let somebody in at the front door and through two to four rooms, on one of the days away."""
        self._stories += 1
        away = [index for index, what in enumerate(self.lived.schedule.circumstances) if what == "away"]
        index = int(self.rng.choice(away))
        at = self._at(index, self.rng.uniform(0, 22))
        classes = [about.device_class for about in self.lived.about]
        motion = [code for code, of_class in enumerate(classes) if of_class == "motion"]
        ways: Sequence[int] = [classes.index("door"), *self.rng.permutation(motion)[: int(self.rng.integers(2, 5))]]
        for code in ways:
            self._note("burglar", int(code), index, index, self._stories)
            self._set(int(code), np.vstack((self.lived.used[code], [[at, at + 30 * SECOND]])))
            at += int(self.rng.uniform(30, 300) * SECOND)
