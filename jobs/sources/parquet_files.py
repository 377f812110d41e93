"""Raw events of one home of many, from Parquet files: ``home_id, entity_id, time, state[, area][, device_class]``.

``parquet_events`` says which files there are and which parts of them are read. The rules are those of ``csv_files``: a
silence of everything for longer than a bound is not known time, and a row that cannot be used is counted and reported
on its day. The states in which a day opens are looked for as far back as ``lookback_days``.

A damaged file is an error for every home that needs its days: which homes it holds is not known then, and a day
without a part of its rows must not be computed as if it were whole.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from jobs.activity.building import Recording
from jobs.activity.entities import EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import DAY, HOUR, DayWindow, Instants, from_instant, to_instant
from jobs.sources.parquet_events import EventFile, EventFiles
from jobs.sources.parquet_samples import NEWEST, NO_INSTANTS, OLDEST, EventCollector, HomeEvents, samples_of
from jobs.sources.recorder_uptime import known_time
from storage.dates import DateRange
from storage.errors import SourceMismatch
from storage.plurals import counted

MAX_SHOWN: Final = 3  # faults of a day that are reported in full
MAX_SILENCE_HOURS: Final = 48.0  # as for CSV files

Clock = Callable[[], dt.datetime]


class ParquetFiles:
    """An ``EventSource`` over the rows of one home in Parquet files.

    Args:
        files: The files; those of many homes may share them.
        home: The ``home_id`` of the home.
        zone: The home's zone.
        rules: How entities are classified.
        clock: Returns the present instant; later rows cannot be used. Without a clock, all rows can be.
        lookback_days: How far back the states in which a day opens are looked for.
        max_silence_hours: For how long nothing at all may be recorded while the time still counts as known.
    """

    def __init__(
        self,
        files: EventFiles,
        home: str,
        zone: ZoneInfo,
        rules: EntityRules,
        clock: Clock | None = None,
        *,
        lookback_days: int = 7,
        max_silence_hours: float = MAX_SILENCE_HOURS,
    ) -> None:
        self._files = files
        self._home = home
        self._zone = zone
        self._rules = rules
        self._clock = clock
        self._lookback = lookback_days * DAY
        self._silence = round(max_silence_hours * HOUR)

    def close(self) -> None:
        """See ``EventSource.close``: no file stays open."""

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        events = self._events(window.start - self._lookback, window.end)
        alive = np.concatenate((events.at, self._first_from(window.end)))
        samples = samples_of(events, self._rules, known_time(alive, self._silence, NO_INSTANTS))
        of_day = [fault for fault in events.faults if fault.day in (None, window.day)]
        count = sum(fault.row_count for fault in of_day)
        shown = "; ".join(fault.text for fault in of_day[:MAX_SHOWN])
        more = " and others" if len(of_day) > MAX_SHOWN else ""
        notices = [f"{counted(count, 'bad row')}: {shown}{more}"] if count else []
        return Recording.of(samples, self._rules).day(window, notices)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``: a hash over the rows of the day, in whatever order, and its known time."""
        events = self._events(window.start, window.end)
        numbers = [np.array([_number(text) for text in texts], np.uint64) for texts in (events.entities, events.states)]
        states = np.append(numbers[1], np.uint64(0))  # a gap is the last, at -1
        identity = numbers[0][events.entity] * np.uint64(31) ^ states[events.state]
        order = np.lexsort((identity, events.at))
        alive = np.concatenate((self._last_before(window.start), events.at, self._first_from(window.end)))
        digest = hashlib.blake2b(events.at[order].tobytes(), digest_size=8)
        digest.update(identity[order].tobytes())
        digest.update(np.clip(known_time(alive, self._silence, NO_INSTANTS), window.start, window.end).tobytes())
        return digest.hexdigest()

    def span(self) -> DateRange | None:
        """See ``EventSource.span``: every day from the home's first row to its last.

        Raises:
            SourceMismatch: There are rows of other homes only.
        """
        files = self._files.files()
        undated = [file for file in files if file.day is None]
        days = sorted({file.day for file in files if file.day is not None})
        found: list[int] = []
        for ordered in (days, days[::-1]):
            for day in ordered:
                at = self._collect([file for file in files if file.day == day], OLDEST, NEWEST).at
                if len(at):
                    found += [int(at[0]), int(at[-1])]
                    break
            else:
                break  # no folder of a day has any row of the home
        at = self._collect(undated, OLDEST, NEWEST).at
        found += at[[0, -1]].tolist() if len(at) else []
        if not found:
            if self._files.has_rows():
                raise SourceMismatch(
                    f"{self._files.shown} has no row of the home {self._home!r}",
                    hint="Correct source.home, or wait for its first rows.",
                )
            return None
        first, last = (from_instant(one).astimezone(self._zone).date() for one in (min(found), max(found)))
        return DateRange(first, last)

    def _first_from(self, instant: int) -> Instants:
        """Return the first instant of a row from an instant on, within the longest silence; none if there is none."""
        last = self._last_instant_of_files()
        for start in range(instant, min(instant + self._silence, last), DAY):
            at = self._events(start, min(start + DAY, instant + self._silence)).at
            if len(at):
                return at[:1]
        return NO_INSTANTS

    def _last_before(self, instant: int) -> Instants:
        """Return the last instant of a row before an instant, within the longest silence; none if there is none."""
        for end in range(instant, max(instant - self._silence, OLDEST), -DAY):
            at = self._events(max(end - DAY, instant - self._silence), end).at
            if len(at):
                return at[-1:]
        return NO_INSTANTS

    def _last_instant_of_files(self) -> int:
        """Return an instant after which no file has rows."""
        bounds = [NEWEST if file.bounds is None else file.bounds[1] for file in self._files.files()]
        return max(bounds)

    def _events(self, start: int, end: int) -> HomeEvents:
        files = [
            file
            for file in self._files.files()
            if file.bounds is None or (file.bounds[0] < end and file.bounds[1] > start)
        ]
        return self._collect(files, start, end)

    def _collect(self, files: Sequence[EventFile], start: int, end: int) -> HomeEvents:
        """Return the rows of a span in some files."""
        now = NEWEST if self._clock is None else to_instant(self._clock())
        collected = EventCollector(start, end, now, self._zone)
        for file in files:
            for rows in self._files.read(file, self._home, start, end):
                collected.add(file, rows)
        return collected.build()


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())
