"""Typed queries to any store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, runtime_checkable

from storage.column_reader import Columns, read_columns
from storage.completeness import Completeness, completeness_of, detector_of
from storage.dates import DateRange, is_relative
from storage.errors import DaysMissing, SettingsError, UsageError
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.periods import has_rows_on
from storage.query_homes import HomeChoice, QueriedHomes
from storage.rollup_models import ROLLUPS, BoutTimesDaily
from storage.store import NO_FIELDS, AggregateReader, Fields, Summary, Where

if TYPE_CHECKING:
    import pyarrow as pa

A = TypeVar("A", bound=DailyAggregate)
Day = str | dt.date


@runtime_checkable
class SupportsClose(Protocol):
    """Whatever can be closed."""

    def close(self) -> None:
        """Close it."""
        ...


class AggregateQuery(AbstractContextManager["AggregateQuery"]):
    """Queries to a store: to the home that it was opened for, or to those that a call names.

    Safe to use from several threads. A home that the store does not hold is an error, never an empty answer.

    Args:
        store: Where the aggregates are: a store, which ``close`` closes, or any other reader of aggregates.
        today: Returns the present local day of the home, which ``yesterday`` and ``-7d`` count from; without it, such
            days are refused.
    """

    def __init__(self, store: AggregateReader, *, today: Callable[[], dt.date] | None = None) -> None:
        self._store = store
        self._today = today

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Safe to repeat."""
        if isinstance(self._store, SupportsClose):
            self._store.close()

    def daily(
        self,
        model: type[A],
        first: Day | DateRange,
        last: Day | None = None,
        *,
        home: HomeChoice = None,
        allow_missing: bool = False,
        **tags: str | Collection[str],
    ) -> list[A]:
        """Return the rows of one aggregate over a range of days, ordered by date, home and tags.

        Args:
            model: Which aggregate.
            first: The first day (a date, ``YYYY-MM-DD``, ``yesterday`` or ``-7d``), or a range: a ``DateRange`` or a
                text such as ``last-week``, ``2026-W47``, ``2026-11`` or ``2026-11-01..yesterday``.
            last: The last day, included. Without it ``-7d`` stands for the seven days up to yesterday, and every other
                day for itself.
            home: The name of a home, several names in a list, or ``ALL_HOMES``. Without it, that of the store.
            allow_missing: Return what is there even if some of the days were never computed.
            **tags: For any tag of the model, its value, or several values in a list.

        Raises:
            DaysMissing: Some of the days were never computed, of one of the homes.
            UsageError: A day or a tag is not valid, or the store does not hold the home.
            StoreUnavailable: The store cannot be reached now.
            StoreCorrupt: A row does not satisfy its model.
        """
        days, homes = self._days(first, last), QueriedHomes(self._store, home)
        rows = homes.reader.read(model, days, {**homes.where, **tags})
        if not allow_missing:
            self._refuse_missing(model, days, homes)
        if not rows:
            homes.refuse_unknown()
        return rows

    def summarize(
        self,
        model: type[DailyAggregate],
        first: Day | DateRange,
        last: Day | None = None,
        *,
        by: Sequence[str] = (),
        fields: Fields = NO_FIELDS,
        home: HomeChoice = None,
        allow_missing: bool = False,
        **tags: str | Collection[str],
    ) -> list[Summary]:
        """Return functions of fields for each group of rows, computed in the store and ordered by group.

        A mean of stored means is weighted by the number of observations behind each, where the model has that: the
        ``mean`` of ``avg_duration_seconds`` is over all episodes.

        Args:
            model: Which aggregate.
            first: As in ``daily``.
            last: As in ``daily``.
            by: The tags, and ``home``, ``date``, ``week`` or ``month``, that make the groups; none makes one group of
                all rows. A week is Monday to Sunday and has a name such as ``2026-W47``, a month such as ``2026-11``;
                of one at an end of the range, only days of the range count.
            fields: For each field ``sum``, ``mean``, ``count``, ``min`` or ``max``, whose result has the field's name;
                or several in a list, whose results are named ``FIELD_FUNCTION``. None only counts the rows.
            home: As in ``daily``; all rows of several homes together make a group, unless ``by`` has ``home``.
            allow_missing: As in ``daily``.
            **tags: As in ``daily``.

        Raises:
            DaysMissing: Some of the days were never computed, of one of the homes.
            UsageError: A day, name or function is not valid.
            StoreUnavailable: The store cannot be reached now.
        """
        days, homes = self._days(first, last), QueriedHomes(self._store, home)
        for name in tags:
            if name in model.model_fields and name not in model.tags():
                raise UsageError(
                    f"{name} is a field of {model.measurement}, not a tag",
                    hint=f'Name functions in fields: fields={{"{name}": "sum"}}.',
                )
        summaries = homes.reader.summarize(model, days, fields, by, {**homes.where, **tags})
        if not allow_missing:
            self._refuse_missing(model, days, homes)
        if not summaries:
            homes.refuse_unknown()
        return summaries

    def columns(
        self,
        model: type[DailyAggregate],
        first: Day | DateRange,
        last: Day | None = None,
        *,
        fields: Sequence[str],
        home: HomeChoice = None,
        allow_missing: bool = False,
        **tags: str | Collection[str],
    ) -> Columns:
        """Return some fields of what ``daily`` returns, each as a list: much faster where there are many rows.

        Args:
            model: Which aggregate.
            first: As in ``daily``.
            last: As in ``daily``.
            fields: The names of the fields, tags, ``date`` and ``home`` included.
            home: As in ``daily``.
            allow_missing: As in ``daily``.
            **tags: As in ``daily``.

        Returns:
            For each name the values, in the order of the rows.

        Raises:
            DaysMissing: Some of the days were never computed.
            UsageError: A day, a field or a tag is not valid.
            StoreUnavailable: The store cannot be reached now.
            StoreCorrupt: A row does not satisfy its model.
        """
        days, homes = self._days(first, last), QueriedHomes(self._store, home)
        found = read_columns(homes.reader, model, fields, days, {**homes.where, **tags})
        if not allow_missing:
            self._refuse_missing(model, days, homes)
        if not any(found.values()):
            homes.refuse_unknown()
        return found

    def frame(
        self,
        model: type[DailyAggregate],
        first: Day | DateRange,
        last: Day | None = None,
        *,
        home: HomeChoice = None,
        allow_missing: bool = False,
        **tags: str | Collection[str],
    ) -> pa.Table:
        """Return what ``daily`` returns as an Arrow table, which polars, pandas and duckdb read.

        The columns are the model's fields, also where there are no rows: dates and instants as such, lists as lists,
        dicts of one type as maps, any other JSON value as JSON text. ``home`` is among them where the call or the store
        names one.

        Args:
            model: Which aggregate.
            first: As in ``daily``.
            last: As in ``daily``.
            home: As in ``daily``.
            allow_missing: As in ``daily``.
            **tags: As in ``daily``.

        Raises:
            SettingsError: pyarrow, the extra ``arrow``, is not installed.
            DaysMissing: Some of the days were never computed.
            UsageError: A day or a tag is not valid.
            StoreUnavailable: The store cannot be reached now.
            StoreCorrupt: A row does not satisfy its model.
        """
        try:
            arrow = import_module("storage.arrow")
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"frame() needs {error.name}, which is not installed", hint="Install pattern-aggregates[arrow]."
            ) from error
        rows = self.daily(model, first, last, home=home, allow_missing=allow_missing, **tags)
        has_names = QueriedHomes(self._store, home).have_names
        table: pa.Table = arrow.table_of(model, rows, with_home=has_names)
        return table

    def involving(
        self,
        entities: str | Iterable[str],
        first: Day | DateRange,
        last: Day | None = None,
        *,
        home: HomeChoice = None,
    ) -> list[DailyAggregate]:
        """Return the rows of all aggregates that are about an entity: its own, pairs, sequences and rooms with it.

        Days that were never computed are left out; ``completeness`` lists them.

        Args:
            entities: One entity id, or several (a device's).
            first: As in ``daily``.
            last: As in ``daily``.
            home: As in ``daily``.

        Raises:
            UsageError: A day is not valid, or the store does not hold the home.
            StoreUnavailable: The store cannot be reached now.
            StoreCorrupt: A row does not satisfy its model.
        """
        days, homes = self._days(first, last), QueriedHomes(self._store, home)
        ids = {entities} if isinstance(entities, str) else set(entities)
        found: list[DailyAggregate] = []
        models: tuple[type[DailyAggregate], ...] = (*AGGREGATES, BoutTimesDaily, *ROLLUPS)
        for model in models:
            where: Where = {**homes.where, "entity_id": ids} if "entity_id" in model.tags() else homes.where
            found += (row for row in homes.reader.read(model, days, where) if not ids.isdisjoint(row.entity_ids()))
        if not found:
            homes.refuse_unknown()
        return sorted(found, key=lambda row: (row.date, row.home))

    def completeness(
        self, first: Day | DateRange, last: Day | None = None, *, home: HomeChoice = None
    ) -> list[Completeness]:
        """Return for each day, home and detector whether it was computed, and the result, in this order.

        Rollups are listed on the last day of each period only; their known share is that of the period. Detectors are
        those of this project and any other that has computed one of the days.

        Args:
            first: As in ``daily``.
            last: As in ``daily``.
            home: As in ``daily``.

        Raises:
            UsageError: A day is not valid, or the store does not hold the home.
            StoreUnavailable: The store cannot be reached now.
            StoreCorrupt: A row does not satisfy its model.
        """
        days, homes = self._days(first, last), QueriedHomes(self._store, home)
        found = homes.reader.read(DetectorRunDaily, days, homes.where)
        if not found:
            homes.refuse_unknown()
        return completeness_of(days, homes.names(), found)

    def _days(self, first: Day | DateRange, last: Day | None) -> DateRange:
        if self._today is None:
            for day in (first, last):
                if is_relative(day):
                    raise UsageError(
                        f"{day!r} needs the home's time zone, which is not known here",
                        hint="Pass time_zone to open_query, or write the day as YYYY-MM-DD.",
                    )
            return DateRange.parse(first, last)
        return DateRange.parse(first, last, today=self._today())

    @staticmethod
    def _refuse_missing(model: type[DailyAggregate], days: DateRange, homes: QueriedHomes) -> None:
        if model is DetectorRunDaily:
            return
        detector = detector_of(model)
        runs = homes.reader.read(DetectorRunDaily, days, {**homes.where, "detector": detector})
        computed = {(run.home, run.date) for run in runs}
        expected = [day for day in days if has_rows_on(detector, day)]
        missing = {name: [day for day in expected if (name, day) not in computed] for name in homes.names()}
        missing = {name: lacked for name, lacked in missing.items() if lacked}
        if missing:
            if not runs:
                homes.refuse_unknown()
            raise DaysMissing(detector, sorted({day for lacked in missing.values() for day in lacked}), [*missing])
