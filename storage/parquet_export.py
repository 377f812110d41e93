"""Write rows of a store into a folder of Parquet files; ``storage.backends.parquet_layout`` says how they lie there.

A file is written beside its place and renamed when it is whole, so a reader sees the old file or the new one, and a
crash leaves nothing half. Rows of other days and other homes in it stay. The records of runs are written last: where
they are, the rows they describe are. One export at a time writes into a folder.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from storage.arrow import table_of
from storage.backends.parquet_layout import HOMES_FILE, file_name, measurement_folder, row_schema
from storage.columns import HOME
from storage.dates import DateRange
from storage.errors import StoreCorrupt, StoreUnavailable, UsageError
from storage.identity import HomeIdentity, refuse_other_home
from storage.models import DailyAggregate, DetectorRunDaily
from storage.regular_file import read_regular_text, replace_file
from storage.store import AggregateStore

MAX_WAIT_SECONDS: Final = 60.0
MAX_ROWS_IN_GROUP: Final = 100_000
_LOCK_FILE: Final = ".lock"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote.

    Attributes:
        rows: How many rows of each measurement.
        files: How many files it wrote or deleted.
    """

    rows: dict[str, int]
    files: int


def export_rows(
    store: AggregateStore,
    folder: Path,
    models: Sequence[type[DailyAggregate]],
    days: DateRange,
    homes: Iterable[str],
    *,
    max_wait_seconds: float = MAX_WAIT_SECONDS,
) -> Exported:
    """Make a folder hold exactly the rows that a store has of some days of some homes. Idempotent.

    Args:
        store: Where the rows are.
        folder: Where to write; created if there is none.
        models: Which aggregates, besides the records of runs.
        days: Which days; rows of others stay.
        homes: Which homes; rows of others stay.
        max_wait_seconds: How long to wait for another export into the folder.

    Raises:
        HomeMismatch: The folder has rows of another home of the same name.
        StoreCorrupt: A file in the folder is damaged.
        StoreUnavailable: The store cannot be reached now, or another export takes too long.
        UsageError: The folder cannot be written.
    """
    by_file: dict[str, list[str]] = defaultdict(list)
    for home in sorted(set(homes)):
        by_file[file_name(home)].append(home)
    rows: dict[str, int] = {}
    files = 0
    with _writing(folder, max_wait_seconds):
        _note_homes(store, folder, [home for some in by_file.values() for home in some])
        ordered: list[type[DailyAggregate]] = [
            *(one for one in dict.fromkeys(models) if one is not DetectorRunDaily),
            DetectorRunDaily,
        ]
        for model in ordered:
            rows[model.measurement] = 0
            for month in _months(days):
                place = folder / measurement_folder(model) / f"month={month.first:%Y-%m}"
                for name, some in by_file.items():
                    written = _write_file(store, place / name, model, month, some)
                    if written is not None:
                        rows[model.measurement] += written
                        files += 1
    return Exported(rows, files)


def count_exported(folder: Path, home: str) -> int:
    """Return how many rows and notes of a home a folder has.

    Raises:
        StoreCorrupt: A file in the folder is damaged.
        UsageError: There is no such folder, or it cannot be read.
    """
    _require(folder)
    with _reported(folder):
        return sum(_count_in(file, home) for file in _files_with(folder, home)) + (home in _known_homes(folder))


def forget_exported(folder: Path, home: str, *, max_wait_seconds: float = MAX_WAIT_SECONDS) -> None:
    """Delete all rows of a home from a folder, and what is known of it; other homes keep everything. Idempotent.

    The records of runs are deleted first: a day whose rows are gone is then one that was not computed.

    Raises:
        StoreCorrupt: A file in the folder is damaged.
        StoreUnavailable: An export takes too long.
        UsageError: There is no such folder, or it cannot be written.
    """
    _require(folder)  # before the lock, which would make it
    with _reported(folder), _locked(folder, max_wait_seconds):
        runs = measurement_folder(DetectorRunDaily)
        for file in sorted(_files_with(folder, home), key=lambda file: file.parent.parent.name != runs):
            _temporary(file).unlink(missing_ok=True)  # of an export that was killed
            _write_without(file, home)
        known = _known_homes(folder)
        if known.pop(home, None) is not None:
            _replace_known(folder, known)


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint="Name the folder that an export wrote.")


