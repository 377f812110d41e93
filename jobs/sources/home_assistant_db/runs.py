"""Known time: the runs in ``recorder_runs``, as far as rows confirm them.

The recorder notes when it started and stopped, by a clock that may have been wrong, and keeps such a run open while it
records nothing. So a run bounds known time only where its dates can be true:

* A run starts at its start, unless that is missing, in the future, or older than Home Assistant itself.
* It ends at its end if it was closed properly and the end lies after its start; at the next one's start if that comes
  first. Else (a crash, a reversed date, an end in the future, a run that goes on) it ends with its last row before the
  next start.
* Rows in no run, because their own run has no valid start, are known from the first to the last of them.
* Nothing before the first row is known: runs outlive the rows that a purge takes.
* A silence of *all* entities that is long for this home is not known, even within a run. Long means six times the
  silence that is usual around the day, but at least one hour and at most ``max_silence``.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from jobs.activity.events import Spans
from jobs.activity.settling import SETTLING
from jobs.activity.spans import union
from jobs.activity.window import DAY, HOUR, SECOND, Instants, to_instant
from jobs.sources.home_assistant_db.schema import RUNS, UPDATED, instant_of

MIN_INSTANT: Final = to_instant(dt.datetime(2013, 9, 17, tzinfo=dt.UTC))  # the first release of Home Assistant
MAX_SECONDS: Final = 2.2e11  # the year 8941, before which every instant fits everywhere
MIN_SILENCE: Final = HOUR  # a shorter one is never taken for an outage
SILENCE_FACTOR: Final = 6  # how many times the usual silence is long
MIN_STRAY_GAP: Final = 30 * DAY
MAX_STRAY_BLOCKS: Final = 50  # of rows at wrong dates before the recording

_NO_INSTANTS: Final = np.empty(0, np.int64)
_PROBES: Final = 48
_HALF: Final = 0.5  # microseconds: rows hold seconds as floating-point numbers
_MAX_LOOKBACK: Final = 60 * DAY  # how far before a day silences are looked for
# One look into the index each: MariaDB reads all rows in between for max() and min() with two bounds.
_LAST = (
    sa.select(UPDATED)
    .where(sa.bindparam("after") < UPDATED, sa.bindparam("until") >= UPDATED)
    .order_by(UPDATED.desc())
    .limit(1)
)
_FIRST = (
    sa.select(UPDATED)
    .where(sa.bindparam("after") < UPDATED, sa.bindparam("until") >= UPDATED)
    .order_by(UPDATED)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class KnownTime:
    """The time that a recorder recorded.

    Attributes:
        spans: Disjoint, ascending spans of known time, shape (k, 2).
        starts: Ascending instants at which the recorder started, shape (r,).
        notices: Runs that could not be used.
    """

    spans: Spans
    starts: Instants
    notices: tuple[str, ...] = ()


class RowTimes:
    """When anything at all was recorded, read from the index on ``last_updated_ts``.

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

    def silences(self, start: int, end: int, longer_than: int, seen: Instants) -> Iterator[tuple[int, int]]:
        """Yield each stretch without a row, from a row to the next, that touches a span and is longer than a bound.

        The stretch after the last row ends at the present. ``seen`` are ascending instants of rows that were read
        already: where these are dense, no query is needed.
        """
        at = self.last_before(start + 1)
        at = MIN_INSTANT if at is None else at
        while at < end:
            place = int(np.searchsorted(seen, at + longer_than, side="right")) - 1
            if place >= 0 and seen[place] > at:
                at = int(seen[place])
                continue
            reached = self.reach(at, longer_than)
            if reached is not None:
                at = reached
                continue
            following = self.next_after(at)
            following = max(self.now, at + 1) if following is None else following
            yield at, following
            at = following

    def usual_silence(self, start: int, end: int) -> int:
        """Return the median length of the silences in which the instants of a span lie."""
        lengths = []
        for probe in range(start, end, max(1, (end - start) // _PROBES)):
            before, after = self.last_before(probe + 1), self.next_after(probe)
            if before is not None and after is not None:
                lengths.append(after - before)
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


def read_known_time(connection: sa.Connection, rows: RowTimes) -> KnownTime:
    """Return the recorder's runs as spans of known time up to now; long silences within them are still known."""
    first, last = rows.first(), rows.last_before()
    if first is None or last is None:
        return KnownTime(np.empty((0, 2), np.int64), np.empty(0, np.int64))
    runs, invalid = _read_runs(connection, rows.now)
    spans: list[tuple[int, int]] = []
    covered = first  # rows from here on are in no run yet
    for number, (start, ended, closed) in enumerate(runs):
        following = runs[number + 1][0] if number + 1 < len(runs) else None
        orphans_end = rows.last_before(start) if covered < start else None
        if orphans_end is not None and orphans_end > covered:
            spans.append((covered, orphans_end))
        limit = rows.now if following is None else following
        if closed and ended is not None and start < ended <= rows.now:
            spans.append((start, min(ended, limit)))
            covered = limit if ended >= limit else rows.next_after(ended) or limit
        else:
            newest = last if following is None else rows.last_before(following)
            spans.append((start, newest or start))
            covered = limit
    if covered < last:
        spans.append((covered, last))
    spans = [(start if first - start <= SETTLING else first, end) for start, end in spans if end > first]
    notices = [f"{invalid} runs of the recorder have no valid start"] if invalid else []
    starts = np.array([start for start, _, _ in runs], np.int64)
    return KnownTime(union(np.array(spans, np.int64).reshape(-1, 2)), starts, tuple(notices))


def without_silences(
    known: KnownTime, rows: RowTimes, day: tuple[int, int], seen: Instants, max_silence: int
) -> KnownTime:
    """Return known time without the stretches in which nothing at all was recorded for long.

    Args:
        known: The spans of the runs.
        rows: When anything was recorded.
        day: The span of the day that is read.
        seen: Ascending instants of the rows that are read, from the oldest one needed on.
        max_silence: A longer silence is never known, microseconds.
    """
    near = day[0] - DAY
    longest = list(rows.silences(near, day[1], MIN_SILENCE, seen))
    since = int(seen[0]) if len(seen) else near
    bound = min(max_silence, MIN_SILENCE)
    earlier = rows.silences(max(since, day[0] - _MAX_LOOKBACK), near, max_silence, seen) if since < near else ()
    silences = [*longest, *earlier]
    spans = known.spans.tolist()
    if all(min(finish, end) - max(begin, start) <= bound for start, end in silences for begin, finish in spans):
        return known  # the recorder was absent in every silence; what is usual need not be asked
    if longest:
        usual = rows.usual_silence(near, day[1])
        bound = min(max_silence, max(MIN_SILENCE, SILENCE_FACTOR * usual))
    silences = [one for one in silences if one[1] - one[0] > bound]
    starts = set(known.starts.tolist())
    for start, end in sorted(set(silences)):
        kept: list[list[int]] = []
        for begin, finish in spans:
            low, high = max(begin, start), min(finish, end)
            if high - low <= bound:  # most of the silence is the recorder's absence, which is no time of this span
                kept.append([begin, finish])
                continue
            kept += [[begin, low]] * (begin < low) + [[high, finish]] * (high < finish)
            if begin == low and begin in starts:  # it started by a wrong clock, or recorded nothing until then
                starts = (starts - {begin}) | {high}
        spans = kept
    return KnownTime(np.array(spans, np.int64).reshape(-1, 2), np.array(sorted(starts), np.int64), known.notices)


def _read_runs(connection: sa.Connection, now: int) -> tuple[list[tuple[int, int | None, bool]], int]:
    """Return (start, end, closed properly) of each run whose start can be true, and how many others there are."""
    rows = connection.execute(sa.select(RUNS)).all()
    runs = []
    for row in rows:
        start, end = _recorded(row.start), _recorded(row.end)
        if start is not None and start <= now:
            runs.append((start, end, row.closed_incorrect is not None and not row.closed_incorrect))
    runs.sort(key=lambda run: run[0])
    return runs, len(rows) - len(runs)


def _recorded(moment: object) -> int | None:
    """Return a time of ``recorder_runs`` as an instant; None unless it can be true."""
    instant = instant_of(moment)
    return instant if instant is not None and instant >= MIN_INSTANT else None
