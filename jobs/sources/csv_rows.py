"""Rows of CSV files as people and programs write them: separators, headings, times.

============  =======================================================================================================
what          how it is read
============  =======================================================================================================
separator     comma, semicolon, tab or bar: the one with which the heading names the columns; ``sep=;`` may precede it
encoding      UTF-8 or UTF-16, with or without a byte order mark
columns       ``time`` (or ``last_changed``, ``last_updated``, ``timestamp``, ``datetime``), ``entity_id`` (or
              ``entity``, ``item``), ``state`` (or ``value``), perhaps ``area`` and ``device_class``; no others; a
              ``date`` (or ``day``) beside ``time`` belongs to it
ISO time      ``2026-11-26T07:00:00.123Z``, ``2026-11-26 07:00``, ``2026/11/26 07:00``: with an offset or ``UTC``, or
              local to the home
other dates   ``26.11.2026 07:00`` (the day first), ``26/11/2026``, ``11/26/2026 7:00 PM``: with slashes or dashes in
              the order that a date of the file shows; else in the one in which more rows ascend; else in the one in
              which the file covers less time; else the day first
month names   ``26 Nov 2026 07:00``, ``November 26, 2026, 7:00 PM``: in English
seconds       ``1795305600``, ``1795305600,5``; 13, 16 or 19 digits for smaller units: since 1970
============  =======================================================================================================
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import datetime as dt
import gzip
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TextIO
from zoneinfo import ZoneInfo

from jobs.activity.entities import Description
from jobs.activity.window import to_instant
from jobs.sources.csv_times import days_come_first, instant_of
from storage.errors import SourceMismatch
from storage.models import TAG_LENGTH, tag_fault
from storage.regular_file import open_regular

OLDEST: Final = to_instant(dt.datetime(1971, 1, 1, tzinfo=dt.UTC))  # earlier ones are of a clock that was not set
COLUMNS: Final = {
    "date": ("date", "day"),
    "time": ("time", "last_changed", "last_updated", "timestamp", "datetime"),
    "entity_id": ("entity_id", "entity", "item"),
    "state": ("state", "value"),
    "area": ("area",),
    "device_class": ("device_class",),
}
REQUIRED: Final = ("time", "entity_id", "state")
SEPARATORS: Final = ",;\t|"
MAX_LINE_CHARACTERS: Final = 2**20  # the rest of a longer line is skipped
_SHOWN_CHARACTERS: Final = 40
_PREAMBLE: Final = re.compile(r"sep=(.)\s*", re.IGNORECASE)


class Fault(NamedTuple):
    """A row that could not be used.

    Attributes:
        at: Its instant, else that of a row near it in its file; None in a file without any row that can be read.
        text: File, line and reason.
    """

    at: int | None
    text: str


class Row(NamedTuple):
    """A row that can be used: instant, what is known about the entity, state."""

    at: int
    about: Description
    state: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one file is written.

    Attributes:
        separator: What is between its cells.
        place: Where in a row each column is.
        heading_lines: How many lines come before the rows.
        day_first: Whether dates with slashes or dashes begin with the day.
    """

    separator: str
    place: dict[str, int]
    heading_lines: int
    day_first: bool = True


def open_text(file: Path) -> TextIO:
    """Open a file as text; bytes that are not valid become lone surrogates, which no row may hold."""
    with open_regular(file) as raw, gzip.open(raw) if file.suffix == ".gz" else raw as opened:
        mark = opened.read(2)
    encoding = "utf-16" if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    if b"\0" in mark:  # a heading's first character has a single byte
        encoding = "utf-16-le" if mark[1:] == b"\0" else "utf-16-be"
    errors = "replace" if encoding.startswith("utf-16") else "surrogateescape"
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding=encoding, errors=errors, newline="")
    return file.open(encoding=encoding, errors=errors, newline="")


def rows_of(file: Path) -> int:
    """Return how many lines a file has beside its heading."""
    with open_text(file) as opened:
        return max(sum(1 for _ in opened) - 1, 0)


def lines_of(opened: TextIO) -> Iterator[str]:
    """Yield the lines of a file; of one that is too long, only its begin."""
    read = partial(opened.readline, MAX_LINE_CHARACTERS)
    for line in iter(read, ""):
        if len(line) == MAX_LINE_CHARACTERS and line[-1] not in "\r\n":
            for rest in iter(read, ""):
                if rest[-1] in "\r\n":
                    break
        yield line


def dialect_of(file: Path) -> Dialect:
    """Find out how a file is written.

    Raises:
        SourceMismatch: Its first line does not name the columns that are needed.
    """
    with open_text(file) as opened:
        lines = [opened.readline(MAX_LINE_CHARACTERS), opened.readline(MAX_LINE_CHARACTERS)]
        preamble = _PREAMBLE.fullmatch(lines[0].rstrip("\r\n"))
        heading = lines[1 if preamble else 0]
        marks = preamble[1] if preamble else SEPARATORS
        places = [(mark, _places(heading, mark)) for mark in marks]
        mark, place = max(places, key=lambda found: sum(name in found[1] for name in REQUIRED))
        missing = [name for name in REQUIRED if name not in place]
        if missing:
            raise SourceMismatch(
                f"source.path: {file} has no column {missing[0]}",
                hint=f"Its first line must name the columns time (or last_changed), entity_id and state, separated by "
                f"commas, semicolons or tabs; it may name area and device_class. It is {heading.strip()[:80]!r}.",
            )
        dialect = Dialect(mark, place, 2 if preamble else 1)
        if not preamble:
            opened.seek(0)
            opened.readline(MAX_LINE_CHARACTERS)
        return Dialect(mark, place, dialect.heading_lines, days_come_first(_times(opened, dialect)))