def _files_with(folder: Path, home: str) -> list[Path]:
    """Return the files that may have rows of a home, also those that an export has not finished."""
    found = {*folder.glob(f"measurement=*/month=*/{file_name(home)}")}
    found |= {file.with_name(file_name(home)) for file in folder.glob(f"measurement=*/month=*/.{file_name(home)}.tmp")}
    return sorted(found)


def _count_in(file: Path, home: str) -> int:
    """Return how many rows of a home a file has; an unfinished one beside it counts as one."""
    unfinished = int(_temporary(file).exists())
    if not file.exists():
        return unfinished
    with _open(file) as opened:
        groups = _row_groups_by_home(opened, file).get(home, [])
        rows: int = sum(opened.metadata.row_group(number).num_rows for number in groups)
        return unfinished + rows


def _write_without(file: Path, home: str) -> None:
    """Write a file again without the rows of a home; delete it if it has no others."""
    if not file.exists():
        return
    with _open(file) as opened:
        groups = _row_groups_by_home(opened, file)
        if home not in groups:
            return
        others = sorted(number for name, some in groups.items() if name != home for number in some)
        if others:
            with pq.ParquetWriter(_temporary(file), opened.schema_arrow, compression="zstd") as writer:
                for number in others:
                    writer.write_table(opened.read_row_group(number))
    if others:
        _publish(_temporary(file), file)
    else:
        file.unlink()


