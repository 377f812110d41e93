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


@contextmanager
def _writing(folder: Path, max_wait_seconds: float) -> Iterator[None]:
    """Hold the lock of a folder, and raise errors of the file system as such that name it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # rows show when people are at home
        with FileLock(folder / _LOCK_FILE, timeout=max_wait_seconds):
            yield
    except Timeout as error:
        raise StoreUnavailable(f"another export is writing into {folder}", hint="Let it finish.") from error
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
    file = folder / HOMES_FILE
    try:
        known: dict[str, str] = json.loads(read_regular_text(file)) if file.exists() else {}
        before = {name: HomeIdentity.from_json(known[name]) for name in homes if name in known}
    except (ValueError, AttributeError) as error:
        raise StoreCorrupt(f"{file} is damaged: {error}", hint="Delete it, and export again.") from error
    found = {name: identity for name in homes if (identity := store.for_home(name).read_home()) is not None}
    for name, identity in found.items():
        refuse_other_home(before.get(name), identity, str(folder))
    if found != before:
        texts = known | {name: identity.to_json() for name, identity in found.items()}
        replace_file(file, json.dumps(texts, ensure_ascii=False, indent=1, sort_keys=True))


def _write_file(
    store: AggregateStore, file: Path, model: type[DailyAggregate], days: DateRange, homes: Sequence[str]
) -> int | None:
    """Replace the rows of some days of some homes in one file; returns how many, None if there is nothing to do."""
    written, exported = 0, set(homes)
    temporary = file.with_name(f".{file.name}.tmp")  # only this export writes here; a crash may leave it
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
