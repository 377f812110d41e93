"""Raw events from CSV files, plain or gzipped: ``time,entity_id,state[,area][,device_class]``, a heading first.

``csv_rows`` says which dialects are read: Home Assistant's own history export, other separators, day-first dates. Local
times that a clock change makes ambiguous are read so that the file stays in order where that is possible. Files do not
say when their recorder ran: a silence of everything for longer than a bound is not known time (``recorder_uptime``).

A row that cannot be used is counted and reported with its line, on the day of its neighbours; the day is still read. A
file without any row that can be used, or without the columns, is reported on each day; if there is no other file, it is
an error.
"""

from __future__ import annotations

import datetime as dt
import glob
import gzip
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import EntityRules
from jobs.activity.events import DayLog, Samples
from jobs.activity.window import HOUR, DayWindow, from_instant, to_instant
from jobs.sources.csv_order import contradicted
from jobs.sources.csv_rows import Fault, RowReader, rows_of
from jobs.sources.recorder_uptime import known_time
from storage.dates import DateRange
from storage.errors import SourceCorrupt, SourceMismatch, SourceUnavailable
from storage.plurals import counted

NEWEST: Final = to_instant(dt.datetime(9000, 1, 1, tzinfo=dt.UTC))
MAX_SILENCE_HOURS: Final = 48.0  # a home with few sensors may be silent for a night and a day
Clock = Callable[[], dt.datetime]
MAX_SHOWN: Final = 3  # faults of a day that are reported in full
_DATED_LATER: Final = "a row is dated later than rows after it: the clock was set back"
MAX_KEPT: Final = 10_000  # faults whose text is kept: those of all rows of a large file would fill the memory
_ANOTHER: Final = "another one"
_NO_STARTS: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class _Contents:
    """All files, read once.

    Attributes:
        recording: Their content.
        faults: The rows that could not be used.
        refused: Why a file could not be used, of each such file beside others.
        identity: A number for each sample that changes with its entity or state.
    """

    recording: Recording
    faults: tuple[Fault, ...]
    refused: tuple[str, ...]
    identity: NDArray[np.uint64]


