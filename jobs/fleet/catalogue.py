"""The homes of a fleet: a table with the columns ``home`` and ``time_zone``, and any others that ``[source]`` uses.

It is a CSV file, a Parquet file or a SQL query. A row that is not valid costs its own home and is reported; the others
are computed. A name that appears twice names no home: which of the two is meant is not known.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from storage.daily_aggregate import tag_fault
from storage.drivers import sql, sql_errors
from storage.drivers.sql_urls import parse_url
from storage.errors import SettingsError, SourceError, SourceUnavailable
from storage.plurals import counted
from storage.regular_file import read_regular_text
from storage.settings import absolute_url
from storage.time_zones import zone_fault

_SEPARATORS: Final = (",", ";", "\t")

HOME: Final = "home"
TIME_ZONE: Final = "time_zone"

_ERRORS: Final = sql_errors.ErrorClasses(SourceUnavailable, SourceError, SettingsError)


@dataclass(frozen=True, slots=True)
class CatalogueHome:
    """A home of the catalogue.

    Attributes:
        name: Its name.
        time_zone: Its IANA time zone.
        columns: All columns of its row as text, by name; an empty cell is an empty text.
    """

    name: str
    time_zone: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The homes of a fleet.

    Attributes:
        homes: Those whose row is valid, by name, in the catalogue's order.
        invalid: Why a row is not valid, by the home it names, or else by its place.
        columns: The names of all columns.
    """

    homes: Mapping[str, CatalogueHome] = field(default_factory=dict)
    invalid: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


def read_catalogue(place: str, base: Path, query: str | None = None) -> Catalogue:
    """Read the homes of a fleet.

    Args:
        place: A CSV file, a file that ends in ``.parquet``, or the URL of a database.
        base: The folder that a relative path in a URL starts from; a file's starts from the working directory.
        query: The SQL query, for a database.

    Raises:
        SettingsError: It is not a catalogue, or has no valid row.
        SourceUnavailable: The database cannot be reached now.
    """
    if ("://" in place) != (query is not None):
        raise SettingsError(
            "--query is for a catalogue in a database"
            if query is not None
            else f"--homes {place}: the query is missing",
            hint="Pass --homes with the URL of the database and --query with the SQL that returns home and time_zone.",
        )
    if query is not None:
        names, rows = _query(absolute_url(base, place), query)
        what = "row"
    elif place.lower().endswith(".parquet"):
        names, rows = _parquet(Path(place))
        what = "row"
    else:
        names, rows = _csv(Path(place))
        what = "line"
    for column in (HOME, TIME_ZONE):
        if names.count(column) != 1:
            raise SettingsError(
                f"the catalogue {_shown(place)} needs one column {column!r}; it has {', '.join(names) or 'none'}",
                hint="Its first line names the columns, such as home,time_zone,path.",
            )
    catalogue = _checked(names, rows, what)
    if not catalogue.homes and not catalogue.invalid:
        raise SettingsError(f"the catalogue {_shown(place)} lists no home")
    return catalogue


def _checked(names: list[str], rows: Iterable[tuple[int, list[str]]], what: str) -> Catalogue:
    """Check each row; those that are not valid are kept apart."""
    homes: dict[str, CatalogueHome] = {}
    invalid: dict[str, str] = {}
    places: dict[str, int] = {}
    for number, cells in rows:
        columns = dict(zip(names, cells, strict=False))
        name = columns.get(HOME, "")
        first = places.setdefault(name, number) if name else number
        if first != number:
            invalid[name] = f"{what}s {first} and {number} both name it"
            homes.pop(name, None)
        elif fault := _fault(names, cells, columns):
            place = f"{what} {number}"
            if name:
                invalid[name] = f"{place}: {fault}"
            else:
                invalid[place] = fault
        else:
            homes[name] = CatalogueHome(name, columns[TIME_ZONE], columns)
    return Catalogue(homes, invalid, tuple(names))


def _fault(names: list[str], cells: list[str], columns: Mapping[str, str]) -> str:
    """Return why a row is not valid; empty if it is."""
    if len(cells) != len(names):
        return f"{counted(len(cells), 'cell')} instead of {len(names)}"
    if fault := tag_fault(columns[HOME]):
        return f"not a valid name of a home: it {fault}"
    if not columns[TIME_ZONE]:
        return "the time zone is missing"
    return zone_fault(columns[TIME_ZONE])


def _csv(file: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the columns and the rows, each with its line, of a CSV file."""
    try:
        text = read_regular_text(file)
    except UnicodeDecodeError as error:
        raise SettingsError(f"the catalogue {file} is not text in UTF-8: {error}", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise _unreadable(file, error) from error
    text = text.removeprefix("\ufeff")
    header = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=header.count)  # of those found equally often, the first
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)

    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            for cells in reader:
                if any(stripped := [cell.strip() for cell in cells]):  # spreadsheets end with empty rows
                    yield reader.line_num, stripped
        except csv.Error as error:
            raise SettingsError(
                f"the catalogue {file} is not valid CSV: line {reader.line_num}: {error}",
                hint="Correct that line; none of the homes is computed until then.",
            ) from error

    lines = rows()
    return next(lines, (0, []))[1], lines


def _unreadable(file: Path, error: OSError | ValueError) -> SettingsError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return SettingsError(f"the catalogue {file} cannot be read: {reason}", hint="Correct --homes.")


def _parquet(file: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the columns and the rows, numbered from 1, of a Parquet file."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, for those who use it
        import pyarrow.parquet as pq  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the catalogue {file} needs {error.name}, which is not installed",
            hint="Install pattern-aggregates[arrow].",
        ) from error
    try:
        table = pq.ParquetFile(file).read()
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, error) from error
    return list(table.column_names), _numbered(
        row.values() for batch in table.to_batches() for row in batch.to_pylist()
    )


def _query(url: str, query: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the columns and the rows, numbered from 1, that a SQL query returns; the database is only read."""
    engine = sql.reading_engine(parse_url(url, "--homes"), setting="--homes")
    try:
        with sql.transaction(engine, _ERRORS, f"catalogue {_shown(url)}") as connection:
            result = connection.execute(sa.text(query))
            if not result.returns_rows:
                raise SettingsError("--query is not a query: it returns no rows")
            return list(result.keys()), _numbered(list(result))
    finally:
        engine.dispose()


def _numbered(rows: Iterable[Iterable[Any]]) -> Iterator[tuple[int, list[str]]]:
    return ((number, [_text(cell) for cell in cells]) for number, cells in enumerate(rows, 1))


def _text(cell: object) -> str:
    """Return a cell as text; whole numbers became floats, and empty cells NaN, where a column had both."""
    if isinstance(cell, float):
        cell = "" if math.isnan(cell) else int(cell) if cell.is_integer() else cell
    elif isinstance(cell, bytes):
        cell = cell.decode(errors="replace")
    return "" if cell is None else str(cell).strip()


def _shown(place: str) -> str:
    """Return a place without a password."""
    scheme, separator, rest = place.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else place
