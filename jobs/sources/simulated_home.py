"""A simulated home with two residents: for demonstrations, and for tests that need any amount of raw events.

``jobs.sources._inventory`` lists the home's entities, ``jobs.sources._routine`` decides where the residents are, and
``jobs.sources._devices`` what the entities report of it. This module fills each day up to the requested number of
samples, with numeric readings and with updates of attributes only. It then adds what happens to real recordings:
devices are unavailable for a while, one sensor dies for good after three to seven weeks, and the recorder restarts or
is down for hours. With ``unusual_days``, one day in four weeks is unusual: the fridge door does not stay closed.

Everything is computed by *home days*, from 04:00 to 04:00 local time. Each is a function of the home's parameters and
its date alone, so days can be read in any order.
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
from jobs.names import Names
from jobs.sources._devices import Columns, HomeDay
from jobs.sources._inventory import DYING_SENSOR, WORDS, inventory, names_of
from jobs.sources._routine import BEGIN, ROOMS, Purpose, away_overnight, draw, stays, wall
from storage.dates import ONE_DAY, DateRange
from storage.errors import SettingsError

VERSION: Final = 1  # raise it when a home reports anything different from before, so that stored days count as outdated
LOOKBACK: Final = 3  # days read before the wanted one, to know its opening states: nothing lasts longer than a weekend

_LAST_DAY = dt.date.max - 7 * ONE_DAY  # of a home without end
_FULL_DETAIL_EVENTS = 4000  # a day: from here on, all coming and going within the home is simulated
_DISCRETE_SHARE, _MIN_REPEATS, _MAX_REPEATS = 0.5, 0.02, 0.3  # of a day's samples
_EVENT_SHARE, _ROUTINE_EVENTS = 0.4, 350  # changes of state a day, and those that do not come from motion sensors
_OCCUPIED_SECONDS = 17 * HOUR // SECOND  # of a typical day, all rooms together
_RESTARTS, _OUTAGES, _FAULTS = 1 / 7, 0.03, 0.25  # chances a day
_UNAVAILABLE_FIRST = 0.15  # share of the entities that a restart does not find at once
_UNUSUAL_EVERY_DAYS, _UNUSUAL_FROM_DAY = 28, 18  # one day in so many, and not before so many have passed


class _Curve(NamedTuple):
    """How the readings of a device class vary over a day.

    Attributes:
        mean: Their mean.
        swing: Half the distance between the lowest and the highest hour.
        peak: The local hour of the highest.
        noise: The standard deviation around the curve.
        weight: How often such sensors report, relative to each other.
        decimal: Whether they report a decimal.
    """

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
_PLUGS: Final = (  # power sensor, the device it measures, the state in which that is busy, and its watts then
    ("sensor.tv_power", "media_player.living_room_tv", "playing", 140),
    ("sensor.coffee_machine_power", "switch.coffee_machine", "on", 900),
)
_TENTHS, _WHOLES = 1000, 4096  # readings are texts from 0.0 to 99.9, or from 0 to 4095
_STATES: Final = (*WORDS, *(f"{tenths / 10:.1f}" for tenths in range(_TENTHS)), *map(str, range(_WHOLES)))


class SimulatedHome:
    """An ``EventSource`` that simulates its events.

    Args:
        zone: The home's zone; its residents live by local time.
        rules: How entities are classified.
        seed: Which home it is, 0 or more.
        events_per_day: The approximate number of raw samples a day, readings included; 500 to 200,000.
        first_day: The day at whose midnight the recorder starts for the first time.
        last_day: The last day that is recorded; None for a home without end.
        unusual_days: Whether on one day in every four weeks, from the nineteenth day of them on, the fridge door does
            not stay closed but opens every few minutes.

    Raises:
        SettingsError: The last day is before the first.
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
        unusual_days: bool = False,
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
        self._detail = min(1.0, events_per_day / _FULL_DETAIL_EVENTS)
        self._cycle_seconds = _cycle_seconds(events_per_day, zones)
        rng = np.random.default_rng([seed, Purpose.HOME])
        self._offsets = rng.normal(1, 0.05, len(self._entities))  # no two sensors are alike
        self._death = first_day + int(rng.integers(21, 50)) * ONE_DAY
        self._unusual_days = unusual_days
        self._home_day = lru_cache(maxsize=LOOKBACK + 3)(self._simulate)

    def close(self) -> None:
        """See ``EventSource.close``."""
        self._home_day.cache_clear()

    def names(self) -> Names:
        """See ``NamesEntities.names``."""
        return names_of(self._entities)

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        samples = self._gather(window.day - LOOKBACK * ONE_DAY, window.day, readings_from=window.start)
        return Recording.of(samples, self._rules).day(window)

    def samples(self, first: dt.date, last: dt.date) -> Samples:
        """Return the raw samples of a range of local days, both included, in order of time.

        States from before ``first`` are not among them. Where every state has to be known, start with the home's first
        day, on which all entities report.
        """
        return self._gather(first, last, readings_from=0)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``. It does not depend on the home's last day."""
        in_span = window.day in self._span
        basis = (VERSION, str(self._zone), self._seed, self._events_per_day, self._span.first, window.day, in_span)
        unusual = any(self.is_unusual(window.day - ago * ONE_DAY) for ago in range(LOOKBACK + 1))
        text = repr((*basis, "unusual") if unusual else basis)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def span(self) -> DateRange:
        """See ``EventSource.span``."""
        return self._span

    def is_unusual(self, day: dt.date) -> bool:
        """Return whether the fridge door does not stay closed on a day."""
        passed = (day - self._span.first).days
        if not self._unusual_days or passed < 0 or passed % _UNUSUAL_EVERY_DAYS < _UNUSUAL_FROM_DAY:
            return False
        first = day - (passed % _UNUSUAL_EVERY_DAYS - _UNUSUAL_FROM_DAY) * ONE_DAY
        candidates = [first + offset * ONE_DAY for offset in range(_UNUSUAL_EVERY_DAYS - _UNUSUAL_FROM_DAY)]
        order = draw(self._seed, first, Purpose.UNUSUAL).permutation(len(candidates)).tolist()
        return next((candidates[place] for place in order if self._is_ordinary(candidates[place])), None) == day

    def _is_ordinary(self, day: dt.date) -> bool:
        """Return whether the recorder runs without a break and nobody is away for the night."""
        away = away_overnight(day, self._seed) or away_overnight(day - ONE_DAY, self._seed)
        return not away and not len(self._outages(day))

    def _gather(self, first: dt.date, last: dt.date, readings_from: int) -> Samples:
        """Return the samples of some local days; readings, which cause no events, only from an instant on."""
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
        """Return all samples of a home day."""
        presence = stays(day, self._zone, self._seed, self._detail)
        start, end = presence.start, presence.end
        if start >= end:
            return Columns.empty()  # a date that the zone left out
        door_ajar = self.is_unusual(day)
        home_day = HomeDay(day, self._zone, self._seed, presence, self._entities, door_ajar=door_ajar)
        changes = home_day.changes(self._cycle_seconds, self._detail)
        rng = draw(self._seed, day, Purpose.REPEATS)
        wanted = self._events_per_day * rng.uniform(0.96, 1.04)
        missing = _DISCRETE_SHARE * wanted - len(changes.at)
        count = int(np.clip(missing, _MIN_REPEATS * wanted, _MAX_REPEATS * wanted))
        repeats = _repeats(changes, start, end, count, rng)
        outages = self._outages(day)
        reports = len(self._entities) * (len(outages) + (day == self._span.first))
        readings = self._readings(changes, start, end, int(wanted) - len(changes.at) - count - reports, day)
        columns = self._with_faults(Columns.joined([changes, repeats, readings]), start, end, day)
        for outage in outages.tolist():
            columns = self._with_outage(columns, start, outage, day)
        return columns.where(slice(*np.searchsorted(columns.at, (start, end))))

    def _readings(self, changes: Columns, start: int, end: int, count: int, day: dt.date) -> Columns:
        """Return numeric readings, evenly spread over the day, as often as each kind of sensor reports."""
        rng = draw(self._seed, day, Purpose.READINGS)
        sensors = np.array([code for code, about in enumerate(self._entities) if about.device_class in _CURVES])
        curves = [_CURVES[self._entities[code].device_class or ""] for code in sensors]
        mean, swing, peak, noise, weight, decimal = (np.array(column) for column in zip(*curves, strict=True))
        each = 1 + rng.multinomial(max(0, count - len(sensors)), weight / weight.sum())
        which = np.repeat(np.arange(len(sensors)), each)
        first = np.cumsum(each) - each
        place = np.arange(len(which)) - first[which] + rng.random(len(which))
        at = start + (place / each[which] * (end - start)).astype(np.int64)
        at[first] = start + (sensors + 1) * SECOND  # when the other entities report too, see HomeDay
        turns = ((at - start) / HOUR + BEGIN - peak[which]) / 24
        level = mean * self._offsets[sensors]
        value = level[which] + swing[which] * np.cos(math.tau * turns) + noise[which] * rng.normal(size=len(which))
        for plug, device, word, watts in _PLUGS:
            mine = sensors[which] == self._codes[plug]
            busy = _state_at(changes, self._codes[device], at[mine], start) == WORDS.index(word)
            value[mine] = np.where(busy, watts, 2) + rng.random(len(busy))
        return Columns.of(at, sensors[which], _reading_state(value, decimal[which]), DEVICE)

    def _with_faults(self, columns: Columns, start: int, end: int, day: dt.date) -> Columns:
        """Make a device unavailable for a while on some days, and one sensor for good."""
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
            columns = _unavailable(columns, start, np.array([self._codes[DYING_SENSOR]]), since, end)
        return columns

    def _outages(self, day: dt.date) -> Spans:
        """Return when the recorder does not run within a home day; it does not run before the first day."""
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
        """Record nothing for a while; then all entities report again, some of them first that they are unavailable."""
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
    """Return the seconds between motions, while somebody is in a room, that give a day its share of events."""
    cycles = max(1.0, (_EVENT_SHARE * events_per_day - _ROUTINE_EVENTS) / 2)
    return min(max(_OCCUPIED_SECONDS * (1 + zones / len(ROOMS)) / cycles, 5.0), 1800.0)


