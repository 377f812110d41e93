"""What every daily aggregate is: the base class, the types of its fields, and the marks that stores read.

A model of rows is a subclass with a ``measurement`` and at least one field annotated as ``Tag``. A mean that is stored
with its number of observations is annotated as ``WeightedBy`` that field, and a field that was renamed as
``FormerlyNamed``. Every row also names the home it is of; that name is empty where a store holds one home only.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import not_
from types import NoneType
from typing import Annotated, Any, ClassVar, Final, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import to_json

TAG_LENGTH: Final = 255
JSON_BYTES: Final = 1024
LARGEST_INTEGER: Final = 2**63 - 1
HOURS: Final = 24

_MEASUREMENT = re.compile(r"[a-z][a-z0-9_]{0,99}")
_LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029\x00]")
_RESERVED = frozenset({"allow_missing", "by", "fields", "first", "last", "model", "self", "where"})


class TagMark:
    """Marks a field as part of a row's identity."""


@dataclass(frozen=True, slots=True)
class WeightedBy:
    """Marks a stored mean whose number of observations is another field of the same row.

    A mean over several rows is then weighted: sum(value x weight) / sum(weight), which is the mean of all observations.
    Rows in which the value or the weight is absent are left out.

    Attributes:
        field: The field with the number of observations.
    """

    field: str


@dataclass(frozen=True, slots=True)
class FormerlyNamed:
    """Marks a field that an earlier version stored under another name, perhaps with other values.

    Attributes:
        name: The former name.
        values: The present value for each former value that has changed; every other value is the same.
    """

    name: str
    values: Mapping[str, str]


@lru_cache(maxsize=4096)  # every day has the same few hundred entities
def tag_fault(text: str) -> str | None:
    """Return why a text is not a valid tag value, to follow "which ..."; None if it is valid."""
    if not text:
        return "is empty"
    if len(text) > TAG_LENGTH:
        return f"has {len(text)} characters, at most {TAG_LENGTH} are allowed"
    if _LINE_BREAK.search(text):
        return "contains a line break or a NUL"
    if text.endswith("\\"):
        return "ends with a backslash"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "contains half of a character (a lone surrogate)"
    return None


def home_name_fault(name: str) -> str:
    """Return that a text is not a valid name of a home, and why; empty if it is valid, as the empty name is."""
    fault = tag_fault(name) if name else None
    return f"{name[:80]!r} is not a valid name of a home: it {fault}" if fault else ""


def _valid_tag(text: str) -> str:
    fault = tag_fault(text)
    if fault:
        raise ValueError(f"not a valid tag value: it {fault}")
    return text


def _valid_home(name: str) -> str:
    return _valid_tag(name) if name else name


def _small_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value passes through unchanged
    size = len(to_json(value))
    if size > JSON_BYTES:
        raise ValueError(f"takes {size} bytes as JSON, at most {JSON_BYTES} are allowed")
    return value


def utc(at: dt.datetime) -> dt.datetime:
    """Return an instant in UTC; refuse one without an offset."""
    if at.tzinfo is None:
        raise ValueError("not a valid instant: it has no offset from UTC")
    return at.astimezone(dt.UTC)


def _is_number(annotation: Any) -> bool:  # noqa: ANN401 - a type form
    arms = get_args(annotation) or (annotation,)
    return {getattr(arm, "__origin__", arm) for arm in arms} - {NoneType} <= {int, float}


Tag = Annotated[str, AfterValidator(_valid_tag), TagMark()]
HomeName = Annotated[str, AfterValidator(_valid_home), Field(exclude_if=not_)]  # nothing is shown of an empty one
Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Hour = Annotated[int, Field(ge=0, le=HOURS - 1)]
Hours = Annotated[list[Hour], Field(max_length=HOURS)]
SmallJson = AfterValidator(_small_json)


class DailyAggregate(BaseModel):
    """One row of one local calendar day.

    Attributes:
        measurement: The name of the table or measurement that holds rows of this class, in every store.
        date: The local calendar day that the row describes. Stores have no time zone.
        home: The name of the home that the row is of; empty for a home without a name. It identifies a row like its
            date, and is left out of dumps while it is empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    measurement: ClassVar[str]
    date: dt.date
    home: HomeName = ""

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:  # noqa: ANN401 - what pydantic accepts
        """Accept ``abstract``, of which pydantic keeps nothing; see ``__pydantic_init_subclass__``."""
        super().__init_subclass__(**kwargs)

    @classmethod
    def __pydantic_init_subclass__(cls, *, abstract: bool = False, **_kwargs: object) -> None:
        """Refuse a model that no store could hold, when it is defined; ``abstract`` ones only share their fields."""
        if abstract:
            return
        name = cls.__dict__.get("measurement")
        if not isinstance(name, str) or not _MEASUREMENT.fullmatch(name):
            raise TypeError(f"{cls.__qualname__}.measurement must be lower-case letters, digits and underscores")
        if taken := _RESERVED & set(cls.model_fields):
            raise TypeError(f"{cls.__qualname__}.{min(taken)}: the name is a parameter of the queries in storage.query")
        if cls.model_fields["home"].metadata != DailyAggregate.model_fields["home"].metadata:
            raise TypeError(f"{cls.__qualname__}.home: every row has the name of its home; choose another name")
        if not cls.tags():
            raise TypeError(f"{cls.__qualname__} has no field annotated as Tag, so nothing identifies its rows")
        if len(cls.model_fields) == len(cls.tags()) + len(DailyAggregate.model_fields):
            raise TypeError(
                f"{cls.__qualname__} has no field besides date, home and tags, so there is nothing to store"
            )
        for name, weight in cls.weights().items():
            if weight == name or weight not in cls.model_fields or not _is_number(cls.model_fields[weight].annotation):
                raise TypeError(
                    f"{cls.__qualname__}.{name} is weighted by {weight!r}, which is not a number of the same row"
                )

    @classmethod
    @cache  # called for every row
    def tags(cls) -> tuple[str, ...]:
        """Return the names of the fields that identify a row beside its date and home, in the order of declaration."""
        return tuple(
            name
            for name, field in cls.model_fields.items()
            if any(isinstance(mark, TagMark) for mark in field.metadata)
        )

    @classmethod
    @cache
    def weights(cls) -> Mapping[str, str]:
        """Return, for each field marked with ``WeightedBy``, the field that holds its weight."""
        return {
            name: mark.field
            for name, field in cls.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, WeightedBy)
        }

    @classmethod
    @cache
    def former_names(cls) -> Mapping[str, FormerlyNamed]:
        """Return, for each field marked with ``FormerlyNamed``, the name and values it had in an earlier version."""
        return {
            name: mark
            for name, field in cls.model_fields.items()
            for mark in field.metadata
            if isinstance(mark, FormerlyNamed)
        }

    def key(self) -> tuple[str, ...]:
        """Return the values of ``tags()``; no two rows of one date, home and measurement have the same."""
        return tuple(getattr(self, tag) for tag in type(self).tags())

    def entity_ids(self) -> frozenset[str]:
        """Return the ids of the entities that the row is about: its ``entity_id``, if the model has one."""
        entity_id = getattr(self, "entity_id", None)
        return frozenset() if entity_id is None else frozenset({entity_id})
