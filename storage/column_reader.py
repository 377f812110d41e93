"""Some fields of many rows, each as a list: checked like rows, and several times as fast, as no row is made.

Other programs use ``AggregateQuery.columns``. A reader that has a fast way is a ``ColumnReader``; of any other one
``read_columns`` takes the fields from the rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import ConfigDict, TypeAdapter

from storage.columns import HOME, Kind, check_names, columns, from_json
from storage.daily_aggregate import SmallJson
from storage.dates import DateRange
from storage.models import DailyAggregate
from storage.store import NO_FILTER, AggregateReader, Where

Columns = Mapping[str, list[Any]]
"""The values of some fields, in the order of the rows."""


@runtime_checkable
class ColumnReader(Protocol):
    """A reader that can leave out the fields that nobody needs."""

    def read_columns(
        self, model: type[DailyAggregate], names: Sequence[str], days: DateRange, where: Where = NO_FILTER
    ) -> Columns:
        """Return some fields of the rows that ``AggregateReader.read`` returns, in the same order.

        Args:
            model: Which aggregate.
            names: Which of its fields.
            days: As for ``read``.
            where: As for ``read``.

        Raises:
            UsageError: ``where`` names something that is not a tag of the model.
            StoreUnavailable: The store cannot be reached now.
            StoreCorrupt: A row does not satisfy its model.
        """
        ...


def read_columns(
    reader: AggregateReader,
    model: type[DailyAggregate],
    names: Sequence[str],
    days: DateRange,
    where: Where = NO_FILTER,
) -> Columns:
    """Return some fields of rows, of any reader; see ``ColumnReader.read_columns``.

    Raises:
        UsageError: A name is not a field of the model.
    """
    check_names(model, names, model.model_fields, "field")
    if isinstance(reader, ColumnReader):
        return reader.read_columns(model, names, days, where)
    return columns_of(reader.read(model, days, where), names)


def columns_of(rows: Iterable[DailyAggregate], names: Sequence[str]) -> Columns:
    """Return some fields of rows."""
    rows = list(rows)
    return {name: [getattr(row, name) for row in rows] for name in names}


def decode_columns(
    model: type[DailyAggregate],
    names: Sequence[str],
    records: Sequence[Sequence[Any]],
    rows: Callable[[], Iterable[DailyAggregate]],
) -> Columns:
    """Return the fields of records as ``storage.columns.encode`` makes them, checked by the model's own types.

    Args:
        model: The model of the rows.
        names: Which fields a record has, in this order.
        records: The values.
        rows: Reads the same rows whole, for the error that names the row at fault.

    Raises:
        StoreCorrupt: A value does not satisfy the model.
    """
    values = zip(*records, strict=True) if records else ([] for _ in names)
    try:
        return {name: _decoded(model, name, list(found)) for name, found in zip(names, values, strict=True)}
    except ValueError:
        return columns_of(rows(), names)


def _decoded(model: type[DailyAggregate], name: str, values: list[Any]) -> list[Any]:
    kind = _kinds(model)[name]
    if kind is Kind.JSON:
        values = [from_json(text) if isinstance(text, str) else text for text in values]
    elif kind in (Kind.DATE, Kind.TAG, Kind.TEXT):  # which repeat
        known = list(dict.fromkeys(values))
        return list(map(dict(zip(known, _checked(model, name, known), strict=True)).__getitem__, values))
    return _checked(model, name, values)


def _checked(model: type[DailyAggregate], name: str, values: list[Any]) -> list[Any]:
    return _adapter(model, name).validate_python(values)


@cache
def _kinds(model: type[DailyAggregate]) -> Mapping[str, Kind]:
    return {column.name: column.kind for column in columns(model)}


@cache
def _adapter(model: type[DailyAggregate], name: str) -> TypeAdapter[list[Any]]:
    field = model.model_fields[name]
    marks = [mark for mark in field.metadata if mark is not SmallJson]  # how small is checked when it is written
    item: Any = Annotated[field.annotation, *marks] if marks else field.annotation
    return TypeAdapter(list[item], config=ConfigDict(allow_inf_nan=False))


def ordered_by_day(columns_by_name: Columns) -> Columns:
    """Return columns with their rows by date and home; rows of one day of a home keep their order."""
    days: list[tuple[dt.date, str]] = list(zip(columns_by_name["date"], columns_by_name[HOME], strict=True))
    order = sorted(range(len(days)), key=days.__getitem__)
    return {name: [values[place] for place in order] for name, values in columns_by_name.items()}
