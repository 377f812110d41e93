"""What a store of aggregates promises. ``storage.backends`` keeps these promises, ``tests/contract`` checks them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar, get_args

from storage.batch import DayBatch
from storage.columns import Kind, check_names, columns
from storage.dates import DateRange
from storage.errors import UsageError
from storage.models import DailyAggregate

A = TypeVar("A", bound=DailyAggregate)

Function = Literal["sum", "mean", "count", "min", "max"]
Where = Mapping[str, str | Collection[str]]
NO_FILTER: Where = {}


@dataclass(frozen=True, slots=True)
class Summary:
    """One group of a summary.

    Attributes:
        by: The group: a value for each name asked for (tags as text, ``date`` as a date).
        values: The computed value of each field; None where the group holds none. A sum, minimum or maximum of
            integers is an integer; a mean is a float; a count is how many rows have the field.
        rows: How many rows the group has.
    """

    by: Mapping[str, str | dt.date]
    values: Mapping[str, int | float | None]
    rows: int

    def __getitem__(self, name: str) -> str | dt.date | int | float | None:
        return self.values[name] if name in self.values else self.by[name]


class AggregateReader(Protocol):
    """Reads typed rows. Safe to call from several threads."""

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """The rows of a model in a range of days, ordered by date and then by tags.

        Args:
            model: Which aggregate.
            days: Which days, inclusive.
            where: For any tag, the value it must have, or several of which it must have one; none matches nothing.

        Raises:
            UsageError: ``where`` names something that is no tag of the model.
            StoreUnavailable: The store cannot be reached now.
            StoreCorrupt: A row does not satisfy its model.
        """
        ...

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Mapping[str, Function],
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """A function over each field, by groups, computed where the rows lie; ordered by group.

        Args:
            model: Which aggregate.
            days: Which days, inclusive.
            fields: A function for each numeric field (``count`` for any field).
            by: The tags, and ``date``, that make the groups; none makes one group of everything, if there is anything.
            where: As in ``read``.

        Raises:
            UsageError: A name is not a field or tag of the model, or the function does not suit the field.
            StoreUnavailable: The store cannot be reached now.
        """
        ...


class AggregateWriter(Protocol):
    """Writes whole days."""

    def prepare(self, *, update_retention: bool = False) -> list[str]:
        """Create what is needed to keep aggregates. Safe to repeat. Returns what was changed, in words.

        Args:
            update_retention: Also change what is there but differs from the settings, a retention say; else that is only told.
        """
        ...

    def replace_day(self, batch: DayBatch) -> None:
        """Make the day hold exactly this batch for the detectors it names. Idempotent.

        Rows are there before the run records that stand for them, and a reader never sees an empty day in between.
        Other detectors' rows and other days stay as they are.

        Raises:
            StoreUnavailable: Nothing, or only a part, was written; the same call later mends it.
        """
        ...

    def expire(self, before: dt.date) -> int:
        """Forget days before ``before``. Returns how many rows went, where the store can tell; idempotent."""
        ...


class AggregateStore(AggregateReader, AggregateWriter, Protocol):
    """A place where aggregates are kept."""

    def check(self) -> list[str]:
        """What stands in the way of reading and writing, in words; empty if nothing does. Changes nothing."""
        ...

    def close(self) -> None:
        """Give back connections. Safe to repeat."""
        ...


def check_query(
    model: type[DailyAggregate],
    fields: Mapping[str, Function] = {},
    by: Sequence[str] = (),
    where: Where = NO_FILTER,
) -> None:
    """Refuse a question that no store could answer, in the same words for every store.

    Raises:
        UsageError: A name is not a field or tag of the model, or a function is unknown or does not suit its field.
    """
    kinds = {column.name: column.kind for column in columns(model)}
    values = [name for name in kinds if name != "date" and name not in model.tags()]
    if isinstance(by, str):
        raise UsageError(f"by={by!r} is one text", hint=f"Name tags in a list: by=[{by!r}].")
    check_names(model, where, model.tags(), "tag")
    for tag, admitted in where.items():
        if not _is_condition(admitted):
            raise UsageError(f"{tag}={admitted!r} admits nothing", hint="Give one text, or several in a list.")
    check_names(model, by, ("date", *model.tags()), "tag")
    check_names(model, fields, values, "field")
    for field, function in fields.items():
        if function not in get_args(Function):
            raise UsageError(f"{function!r} is no function", hint=f"There are {', '.join(get_args(Function))}.")
        if function != "count" and kinds[field] not in (Kind.INTEGER, Kind.FLOAT):
            raise UsageError(f"{field} is no number: it can be counted, not be given to {function}")


def _is_condition(admitted: object) -> bool:
    return isinstance(admitted, Collection) and all(isinstance(value, str) for value in admitted)


def as_values(value: str | Collection[str]) -> list[str]:
    """The values that a ``where`` entry admits, each once, in order."""
    return [value] if isinstance(value, str) else sorted(set(value))
