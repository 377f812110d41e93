"""The encoding that every store uses: columns of a ``DailyAggregate``, rows to scalars, and records to typed rows.

``columns(model)`` describes what to create, ``encode(row)`` what to write, and ``decode(model, records)`` returns typed
rows. Nothing is specific to a measurement, so a model from another package needs no change in a store.
"""

from __future__ import annotations

import datetime as dt
import json
import types
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import Enum, StrEnum
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from storage.errors import StoreCorrupt, UsageError
from storage.models import DailyAggregate

A = TypeVar("A", bound=DailyAggregate)
Scalar = str | int | float | None
HOME: Final = "home"  # the field that every row has beside its date
_ROWS_AT_ONCE: Final = 2_000  # decoded at once: records of all rows would take more memory than the rows


class Kind(StrEnum):
    """The kind of value in a column. A store maps these, and only these, to its own types."""

    DATE = "date"
    TAG = "tag"
    INTEGER = "integer"
    FLOAT = "float"
    TEXT = "text"
    JSON = "json"


class Column(NamedTuple):
    """One field of a model as a store sees it."""

    name: str
    kind: Kind
    optional: bool


@cache
def columns(model: type[DailyAggregate]) -> tuple[Column, ...]:
    """Return the columns of a model in the order of its fields; ``date`` is first, ``home`` second."""
    tags = {HOME, *model.tags()}
    return tuple(
        Column(name, Kind.TAG, False) if name in tags else Column(name, *_kind(model, name, field.annotation))
        for name, field in model.model_fields.items()
    )


def bare_type(annotation: Any) -> tuple[Any, bool]:  # noqa: ANN401 - type forms
    """Return a field's type without ``Annotated`` and without None, and whether None is allowed."""
    optional = False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        arms = typing.get_args(annotation)
        rest = [arm for arm in arms if arm is not types.NoneType]
        optional = len(rest) < len(arms)
        annotation = rest[0] if len(rest) == 1 else annotation
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation, optional


def _kind(model: type[DailyAggregate], name: str, annotation: Any) -> tuple[Kind, bool]:  # noqa: ANN401 - a type form
    annotation, optional = bare_type(annotation)
    plain = typing.get_origin(annotation) or annotation
    if plain in (list, dict, tuple):
        return Kind.JSON, optional
    types_within = {type(value) for value in _choices(plain, annotation)}
    if len(types_within) == 1:
        (plain,) = types_within
    for candidate, kind in (
        ((dt.datetime, str), Kind.TEXT),
        ((dt.date,), Kind.DATE),
        ((bool,), None),
        ((int,), Kind.INTEGER),
        ((float,), Kind.FLOAT),
    ):
        if kind and isinstance(plain, type) and issubclass(plain, candidate) and plain is not bool:
            return kind, optional
    raise TypeError(f"{model.__qualname__}.{name}: no store can keep a {plain}; use int, float, str, list or dict")


def _choices(plain: Any, annotation: Any) -> Iterable[Any]:  # noqa: ANN401 - type forms
    """Return the values that a Literal or an enumeration allows, as they are stored; none for any other type."""
    if plain is typing.Literal:
        return typing.get_args(annotation)
    if isinstance(plain, type) and issubclass(plain, Enum):
        return [member.value for member in plain]
    return ()


def to_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a JSON field as it is stored: compact, without escapes for Unicode, keys in the given order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


from_json = pydantic_core.from_json  # four times as fast as json.loads, which is noticeable when 90 days are read


def encode(row: DailyAggregate) -> dict[str, Scalar]:
    """Return a row as plain scalars by column name, of the types that the model declares; absent values are None.

    An empty ``home`` is left out.
    """
    values = row.model_dump(mode="json")
    for name in _json_fields(type(row)):
        if values[name] is not None:
            values[name] = to_json(values[name])
    return values


@cache
def _json_fields(model: type[DailyAggregate]) -> tuple[str, ...]:
    return tuple(column.name for column in columns(model) if column.kind is Kind.JSON)


def with_present_names(model: type[DailyAggregate], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a record in which former names and values (``FormerlyNamed``) are replaced by the present ones.

    Where a record has a value under both names, the present name's counts.
    """
    fields = dict(record)
    for name, former in model.former_names().items():
        if former.name in fields:
            value = fields.pop(former.name)
            if fields.get(name) is None:
                fields[name] = former.values.get(value, value)
    return fields


@cache
def _decoder(model: type[A]) -> TypeAdapter[list[A]]:
    item: Any = model  # a type that is only known at run time
    return TypeAdapter(list[item])


def decode(model: type[A], records: Iterable[dict[str, Any]]) -> list[A]:
    """Return typed rows of records as ``encode`` makes them, today or in an earlier version of this program.

    Args:
        model: The model of the rows.
        records: The records; not to be used afterwards, as JSON texts in them are replaced by their values.

    Raises:
        StoreCorrupt: A record does not satisfy its model; the message names measurement, date and tags.
    """
    rows: list[A] = []
    records = iter(records)
    shared: dict[Any, Any] = {}
    while part := list(islice(records, _ROWS_AT_ONCE)):
        rows += _decode_part(model, part, shared)
    return rows


def _decode_part(model: type[A], records: list[dict[str, Any]], shared: dict[Any, Any]) -> list[A]:
    """Return the rows of some records; see ``decode``.

    Args:
        model: The model of the rows.
        records: The records.
        shared: Values that rows have in common, each kept once: this takes half of a row's memory.
    """
    structured, has_former_names, raw = _json_fields(model), bool(model.former_names()), []
    tags = (HOME, *model.tags())
    for record in records:
        fields = with_present_names(model, record) if has_former_names else record
        for name in structured:
            if isinstance(text := fields.get(name), str):
                try:
                    fields[name] = from_json(text)
                except ValueError as error:
                    raise StoreCorrupt(f"{_where(model, fields)}: {name} is not valid JSON: {text[:80]!r}") from error
        for name in tags:
            if isinstance(text := fields.get(name), str):
                fields[name] = shared.setdefault(text, text)
        raw.append(fields)
    try:
        rows = _decoder(model).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        index, *path = first["loc"]
        where = _where(model, raw[int(index)])
        raise StoreCorrupt(
            f"{where}: {'.'.join(map(str, path))}: {first['msg']}",
            hint="Recompute that day with: pattern-aggregates backfill DAY DAY --redo all",
        ) from error
    for row in rows:
        named = row.model_fields_set
        object.__setattr__(row, "__pydantic_fields_set__", shared.setdefault(frozenset(named), named))
    return rows


def _where(model: type[DailyAggregate], fields: Mapping[str, Any]) -> str:
    names = ("date", HOME, *model.tags()) if fields.get(HOME) else ("date", *model.tags())
    named = ", ".join(f"{name}={fields.get(name)!r}" for name in names)
    return f"{model.measurement} ({named})"


def closest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" with the nearest known word; empty if none is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def check_names(model: type[DailyAggregate], names: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse a name that a model does not have.

    Raises:
        UsageError: A name is not known; the hint is the nearest known one.
    """
    known = tuple(known)
    for name in names:
        if name not in known:
            raise UsageError(
                f"{model.measurement} has no {what} {name!r}",
                hint=closest(name, known) or f"It has {', '.join(known)}.",
            )