class CsvFiles:
    """An ``EventSource`` over CSV files.

    Args:
        path: A file or a glob.
        zone: The home's zone, for times without an offset.
        rules: How entities are classified.
        clock: Returns the present instant; later rows cannot be used. Without a clock, all rows can be.
        max_silence_hours: For how long nothing at all may be recorded while the time still counts as known.
    """

    def __init__(
        self,
        path: str,
        zone: ZoneInfo,
        rules: EntityRules,
        clock: Clock | None = None,
        *,
        max_silence_hours: float = MAX_SILENCE_HOURS,
    ) -> None:
        self._path = path
        self._clock = clock
        self._zone = zone
        self._rules = rules
        self._max_silence = round(max_silence_hours * HOUR)
        self._cached: tuple[object, _Contents] | None = None

    def close(self) -> None:
        """See ``EventSource.close``."""
        self._cached = None

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        contents = self._contents()
        faults = [fault.text for fault in contents.faults if fault.at is None or window.start <= fault.at < window.end]
        more = [f"and {len(faults) - MAX_SHOWN} more"] if len(faults) > MAX_SHOWN else []
        shown = "; ".join([*faults[:MAX_SHOWN], *more])
        notices = [f"{counted(len(faults), 'bad row')}: {shown}"] if faults else []
        notices += [f"a file was left out, {why}" for why in contents.refused[:MAX_SHOWN]]
        if len(contents.refused) > MAX_SHOWN:
            notices.append(f"{counted(len(contents.refused) - MAX_SHOWN, 'more file')} left out")
        return contents.recording.day(window, notices)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``: a hash over the rows of the day and its known time."""
        contents = self._contents()
        at = contents.recording.samples.at
        chosen = (at >= window.start) & (at < window.end)
        digest = hashlib.blake2b(at[chosen].tobytes(), digest_size=8)
        digest.update(contents.identity[chosen].tobytes())
        digest.update(np.clip(contents.recording.samples.known, window.start, window.end).tobytes())
        return digest.hexdigest()

    def span(self) -> DateRange | None:
        """See ``EventSource.span``: every day from the first known time to the last."""
        known = self._contents().recording.samples.known
        if not len(known):
            return None
        first, last = (from_instant(int(at)).astimezone(self._zone).date() for at in (known[0, 0], known[-1, 1]))
        return DateRange(first, last)

    def _contents(self) -> _Contents:
        named = Path(self._path)
        found = glob.glob(self._path, recursive=True)  # noqa: PTH207 - absolute globs
        files = [named] if named.is_file() else [Path(name) for name in sorted(found)]
        if not files:
            raise SourceUnavailable(f"no file matches {self._path}", hint="Correct source.path, a file or a glob.")
        for file in files:
            if file.exists() and not file.is_file():  # a pipe or a device might be read for ever
                raise SourceMismatch(
                    f"source.path: {file} is not a regular file", hint="Name files, not a folder, a pipe or a device."
                )
        try:
            state = tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)
            if self._cached is None or self._cached[0] != state:
                self._cached = state, self._read_all(files)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise SourceCorrupt(f"{self._path}: a gzip file is cut short or damaged: {error}") from error
        except OSError as error:
            raise SourceUnavailable(f"{error.filename or self._path}: {error.strerror or error}") from error
        return self._cached[1]

    def _read_all(self, files: list[Path]) -> _Contents:
        builder, faults = SampleBuilder(), _Faults()
        bounds, refused = self._read_rows(files, builder, faults)
        samples = builder.build((), rules=self._rules)
        in_order = np.ones(len(samples.at), np.bool_)
        for file, first, end in bounds:
            at, entity = samples.at[first:end], samples.entity[first:end]
            for place in np.flatnonzero(contradicted(at, entity)).tolist():
                in_order[first + place] = False
                name = samples.entities[entity[place]].entity_id
                faults.add(Fault(int(at[place]), f"{file.name}: {name}: {_DATED_LATER}"))
        chosen = slice(None) if in_order.all() else in_order
        samples = replace(
            samples,
            at=samples.at[chosen],
            entity=samples.entity[chosen],
            state=samples.state[chosen],
            cause=samples.cause[chosen],
            known=known_time(samples.at[in_order], self._max_silence, _NO_STARTS),
        )
        recording = Recording.of(samples, self._rules)
        return _Contents(recording, tuple(faults.kept), refused, _identity_of(recording.samples))

    def _read_rows(
        self, files: list[Path], builder: SampleBuilder, faults: _Faults
    ) -> tuple[list[tuple[Path, int, int]], tuple[str, ...]]:
        """Add the rows of files to a builder.

        Returns:
            Which of the samples each file has, from one to another; and why files could not be used.

        Raises:
            SourceMismatch: No file can be used, or no row.
        """
        reader = RowReader(self._zone, NEWEST if self._clock is None else to_instant(self._clock()))
        errors: list[SourceMismatch] = []
        refused: list[str] = []
        bounds: list[tuple[Path, int, int]] = []
        count = 0
        for file in files:
            first = count
            try:
                for row in reader.read(file):
                    if isinstance(row, Fault):
                        faults.add(row)
                    else:
                        builder.describe(row.about)
                        builder.add(row.at, row.about.entity_id, row.state)
                        count += 1
            except SourceMismatch as error:  # raised before the first row
                errors.append(error)
                refused.append(f"with {counted(rows_of(file), 'row')}: {str(error).removeprefix('source.path: ')}")
            bounds.append((file, first, count))
        if len(errors) == len(files):
            raise errors[0]
        if faults.kept and not reader.rows:
            raise SourceMismatch(
                f"source.path: none of {counted(len(faults.kept), 'row')} can be read: {faults.kept[0].text}",
                hint="A time is 2026-11-26T07:00:00, with an offset if it is not local, or 26.11.2026 07:00.",
            )
        return bounds, tuple(refused)


class _Faults:
    """The rows that cannot be used; of very many, only the first are kept with their text."""

    def __init__(self) -> None:
        self.kept: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.kept.append(fault if len(self.kept) < MAX_KEPT else fault._replace(text=_ANOTHER))


def _identity_of(samples: Samples) -> NDArray[np.uint64]:
    """Return a number for each sample that changes with its entity or state."""
    entities = np.array([_number(about.entity_id) for about in samples.entities], np.uint64)
    states = np.array([*(_number(text) for text in samples.states), 0], np.uint64)  # a gap is the last, at -1
    return entities[samples.entity] * np.uint64(31) ^ states[samples.state] if len(samples.at) else entities


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())
