"""Raw events from CSV files, plain or gzipped: ``time,entity_id,state[,area][,device_class]``, a heading first.

A time has an offset, or is local to the home; a local time that a clock change makes ambiguous is read so that the file
stays in order where that is possible. From the first row to the last everything is known, silences included. A row that
cannot be used is counted and reported with its line, on the day its neighbours belong to; it never costs the day.
"""

from __future__ import annotations

import csv
import datetime as dt
import glob
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TextIO
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow, from_instant, to_instant
from storage.dates import DateRange
from storage.errors import SourceCorrupt, SourceMismatch, SourceUnavailable
from storage.models import TAG_LENGTH, tag_fault

REQUIRED: Final = ("time", "entity_id", "state")
OLDEST: Final = to_instant(dt.datetime(1900, 1, 1, tzinfo=dt.UTC))
NEWEST: Final = to_instant(dt.datetime(9000, 1, 1, tzinfo=dt.UTC))
Clock = Callable[[], dt.datetime]
SHOWN: Final = 3  # faults of a day that are told in full


@dataclass(frozen=True, slots=True)
class _Fault:
    """A row that could not be used."""

    at: int  # its instant, else that of the row before it, else 0
    text: str


@dataclass(frozen=True, slots=True)
class _Contents:
    """All files, read once."""

    recording: Recording
    faults: tuple[_Fault, ...]
    identity: NDArray[np.uint64]  # a number for each sample that changes with its entity or state


class CsvFiles:
    """An ``EventSource`` over CSV files.

    Args:
        path: A file or a glob.
        zone: The home's zone, for times without an offset.
        rules: How entities are classed.
        clock: Gives the present instant: rows from the future are bad rows. Without one there is no future.
    """

    def __init__(self, path: str, zone: ZoneInfo, rules: EntityRules, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock
        self._zone = zone
        self._rules = rules
        self._cached: tuple[object, _Contents] | None = None

    def close(self) -> None:
        """See ``EventSource.close``."""
        self._cached = None

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        contents = self._contents()
        first = contents.recording.samples.known[:1, 0].tolist() or [0]
        faults = [fault.text for fault in contents.faults if window.start <= (fault.at or first[0]) < window.end]
        more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        notices = [f"{len(faults)} bad rows: {'; '.join([*faults[:SHOWN], *more])}"] if faults else []
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
        """See ``EventSource.span``: every day from the first row's to the last row's."""
        known = self._contents().recording.samples.known
        if not len(known):
            return None
        first, last = (from_instant(int(at)).astimezone(self._zone).date() for at in known[0])
        return DateRange(first, last)

    def _contents(self) -> _Contents:
        named = Path(self._path)
        found = glob.glob(self._path, recursive=True)  # noqa: PTH207 - absolute globs
        files = [named] if named.is_file() else [Path(name) for name in sorted(found)]
        if not files:
            raise SourceUnavailable(f"no file matches {self._path}", hint="Correct source.path, a file or a glob.")
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
        builder = SampleBuilder()
        faults: list[_Fault] = []
        reader = _Rows(self._zone, NEWEST if self._clock is None else to_instant(self._clock()))
        for file in files:
            for row in reader.rows(file):
                if isinstance(row, _Fault):
                    faults.append(row)
                else:
                    at, about, state = row
                    builder.describe(about)
                    builder.add(at, about.entity_id, state)
        instants = [reader.first, reader.last]
        known = [(instants[0], instants[1])] if instants[0] is not None and instants[1] is not None else []
        recording = Recording.of(builder.build(known), self._rules)
        samples = recording.samples
        entities = np.array([_number(about.entity_id) for about in samples.entities], np.uint64)
        states = np.array([*(_number(text) for text in samples.states), 0], np.uint64)  # a gap is the last, at -1
        identity = entities[samples.entity] * np.uint64(31) ^ states[samples.state] if len(samples.at) else entities
        return _Contents(recording, tuple(faults), identity)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())


def _open_text(file: Path) -> TextIO:
    """A file as text; bytes that are no UTF-8 become lone surrogates, which no row may hold."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    return file.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _cells(line: str) -> list[str]:
    """The cells of one line, each line by itself: a quote that is never closed costs its line, not the file."""
    return next(csv.reader((line.rstrip("\r\n"),), strict=True), [])


class _Rows:
    """Reads files row by row and keeps in mind which instants they span."""

    def __init__(self, zone: ZoneInfo, now: int) -> None:
        self._zone = zone
        self._now = now
        self._descriptions: dict[str, Description] = {}
        self.first: int | None = None
        self.last: int | None = None
        self._previous = 0

    def rows(self, file: Path) -> Iterator[tuple[int, Description, str] | _Fault]:
        """Each row of a file, in its order."""
        with _open_text(file) as opened:
            lines = enumerate(opened, 1)
            heading = [name.strip().lower() for _, text in islice(lines, 1) for name in _cells(text)]
            missing = [name for name in REQUIRED if name not in heading]
            if missing:
                raise SourceMismatch(
                    f"source.path: {file} has no column {missing[0]}",
                    hint=f"Its first line must name {', '.join(REQUIRED)}, and may name area and device_class.",
                )
            place: dict[str, int] = {
                name: heading.index(name) for name in (*REQUIRED, "area", "device_class") if name in heading
            }
            for number, text in lines:
                try:
                    cells = _cells(text)
                except csv.Error as error:
                    yield self._fault(file, number, str(error))
                    continue
                if cells:
                    yield self._row(file, number, place, cells)

    def _row(
        self, file: Path, line: int, place: dict[str, int], cells: list[str]
    ) -> tuple[int, Description, str] | _Fault:
        found = {name: cells[index] for name, index in place.items() if index < len(cells)}
        absent = [name for name in REQUIRED if name not in found]
        if absent:
            return self._fault(file, line, f"no {absent[0]}")
        entity_id, state = found["entity_id"].strip(), found["state"].strip()
        try:
            at = self._instant(found["time"].strip())
        except (ValueError, OverflowError):
            return self._fault(file, line, f"{found['time'][:40]!r} is no time")
        if not OLDEST <= at <= self._now:
            return self._fault(file, line, f"{found['time'][:40]!r} lies in {'the future' if at > 0 else 'no past'}")
        if fault := tag_fault(entity_id):
            return self._fault(file, line, f"the entity_id {fault}", at)
        if len(state) > TAG_LENGTH or any("\ud800" <= character <= "\udfff" for character in state):
            return self._fault(file, line, f"the state is no text of at most {TAG_LENGTH} characters", at)
        self._previous = at
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)
        return at, self._describe(entity_id, found), state

    def _describe(self, entity_id: str, found: dict[str, str]) -> Description:
        """The newest word on an entity; a blank cell takes nothing back."""
        before = self._descriptions.get(entity_id) or Description(entity_id)
        area = found.get("area", "").strip() or before.area_id
        device_class = found.get("device_class", "").strip() or before.device_class
        if area != before.area_id or device_class != before.device_class or entity_id not in self._descriptions:
            self._descriptions[entity_id] = Description(entity_id, device_class=device_class, area_id=area)
        return self._descriptions[entity_id]

    def _instant(self, text: str) -> int:
        at = dt.datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return to_instant(at)
        instant = to_instant(at.replace(tzinfo=self._zone))
        if instant < self._previous:  # perhaps the second pass of a repeated hour
            later = to_instant(at.replace(tzinfo=self._zone, fold=1))
            return later if later >= self._previous else instant
        return instant

    def _fault(self, file: Path, line: int, why: str, at: int | None = None) -> _Fault:
        return _Fault(self._previous if at is None else at, f"{file.name} line {line}: {why}")
