"""Reads aggregates from a folder of Parquet files, as ``export`` writes them. It can only be read.

Only files of the months and homes at hand are opened, and of these only the row groups whose statistics admit a row.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import and_
from typing import Any, Final, NoReturn, Self, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pa_fs

from storage.backends.parquet_layout import HOMES_FILE, measurement_folder, month_of, row_schema
from storage.batch import DayBatch
from storage.columns import HOME, decode
from storage.dates import DateRange
from storage.drivers.file_systems import find_files, is_folder, shown_path, without_secrets
from storage.errors import (
    PatternAggregatesError,
    SettingsError,
    StoreCorrupt,
    StoreMissing,
    StoreUnavailable,
    UsageError,
)
from storage.identity import HomeIdentity
from storage.models import DailyAggregate, DetectorRunDaily
from storage.store import NO_FILTER, Fields, Summary, Where, as_values, check_query, single_home
from storage.summaries import SummaryPlan

ALL_DAYS: Final = DateRange(dt.date.min, dt.date.max)

A = TypeVar("A", bound=DailyAggregate)


class _Ranges(pa_fs.FSSpecHandler):  # type: ignore[misc]  # pyarrow has no types
    """Opens files so that only the bytes asked for are read; by default some megabytes more are, around each."""

    def open_input_file(self, path: str) -> pa.PythonFile:
        return pa.PythonFile(self.fs.open(path, mode="rb", cache_type="none"), mode="r")


class ParquetStore:
    """An ``AggregateStore`` over exported rows. Every call that would change something is refused.

    Args:
        path: The folder; or a URL of any file system that fsspec knows.
        home: See ``AggregateStore.home``.

    Raises:
        SettingsError: The kind of URL is not known, or needs a library that is not installed.
        StoreMissing: There is no such folder.
        StoreUnavailable: It cannot be reached now.
    """

    def __init__(self, path: str, *, home: str | None = "") -> None:
        self._path = path
        self._home = home
        try:
            self._system, self._root = fsspec.core.url_to_fs(path)
        except (ImportError, ValueError) as error:
            raise SettingsError(f"store.path: {error}", hint="Name a folder, or a URL that fsspec knows.") from error
        self._shown = shown_path(self._system, self._root)
        self._ranges = pa_fs.PyFileSystem(_Ranges(self._system))
        with self._translated():
            self._system.invalidate_cache()  # what another store of this process has listed may be old
            if not is_folder(self._system, self._root):
                raise StoreMissing(
                    f"there is no folder {self._shown}", hint="Write it with `pattern-aggregates export`."
                )

    @property
    def home(self) -> str | None:
        """See ``AggregateStore.home``."""
        return self._home

    def for_home(self, home: str | None) -> Self:
        """See ``AggregateStore.for_home``."""
        return type(self)(self._path, home=home)

    def homes(self) -> list[str]:
        """See ``AggregateStore.homes``."""
        with self._translated():
            files = self._files(measurement_folder(DetectorRunDaily), ALL_DAYS, None)
            table = self._dataset(DetectorRunDaily, files).to_table(columns=[HOME])
            return sorted({*pc.unique(table.column(HOME)).to_pylist(), *self._known_homes()})

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        check_query(model, where=where)
        schema = row_schema(model)
        maps = [field.name for field in schema if pa.types.is_map(field.type)]
        records: list[dict[str, Any]] = []
        for batch in self._batches(model, days, where, schema.names):
            records += batch.to_pylist()
        for record in records:
            for name in maps:
                record[name] = None if record[name] is None else dict(record[name])
        rows = decode(model, records)
        return sorted(rows, key=lambda row: (row.date, row.home, row.key()))

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``."""
        check_query(model, fields, by, where)
        plan = SummaryPlan(model, fields, by)
        names = list(dict.fromkeys((*plan.columns, "date")))

        def records() -> Iterator[tuple[Any, ...]]:
            for batch in self._batches(model, days, where, names):
                columns = {name: batch.column(name).to_pylist() for name in names}
                yield from zip(*(columns[name] for name in (*plan.columns, "date")), strict=True)

        return plan.accumulate(records())

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        """See ``AggregateStore.count_by_day``."""
        return {
            one.by["date"]: one.rows  # type: ignore[misc]  # `date` is a date
            for one in self.summarize(model, days, {}, ["date"])
        }

    def count_rows(self) -> int:
        """See ``AggregateStore.count_rows``."""
        name = single_home(self._home)
        with self._translated():
            folders = [path.rpartition("/")[2] for path in self._system.ls(self._root, detail=False)]
            found = (self._files(folder, ALL_DAYS, [name]) for folder in folders if folder.startswith("measurement="))
            return sum(
                ds.dataset(files, format="parquet", filesystem=self._ranges).count_rows(filter=pc.field(HOME) == name)
                for files in found
                if files
            )

    def forget(self) -> NoReturn:
        """Refuse to change anything."""
        self._refuse()

    def read_home(self) -> HomeIdentity | None:
        """See ``AggregateStore.read_home``."""
        name = single_home(self._home)
        with self._translated():
            return self._known_homes().get(name)

    def check(self) -> list[str]:
        """See ``AggregateStore.check``."""
        return []

    def close(self) -> None:
        """See ``AggregateStore.close``: no file stays open."""

    def prepare(self, *, update_retention: bool = False) -> NoReturn:  # noqa: ARG002 - the contract's signature
        """Refuse to change anything."""
        self._refuse()

    def replace_day(self, batch: DayBatch) -> NoReturn:  # noqa: ARG002 - the contract's signature
        """Refuse to change anything."""
        self._refuse()

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> NoReturn:  # noqa: ARG002 - as above
        """Refuse to change anything."""
        self._refuse()

    def expire_all(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> NoReturn:  # noqa: ARG002 - as above
        """Refuse to change anything."""
        self._refuse()

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> NoReturn:  # noqa: ARG002 - as above
        """Refuse to change anything."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(
            f"{self._shown} holds exported rows, which can only be read",
            hint="Name the store that the job writes to, and fill this folder with `pattern-aggregates export`.",
        )

    def _batches(
        self, model: type[DailyAggregate], days: DateRange, where: Where, names: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        conditions = [pc.field("date") >= pa.scalar(days.first), pc.field("date") <= pa.scalar(days.last)]
        if self._home is not None:
            conditions.append(pc.field(HOME) == self._home)
        conditions += [
            pc.field(tag).isin(pa.array(as_values(condition), pa.string())) for tag, condition in where.items()
        ]
        with self._translated():
            homes = as_values(where[HOME]) if HOME in where else None
            homes = homes if self._home is None else [self._home]
            dataset = self._dataset(model, self._files(measurement_folder(model), days, homes))
            yield from dataset.to_batches(columns=list(names), filter=reduce(and_, conditions))

    def _dataset(self, model: type[DailyAggregate], files: list[str]) -> ds.Dataset:
        return ds.dataset(files, schema=row_schema(model), format="parquet", filesystem=self._ranges)

    def _files(self, name: str, days: DateRange, homes: Collection[str] | None) -> list[str]:
        """Return the files in the folder of a measurement that may have rows of some days of some homes."""
        folder = f"{self._root.rstrip('/')}/{name}"
        first, last = (f"{day:%Y-%m}" for day in (days.first, days.last))
        months = {path: month_of(path.removeprefix(f"{folder}/"), homes) for path in find_files(self._system, folder)}
        return sorted(path for path, month in months.items() if month is not None and first <= month <= last)

    def _known_homes(self) -> dict[str, HomeIdentity]:
        path = f"{self._root.rstrip('/')}/{HOMES_FILE}"
        try:
            content = self._system.cat_file(path)
        except FileNotFoundError:
            return {}
        try:
            found: dict[str, str] = json.loads(content)
            return {name: HomeIdentity.from_json(text) for name, text in found.items()}
        except (ValueError, AttributeError) as error:
            raise StoreCorrupt(
                f"{shown_path(self._system, path)} is damaged: {error}", hint="Delete it, and export again."
            ) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise errors of the file system and of Arrow as those of a store."""
        try:
            yield
        except PatternAggregatesError:
            raise
        except pa.ArrowException as error:
            raise StoreCorrupt(
                f"{self._shown}: {without_secrets(str(error))}", hint="Export these days again."
            ) from error
        except Exception as error:  # the libraries beneath fsspec raise errors of their own
            if type(error) is OSError and error.errno is None:  # Arrow's, where bytes inside a file are wrong
                raise StoreCorrupt(
                    f"{self._shown}: {without_secrets(str(error))}", hint="Export these days again."
                ) from error
            hint = "Check the account and its rights." if isinstance(error, PermissionError) else ""
            text = without_secrets(f"{type(error).__name__}: {error}")
            raise StoreUnavailable(f"{self._shown}: {text}", hint=hint) from error
