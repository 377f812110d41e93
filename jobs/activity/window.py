"""A local calendar day as a half-open span of instants.

Each day begins at its own local midnight, so days follow each other without gap or overlap whatever the zone does.
Most have 23, 24 or 25 hours, those of Antarctica/Troll 22 and 26, and 30 December 2011 of Pacific/Apia has none.
Instants are integers, microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from storage.dates import ONE_DAY
from storage.models import HOURS

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_PROBE = 15 * MINUTE  # no zone has ever changed its offset twice within this

Instants = NDArray[np.int64]


def to_instant(at: dt.datetime) -> int:
    """Return an aware datetime as microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_instant(instant: int) -> dt.datetime:
    """Return microseconds since 1970 as a datetime in UTC."""
    return _EPOCH + instant * _MICROSECOND


@lru_cache(maxsize=4096)
def midnight(day: dt.date, zone: ZoneInfo) -> int:
    """Return the first instant at which the local date is ``day`` or, where that date does not exist, a later one.

    Of two midnights (clocks set back over midnight) it is the first; where clocks skip midnight it is the skip.
    """
    local = dt.datetime.combine(day, dt.time())
    first, second = (to_instant(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if first <= second:
        return first
    before, after = second - 1, first  # a gap: the skip lies between the two readings of this midnight
    while after - before > 1:
        middle = (before + after) // 2
        if from_instant(middle).astimezone(zone).date() < day:
            before = middle
        else:
            after = middle
    return after


@dataclass(frozen=True, slots=True)
class DayWindow:
    """One local calendar day in a zone: ``start`` ≤ instant < ``end``.

    Attributes:
        day: The date.
        zone: The IANA zone.
        start: Its first instant in microseconds since 1970.
        end: The first instant of the next day.
        turns: Instants from ``start`` on at which a UTC offset begins to hold.
        offsets: These offsets in microseconds.
    """

    day: dt.date
    zone: ZoneInfo
    start: int = field(init=False)
    end: int = field(init=False)
    turns: Instants = field(init=False, compare=False, repr=False)
    offsets: Instants = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        start, end = midnight(self.day, self.zone), midnight(self.day + ONE_DAY, self.zone)
        turns = [start]
        for probe in range(start, end, _PROBE):
            before, after = probe, min(probe + _PROBE, end - 1)
            if self._offset(before) == self._offset(after):
                continue
            while after - before > 1:
                middle = (before + after) // 2
                if self._offset(middle) == self._offset(before):
                    before = middle
                else:
                    after = middle
            turns.append(after)
        for name, value in (
            ("start", start),
            ("end", end),
            ("turns", np.array(turns, np.int64)),
            ("offsets", np.array([self._offset(turn) for turn in turns], np.int64)),
        ):
            object.__setattr__(self, name, value)

    def _offset(self, instant: int) -> int:
        offset = from_instant(instant).astimezone(self.zone).utcoffset()
        return (offset or dt.timedelta()) // _MICROSECOND

    @property
    def seconds(self) -> float:
        """The length of the day."""
        return (self.end - self.start) / SECOND

    def hours_of(self, instants: Instants) -> NDArray[np.int64]:
        """Return the local hour, 0 to 23, of instants within the day (shape kept)."""
        stretch = np.searchsorted(self.turns, instants, side="right") - 1
        local = instants + self.offsets[np.maximum(stretch, 0)]
        return (local % DAY) // HOUR

    def microseconds_by_hour(self, spans: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return how long each local hour lasted.

        Args:
            spans: Count only what lies in these disjoint spans, shape (n, 2); by default the whole day.

        Returns:
            24 lengths; 0 for an hour that a clock change skipped, more than an hour for one it repeated.
        """
        spans = np.array([[self.start, self.end]], np.int64) if spans is None else spans
        lengths = np.zeros(HOURS, np.int64)
        for start, end in spans:
            edges = self._hour_edges(max(int(start), self.start), min(int(end), self.end))
            np.add.at(lengths, self.hours_of(edges[:-1]), np.diff(edges))
        return lengths

    def _hour_edges(self, start: int, end: int) -> Instants:
        """Return ``start``, each full local hour and each change of offset in between, and ``end``."""
        edges = {start, max(start, end)}
        bounds = [*self.turns.tolist(), self.end]
        for turn, until, offset in zip(bounds, bounds[1:], self.offsets.tolist(), strict=False):
            edges.add(turn)
            edges.update(range(turn - (turn + offset) % HOUR, until, HOUR))
        return np.array(sorted(edge for edge in edges if start <= edge <= max(start, end)), np.int64)
