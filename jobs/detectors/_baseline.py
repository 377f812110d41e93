"""The history that ``anomaly`` compares a day with: bouts by day and entity, and what is usual."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from jobs.activity.events import Flags
from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats, Integers
from storage.dates import Day
from storage.models import HOURS, AnomalyDaily, TimeBasedDaily

_SATURDAY: Final = 5
_MIN_DAYS_OF_TYPE: Final = 4  # weekdays or weekend days; with fewer, both types together are the baseline
_QUIET_SHARE: Final = 0.5  # of the usual share of active entities: below it, the whole home is quiet
_USUAL_QUANTILE: Final = 0.8  # of the days, so that weeks of absence do not become what is usual
_MANY: Final = 2  # events of an hour: no test asks for more


class Usual(NamedTuple):
    """What is usual for some entities, by column.

    Attributes:
        by_day: The mean of each day's type (weekday, weekend), shape (days, columns); the judged day is the last.
        used: The days it comes from, and the judged day, shape (days, columns).
        days: The number of days that the judged day's mean comes from, shape (columns,).
        weights: The weights of the sizes, shape (sizes, columns): see ``jobs.statistics.dispersion``.
    """

    by_day: Floats
    used: Flags
    days: Floats
    weights: Floats

    def deviation(self, count: Floats, expected: Floats) -> Floats:
        """Return how many standard deviations of a new observation a count is from its expected value."""
        spread = dispersion.variance(expected, self.weights) * (1 + 1 / self.days)
        deviation: Floats = (count - expected) / np.sqrt(spread)
        return deviation


class _StoredRows(NamedTuple):
    """What the baseline needs of the rows, which take a hundred times as much memory.

    Attributes:
        ids: The entities, ascending.
        classes: The device class of each entity, or its domain where it has none.
        entity: The entity of each row by its place in ``ids``, shape (rows,).
        day: The ordinal of each row's day, shape (rows,).
        bouts: Bouts, shape (rows,).
        has_acted: Whether there was any event, shape (rows,).
        events: Activity events by hour, at most 2, shape (rows, 24).
    """

    ids: list[str]
    classes: list[str]
    entity: Integers
    day: Integers
    bouts: Floats
    has_acted: Flags
    events: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, rows: Iterable[TimeBasedDaily]) -> Self:
        """Return what is needed of the rows, of which none is kept."""
        codes: dict[str, int] = {}
        domains: dict[str, str] = {}
        device_classes: dict[str, str] = {}
        entity, day, bouts, has_acted, events = array("q"), array("q"), array("d"), bytearray(), bytearray()
        for row in rows:
            entity.append(codes.setdefault(row.entity_id, len(codes)))
            day.append(row.date.toordinal())
            bouts.append(row.occurrences if row.bouts is None else row.bouts)
            has_acted.append(row.occurrences > 0)
            events += bytes([min(count, _MANY) for count in row.hourly_distribution])
            domains[row.entity_id] = row.domain
            if row.device_class is not None:
                device_classes[row.entity_id] = row.device_class
        ids, classes = sorted(codes), domains | device_classes
        place = np.empty(len(ids), np.int64)
        place[[codes[entity_id] for entity_id in ids]] = np.arange(len(ids))
        return cls(
            ids,
            [classes[entity_id] for entity_id in ids],
            place[np.frombuffer(entity, np.int64)],
            np.frombuffer(day, np.int64),
            np.frombuffer(bouts, np.float64),
            np.frombuffer(has_acted, np.bool_),
            np.frombuffer(events, np.uint8).reshape(-1, HOURS),
        )


class Baseline:
    """The bouts of all entities on the complete days up to the judged one, which is the last.

    Args:
        days: The complete days, ascending, the judged one last.
        rows: The rows of ``time_based`` for these days, and perhaps for others.

    Attributes:
        ids: The entities, ascending.
        bouts: Bouts, shape (days, entities).
        events: Activity events by hour, at most 2: more do not matter, shape (days, entities, 24).
        active_between: Where an entity was active on a day that is left out, between this day and the one before it in
            the baseline, shape (days, entities): its silence did not last.
        classes: The class of each entity by number: those of one device class, or of one domain where it has none,
            shape (entities,).
        weekend: Which days are Saturdays or Sundays, shape (days,).
        quiet: Which days the whole home was quiet, shape (days,).
        counted: The days that each entity can be compared with, shape (days, entities): from its first row on, without
            quiet days and without the judged day.
    """

    def __init__(self, days: Sequence[Day], rows: Iterable[TimeBasedDaily]) -> None:
        stored = _StoredRows.of(rows)
        self.ids = stored.ids
        self._day_index = {day: index for index, day in enumerate(days)}
        self._codes = {entity_id: code for code, entity_id in enumerate(self.ids)}
        shape = len(days), len(self.ids)
        ordinals = np.array([day.toordinal() for day in days])
        first = np.full(len(self.ids), ordinals[-1] + 1)
        np.minimum.at(first, stored.entity, stored.day)
        self.bouts = np.zeros(shape)
        self.events = np.zeros((*shape, HOURS), np.uint8)
        self.active_between = np.zeros(shape, np.bool_)
        place = np.searchsorted(ordinals, stored.day)
        is_counted = np.isin(stored.day, ordinals)
        at = place[is_counted], stored.entity[is_counted]
        self.bouts[at], self.events[at] = stored.bouts[is_counted], stored.events[is_counted]
        is_between = ~is_counted & stored.has_acted & (stored.day < ordinals[-1])
        self.active_between[place[is_between], stored.entity[is_between]] = True
        names = sorted(set(stored.classes))
        self.classes = np.array([names.index(name) for name in stored.classes], np.int64)
        self.weekend = np.array([day.weekday() >= _SATURDAY for day in days], np.bool_)
        existing = ordinals[:, None] >= first[None, :]
        entities = np.maximum(existing.sum(axis=1), 1)  # of that day: a home that grows was not quiet before
        share = np.count_nonzero(self.bouts, axis=1) / entities
        self.quiet: Flags = share < _QUIET_SHARE * np.quantile(share, _USUAL_QUANTILE)
        self.counted: Flags = existing & ~self.quiet[:, None]
        self.counted[-1] = False

    def code_of(self, entity_id: str) -> int:
        """Return the column of an entity; -1 for one without rows."""
        return self._codes.get(entity_id, -1)

    def index_of(self, day: Day) -> int:
        """Return the row of a day; -1 for one that is not complete."""
        return self._day_index.get(day, -1)

    def today(self, entity: Integers) -> Integers:
        """Return the bouts of some entities on the judged day."""
        bouts: Integers = self.bouts[-1, entity].astype(np.int64)
        return bouts

    def same_type(self, counted: Flags) -> Flags:
        """Return the counted days of the judged day's type (weekday, weekend) if there are enough, else all of them."""
        same = counted & (self.weekend == self.weekend[-1])[:, None]
        return np.where(same.sum(axis=0) >= _MIN_DAYS_OF_TYPE, same, counted)

    def usual(self, counted: Flags, entity: Integers) -> Usual:
        """Return what is usual for some entities by the counted days, shape (days, entities of the argument)."""
        bouts, basis = self.bouts[:, entity], self.same_type(counted)
        same = dispersion.without_outliers(bouts, basis)
        other = dispersion.without_outliers(bouts, counted & ~basis)
        of_same, of_other = dispersion.moments(bouts, same), dispersion.moments(bouts, other)
        by_day, used = np.where(other, of_other.mean, of_same.mean), same | other
        used[-1] = True
        weights = dispersion.size_weights(bouts, (same, other))
        return Usual(by_day, used, np.maximum(of_same.days, 1).astype(np.float64), weights)

    def use_of(self, day: Day, row: AnomalyDaily) -> tuple[int, str]:
        """Return the bouts of an anomaly's entity on a complete day, and how the test used that day, in words."""
        place, code = self._day_index[day], self._codes[row.entity_id]
        bouts = int(self.bouts[place, code])
        if self.quiet[place]:
            return bouts, "dropped: the whole home was quiet"
        if not self.counted[place, code]:
            return bouts, "dropped: before the entity's first row"
        if row.anomaly_type == "count_low" and not self.bouts[place:, code].any():
            return bouts, "silent, like the judged day"
        basis = self.same_type(self.counted)
        if not basis[place, code]:
            return bouts, "used for the spread only: another type of day"
        if not dispersion.without_outliers(self.bouts, basis)[place, code]:
            return bouts, "dropped: an anomaly itself"
        return bouts, "used"
