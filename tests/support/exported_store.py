"""A store whose rows are read back from the Parquet files to which they were exported."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

from storage.backends.memory import MemoryStore
from storage.backends.parquet import ParquetStore
from storage.backends.parquet_layout import HOMES_FILE
from storage.batch import DayBatch
from storage.dates import DateRange
from storage.identity import HomeIdentity
from storage.models import DailyAggregate
from storage.parquet_export import export_rows
from storage.store import NO_FILTER, AggregateStore, Fields, Summary, Where

LONG_AGO: Final = dt.date(1990, 1, 1)  # a day without rows

A = TypeVar("A", bound=DailyAggregate)


class _Folder:
    """The folder that all views share, and what has been written to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.models: set[type[DailyAggregate]] = set()
        self.days: set[dt.date] = set()

    def export(self, store: MemoryStore, days: DateRange | None = None) -> None:
        if days is None and self.days:
            days = DateRange(min(self.days), max(self.days))
        if days is not None:
            homes = [store.home] if store.home is not None else []
            models = sorted(self.models, key=lambda model: model.measurement)
            export_rows(store, self.path, models, days, homes)


class ExportedStore:
    """An ``AggregateStore`` that writes to memory, exports what is written, and reads what was exported.

    Args:
        folder: Where to export to.
    """

    def __init__(self, folder: Path | _Folder, memory: MemoryStore | None = None) -> None:
        self._folder = folder if isinstance(folder, _Folder) else _Folder(folder)
        self._memory = MemoryStore() if memory is None else memory
        self._folder.path.mkdir(exist_ok=True)

    @property
    def home(self) -> str | None:
        return self._memory.home

    def for_home(self, home: str | None) -> Self:
        return type(self)(self._folder, self._memory.for_home(home))

    @property
    def reader(self) -> AggregateStore:
        return ParquetStore(str(self._folder.path), home=self.home)

    def homes(self) -> list[str]:
        return self.reader.homes()

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        return self.reader.read(model, days, where)

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        return self.reader.summarize(model, days, fields, by, where)

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        return self.reader.count_by_day(model, days)

    def prepare(self, *, update_retention: bool = False) -> list[str]:
        return self._memory.prepare(update_retention=update_retention)

    def replace_day(self, batch: DayBatch) -> None:
        with self._folder.lock:
            self._memory.replace_day(batch)
            self._folder.models |= {finding.model for finding in batch.findings}
            self._folder.days.add(batch.day)
            self._folder.export(self._memory, DateRange(batch.day, batch.day))

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:
        with self._folder.lock:
            deleted = self._memory.expire(before, rollups_before)
            self._folder.export(self._memory)
            return deleted

    def expire_all(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> list[str]:
        with self._folder.lock:
            homes = self._memory.homes()
            changes = self._memory.expire_all(before, rollups_before)
            for home in homes:
                self._folder.export(self._memory.for_home(home))
            return changes

    def read_home(self) -> HomeIdentity | None:
        return self.reader.read_home()

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        with self._folder.lock:
            written = self._memory.write_home(home, replace=replace)
            if replace:
                self._forget_home()  # an export refuses another home
            export_rows(self._memory, self._folder.path, [], DateRange(LONG_AGO, LONG_AGO), [self.home or ""])
            return written

    def _forget_home(self) -> None:
        file = self._folder.path / HOMES_FILE
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({name: home for name, home in known.items() if name != self.home}))

    def count_rows(self) -> int:
        return self.reader.count_rows()

    def forget(self) -> None:
        with self._folder.lock:
            self._memory.forget()
            self._folder.export(self._memory)
            self._forget_home()

    def check(self) -> list[str]:
        return self.reader.check()

    def close(self) -> None:
        self.reader.close()