@contextmanager
def _writing(folder: Path, max_wait_seconds: float) -> Iterator[None]:
    """Make a folder if there is none, and hold its lock."""
    with _reported(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # rows show when people are at home
        with _locked(folder, max_wait_seconds):
            yield


@contextmanager
def _locked(folder: Path, max_wait_seconds: float) -> Iterator[None]:
    try:
        with FileLock(folder / _LOCK_FILE, timeout=max_wait_seconds):
            yield
    except Timeout as error:
        raise StoreUnavailable(f"another export is writing into {folder}", hint="Let it finish.") from error


@contextmanager
def _reported(folder: Path) -> Iterator[None]:
    """Raise errors of the file system as such that name the file."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder} cannot be written: {error.strerror or error}",
            hint="Name another folder, or free some space.",
        ) from error


def _months(days: DateRange) -> Iterator[DateRange]:
    """Yield the part of each calendar month that is within a range."""
    by_month: dict[str, DateRange] = {}
    for day in days:
        month = f"{day:%Y-%m}"
        by_month[month] = DateRange(by_month[month].first if month in by_month else day, day)
    yield from by_month.values()


def _note_homes(store: AggregateStore, folder: Path, homes: Sequence[str]) -> None:
    """Keep what is known of homes beside their rows, and refuse rows of another home of the same name."""
    known = _known_homes(folder)
    try:
        before = {name: HomeIdentity.from_json(known[name]) for name in homes if name in known}
    except (ValueError, AttributeError) as error:
        raise _damaged_homes(folder, error) from error
    found = {name: identity for name in homes if (identity := store.for_home(name).read_home()) is not None}
    for name, identity in found.items():
        refuse_other_home(before.get(name), identity, str(folder))
    if found != before:
        _replace_known(folder, known | {name: identity.to_json() for name, identity in found.items()})


def _known_homes(folder: Path) -> dict[str, str]:
    """Return what is known of homes as JSON, by name."""
    file = folder / HOMES_FILE
    try:
        known = json.loads(read_regular_text(file)) if file.exists() else {}
    except ValueError as error:
        raise _damaged_homes(folder, error) from error
    if not isinstance(known, dict):
        raise _damaged_homes(folder, "not a JSON object")
    return known


def _replace_known(folder: Path, known: dict[str, str]) -> None:
    replace_file(folder / HOMES_FILE, json.dumps(known, ensure_ascii=False, indent=1, sort_keys=True))


def _damaged_homes(folder: Path, reason: object) -> StoreCorrupt:
    return StoreCorrupt(f"{folder / HOMES_FILE} is damaged: {reason}", hint="Delete it, and export again.")


def _write_file(
    store: AggregateStore, file: Path, model: type[DailyAggregate], days: DateRange, homes: Sequence[str]
) -> int | None:
    """Replace the rows of some days of some homes in one file; returns how many, None if there is nothing to do."""
    written, exported = 0, set(homes)
    temporary = _temporary(file)
    writer: pq.ParquetWriter | None = None
    with ExitStack() as stack:
        opened = stack.enter_context(_open(file)) if file.exists() else None
        groups = {} if opened is None else _row_groups_by_home(opened, file)
        for home in sorted(exported | groups.keys()):
            parts = []
            if opened is not None and home in groups:
                parts.append(_read(opened, file, groups[home], model))
            if home in exported:
                parts = [_without_days(part, days) for part in parts]
                new = table_of(model, store.for_home(home).read(model, days), with_home=True)
                written += new.num_rows
                parts.append(new)
            table = pa.concat_tables(parts)
            if table.num_rows:
                if writer is None:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    writer = stack.enter_context(pq.ParquetWriter(temporary, row_schema(model), compression="zstd"))
                order = [(name, "ascending") for name in ("date", *model.tags())]
                writer.write_table(table.sort_by(order), row_group_size=MAX_ROWS_IN_GROUP)
    if writer is not None:
        _publish(temporary, file)
        return written
    if opened is not None:
        file.unlink()
        return 0
    return None


def _temporary(file: Path) -> Path:
    """Return beside which name a file is written: only who has the lock writes there, and a crash may leave it."""
    return file.with_name(f".{file.name}.tmp")


@contextmanager
def _open(file: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(file) as opened:
            yield opened
    except pa.ArrowException as error:
        raise StoreCorrupt(f"{file} is damaged: {error}", hint="Move it away, and export its month again.") from error


def _row_groups_by_home(opened: pq.ParquetFile, file: Path) -> dict[str, list[int]]:
    """Return the numbers of the row groups of each home."""
    places = [place for place in range(opened.metadata.num_columns) if opened.schema.column(place).path == HOME]
    found: dict[str, list[int]] = defaultdict(list)
    for number in range(opened.num_row_groups):
        statistics = opened.metadata.row_group(number).column(places[0]).statistics if places else None
        if statistics is None or statistics.min != statistics.max:
            raise StoreCorrupt(f"{file} was not written by an export", hint="Move it away.")
        found[statistics.min].append(number)
    return found


def _read(opened: pq.ParquetFile, file: Path, groups: list[int], model: type[DailyAggregate]) -> pa.Table:
    """Return some row groups with the present schema: columns that came later are empty in them."""
    try:
        table, schema = opened.read_row_groups(groups), row_schema(model)
        columns = [
            table.column(field.name).cast(field.type)
            if field.name in table.column_names
            else pa.nulls(table.num_rows, field.type)
            for field in schema
        ]
        return pa.table(columns, schema=schema)
    except (pa.ArrowException, OSError) as error:
        raise StoreCorrupt(f"{file} is damaged: {error}", hint="Move it away, and export its month again.") from error


def _without_days(table: pa.Table, days: DateRange) -> pa.Table:
    dates = table.column("date")
    return table.filter(pc.or_(pc.less(dates, days.first), pc.greater(dates, days.last)))


def _publish(temporary: Path, file: Path) -> None:
    """Give a finished file its name, so that it is on disk whole or not at all."""
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