def _repeats(changes: Columns, start: int, end: int, count: int, rng: np.random.Generator) -> Columns:
    """Return updates of attributes only: discrete entities report the state they already have."""
    at = np.sort(rng.integers(start + 5 * MINUTE, end, count))
    entity = rng.choice(np.unique(changes.entity), count)
    return Columns.of(at, entity, _state_at(changes, entity, at, start), DEVICE)


def _unavailable(columns: Columns, start: int, codes: NDArray[np.int64], begin: int, end: int) -> Columns:
    """Make some entities unavailable for a while; then they report their current state."""
    silent = np.isin(columns.entity, codes) & (columns.at >= begin) & (columns.at < end)
    lost = Columns.of(np.full(len(codes), begin), codes, GAP, DEVICE)
    at = np.full(len(codes), end)
    back = Columns.of(at, codes, _state_at(columns, codes, at, start), DEVICE)
    return Columns.joined([columns.where(~silent), lost, back])


def _reading_state(value: NDArray[np.float64], decimal: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the state codes of readings, with one decimal or without."""
    tenths = np.clip(np.rint(value * 10), 0, _TENTHS - 1)
    wholes = np.clip(np.rint(value), 0, _WHOLES - 1)
    return len(WORDS) + np.where(decimal, tenths, _TENTHS + wholes).astype(np.int64)


def _state_at(columns: Columns, entity: NDArray[np.int64] | int, at: Instants, start: int) -> NDArray[np.int64]:
    """Return the states of entities at some instants of a home day, at the begin of which each has reported."""
    by_entity = columns.where(np.argsort(columns.entity, kind="stable"))  # still in order of time within an entity
    reach = 2 * DAY
    keys = by_entity.entity.astype(np.int64) * reach + (by_entity.at - start)
    before = np.searchsorted(keys, entity * np.int64(reach) + (at - start), side="right") - 1
    return by_entity.state[before].astype(np.int64)
