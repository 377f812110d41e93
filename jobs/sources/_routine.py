"""Where the two residents of the simulated home are, from one 04:00 to the next.

At 04:00 everybody is asleep or away for the night. So a *home day* from 04:00 to 04:00 local time needs to know only
two things about its neighbours: who was away, and which light was forgotten. Each is drawn for a night by itself. A
home day is a sequence of steps, planned on the wall clock and then turned into instants, so that a day of 23 or 25
hours just has a shorter or a longer night.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.spans import Spans, union
from jobs.activity.window import MINUTE, SECOND, to_instant
from storage.dates import ONE_DAY

BEGIN: Final = 4.0  # the local hour at which a home day begins
RESIDENTS: Final = ("person.anna", "person.ben")
FORGETTABLE: Final = ("light.kitchen", "light.office", "light.living_room_floor_lamp")

_LATEST_BEDTIME = 27.2  # local hours since midnight: nobody is up at 04:00
_LATER = 0.4  # hours by which the second resident does everything later
_QUIET = 15 * MINUTE  # at both ends of a stay, without a short visit to another room
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_TRIPS, _EVENINGS_OUT, _WEEKDAYS_OUT, _SHOPPING, _FORGOTTEN = 0.12, 0.3, 0.05, 0.7, 0.06  # chances
_FROM_HOME_CHANCE = (0.1, 0.4)  # for each resident
_BATHROOM_VISITS = 0.5  # of the short visits to another room


class Purpose(IntEnum):
    """What random numbers are drawn for. Each purpose has its own stream, so that one does not change another."""

    COMPANY, WALK, NIGHT, DEVICES, READINGS, REPEATS, OUTAGE, RESTART, FAULT, HOME, UNUSUAL = range(11)


class Place(IntEnum):
    """Where a resident is, and what they do there."""

    AWAY, BED, BATHROOM, BEDROOM, BREAKFAST, COOKING, KITCHEN, HALLWAY, LIVING, TV, OFFICE = range(11)


ROOMS: Final[Mapping[str, tuple[Place, ...]]] = {
    "hallway": (Place.HALLWAY,),
    "kitchen": (Place.KITCHEN, Place.BREAKFAST, Place.COOKING),
    "living_room": (Place.LIVING, Place.TV),
    "bathroom": (Place.BATHROOM,),
    "bedroom": (Place.BEDROOM,),
    "office": (Place.OFFICE,),
}
_ROOM_OF = {place: room for room, places in ROOMS.items() for place in places} | {
    Place.BED: "bedroom",
    Place.AWAY: "hallway",
}
_NO_HALLWAY_BETWEEN = {"kitchen", "living_room"}
_MINUTES_BETWEEN_VISITS = {
    Place.BED: 700.0,
    Place.LIVING: 40.0,
    Place.TV: 50.0,
    Place.OFFICE: 45.0,
    Place.COOKING: 60.0,
}


class Step(NamedTuple):
    """One step of a routine; it lasts until the next one begins.

    Attributes:
        place: Where it takes place.
        minutes: The minimum duration, give or take a quarter.
        at: The earliest local hour at which it begins, if any.
        spread: The standard deviation of ``at`` from day to day, in minutes.
    """

    place: Place
    minutes: float
    at: float | None = None
    spread: float = 0.0


_UP_EARLY = (Step(Place.BED, 0), Step(Place.BATHROOM, 16, 6.6, 12), Step(Place.BEDROOM, 6), Step(Place.BREAKFAST, 22))
_LIE_IN = (Step(Place.BED, 0), Step(Place.BATHROOM, 20, 8.7, 35), Step(Place.BEDROOM, 8), Step(Place.BREAKFAST, 45))
_TO_WORK = (
    Step(Place.HALLWAY, 3),
    Step(Place.AWAY, 420),
    Step(Place.HALLWAY, 2, 17.2, 35),
    Step(Place.BEDROOM, 6),
    Step(Place.LIVING, 15),
)
_FROM_HOME = (
    Step(Place.OFFICE, 150, 8.3, 10),
    Step(Place.COOKING, 25, 12.1, 15),
    Step(Place.HALLWAY, 2),
    Step(Place.AWAY, 25),  # a walk: on weekdays everybody goes out, see LOOKBACK of the source
    Step(Place.HALLWAY, 1),
    Step(Place.OFFICE, 180),
    Step(Place.LIVING, 20, 17.4, 20),
)
_SHOP = (
    Step(Place.LIVING, 40),
    Step(Place.HALLWAY, 4, 11.0, 20),
    Step(Place.AWAY, 80),
    Step(Place.HALLWAY, 2),
    Step(Place.KITCHEN, 25),
)
_AFTERNOON = (
    Step(Place.LIVING, 60),
    Step(Place.OFFICE, 50, 15.0, 25),
    Step(Place.KITCHEN, 20, 16.3, 20),
    Step(Place.LIVING, 40),
)
_TO_BED = (Step(Place.BATHROOM, 10, 22.6, 20), Step(Place.BEDROOM, 8), Step(Place.BED, 0))
_COOK = (Step(Place.COOKING, 40, 18.5, 15), Step(Place.KITCHEN, 25), Step(Place.TV, 90, 20.0, 15), *_TO_BED)
_BE_COOKED_FOR = (Step(Place.LIVING, 40, 18.4, 15), *_COOK[1:])
_GO_OUT = (
    Step(Place.BATHROOM, 15, 18.2, 12),
    Step(Place.BEDROOM, 10),
    Step(Place.HALLWAY, 3),
    Step(Place.AWAY, 250, 19.0, 10),
    Step(Place.HALLWAY, 2),
    *_TO_BED,
)
_SET_OFF = (Step(Place.BEDROOM, 15), Step(Place.HALLWAY, 5), Step(Place.AWAY, 0))
_COME_BACK = (Step(Place.AWAY, 0), Step(Place.HALLWAY, 5, 16.5, 50), Step(Place.BEDROOM, 20), Step(Place.LIVING, 15))


def draw(seed: int, day: dt.date, purpose: Purpose) -> np.random.Generator:
    """Return the random numbers of one home day for one purpose: the same whatever was drawn before."""
    return np.random.default_rng([seed, day.toordinal(), purpose])


def wall(day: dt.date, hours: float, zone: ZoneInfo) -> int:
    """Return the instant at which clocks show so many hours after midnight; a skipped hour counts as the next."""
    local = dt.datetime.combine(day, dt.time()) + dt.timedelta(hours=hours)
    return to_instant(local.replace(tzinfo=zone))


def is_weekend(day: dt.date) -> bool:
    """Return whether a day is a Saturday or a Sunday."""
    return day.weekday() in {_SATURDAY, _SUNDAY}


def away_overnight(day: dt.date, seed: int) -> bool:
    """Return whether the residents are away in the night that follows a day."""
    return day.weekday() == _SATURDAY and draw(seed, day, Purpose.NIGHT).random() < _TRIPS


def forgotten_light(day: dt.date, seed: int) -> str | None:
    """Return the light that is on all through the night that follows a day, if any."""
    if away_overnight(day, seed):
        return None
    rng = draw(seed, day, Purpose.NIGHT)
    return FORGETTABLE[rng.integers(len(FORGETTABLE))] if rng.random() < _FORGOTTEN else None


@dataclass(frozen=True, slots=True)
class Stays:
    """Who is where during one home day.

    Attributes:
        start: The first instant of the home day.
        end: The first instant of the next.
        spans: When each stay begins and ends, shape (n, 2).
        place: Where it is, shape (n,).
        resident: Whose it is, shape (n,).
    """

    start: int
    end: int
    spans: Spans
    place: NDArray[np.int64]
    resident: NDArray[np.int64]

    def at(self, *places: Place, gap: int = 0) -> Spans:
        """Return when somebody is at one of some places; shorter absences than ``gap`` microseconds do not count."""
        return close_gaps(self.spans[np.isin(self.place, places)], gap)

    def of(self, resident: int, place: Place) -> Spans:
        """Return when one resident is at a place."""
        return union(self.spans[(self.place == place) & (self.resident == resident)])


def close_gaps(spans: Spans, gap: int) -> Spans:
    """Return the union of spans, with gaps of up to ``gap`` microseconds closed."""
    widened = np.array([0, gap], np.int64)
    return union(spans + widened) - widened


def stays(day: dt.date, zone: ZoneInfo, seed: int, detail: float) -> Stays:
    """Return where the residents are during a home day.

    Args:
        day: The local date on which it begins.
        zone: The home's zone.
        seed: Which home it is.
        detail: From 0 to 1, how much of the coming and going within the home is simulated.
    """
    start, end = wall(day, BEGIN, zone), wall(day + ONE_DAY, BEGIN, zone)
    rng = draw(seed, day, Purpose.WALK)
    spans, places, residents = [], [], []
    for resident, routine in enumerate(_routines(day, seed)):
        chain = _through_hallway(
            _with_visits(_timed(routine, day, zone, resident * _LATER, rng), end, detail, rng), detail, rng
        )
        chain[0] = (start, chain[0][1])
        for (since, place), (until, _) in pairwise([*chain, (end, Place.AWAY)]):
            spans.append((min(max(since, start), end), min(max(until, start), end)))
            places.append(place)
            residents.append(resident)
    return Stays(start, end, np.array(spans, np.int64), np.array(places), np.array(residents))


def _routines(day: dt.date, seed: int) -> Iterator[tuple[Step, ...]]:
    """Yield what each resident does on a day; what they do together is drawn once for both."""
    rng = draw(seed, day, Purpose.COMPANY)
    out, shopping, cook = rng.random(), rng.random(), rng.integers(len(RESIDENTS))
    goes_out = out < (_EVENINGS_OUT if day.weekday() in {_FRIDAY, _SATURDAY} else _WEEKDAYS_OUT)
    for resident in range(len(RESIDENTS)):
        evening = _GO_OUT if goes_out else _COOK if resident == cook else _BE_COOKED_FOR
        from_home = rng.random() < _FROM_HOME_CHANCE[resident]
        if away_overnight(day, seed):
            yield _LIE_IN + _SET_OFF
        elif away_overnight(day - ONE_DAY, seed):
            yield _COME_BACK + evening
        elif is_weekend(day):
            yield _LIE_IN + (_SHOP if shopping < _SHOPPING else ()) + _AFTERNOON + evening
        else:
            yield _UP_EARLY + (_FROM_HOME if from_home else _TO_WORK) + evening


_Chain = list[tuple[int, Place]]  # since when a resident is where


def _timed(steps: tuple[Step, ...], day: dt.date, zone: ZoneInfo, later: float, rng: np.random.Generator) -> _Chain:
    """Return the instants at which the steps of a routine begin."""
    stretches = rng.uniform(0.75, 1.25, len(steps))
    shifts = np.clip(rng.normal(size=len(steps)), -2.5, 2.5)
    clock, since, chain = BEGIN, 0, []
    for step, stretch, shift in zip(steps, stretches.tolist(), shifts.tolist(), strict=True):
        if step.at is not None:
            clock = max(clock, step.at + later + shift * step.spread / 60)
        since = max(since, wall(day, min(clock, _LATEST_BEDTIME), zone))  # steps stay in order when clocks are set back
        chain.append((since, step.place))
        clock += step.minutes * stretch / 60
    return chain


def _with_visits(chain: _Chain, end: int, detail: float, rng: np.random.Generator) -> _Chain:
    """Add the short visits to kitchen and bathroom that interrupt a long stay."""
    lively: _Chain = []
    for (since, place), (until, _) in pairwise([*chain, (end, Place.AWAY)]):
        lively.append((since, place))
        room_for_visits = until - since - 2 * _QUIET
        if place not in _MINUTES_BETWEEN_VISITS or room_for_visits <= 0:
            continue
        many = rng.poisson(detail * room_for_visits / MINUTE / _MINUTES_BETWEEN_VISITS[place])
        back = since
        for at in np.sort(rng.integers(since + _QUIET, until - _QUIET, many)).tolist():
            visited = Place.BATHROOM if place is Place.BED or rng.random() < _BATHROOM_VISITS else Place.KITCHEN
            if at > back:  # visits do not overlap
                back = at + int(rng.integers(100 * SECOND, 280 * SECOND))
                lively += [(at, visited), (back, place)]
    return lively


def _through_hallway(chain: _Chain, detail: float, rng: np.random.Generator) -> _Chain:
    """Add the few seconds in the hallway between two rooms."""
    walked = chain[:1]
    for (_, before), (at, after) in pairwise(chain):
        rooms = {_ROOM_OF[before], _ROOM_OF[after]}
        passes = len(rooms) > 1 and "hallway" not in rooms and rooms != _NO_HALLWAY_BETWEEN
        if passes and rng.random() < detail:
            walked.append((at, Place.HALLWAY))
            at += int(rng.integers(5 * SECOND, 10 * SECOND))  # noqa: PLW2901 - the room is reached later
        walked.append((at, after))
    return walked