def _times(lines: TextIO, dialect: Dialect) -> Iterator[str]:
    """Yield the time of each line that has one."""
    for line in lines_of(lines):
        with contextlib.suppress(csv.Error):
            if time := _time_of(cells_of(line, dialect.separator), dialect.place):
                yield time


def _time_of(cells: list[str], place: Mapping[str, int]) -> str:
    """Return the time of a row, with the date before it where that has a column of its own; empty if it has none."""
    parts = [cells[place[name]].strip() for name in ("date", "time") if name in place and place[name] < len(cells)]
    return " ".join(parts)


def _places(heading: str, mark: str) -> dict[str, int]:
    try:
        names = ["_".join(name.lower().split()) for name in cells_of(heading, mark)]
    except csv.Error:
        return {}
    found = {}
    for column, synonyms in COLUMNS.items():
        known = [name for name in synonyms if name in names]
        if known:
            found[column] = names.index(known[0])
    return found


def cells_of(line: str, separator: str) -> list[str]:
    """Return the cells of one line, read by itself: a quote that is never closed costs its line, not the file."""
    return next(csv.reader((line.rstrip("\r\n"),), delimiter=separator, strict=True), [])


class RowReader:
    """Reads files row by row.

    Args:
        zone: The home's zone, for times without an offset.
        now: The present instant; later rows are not used.

    Attributes:
        rows: How many rows could be used.
    """

    def __init__(self, zone: ZoneInfo, now: int) -> None:
        self._zone = zone
        self._now = now
        self._descriptions: dict[str, Description] = {}
        self._previous = 0
        self.rows = 0

    def read(self, file: Path) -> Iterator[Row | Fault]:
        """Yield each row of a file in its order; faults before the first row that can be read come after it."""
        dialect = dialect_of(file)
        self._previous = 0
        waiting: list[Fault] = []
        read_before = self.rows
        with open_text(file) as opened:
            for number, line in enumerate(lines_of(opened), 1):
                if number <= dialect.heading_lines:
                    continue
                found = self._row(f"{file.name} line {number}", dialect, line)
                if isinstance(found, Row):
                    self.rows += 1
                    yield found
                    yield from (fault._replace(at=found.at) for fault in waiting)
                    waiting.clear()
                elif found is not None and found.at is None and self.rows == read_before:
                    waiting.append(found)
                elif found is not None:
                    yield found._replace(at=self._previous) if found.at is None else found
        yield from waiting

    def _row(  # noqa: PLR0911 - a list of faults in order, the first that a row has is reported
        self, name: str, dialect: Dialect, line: str
    ) -> Row | Fault | None:
        try:
            cells = cells_of(line, dialect.separator)
        except csv.Error as error:
            return Fault(None, f"{name}: {error}")
        if not cells:
            return None
        found = {column: cells[place] for column, place in dialect.place.items() if place < len(cells)}
        absent = [column for column in REQUIRED if column not in found]
        if absent:
            return Fault(None, f"{name}: no {absent[0]}")
        entity_id, state = (found[column].strip() for column in ("entity_id", "state"))
        time = _time_of(cells, dialect.place)
        shown = f"{time[:_SHOWN_CHARACTERS]!r}"
        try:
            at = instant_of(time, self._zone, self._previous, day_first=dialect.day_first)
        except (ValueError, OverflowError):
            return Fault(None, f"{name}: {shown} is not a valid time")
        if not OLDEST <= at <= self._now:
            return Fault(
                None, f"{name}: {shown} is {'in the future' if at > OLDEST else 'of a clock that was not set'}"
            )
        if fault := tag_fault(entity_id):
            return Fault(at, f"{name}: the entity_id {fault}")
        if len(state) > TAG_LENGTH or any("\ud800" <= character <= "\udfff" for character in state):
            return Fault(at, f"{name}: the state is not a text of at most {TAG_LENGTH} characters")
        self._previous = at
        return Row(at, self._describe(entity_id, found), state)

    def _describe(self, entity_id: str, found: dict[str, str]) -> Description:
        """Return the newest description of an entity; a blank cell changes nothing."""
        before = self._descriptions.get(entity_id) or Description(entity_id)
        area = found.get("area", "").strip() or before.area_id
        device_class = found.get("device_class", "").strip() or before.device_class
        if area != before.area_id or device_class != before.device_class or entity_id not in self._descriptions:
            self._descriptions[entity_id] = Description(entity_id, device_class=device_class, area_id=area)
        return self._descriptions[entity_id]
