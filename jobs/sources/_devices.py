"""What the discrete entities of the simulated home report during a home day.

Everything follows from where the residents are (``jobs.sources._routine``) and from the clock: somebody enters a room,
and its motion sensor sees it. If it is dark, an automation switches the light on. Some minutes after the last person
has left, it switches the light off, unless somebody did so by hand or the light was left on.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Description
from jobs.activity.events import AUTOMATION, DEVICE, USER
from jobs.activity.spans import Spans, intersection, union
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND, Instants
from jobs.sources._inventory import FRIDGE_DOOR, WORDS
from jobs.sources._routine import (
    RESIDENTS,
    ROOMS,
    Place,
    Purpose,
    Stays,
    close_gaps,
    draw,
    forgotten_light,
    is_weekend,
    wall,
)
from storage.dates import ONE_DAY

_WORD = {word: code for code, word in enumerate(WORDS)}
_CLEANING: Final = ("cleaning", "returning", "docked")
_PRESENCE_CLASSES: Final = {"motion", "occupancy"}
_ON_OFF, _OPEN_CLOSED = ("on", "off"), ("open", "closed")


class _Lamp(NamedTuple):
    """A light that is on while somebody is at one of its places."""

    entity_id: str
    places: tuple[Place, ...]
    timeout_minutes: float
    needs_dark: bool = True
    automatic: bool = True


_LAMPS: Final = (
    _Lamp("light.hallway", ROOMS["hallway"], 1.5, needs_dark=False),
    _Lamp("light.kitchen", ROOMS["kitchen"], 4.0),
    _Lamp("light.küche_o'neill", (Place.COOKING,), 1.0, needs_dark=False, automatic=False),
    _Lamp("light.bathroom", ROOMS["bathroom"], 3.0, needs_dark=False),
    _Lamp("light.bedroom", ROOMS["bedroom"], 2.0, automatic=False),
    _Lamp("light.office", ROOMS["office"], 5.0),
    _Lamp("light.living_room_ceiling", (Place.LIVING,), 5.0),
    _Lamp("light.living_room_floor_lamp", (Place.TV,), 4.0, automatic=False),
)
_GROUP: Final = ("light.living_room_ceiling", "light.living_room_floor_lamp")
_BY_HAND, _LEFT_ON = 0.3, 0.04  # how often a light is switched off by the person who leaves, or left on for hours
_CONTACTS: Final = (
    # entity, where somebody must be, seconds that it is open, seconds in between
    (FRIDGE_DOOR, ROOMS["kitchen"], 12.0, 330.0),
    ("binary_sensor.kitchen_cupboard", (Place.COOKING, Place.BREAKFAST), 15.0, 300.0),
    ("binary_sensor.pantry_door", (Place.COOKING, Place.BREAKFAST), 20.0, 700.0),
)
_AJAR_HOURS: Final = (8.0, 23.0)
_AJAR_PAUSE_MINUTES, _AJAR_OPEN_SECONDS = (7.0, 11.0), (20.0, 90.0)
_MOVEMENT: Final = {"kitchen": 1.6, "living_room": 0.7}  # how much people move in a room; elsewhere 1
_MIDSUMMER, _WARM = 172, (135, 258)  # days of the year

_Integers = NDArray[np.signedinteger[Any]]


class Columns(NamedTuple):
    """Samples in columns, as in ``jobs.activity.events.Samples``."""

    at: Instants
    entity: NDArray[np.int32]
    state: NDArray[np.int32]
    cause: NDArray[np.int8]

    @classmethod
    def of(cls, at: Instants, entity: _Integers | int, state: _Integers | int, cause: _Integers | int) -> Self:
        """Return columns of one length; a single number is repeated for all rows."""
        return cls(
            at,
            np.broadcast_to(np.asarray(entity, np.int32), at.shape),
            np.broadcast_to(np.asarray(state, np.int32), at.shape),
            np.broadcast_to(np.asarray(cause, np.int8), at.shape),
        )

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Self:
        """Return all rows of several columns, in order of time."""
        together = cls(
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.entity for part in parts]),
            np.concatenate([part.state for part in parts]),
            np.concatenate([part.cause for part in parts]),
        )
        return together.where(np.argsort(together.at, kind="stable"))

    @classmethod
    def empty(cls) -> Self:
        """Return columns without rows."""
        return cls.of(np.empty(0, np.int64), 0, 0, 0)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """Return some of the rows."""
        return type(self)(self.at[chosen], self.entity[chosen], self.state[chosen], self.cause[chosen])


class HomeDay:
    """What the discrete entities report during one home day.

    Args:
        day: The local date on which it begins.
        zone: The home's zone.
        seed: Which home it is.
        presence: Who is where.
        entities: The inventory.
        door_ajar: Whether the fridge door does not stay closed on this day.
    """

    def __init__(
        self,
        day: dt.date,
        zone: ZoneInfo,
        seed: int,
        presence: Stays,
        entities: Sequence[Description],
        *,
        door_ajar: bool = False,
    ) -> None:
        self._day, self._zone, self._seed, self._presence = day, zone, seed, presence
        self._door_ajar = door_ajar
        self._forgotten_last_night, self._forgotten_tonight = (
            forgotten_light(evening, seed) for evening in (day - ONE_DAY, day)
        )
        self._codes = {entity.entity_id: code for code, entity in enumerate(entities)}
        self._presence_sensors = [
            entity
            for entity in entities
            if entity.area_id and entity.device_class in _PRESENCE_CLASSES and entity.device_id != "bed"
        ]
        self._rng = draw(seed, day, Purpose.DEVICES)
        self._parts: list[Columns] = []
        season = math.cos(math.tau * (day.timetuple().tm_yday - _MIDSUMMER) / 365)
        self._sunrise, self._sunset = self._clock(6.5 - 1.75 * season), self._clock(18.9 + 2.6 * season)

    def changes(self, cycle_seconds: float, detail: float) -> Columns:
        """Return every entity's state at the begin of the home day, and all changes of state during it.

        Args:
            cycle_seconds: The time from one motion to the next while somebody is in a room.
            detail: From 0 to 1, how busy people are in the kitchen; as for ``stays``.
        """
        self._motion(cycle_seconds)
        self._lights()
        self._entrance()
        self._kitchen(detail)
        self._television()
        self._schedules()
        return Columns.joined(self._parts)

    def _clock(self, hours: float, spread_minutes: float = 0.0) -> int:
        """Return the instant of a local time of the day, give or take some minutes."""
        return wall(self._day, hours, self._zone) + int(self._rng.uniform(-1, 1) * spread_minutes * MINUTE)

    def _seconds(self, low: float, high: float, count: int = 1) -> Instants:
        return (self._rng.uniform(low, high, count) * SECOND).astype(np.int64)

    def _note(
        self, entity_id: str, before: str, at: Instants, words: Sequence[str], causes: Sequence[int] | _Integers
    ) -> None:
        """Add changes of an entity, and the state before them, which it reports soon after the day begins."""
        code = self._codes[entity_id]
        states = np.array([_WORD[word] for word in words], np.int32)
        inside = (at > self._presence.start) & (at < self._presence.end)
        first = np.array([self._presence.start + (code + 1) * SECOND], np.int64)
        self._parts.append(Columns.of(first, code, _WORD[before], DEVICE))
        self._parts.append(Columns.of(at[inside], code, states[inside], np.asarray(causes, np.int8)[inside]))

    def _toggle(
        self,
        entity_id: str,
        spans: Spans,
        words: tuple[str, str] = _ON_OFF,
        causes: tuple[int, int | _Integers] = (DEVICE, DEVICE),
    ) -> None:
        """Add an entity that is in one state during some spans, which may exceed the day, and else in another."""
        already = len(spans) > 0 and spans[0, 0] <= self._presence.start
        both = np.column_stack([np.broadcast_to(cause, len(spans)) for cause in causes])
        self._note(entity_id, words[0] if already else words[1], spans.ravel(), words * len(spans), both.ravel())

    def _alternating(self, stays: Spans, on_seconds: float, off_seconds: float, lag_seconds: float) -> Spans:
        """Return when something is on that switches at random while somebody is there, soon after they came."""
        many = ((stays[:, 1] - stays[:, 0]) / ((on_seconds + off_seconds) * SECOND) * 1.3).astype(np.int64) + 2
        stay = np.repeat(np.arange(len(stays)), many)
        on = self._seconds(0.5 * on_seconds, 1.5 * on_seconds, len(stay))
        cycle = on + ((0.2 + 0.8 * self._rng.exponential(size=len(stay))) * off_seconds * SECOND).astype(np.int64)
        before = np.cumsum(cycle) - cycle
        begin = stays[stay, 0] + self._seconds(0.3 * lag_seconds, lag_seconds, len(stays))[stay]
        begin += before - before[np.cumsum(many) - many][stay]
        end = np.minimum(begin + on, (stays[:, 1] + self._seconds(1, 9, len(stays)))[stay])
        return union(np.column_stack((begin, end))[begin < stays[stay, 1] - SECOND])

    def _motion(self, cycle_seconds: float) -> None:
        """Add motion sensors, which see people at once, and presence sensors of parts of a room, a little later."""
        for sensor in self._presence_sensors:
            cycle = cycle_seconds / _MOVEMENT.get(sensor.area_id or "", 1.0)
            lag = 1.3 if sensor.device_class == "motion" else 20.0
            stays = self._presence.at(*ROOMS[sensor.area_id or ""], gap=20 * SECOND)
            self._toggle(sensor.entity_id, self._alternating(stays, 0.4 * cycle, 0.6 * cycle, lag))

    def _lights(self) -> None:
        lit = {}
        for lamp in _LAMPS:
            spans, switched_off_by = self._lit(lamp)
            lit[lamp.entity_id] = spans
            self._toggle(lamp.entity_id, spans, causes=(AUTOMATION if lamp.automatic else USER, switched_off_by))
        together = union(np.concatenate([lit[member] for member in _GROUP]))
        self._toggle("light.living_room_all", together + SECOND // 8, causes=(AUTOMATION, AUTOMATION))

    def _lit(self, lamp: _Lamp) -> tuple[Spans, _Integers]:
        """Return when a lamp is on, and what switches it off each time."""
        start, end = self._presence.start, self._presence.end
        timeout = int(lamp.timeout_minutes * MINUTE)
        used = self._presence.at(*lamp.places, gap=timeout)
        if lamp.needs_dark:
            used = intersection(used, np.array([[start, self._sunrise], [self._sunset, end]], np.int64))
        chance = self._rng.random(len(used))
        by_hand, left_on = chance < _BY_HAND, (chance > 1 - _LEFT_ON) & (used[:, 1] < end - 4 * HOUR)
        on = used[:, 0] + self._seconds(1.5, 4, len(used))
        after = np.where(by_hand, self._seconds(0.5, 3, len(used)), timeout)
        after = np.where(left_on, self._seconds(40 * 60, 180 * 60, len(used)), after)
        off = used[:, 1] + after
        cause = np.where(by_hand | left_on, USER, AUTOMATION)
        if self._forgotten_last_night == lamp.entity_id:  # until an automation switches it off in the morning
            on, off = np.append(on, start - DAY), np.append(off, start + 3 * HOUR + self._seconds(0, 10))
            cause = np.append(cause, AUTOMATION)
        if self._forgotten_tonight == lamp.entity_id:
            on, off = np.append(on, self._bedtime() - 4 * MINUTE), np.append(off, end + DAY)
            cause = np.append(cause, USER)
        spans = union(np.column_stack((on, off)))
        order = np.argsort(off, kind="stable")  # of overlapping spans, the one that ends last decides what ended them
        return spans, cause[order][np.searchsorted(off[order], spans[:, 1])]

    def _bedtime(self) -> int:
        """Return when the first of the residents goes to bed in the evening."""
        to_bed = self._presence.spans[self._presence.place == Place.BED, 0]
        return int(to_bed[to_bed > self._presence.start + 12 * HOUR].min())

    def _entrance(self) -> None:
        """Add what reports that people come and go: the door, its lock, and who is home."""
        passing = []
        for resident, person in enumerate(RESIDENTS):
            away = self._presence.of(resident, Place.AWAY)
            inside = (away > self._presence.start) & (away < self._presence.end)
            passing.append(away[inside])
            noticed = np.column_stack((self._seconds(60, 150, len(away)), self._seconds(-40, -5, len(away))))
            self._toggle(person, union(away + np.where(inside, noticed, 0)), ("not_home", "home"))
        at = np.sort(np.concatenate(passing))
        door = close_gaps(np.column_stack((at - 6 * SECOND, at + self._seconds(2, 9, len(at)))), 4 * SECOND)
        self._toggle("binary_sensor.front_door", door)
        lock = np.column_stack((door[:, 0] - 4 * SECOND, door[:, 1] + self._seconds(20, 90, len(door))))
        self._toggle("lock.front_door", union(lock), ("unlocked", "locked"), (USER, AUTOMATION))
        self._toggle("binary_sensor.bed_occupancy", self._presence.at(Place.BED))

    def _kitchen(self, detail: float) -> None:
        for entity_id, places, open_seconds, pause_seconds in _CONTACTS:
            stays = self._presence.at(*places, gap=20 * SECOND)
            opened = self._alternating(stays, open_seconds, pause_seconds / detail, 60)
            if entity_id == FRIDGE_DOOR and self._door_ajar:
                opened = union(np.concatenate((opened, self._springing_open())))
            self._toggle(entity_id, opened)
        breakfast = self._presence.at(Place.BREAKFAST, gap=HOUR)[:, 0]
        brewing = np.column_stack(
            (breakfast + 30 * SECOND, breakfast + self._seconds(25 * 60, 40 * 60, len(breakfast)))
        )
        self._toggle("switch.coffee_machine", union(brewing), causes=(USER, AUTOMATION))

    def _springing_open(self) -> Spans:
        """Return when a door that does not stay closed is open: from morning to night, every few minutes."""
        rng = draw(self._seed, self._day, Purpose.UNUSUAL)
        start, end = (wall(self._day, hour, self._zone) for hour in _AJAR_HOURS)
        pauses = rng.uniform(*_AJAR_PAUSE_MINUTES, (end - start) // MINUTE) * MINUTE
        opened = start + np.cumsum(pauses).astype(np.int64)
        closed = opened + (rng.uniform(*_AJAR_OPEN_SECONDS, len(opened)) * SECOND).astype(np.int64)
        return np.column_stack((opened, closed))[closed < end]

    def _television(self) -> None:
        """Add the television: it plays, with pauses, and is switched off when nobody watches any longer."""
        watched = self._presence.at(Place.TV, gap=10 * MINUTE)
        playing = self._alternating(watched, 32 * 60, 150, 60)
        off = watched[:, 1] + self._seconds(12, 40, len(watched))
        at = np.concatenate((playing.ravel(), off))
        words = ("playing", "paused") * len(playing) + ("off",) * len(off)
        self._note("media_player.living_room_tv", "off", at, words, (USER,) * len(at))

    def _schedules(self) -> None:
        """Add what happens by the clock and the sun: heating, covers, the vacuum cleaner."""
        weekend = is_weekend(self._day)
        morning = 7.5 if weekend else 6.0
        heat = [(morning, 12.0 if weekend else 8.5), (16.5, 22.3)], [(morning, morning + 2.5), (20.0, 22.5)]
        cold = not _WARM[0] <= self._day.timetuple().tm_yday <= _WARM[1]
        for room, hours in zip(("living_room", "bathroom"), heat, strict=True):
            spans = [[self._clock(hour, 0.2) for hour in span] for span in hours if cold]
            self._toggle(f"climate.{room}", _spans(spans), ("heat", "off"), (AUTOMATION, AUTOMATION))
        for room, wakes in (("living_room", 7.1), ("bedroom", 7.7)):
            opened = max(self._clock(wakes + 1.8 * weekend, 8), self._sunrise) + int(self._rng.integers(90 * SECOND))
            spans = [[opened, self._sunset + int(self._rng.uniform(10, 25) * MINUTE)]]
            self._toggle(f"cover.{room}", _spans(spans), _OPEN_CLOSED, (AUTOMATION, AUTOMATION))
        minutes = np.array([0, self._rng.uniform(40, 60), self._rng.uniform(61, 64)][: 0 if weekend else 3])
        at = self._clock(10.5, 0.2) + (minutes * MINUTE).astype(np.int64)
        self._note("vacuum.robot", "docked", at, _CLEANING[: len(at)], (AUTOMATION, DEVICE, DEVICE)[: len(at)])


def _spans(spans: list[list[int]]) -> Spans:
    return union(np.array(spans, np.int64).reshape(-1, 2))
