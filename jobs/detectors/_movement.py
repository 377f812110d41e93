"""What moves inside while nobody is home.

Doors and windows, locks, and sensors of motion, occupancy and presence are looked at. Each has a chance to act on a day
away, (k + a) / (m + a + b), where it acted on k of m earlier days away; a / (a + b) is 0.001 for doors and 0.03 for
motion. Those with a chance of 20 % or more are left out: a cat, a door with a loose contact.

If n of the others act within two hours, p is the Poisson tail P(N >= n) of the sum of their chances within two hours,
times 12 for the places where the two hours may lie. It is at least (r + 1/2) / (m + 1), where as many acted, and as
many doors, on r of the m earlier days away. Where only doors acted, only doors are counted. Hours in which a robot
vacuum ran do not count. Where fewer than two earlier days away are known, movement in six hours of the day or more is
taken for an animal: only doors count, if they act in one or two hours; in more, somebody is at home.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from jobs.detector import AggregateReader
from jobs.detectors._absences import MIN_HOURS_OF_LIFE, Absences, is_movement, is_opening
from jobs.detectors._stored_days import rows_by_week
from jobs.statistics.tails import poisson_tail
from storage.dates import DateRange, Day
from storage.models import HOURS, TimeBasedDaily

MAX_P: Final = 0.01  # of what is reported; a home has some dozens of days away in a year

_PRIORS: Final[Mapping[bool, tuple[float, float]]] = {True: (0.003, 2.997), False: (0.09, 2.91)}  # (a, b), of openings
_MAX_UNEXPECTED_CHANCE: Final = 0.2
_WINDOW_HOURS: Final = 2
_MIN_KNOWN_DAYS: Final = 2
_MAX_HOURS_OF_INTRUDER: Final = 2  # in which doors open; those of somebody at home open in more


class Movement(NamedTuple):
    """What moved on a day away that was not expected to.

    Attributes:
        p: How likely that is by chance.
        rows: The rows of ``time_based`` of the entities, those of doors first.
        expected: How many entities were expected to move in as long a time.
        compared: With how many earlier days away it was compared.
        reason: What was found, in words.
    """

    p: float
    rows: list[TimeBasedDaily]
    expected: float
    compared: int
    reason: str


def movement_while_away(day: Day, absences: Absences, history: AggregateReader) -> Movement:
    """Return what moved inside on a day on which nobody was home."""
    if day in absences.partly:
        return Movement(1.0, [], 0.0, 0, "somebody may have been home for a part of the day")
    earlier = [other for other in absences.days if other < day and other not in absences.partly]
    sensors = _Sensors(rows_by_week(history, TimeBasedDaily, absences.looked_at), [*earlier, day])
    here = len(earlier)
    if here < _MIN_KNOWN_DAYS and sensors.hours_of_day(here) >= MIN_HOURS_OF_LIFE:
        if not 1 <= sensors.hours_of_day(here, openings_only=True) <= _MAX_HOURS_OF_INTRUDER:
            return Movement(1.0, [], 0.0, here, "movement all day long, as of an animal or of somebody at home")
        sensors.leave_out_movements()
    unexpected, expected = sensors.unexpected(here, range(here))
    n = len(unexpected)
    p = min(1.0, HOURS / _WINDOW_HOURS * float(poisson_tail(np.array([n]), np.array([expected]))[0])) if n else 1.0
    others = (sensors.unexpected(other, [*range(other), *range(other + 1, here)])[0] for other in range(here))
    doors = sensors.openings_of(unexpected)
    as_many = sum(len(moved) >= n and sensors.openings_of(moved) >= doors for moved in others)
    if as_many:
        p = max(p, (as_many + 0.5) / (here + 1))
    rows = [row for row in history.read(TimeBasedDaily, DateRange(day, day)) if row.entity_id in unexpected]
    rows.sort(key=lambda row: (not is_opening(row), row.entity_id))
    moved = f"{n} of {len(sensors.ids)} sensors and locks moved unexpectedly" if n else "nothing moved unexpectedly"
    return Movement(p, rows, expected, here, f"{moved}; compared with {here} earlier days away")


class _Sensors:
    """The sensors that show somebody inside, and the hours in which they acted on some days away.

    Args:
        rows: Rows of ``time_based``, also of other days.
        days: The days away, ascending.
    """

    def __init__(self, rows: Iterable[TimeBasedDaily], days: Sequence[Day]) -> None:
        place = {day: index for index, day in enumerate(days)}
        is_opening_by_id: dict[str, bool] = {}
        active: list[tuple[int, str, bytes]] = []  # small, as the rows of a large home are not
        cleaned = np.zeros((len(days), HOURS), np.bool_)
        for row in rows:
            if is_opening(row) or is_movement(row):
                is_opening_by_id[row.entity_id] = is_opening(row)
            if row.date not in place:
                continue
            hours = bytes([count > 0 for count in row.hourly_distribution])
            if row.domain == "vacuum":
                ran = np.frombuffer(hours, np.bool_)
                # It starts in the hour before and returns in that after.
                cleaned[place[row.date]] |= ran | (np.roll(ran, 1) & np.roll(ran, -1))
            else:
                active.append((place[row.date], row.entity_id, hours))
        self.ids = sorted(is_opening_by_id)
        self._openings = [is_opening_by_id[entity_id] for entity_id in self.ids]
        code = {entity_id: index for index, entity_id in enumerate(self.ids)}
        self._active = np.zeros((len(days), len(self.ids), HOURS), np.bool_)
        for index, entity_id, hours in active:
            if entity_id in code:
                self._active[index, code[entity_id]] = np.frombuffer(hours, np.bool_)
        self._active &= ~cleaned[:, None, :]

    def openings_of(self, entities: Iterable[str]) -> int:
        """Return how many of some entities are doors, windows, gates or locks."""
        return sum(self._openings[self.ids.index(entity_id)] for entity_id in entities)

    def hours_of_day(self, day: int, *, openings_only: bool = False) -> int:
        """Return in how many hours of a day anything moved, or any door, window, gate or lock did."""
        counted = np.array(self._openings, np.bool_) | (not openings_only)
        return int(self._active[day][counted].any(axis=0).sum())

    def leave_out_movements(self) -> None:
        """Leave only doors, windows, gates and locks."""
        self._active &= np.array(self._openings, np.bool_)[:, None]

    def unexpected(self, day: int, others: Sequence[int] | range) -> tuple[set[str], float]:
        """Return what moved unexpectedly on a day, in its busiest two hours, and how much is expected in two hours."""
        acted = self._active[list(others)].any(axis=2).sum(axis=0)
        a, b = np.array([_PRIORS[is_opening] for is_opening in self._openings]).reshape(-1, 2).T
        chance = (acted + a) / (len(others) + a + b)
        rare = chance < _MAX_UNEXPECTED_CHANCE
        here = self._active[day] & rare[:, None]
        within = here | np.roll(here, -1, axis=1) & (np.arange(HOURS) < HOURS - 1)
        if not within.any():
            return set(), 0.0
        busiest = int(within.sum(axis=0).argmax())
        moved = {self.ids[index] for index in np.flatnonzero(within[:, busiest])}
        # Where only doors moved, the chance of sensors of motion does not matter.
        only_openings = all(self._openings[index] for index in np.flatnonzero(within[:, busiest]))
        counted = rare & (np.array(self._openings) | (not only_openings))
        return moved, float(chance[counted].sum()) * _WINDOW_HOURS / HOURS
