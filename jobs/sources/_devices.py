"""The devices of the simulated home, and what the discrete ones report of a home day.

Everything follows from where the residents are (``jobs.sources._routine``) and from the clock: somebody enters a room,
its motion sensor sees it, an automation switches the light on if it is dark, and off some minutes after the last has
left, unless somebody did so by hand or the light was left on.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Description
from jobs.activity.events import AUTOMATION, DEVICE, USER
from jobs.activity.spans import Spans, intersection, union
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND, Instants
from jobs.sources._routine import (
    RESIDENTS,
    ROOMS,
    Place,
    Purpose,
    Stays,
    across_gap,
    draw,
    forgotten_light,
    is_weekend,
    wall,
)
from storage.dates import ONE_DAY

WORDS: Final = (
    *("on", "off", "open", "closed", "locked", "unlocked", "home", "not_home", "playing", "paused", "heat"),
    *("docked", "cleaning", "returning"),
)
UNITS: Final[Mapping[str, str]] = {"temperature": "°C", "humidity": "%", "illuminance": "lx", "power": "W"}
MORTAL: Final = "binary_sensor.pantry_door"  # the sensor that dies some weeks after the home's first day

_WORD = {word: code for code, word in enumerate(WORDS)}
_CLEANING: Final = ("cleaning", "returning", "docked")
_EYES: Final = {"motion", "occupancy"}
_ON_OFF, _OPEN_CLOSED = ("on", "off"), ("open", "closed")
_DEVICES: Final[tuple[tuple[str | None, str | None, str], ...]] = (
    # device, area, its entities, each with its device class if it has one
    *(
        (f"motion_{room}", room, f"binary_sensor.{room}_motion:motion sensor.{room}_temperature:temperature")
        for room in ROOMS
    ),
    ("motion_living_room", "living_room", "sensor.living_room_illuminance:illuminance"),
    ("motion_office", "office", "sensor.office_illuminance:illuminance"),
    ("lamp_hallway", "hallway", "light.hallway"),
    ("lamp_kitchen", "kitchen", "light.kitchen"),
    ("lamp_counter", "kitchen", "light.küche_o'neill"),
    ("lamp_bathroom", "bathroom", "light.bathroom"),
    ("lamp_bedroom", "bedroom", "light.bedroom"),
    ("lamp_office", "office", "light.office"),
    ("lamp_ceiling", "living_room", "light.living_room_ceiling"),
    ("lamp_floor", "living_room", "light.living_room_floor_lamp"),
    (None, "living_room", "light.living_room_all"),
    ("front_door", "hallway", "binary_sensor.front_door:door lock.front_door"),
    ("fridge", "kitchen", "binary_sensor.fridge_door:door sensor.fridge_power:power"),
    ("cupboard", "kitchen", "binary_sensor.kitchen_cupboard:opening"),
    ("pantry", "kitchen", "binary_sensor.pantry_door:opening"),
    ("coffee_machine", "kitchen", "switch.coffee_machine sensor.coffee_machine_power:power"),
    ("television", "living_room", "media_player.living_room_tv sensor.tv_power:power"),
    ("radiator_living_room", "living_room", "climate.living_room"),
    ("radiator_bathroom", "bathroom", "climate.bathroom sensor.bathroom_humidity:humidity"),
    ("cover_living_room", "living_room", "cover.living_room"),
    ("cover_bedroom", "bedroom", "cover.bedroom"),
    ("bed", "bedroom", "binary_sensor.bed_occupancy:occupancy"),
    ("vacuum", "living_room", "vacuum.robot"),
    ("meter", None, "sensor.house_power:power"),
    (None, None, " ".join(RESIDENTS)),
)


class _Lamp(NamedTuple):
    """A light that burns while somebody is at one of some places."""

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
_BY_HAND, _LEFT_ON = 0.3, 0.04  # how often a light is put out by whoever leaves, and how often it is left on for hours
_CONTACTS: Final = (
    # entity, where somebody must be, seconds that it stands open, seconds in between
    ("binary_sensor.fridge_door", ROOMS["kitchen"], 12.0, 330.0),
    ("binary_sensor.kitchen_cupboard", (Place.COOKING, Place.BREAKFAST), 15.0, 300.0),
    ("binary_sensor.pantry_door", (Place.COOKING, Place.BREAKFAST), 20.0, 700.0),
)
_LIVELY: Final = {"kitchen": 1.6, "living_room": 0.7}  # how much people move about in a room, where it is not 1
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
        """Columns of one length; what is a single number holds for all rows."""
        return cls(
            at,
            np.broadcast_to(np.asarray(entity, np.int32), at.shape),
            np.broadcast_to(np.asarray(state, np.int32), at.shape),
            np.broadcast_to(np.asarray(cause, np.int8), at.shape),
        )

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Self:
        """All rows of some columns, in order of time."""
        together = cls(
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.entity for part in parts]),
            np.concatenate([part.state for part in parts]),
            np.concatenate([part.cause for part in parts]),
        )
        return together.where(np.argsort(together.at, kind="stable"))

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls.of(np.empty(0, np.int64), 0, 0, 0)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Self:
        """Some of the rows."""
        return type(self)(self.at[chosen], self.entity[chosen], self.state[chosen], self.cause[chosen])


def inventory(zones: int) -> tuple[Description, ...]:
    """The home's entities, in a fixed order.

    Args:
        zones: How many presence sensors with a light meter there are beside what every simulated home has.
    """
    extra = []
    for zone in range(zones):
        number, room = divmod(zone, len(ROOMS))
        area = tuple(ROOMS)[room]
        name = f"{area}_zone_{number + 1}"
        extra.append((name, area, f"binary_sensor.{name}:occupancy sensor.{name}_illuminance:illuminance"))
    return tuple(
        Description(
            entity_id,
            device_class=device_class or None,
            unit=UNITS.get(device_class),
            state_class="measurement" if device_class in UNITS else None,
            device_id=device_id,
            area_id=area_id,
        )
        for device_id, area_id, entities in (*_DEVICES, *extra)
        for entity_id, _, device_class in (entity.partition(":") for entity in entities.split())
    )


class HomeDay:
    """What the discrete entities report of one home day.

    Args:
        day: The local date on which it begins.
        zone: The home's zone.
        seed: Which home it is.
        presence: Who is where.
        entities: The inventory.
    """

    def __init__(
        self, day: dt.date, zone: ZoneInfo, seed: int, presence: Stays, entities: Sequence[Description]
    ) -> None:
        self._day, self._zone, self._presence = day, zone, presence
        self._forgotten_last_night, self._forgotten_tonight = (
            forgotten_light(evening, seed) for evening in (day - ONE_DAY, day)
        )
        self._codes = {entity.entity_id: code for code, entity in enumerate(entities)}
        self._eyes = [
            entity
            for entity in entities
            if entity.area_id and entity.device_class in _EYES and entity.device_id != "bed"
        ]
        self._rng = draw(seed, day, Purpose.DEVICES)
        self._parts: list[Columns] = []
        season = math.cos(math.tau * (day.timetuple().tm_yday - _MIDSUMMER) / 365)
        self._sunrise, self._sunset = self._clock(6.5 - 1.75 * season), self._clock(18.9 + 2.6 * season)

    def changes(self, cycle_seconds: float, detail: float) -> Columns:
        """Every entity's state at the beginning of the home day, and all changes of state during it.

        Args:
            cycle_seconds: How long it takes, while somebody is in a room, from one motion seen to the next.
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
        """The instant of a local time of the day, give or take some minutes."""
        return wall(self._day, hours, self._zone) + int(self._rng.uniform(-1, 1) * spread_minutes * MINUTE)

    def _seconds(self, low: float, high: float, count: int = 1) -> Instants:
        return (self._rng.uniform(low, high, count) * SECOND).astype(np.int64)

    def _note(
        self, entity_id: str, before: str, at: Instants, words: Sequence[str], causes: Sequence[int] | _Integers
    ) -> None:
        """Takes down changes of an entity, and the state before them, which it reports soon after the day begins."""
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
        """Takes down an entity that is in one state during some spans, which may exceed the day, else in another."""
        already = len(spans) > 0 and spans[0, 0] <= self._presence.start
        both = np.column_stack([np.broadcast_to(cause, len(spans)) for cause in causes])
        self._note(entity_id, words[0] if already else words[1], spans.ravel(), words * len(spans), both.ravel())

    def _alternating(self, stays: Spans, on_seconds: float, off_seconds: float, lag_seconds: float) -> Spans:
        """While somebody is there, something goes on and off at random; it begins a moment after they came."""
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
        """Motion sensors see people at once, presence sensors of a part of the room a little later."""
        for eye in self._eyes:
            cycle = cycle_seconds / _LIVELY.get(eye.area_id or "", 1.0)
            lag = 1.3 if eye.device_class == "motion" else 20.0
            stays = self._presence.at(*ROOMS[eye.area_id or ""], gap=20 * SECOND)
            self._toggle(eye.entity_id, self._alternating(stays, 0.4 * cycle, 0.6 * cycle, lag))

    def _lights(self) -> None:
        lit = {}
        for lamp in _LAMPS:
            spans, put_out_by = self._lit(lamp)
            lit[lamp.entity_id] = spans
            self._toggle(lamp.entity_id, spans, causes=(AUTOMATION if lamp.automatic else USER, put_out_by))
        together = union(np.concatenate([lit[member] for member in _GROUP]))
        self._toggle("light.living_room_all", together + SECOND // 8, causes=(AUTOMATION, AUTOMATION))

    def _lit(self, lamp: _Lamp) -> tuple[Spans, _Integers]:
        """When a lamp burns, and what puts it out each time."""
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
        if self._forgotten_last_night == lamp.entity_id:  # until an automation puts it out in the morning
            on, off = np.append(on, start - DAY), np.append(off, start + 3 * HOUR + self._seconds(0, 10))
            cause = np.append(cause, AUTOMATION)
        if self._forgotten_tonight == lamp.entity_id:
            on, off = np.append(on, self._bedtime() - 4 * MINUTE), np.append(off, end + DAY)
            cause = np.append(cause, USER)
        spans = union(np.column_stack((on, off)))
        order = np.argsort(off, kind="stable")  # of stretches that overlap, the one that ends last says what ended them
        return spans, cause[order][np.searchsorted(off[order], spans[:, 1])]

    def _bedtime(self) -> int:
        """When the first of the residents goes to bed in the evening."""
        to_bed = self._presence.spans[self._presence.place == Place.BED, 0]
        return int(to_bed[to_bed > self._presence.start + 12 * HOUR].min())

    def _entrance(self) -> None:
        """People come and go: the door, its lock, and who is home."""
        passing = []
        for resident, person in enumerate(RESIDENTS):
            away = self._presence.of(resident, Place.AWAY)
            inside = (away > self._presence.start) & (away < self._presence.end)
            passing.append(away[inside])
            noticed = np.column_stack((self._seconds(60, 150, len(away)), self._seconds(-40, -5, len(away))))
            self._toggle(person, union(away + np.where(inside, noticed, 0)), ("not_home", "home"))
        at = np.sort(np.concatenate(passing))
        door = across_gap(np.column_stack((at - 6 * SECOND, at + self._seconds(2, 9, len(at)))), 4 * SECOND)
        self._toggle("binary_sensor.front_door", door)
        lock = np.column_stack((door[:, 0] - 4 * SECOND, door[:, 1] + self._seconds(20, 90, len(door))))
        self._toggle("lock.front_door", union(lock), ("unlocked", "locked"), (USER, AUTOMATION))
        self._toggle("binary_sensor.bed_occupancy", self._presence.at(Place.BED))

    def _kitchen(self, detail: float) -> None:
        for entity_id, places, open_seconds, pause_seconds in _CONTACTS:
            stays = self._presence.at(*places, gap=20 * SECOND)
            self._toggle(entity_id, self._alternating(stays, open_seconds, pause_seconds / detail, 60))
        breakfast = self._presence.at(Place.BREAKFAST, gap=HOUR)[:, 0]
        brewing = np.column_stack(
            (breakfast + 30 * SECOND, breakfast + self._seconds(25 * 60, 40 * 60, len(breakfast)))
        )
        self._toggle("switch.coffee_machine", union(brewing), causes=(USER, AUTOMATION))

    def _television(self) -> None:
        """It plays, with pauses, and is switched off when nobody watches any longer."""
        watched = self._presence.at(Place.TV, gap=10 * MINUTE)
        playing = self._alternating(watched, 32 * 60, 150, 60)
        off = watched[:, 1] + self._seconds(12, 40, len(watched))
        at = np.concatenate((playing.ravel(), off))
        words = ("playing", "paused") * len(playing) + ("off",) * len(off)
        self._note("media_player.living_room_tv", "off", at, words, (USER,) * len(at))

    def _schedules(self) -> None:
        """What happens by the clock and the sun: heating, covers, the vacuum cleaner."""
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
