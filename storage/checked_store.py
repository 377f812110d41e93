"""A store that is checked before it is first used, when it can be reached."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast

from storage.batch import DayBatch
from storage.column_reader import Columns, read_columns
from storage.dates import DateRange
from storage.errors import StoreUnavailable
from storage.identity import HomeIdentity
from storage.models import DailyAggregate
from storage.store import NO_FILTER, AggregateStore, Fields, Summary, Where
from storage.transactional import TransactionalStore

if TYPE_CHECKING:
    from sqlalchemy import Connection

MAX_WAIT_SECONDS: Final = 3.0

A = TypeVar("A", bound=DailyAggregate)


class CheckedStore:
    """An ``AggregateStore`` that passes every call on, the first one that needs the store after a check.

    Args:
        store: The store.
        check: Raises if the store must not be used, or cannot be reached; then the next call checks again.
    """

    def __init__(self, store: AggregateStore, check: Callable[[], object]) -> None:
        self._unchecked = store
        self._check = check
        self._is_checked = False

    def verify(self) -> None:
        """Check the store, unless that has been done.

        Raises:
            PatternAggregatesError: What the check raises.
        """
        if not self._is_checked:
            self._check()
            self._is_checked = True

    def verify_in_time(self) -> None:
        """Check the store, but wait no longer than ``MAX_WAIT_SECONDS``: a silent server must not hold up other work.

        Raises:
            StoreUnavailable: It has not answered by then; the check goes on, and its result counts at the next call.
            PatternAggregatesError: What the check raises.
        """
        raised: list[BaseException | None] = []

        def attempt() -> None:
            try:
                self.verify()
            except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
                raised.append(error)
            else:
                raised.append(None)

        thread = threading.Thread(target=attempt, name="store check", daemon=True)
        thread.start()
        thread.join(MAX_WAIT_SECONDS)
        if not raised:
            raise StoreUnavailable(f"the store has not answered for {MAX_WAIT_SECONDS:g} s")
        if raised[0] is not None:
            raise raised[0]

    @property
    def _store(self) -> AggregateStore:
        self.verify()
        return self._unchecked

    @property
    def home(self) -> str | None:
        """See ``AggregateStore.home``."""
        return self._unchecked.home

    def for_home(self, home: str | None) -> Self:
        """See ``AggregateStore.for_home``; the check is that of this store."""
        return type(self)(self._unchecked.for_home(home), self.verify)

    def homes(self) -> list[str]:
        """See ``AggregateStore.homes``."""
        return self._store.homes()

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        return self._store.read(model, days, where)

    def read_columns(
        self, model: type[DailyAggregate], names: Sequence[str], days: DateRange, where: Where = NO_FILTER
    ) -> Columns:
        """See ``ColumnReader.read_columns``."""
        return read_columns(self._store, model, names, days, where)

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``."""
        return self._store.summarize(model, days, fields, by, where)

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        """See ``AggregateStore.count_by_day``."""
        return self._store.count_by_day(model, days)

    def prepare(self, *, update_retention: bool = False) -> list[str]:
        """See ``AggregateWriter.prepare``."""
        return self._store.prepare(update_retention=update_retention)

    @property
    def database(self) -> str:
        """See ``TransactionalStore.database``."""
        return getattr(self._unchecked, "database", "")

    def replace_day(self, batch: DayBatch, *, beside: Callable[[Connection], None] | None = None) -> None:
        """See ``TransactionalStore.replace_day``."""
        if beside is None:
            self._store.replace_day(batch)
        else:
            cast("TransactionalStore", self._store).replace_day(batch, beside=beside)

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:
        """See ``AggregateWriter.expire``."""
        return self._store.expire(before, rollups_before)

    def expire_all(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> list[str]:
        """See ``AggregateWriter.expire_all``."""
        return self._store.expire_all(before, rollups_before)

    def read_home(self) -> HomeIdentity | None:
        """See ``AggregateStore.read_home``; not checked."""
        return self._unchecked.read_home()

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        """See ``AggregateStore.write_home``; not checked."""
        return self._unchecked.write_home(home, replace=replace)

    def count_rows(self) -> int:
        """See ``AggregateStore.count_rows``."""
        return self._store.count_rows()

    def forget(self) -> None:
        """See ``AggregateStore.forget``."""
        self._store.forget()

    def check(self) -> list[str]:
        """See ``AggregateStore.check``; not checked."""
        return self._unchecked.check()

    def close(self) -> None:
        """See ``AggregateStore.close``."""
        self._unchecked.close()
