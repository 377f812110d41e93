"""When anything at all was recorded, read from the index on ``last_updated_ts``."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa

from jobs.activity.window import DAY, SECOND, Instants, to_instant
from jobs.sources.home_assistant_db.schema import SQLITE, STATES, UPDATED

MIN_INSTANT: Final = to_instant(dt.datetime(2013, 9, 17, tzinfo=dt.UTC))  # the first release of Home Assistant
MAX_SECONDS: Final = 2.2e11  # the year 8941, before which every instant fits everywhere
MIN_STRAY_GAP: Final = 30 * DAY
MAX_STRAY_BLOCKS: Final = 50  # of rows at wrong dates before the recording

_NO_INSTANTS: Final = np.empty(0, np.int64)
_PROBES: Final = 48
_HALF: Final = 0.5  # microseconds: rows hold seconds as floating-point numbers
_BATCH: Final = 24  # instants in one statement


def _last(after: str, until: str) -> sa.Select[Any]:
    """Return a query of the last row after one bound parameter, up to another.

    It looks into the index once: MariaDB reads all rows in between for max() and min() with two bounds.
    """
    between = (sa.bindparam(after) < UPDATED, sa.bindparam(until) >= UPDATED)
    return sa.select(UPDATED).where(*between).order_by(UPDATED.desc()).limit(1)


def _first(after: str, until: str) -> sa.Select[Any]:
    """Return a query of the first row after one bound parameter, up to another; see ``_last``."""
    between = (sa.bindparam(after) < UPDATED, sa.bindparam(until) >= UPDATED)
    return sa.select(UPDATED).where(*between).order_by(UPDATED).limit(1)


_LAST: Final = _last("after", "until")
_FIRST: Final = _first("after", "until")
_AROUND: Final = sa.select(
    *(
        query.scalar_subquery().label(f"{name}_{number}")
        for number in range(_BATCH)
        for name, query in (
            ("before", _last("first", f"until_{number}")),
            ("after", _first(f"after_{number}", "present")),
        )
    )
)


class Around(NamedTuple):
    """The instants of the last row up to an instant and of the first row after it; None if there is none."""

    before: int | None
    after: int | None


class RowTimes:
    """When anything at all was recorded.

    Args:
        connection: To the database.
        now: The present, seconds since 1970; later rows are ignored.
        unmigrated: Ascending instants of rows that the index does not hold; see ``unmigrated``.
    """

    def __init__(self, connection: sa.Connection, now: float, unmigrated: Instants = _NO_INSTANTS) -> None:
        self._connection = connection
        self._now = now
        self._unmigrated = unmigrated

    @property
    def now(self) -> int:
        """The present, microseconds since 1970."""
        return int(self._now * SECOND)

    def first(self) -> int | None:
        """Return the instant of the oldest row whose date can be true."""
        return self.next_after(MIN_INSTANT - 1)

    def last_before(self, instant: int | None = None) -> int | None:
        """Return the instant of the newest row before an instant, by default before the present."""
        return self._one(_LAST, MIN_INSTANT - 1, None if instant is None else instant - 1)

    def next_after(self, instant: int) -> int | None:
        """Return the instant of the first row after an instant."""
        return self._one(_FIRST, instant, None)

    def reach(self, instant: int, step: int) -> int | None:
        """Return the instant of the last row that comes at most ``step`` after an instant."""
        return self._one(_LAST, instant, instant + step)

    def count_wrongly_dated(self) -> int:
        """Return how many rows are dated before Home Assistant existed, or more than a day after the present."""
        outside = (UPDATED < MIN_INSTANT / SECOND, self._now + DAY / SECOND < UPDATED)
        queries = [sa.select(sa.func.count()).select_from(STATES).where(where) for where in outside]
        if self._connection.dialect.name == SQLITE:
            queries[1] = queries[1].where(sa.literal("") > UPDATED)  # texts are counted by ``unmigrated``
        return sum(self._connection.execute(query).scalar_one() for query in queries)

    def around(self, instants: Sequence[int]) -> Iterator[Around]:
        """Yield the rows around each of some instants, with one statement for many of them."""
        for start in range(0, len(instants), _BATCH):
            some = instants[start : start + _BATCH]
            values = {"first": (MIN_INSTANT - _HALF) / SECOND, "present": self._now}
            for number in range(_BATCH):
                at = (some[min(number, len(some) - 1)] + _HALF) / SECOND
                values |= {f"until_{number}": min(at, self._now), f"after_{number}": at}
            found = self._connection.execute(_AROUND, values).one()
            for number, instant in enumerate(some):
                before, after = (
                    None if at is None else round(at * SECOND) for at in found[2 * number : 2 * number + 2]
                )
                yield self._with_unmigrated(instant, before, after)

    def silences(self, start: int, end: int, longer_than: int, seen: Instants) -> list[tuple[int, int]]:
        """Return each stretch without a row, from a row to the next, that touches a span and is longer than a bound.

        The stretch after the last row ends at the present. ``seen`` are ascending instants of rows that were read
        already: where these are dense, nothing is looked up.
        """
        if start >= end:
            return []
        # A longer stretch holds one of these instants, whether it begins in the span or before it.
        points = np.append(np.arange(start, end, longer_than), end - 1)
        if len(seen):
            place = np.searchsorted(seen, points, side="right")
            before, after = seen[np.maximum(place - 1, 0)], seen[np.minimum(place, len(seen) - 1)]
            points = points[~((before <= points) & (after > points) & (after - before <= longer_than))]
        found = set()
        for around in self.around(points.tolist()):
            begin = MIN_INSTANT if around.before is None else around.before
            finish = max(self.now, begin + 1) if around.after is None else around.after
            if finish - begin > longer_than:
                found.add((begin, finish))
        return sorted(found)

    def usual_silence(self, start: int, end: int) -> int:
        """Return the median length of the silences in which the instants of a span lie."""
        probes = range(start, end, max(1, (end - start) // _PROBES))
        lengths = [after - before for before, after in self.around(probes) if before is not None and after is not None]
        return int(statistics.median(lengths)) if lengths else 0

    def recording_began_at(self) -> int | None:
        """Return the instant of the oldest row, without rows at wrong dates long before the recording.

        These are blocks of less than a day that nothing follows for a month.
        """
        first = self.first()
        for _ in range(MAX_STRAY_BLOCKS):
            if first is None:
                return None
            at = first
            while at - first < DAY and (reached := self.reach(at, DAY)) is not None:
                at = reached
            following = self.next_after(at) if at - first < DAY else None
            if following is None or following - at < MIN_STRAY_GAP:
                return first
            first = following
        return first

    def _one(self, query: sa.Select[Any], after: int, until: int | None) -> int | None:
        latest = self._now if until is None else min(self._now, (until + _HALF) / SECOND)
        bounds = {"after": (after + _HALF) / SECOND, "until": latest}
        seconds = self._connection.execute(query, bounds).scalar_one_or_none()
        found = [] if seconds is None else [round(seconds * SECOND)]
        if len(self._unmigrated):
            newest = self.now if until is None else min(self.now, until)
            low, high = np.searchsorted(self._unmigrated, [after, newest], side="right")
            if low < high:
                found.append(int(self._unmigrated[low] if query is _FIRST else self._unmigrated[high - 1]))
        return (min if query is _FIRST else max)(found, default=None)

    def _with_unmigrated(self, instant: int, before: int | None, after: int | None) -> Around:
        first, here, end = np.searchsorted(
            self._unmigrated, [MIN_INSTANT - 1, min(instant, self.now), self.now], "right"
        )
        if first < here:
            before = max(int(self._unmigrated[here - 1]), MIN_INSTANT if before is None else before)
        if here < end:
            after = min(int(self._unmigrated[here]), self.now if after is None else after)
        return Around(before, after)
