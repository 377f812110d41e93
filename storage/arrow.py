"""Rows as an Arrow table, which polars, pandas and duckdb read. Needs pyarrow, the extra ``arrow``."""

from __future__ import annotations

import datetime as dt
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from storage.columns import HOME, Kind, bare_type, columns, encode
from storage.models import DailyAggregate

_KINDS: Final[Mapping[Kind, pa.DataType]] = {
    Kind.DATE: pa.date32(),
    Kind.TAG: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.JSON: pa.string(),
}
_ITEMS: Final[Mapping[Any, pa.DataType]] = {int: pa.int64(), float: pa.float64(), str: pa.string()}
_INSTANT: Final = pa.timestamp("us", tz="UTC")


def schema_of(model: type[DailyAggregate], *, with_home: bool = False) -> pa.Schema:
    """Return the Arrow schema of a model: its fields in order, with its measurement as metadata.

    Args:
        model: The model.
        with_home: Whether there is a column for the name of the home.
    """
    fields = []
    for column in columns(model):
        if column.name == HOME and not with_home:
            continue
        annotation, _ = bare_type(model.model_fields[column.name].annotation)
        kind = _nested(annotation) if column.kind is Kind.JSON else None
        is_instant = isinstance(annotation, type) and issubclass(annotation, dt.datetime)
        fields.append(pa.field(column.name, _INSTANT if is_instant else kind or _KINDS[column.kind], column.optional))
    return pa.schema(fields, metadata={"measurement": model.measurement})


def table_of(model: type[DailyAggregate], rows: Sequence[DailyAggregate], *, with_home: bool = False) -> pa.Table:
    """Return rows of one model as an Arrow table with the schema of ``schema_of``, even if there are no rows."""
    schema = schema_of(model, with_home=with_home)
    as_text = {
        column.name
        for column in columns(model)
        if column.kind in (Kind.TEXT, Kind.JSON) and schema.field(column.name).type == pa.string()
    }
    texts = [encode(row) for row in rows] if as_text else []
    return pa.table(
        [
            pa.array(
                [row[name] for row in texts] if name in as_text else [_value(getattr(row, name)) for row in rows],
                schema.field(name).type,
            )
            for name in schema.names
        ],
        schema=schema,
    )


def _nested(annotation: Any) -> pa.DataType | None:  # noqa: ANN401 - a type form
    """Return the type of a list or dict whose items are all of one type; None where these can only be JSON text."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    items = [_ITEMS.get(bare_type(argument)[0]) for argument in arguments]
    if origin is list and len(items) == 1 and items[0] is not None:
        return pa.list_(items[0])
    if origin is dict and len(items) == 2 and items[0] == pa.string() and items[1] is not None:  # noqa: PLR2004 - key, value
        return pa.map_(*items)
    return None


def _value(value: Any) -> Any:  # noqa: ANN401 - a field's value
    return list(value.items()) if isinstance(value, dict) else value
