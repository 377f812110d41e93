"""A home that does not exist, with two residents: for demonstrations, and for tests that need raw events in any amount.

``jobs.sources._routine`` says where the residents are, ``jobs.sources._devices`` what the home's devices report of it.
Here the day is filled up to the number of samples asked for, with numeric readings and with attribute-only repeats, and
then suffers what recordings suffer: devices fall silent, one for good, and the recorder stops and starts.

Everything is made of *home days*, from 04:00 to 04:00 local time. Each is a function of the home's parameters and its
date alone, so days can be read in any order.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.building import Recording
from jobs.activity.entities import EntityRules, Kind
from jobs.activity.events import DEVICE, GAP, DayLog, Samples
from jobs.activity.spans import Spans
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND, DayWindow, Instants, midnight
from jobs.sources._devices import MORTAL, WORDS, Columns, HomeDay, inventory
from jobs.sources._routine import BEGIN, ROOMS, Purpose, draw, stays, wall
from storage.dates import ONE_DAY, DateRange
from storage.errors import SettingsError

VERSION: Final = 1  # raised when a home reports anything else than before: stored days are then known to be stale
LOOKBACK: Final = 3  # days that are traced before the one that is read; nothing active lasts longer than a weekend

_LAST_DAY = dt.date.max - 7 * ONE_DAY  # of a home without end
_FULL_DETAIL = 4000  # samples a day from which all coming and going is played out
_DISCRETE_SHARE, _FEWEST_REPEATS, _MOST_REPEATS = 0.5, 0.02, 0.3  # of a day's samples
_EVENT_SHARE, _ROUTINE_EVENTS = 0.4, 350  # changes of state, and how many of them do not come from motion
_STAYS = 17 * HOUR // SECOND  # seconds a typical day that rooms are stayed in, all rooms together
_RESTARTS, _OUTAGES, _FAULTS = 1 / 7, 0.03, 0.25  # chances a day
_UNAVAILABLE_FIRST = 0.15  # share of the entities that a restart does not find at once


class _Curve(NamedTuple):
    """How readings of a device class go through the day: mean, swing, local hour of the maximum, noise; how chatty."""

    mean: float
    swing: float
    peak: float
    noise: float
    weight: float
    decimal: bool


_CURVES: Final = {
    "temperature": _Curve(20.8, 0.9, 17.0, 0.15, 1.0, decimal=True),
    "humidity": _Curve(48.0, 5.0, 7.0, 1.2, 1.5, decimal=True),
    "illuminance": _Curve(20.0, 420.0, 13.0, 30.0, 3.0, decimal=False),
    "power": _Curve(130.0, 90.0, 20.0, 45.0, 6.0, decimal=False),
}
_PLUGS: Final = (  # whose power depends on what else, in which state, and how many watts it takes then
    ("sensor.tv_power", "media_player.living_room_tv", "playing", 140),
    ("sensor.coffee_machine_power", "switch.coffee_machine", "on", 900),
)
_TENTHS, _WHOLES = 1000, 4096  # readings are texts from 0.0 to 99.9, or from 0 to 4095
_STATES: Final = (*WORDS, *(f"{tenths / 10:.1f}" for tenths in range(_TENTHS)), *map(str, range(_WHOLES)))


class SimulatedHome:
    """An ``EventSource`` that makes up its events.

    Args:
        zone: The home's zone; its residents live by local time.
        rules: How entities are classed.
        seed: Which home it is, 0 or more.
        events_per_day: About how many raw samples a day has, readings included; 500 to 200,000.
        first_day: The day at whose midnight the recorder starts for the first time.
        last_day: The last day that is recorded; None for a home without end.

    Raises:
        SettingsError: The last day lies before the first.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        rules: EntityRules,
        *,
        seed: int = 1,
        events_per_day: int = 10_000,
        first_day: dt.date = dt.date(2025, 1, 1),
        last_day: dt.date | None = None,
    ) -> None:
        last_day = _LAST_DAY if last_day is None else last_day
        if last_day < first_day:
            raise SettingsError(
                f"source.last_day: {last_day} is before source.first_day, {first_day}", hint="Correct one of the two."
            )
        self._zone, self._rules, self._seed, self._events_per_day = zone, rules, seed, events_per_day
        self._span = DateRange(first_day, last_day)
        zones = max(0, int(40 * math.log10(events_per_day / 10_000)))
        self._entities = inventory(zones)
        self._codes = {about.entity_id: code for code, about in enumerate(self._entities)}
        self._followed = np.array(
            [rules.classify(about, ()).kind is Kind.ACTIVITY for about in self._entities], np.bool_
        )
        self._detail = min(1.0, events_per_day / _FULL_DETAIL)
        self._cycle_seconds = _cycle_seconds(events_per_day, zones)
        rng = np.random.default_rng([seed, Purpose.HOME])
        self._offsets = rng.normal(1, 0.05, len(self._entities))  # no two sensors are alike
        self._death = first_day + int(rng.integers(21, 50)) * ONE_DAY
        self._home_day = lru_cache(maxsize=LOOKBACK + 3)(self._simulate)

    def close(self) -> None:
        """See ``EventSource.close``."""
        self._home_day.cache_clear()

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        samples = self._gather(window.day - LOOKBACK * ONE_DAY, window.day, readings_from=window.start)
        return Recording.of(samples, self._rules).day(window)

    def samples(self, first: dt.date, last: dt.date) -> Samples:
        """The raw samples of a range of local days, both included, in order of time.

        What was before ``first`` is not among them, unless the recording itself begins there: choose the home's first
        day where every state has to be known.
        """
        return self._gather(first, last, readings_from=0)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``. A home that is simulated for longer keeps the days that it has."""
        told = (
            VERSION,
            str(self._zone),
            self._seed,
            self._events_per_day,
            self._span.first,
            window.day,
            window.day in self._span,
        )
        return hashlib.blake2b(repr(told).encode(), digest_size=8).hexdigest()

    def span(self) -> DateRange:
        """See ``EventSource.span``."""
        return self._span

    def _gather(self, first: dt.date, last: dt.date, readings_from: int) -> Samples:
        """The samples of some local days; readings, which no event depends on, only from an instant on."""
        days = range(max(first, self._span.first).toordinal(), min(last, self._span.last).toordinal() + 1)
        low, high = (
            midnight(dt.date.fromordinal(edge), self._zone) for edge in (days.start, max(days.start, days.stop))
        )
        parts, lost = [Columns.empty()], [np.empty((0, 2), np.int64)]
        for ordinal in range(days.start - 1, days.stop) if days else ():
            home_day = dt.date.fromordinal(ordinal)
            columns = self._home_day(home_day)
            columns = columns.where(slice(*np.searchsorted(columns.at, (low, high))))
            parts.append(columns.where(self._followed[columns.entity] | (columns.at >= readings_from)))
            lost.append(self._outages(home_day))
        outages = np.concatenate(lost)
        known = np.clip(np.concatenate(([low], outages.ravel(), [high])), low, high).reshape(-1, 2)
        starts = outages[:, 1]
        at, entity, state, cause = Columns.joined(parts)
        return Samples(
            at=at,
            entity=entity,
            state=state,
            cause=cause,
            entities=self._entities,
            states=_STATES,
            known=known[known[:, 0] < known[:, 1]],
            starts=starts[(starts >= low) & (starts < high)],
        )

    def _simulate(self, day: dt.date) -> Columns:
        """All samples of a home day."""
        presence = stays(day, self._zone, self._seed, self._detail)
        start, end = presence.start, presence.end
        if start >= end:
            return Columns.empty()  # a date that the zone left out
        home_day = HomeDay(day, self._zone, self._seed, presence, self._entities)
        changes = home_day.changes(self._cycle_seconds, self._detail)
        rng = draw(self._seed, day, Purpose.REPEATS)
        wanted = self._events_per_day * rng.uniform(0.96, 1.04)
        missing = _DISCRETE_SHARE * wanted - len(changes.at)
        count = int(np.clip(missing, _FEWEST_REPEATS * wanted, _MOST_REPEATS * wanted))
        repeats = _repeats(changes, start, end, count, rng)
        outages = self._outages(day)
        reports = len(self._entities) * (len(outages) + (day == self._span.first))
        readings = self._readings(changes, start, end, int(wanted) - len(changes.at) - count - reports, day)
        columns = self._with_faults(Columns.joined([changes, repeats, readings]), start, end, day)
        for outage in outages.tolist():
            columns = self._with_outage(columns, start, outage, day)
        return columns.where(slice(*np.searchsorted(columns.at, (start, end))))

    def _readings(self, changes: Columns, start: int, end: int, count: int, day: dt.date) -> Columns:
        """Numeric readings, evenly spread over the day, each sensor as often as its kind is chatty."""
        rng = draw(self._seed, day, Purpose.READINGS)
        sensors = np.array([code for code, about in enumerate(self._entities) if about.device_class in _CURVES])
        curves = [_CURVES[self._entities[code].device_class or ""] for code in sensors]
        mean, swing, peak, noise, weight, decimal = (np.array(column) for column in zip(*curves, strict=True))
        each = 1 + rng.multinomial(max(0, count - len(sensors)), weight / weight.sum())
        which = np.repeat(np.arange(len(sensors)), each)
        first = np.cumsum(each) - each
        place = np.arange(len(which)) - first[which] + rng.random(len(which))
        at = start + (place / each[which] * (end - start)).astype(np.int64)
        at[first] = start + (sensors + 1) * SECOND  # together with the others, see HomeDay
        turns = ((at - start) / HOUR + BEGIN - peak[which]) / 24
        level = mean * self._offsets[sensors]
        value = level[which] + swing[which] * np.cos(math.tau * turns) + noise[which] * rng.normal(size=len(which))
        for plug, device, word, watts in _PLUGS:
            mine = sensors[which] == self._codes[plug]
            busy = _state_at(changes, self._codes[device], at[mine], start) == WORDS.index(word)
            value[mine] = np.where(busy, watts, 2) + rng.random(len(busy))
        return Columns.of(at, sensors[which], _reading_state(value, decimal[which]), DEVICE)

    def _with_faults(self, columns: Columns, start: int, end: int, day: dt.date) -> Columns:
        """Now and then a device is unavailable for a while, and one sensor is for good."""
        rng = draw(self._seed, day, Purpose.FAULT)
        happens, hours, length, dies_at = rng.random(), rng.uniform(2, 16), rng.random(), rng.uniform(4, 16)
        if happens < _FAULTS:
            devices = sorted({about.device_id for about in self._entities if about.device_id})
            broken = devices[rng.integers(len(devices))]
            codes = np.array([code for code, about in enumerate(self._entities) if about.device_id == broken])
            begin = start + int(hours * HOUR)
            columns = _unavailable(columns, start, codes, begin, begin + int(MINUTE * 180**length))  # to three hours
        if day >= self._death:
            since = start + (int(dies_at * HOUR) if day == self._death else 0)
            columns = _unavailable(columns, start, np.array([self._codes[MORTAL]]), since, end)
        return columns

    def _outages(self, day: dt.date) -> Spans:
        """When the recorder does not run in a home day; before the first day it never does."""
        if day < self._span.first:
            return np.array([[wall(day, BEGIN, self._zone), midnight(self._span.first, self._zone)]], np.int64)
        rng = draw(self._seed, day, Purpose.OUTAGE)
        chance, hour = rng.random(), rng.uniform(5.5, 17.5)
        begin = wall(day, hour, self._zone)
        if chance < _OUTAGES:
            return np.array([[begin, begin + int(rng.uniform(1.5, 6) * HOUR)]], np.int64)
        if chance < _OUTAGES + _RESTARTS:
            return np.array([[begin, begin + int(rng.uniform(20, 90) * SECOND)]], np.int64)
        return np.empty((0, 2), np.int64)

    def _with_outage(self, columns: Columns, start: int, outage: list[int], day: dt.date) -> Columns:
        """Nothing is recorded for a while; then all entities report again, some first that they are unavailable."""
        begin, end = outage
        rng = draw(self._seed, day, Purpose.RESTART)
        entity = np.arange(len(self._entities))
        late = rng.random(len(entity)) < _UNAVAILABLE_FIRST
        seconds = np.where(late, rng.uniform(20, 50, len(entity)), rng.uniform(0.3, 15, len(entity)))
        at = end + (seconds * SECOND).astype(np.int64)
        back = Columns.of(at, entity, _state_at(columns, entity, at, start), DEVICE)
        lost = Columns.of(end + (np.flatnonzero(late) + 1) * SECOND // 100, np.flatnonzero(late), GAP, DEVICE)
        return Columns.joined([columns.where((columns.at < begin) | (columns.at >= end)), lost, back])


def _cycle_seconds(events_per_day: int, zones: int) -> float:
    """How often motion has to be seen while somebody is in a room, for a day to have its share of events."""
    cycles = max(1.0, (_EVENT_SHARE * events_per_day - _ROUTINE_EVENTS) / 2)
    return min(max(_STAYS * (1 + zones / len(ROOMS)) / cycles, 5.0), 1800.0)


def _repeats(changes: Columns, start: int, end: int, count: int, rng: np.random.Generator) -> Columns:
    """Updates of attributes only: discrete entities report the state that they have."""
    at = np.sort(rng.integers(start + 5 * MINUTE, end, count))
    entity = rng.choice(np.unique(changes.entity), count)
    return Columns.of(at, entity, _state_at(changes, entity, at, start), DEVICE)


def _unavailable(columns: Columns, start: int, codes: NDArray[np.int64], begin: int, end: int) -> Columns:
    """Some entities become unavailable, report nothing for a while, and then the state they have by now."""
    silent = np.isin(columns.entity, codes) & (columns.at >= begin) & (columns.at < end)
    lost = Columns.of(np.full(len(codes), begin), codes, GAP, DEVICE)
    at = np.full(len(codes), end)
    back = Columns.of(at, codes, _state_at(columns, codes, at, start), DEVICE)
    return Columns.joined([columns.where(~silent), lost, back])


def _reading_state(value: NDArray[np.float64], decimal: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The codes of readings, with one decimal or without."""
    tenths = np.clip(np.rint(value * 10), 0, _TENTHS - 1)
    wholes = np.clip(np.rint(value), 0, _WHOLES - 1)
    return len(WORDS) + np.where(decimal, tenths, _TENTHS + wholes).astype(np.int64)


def _state_at(columns: Columns, entity: NDArray[np.int64] | int, at: Instants, start: int) -> NDArray[np.int64]:
    """The states that entities have at some instants of a home day; each has reported soon after it began."""
    by_entity = columns.where(np.argsort(columns.entity, kind="stable"))  # and by time, in which they came
    reach = 2 * DAY
    keys = by_entity.entity.astype(np.int64) * reach + (by_entity.at - start)
    before = np.searchsorted(keys, entity * np.int64(reach) + (at - start), side="right") - 1
    return by_entity.state[before].astype(np.int64)
