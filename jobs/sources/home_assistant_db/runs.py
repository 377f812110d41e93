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
* A home may be silent every night. So a silence of at most ``max_silence`` is known if it is at most twice as long as
  what is usual at its hours: the median of the silences at the same time on the seven days before, of at least three.
  That the run around it was closed properly proves nothing: a recorder that had given up is closed properly, too.
* A home of one or two entities may be silent for longer every night. So a silence, however long, is known if it is at
  most half as long again as the median of the longest silences of the seven days before, of at least three
  (``recorder_uptime.recurring_silence``). A silence that ended with a start does not count there.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa

from jobs.activity.events import Spans
from jobs.activity.settling import SETTLING
from jobs.activity.spans import union
from jobs.activity.window import DAY, HOUR, Instants
from jobs.sources.home_assistant_db.row_times import MIN_INSTANT, RowTimes
from jobs.sources.home_assistant_db.schema import RUNS, instant_of
from jobs.sources.recorder_uptime import RECURRING_FACTOR, recurring_silence

MIN_SILENCE: Final = HOUR  # a shorter one is never taken for an outage
SILENCE_FACTOR: Final = 6  # how many times the usual silence is long
MAX_DAYS_COMPARED: Final = 7  # before a silence, at the same time of day
MIN_DAYS_COMPARED: Final = 3
MAX_TIMES_LONGER: Final = 2  # than usual at the same time of day

_MAX_LOOKBACK: Final = 60 * DAY  # how far before a day silences are looked for


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
        max_silence: A longer silence is not known unless it recurs, microseconds.
    """
    near = day[0] - DAY
    longest = rows.silences(near, day[1], MIN_SILENCE, seen)
    since = int(seen[0]) if len(seen) else near
    bound = min(max_silence, MIN_SILENCE)
    earlier = rows.silences(max(since, day[0] - _MAX_LOOKBACK), near, max_silence, seen)
    silences = [*longest, *earlier]
    spans = known.spans.tolist()
    if all(min(finish, end) - max(begin, start) <= bound for start, end in silences for begin, finish in spans):
        return known  # the recorder was absent in every silence; what is usual need not be asked
    if longest:
        usual = rows.usual_silence(near, day[1])
        bound = min(max_silence, max(MIN_SILENCE, SILENCE_FACTOR * usual))
    silences = [one for one in silences if one[1] - one[0] > bound and not _is_usual(rows, one, max_silence)]
    if silences:  # asked last, as few days need it
        recurring = _recurring_silence(rows, day, seen, min(max_silence, MIN_SILENCE), known.starts)
        silences = [(start, end) for start, end in silences if end - start > recurring]
    starts = set(known.starts.tolist())
    for start, end in sorted(set(silences)):
        kept: list[list[int]] = []
        for begin, finish in spans:
            low, high = max(begin, start), min(finish, end)
            if high - low <= bound:  # most of the silence is the recorder's absence, which does not belong to this span
                kept.append([begin, finish])
                continue
            kept += [[begin, low]] * (begin < low) + [[high, finish]] * (high < finish)
            if begin == low and begin in starts:  # it started by a wrong clock, or recorded nothing until then
                starts = (starts - {begin}) | {high}
        spans = kept
    return KnownTime(np.array(spans, np.int64).reshape(-1, 2), np.array(sorted(starts), np.int64), known.notices)


def _recurring_silence(rows: RowTimes, day: tuple[int, int], seen: Instants, shortest: int, starts: Instants) -> int:
    """Return how long a silence may be because such silences recur; see ``recorder_uptime.recurring_silence``."""
    first = day[1] - (MAX_DAYS_COMPARED + 1) * DAY
    silences = rows.silences(first, day[1] - DAY, round(shortest / RECURRING_FACTOR), seen)
    # A day without a long silence counts, if it has rows, with the one around its first instant.
    bounds = range(first, day[1] - DAY, DAY)
    silences += [
        (around.before, around.after)
        for around in rows.around(bounds)
        if around.before is not None and around.after is not None
    ]
    found = np.array(silences, np.int64).reshape(-1, 2)
    has_start = np.searchsorted(starts, found[:, 0], "right") < np.searchsorted(starts, found[:, 1], "right")
    counts = (
        ~has_start & (found[:, 0] > MIN_INSTANT) & (found[:, 1] > first)
    )  # nothing is known of the time before the first row
    return recurring_silence(found[counts], day[1])


def _is_usual(rows: RowTimes, silence: tuple[int, int], max_silence: int) -> bool:
    """Return whether a silence is not much longer than what is usual for the home at the same time of day."""
    start, end = silence
    if end - start > max_silence:
        return False
    middle = (start + end) // 2
    others = {
        (before, after)
        for before, after in rows.around([middle - days * DAY for days in range(1, MAX_DAYS_COMPARED + 1)])
        if before is not None and after is not None and after <= start and after - before <= max_silence
    }
    if len(others) < MIN_DAYS_COMPARED:
        return False
    return end - start <= MAX_TIMES_LONGER * statistics.median(after - before for before, after in others)


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
