"""The contract of a store of aggregates: implemented in ``storage.backends``, checked by ``tests/contract``."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self, TypeVar, cast, get_args

from storage.batch import DayBatch
from storage.columns import HOME, Kind, check_names, columns
from storage.dates import PERIODS, DateRange
from storage.errors import UsageError
from storage.identity import HomeIdentity
from storage.models import DailyAggregate

A = TypeVar("A", bound=DailyAggregate)

Function = Literal["sum", "mean", "count", "min", "max"]
Fields = Mapping[str, Function | Sequence[Function]]
Where = Mapping[str, str | Collection[str]]
NO_FILTER: Where = {}
NO_FIELDS: Fields = {}


@dataclass(frozen=True, slots=True)
class Summary:
    """One group of a summary.

    Attributes:
        by: The value of each name that makes the groups (tags as text, ``date`` as a date, ``week`` and ``month`` as
            text such as ``2026-W47`` and ``2026-11``).
        values: The results: under the field's name where one function was given, under ``FIELD_FUNCTION`` where a list
            of functions was. None where no row of the group has the field. A sum, minimum or maximum of integers is an
            integer; a mean is a float; a count is the number of rows that have the field.
        rows: How many rows the group has.
    """

    by: Mapping[str, str | dt.date]
    values: Mapping[str, int | float | None]
    rows: int

    def __getitem__(self, name: str) -> str | dt.date | int | float | None:
        return self.values[name] if name in self.values else self.by[name]


class AggregateReader(Protocol):
    """Reads typed rows, of one home or of all. Safe to call from several threads."""

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """Return the rows of a model in a range of days, ordered by date, home and tags.

        Args:
            model: Which aggregate.
            days: Which days, inclusive.
            where: For any tag, or ``home``, the value it must have, or several values of which it must have one; an
                empty list matches nothing.

        Raises:
            UsageError: ``where`` names something that is not a tag of the model.
            StoreUnavailable: The store cannot be reached now.
            StoreCorrupt: A row does not satisfy its model.
        """
        ...

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """Return functions of fields for each group of rows, ordered by group.

        Args:
            model: Which aggregate.
            days: Which days, inclusive.
            fields: One function, or a list of functions, for each numeric field (``count`` for any field). The ``mean``
                of a field that the model marks with ``WeightedBy`` is weighted, as ``storage.summaries`` describes.
            by: The tags, and ``home``, ``date``, ``week`` (Monday to Sunday) or ``month``, that make the groups; none
                makes one group of all rows, if there is any row.
            where: As in ``read``.

        Raises:
            UsageError: A name is not a field or tag of the model, or the function does not suit the field.
            StoreUnavailable: The store cannot be reached now.
        """
        ...


class AggregateWriter(Protocol):
    """Writes whole days."""

    def prepare(self, *, update_retention: bool = False) -> list[str]:
        """Create what is needed to keep aggregates. Safe to repeat. Returns a sentence for each change.

        Args:
            update_retention: Also change a retention that differs from the settings; else it is only reported.
        """
        ...

    def replace_day(self, batch: DayBatch) -> None:
        """Make the home's day hold exactly this batch for the detectors it names. Idempotent.

        The run records are written after the rows they describe, and a reader never sees an empty day in between.
        Rows of other detectors, days and homes stay as they are.

        Writers that replace the same day at once, from any process or machine, wait for each other where the store has
        transactions (SQL, memory): afterwards the day holds the batch of one of them. InfluxDB has neither transactions
        nor locks: there the day may hold rows of both until the next ``replace_day`` of that day, which ends in exactly
        its batch. Runs that share a ledger never replace a day at once, whatever the store.

        Raises:
            UsageError: The batch is of another home than the store was opened for.
            StoreUnavailable: Nothing or only a part was written; repeating the call completes it.
        """
        ...

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> int:
        """Delete old rows of the home; idempotent. Returns how many rows it deleted, if the store counts them.

        Args:
            before: Rows of days before this one are deleted, except those of rollups.
            rollups_before: The same for rows of rollups, and for the records of their runs.
        """
        ...

    def expire_all(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> list[str]:
        """Delete old rows of every home, whichever the store was opened for; idempotent.

        For stores of many homes: cheaper than ``expire`` of each. Meanwhile no writer may replace a day that is past.

        Args:
            before: As in ``expire``.
            rollups_before: As in ``expire``.

        Returns:
            A sentence for each change; none where the store deletes old rows by itself.
        """
        ...


class AggregateStore(AggregateReader, AggregateWriter, Protocol):
    """A place where aggregates are kept, opened for one home or for reading all of them."""

    @property
    def home(self) -> str | None:
        """The name of the home whose rows it reads and writes, empty for a home without one; None reads all homes."""
        ...

    def for_home(self, home: str | None) -> Self:
        """Return the same store for another home; it shares connections and needs no closing.

        Args:
            home: As in ``home``.
        """
        ...

    def homes(self) -> list[str]:
        """Return the names of all homes that have rows or are known here, sorted; one without a name is empty.

        Raises:
            StoreUnavailable: The store cannot be reached now.
        """
        ...

    def count_by_day(self, model: type[DailyAggregate], days: DateRange) -> dict[dt.date, int]:
        """Return how many rows each day has, cheaply: one small query, whatever the number of rows.

        Days without rows are left out. Never less than ``read`` returns; InfluxDB also counts points of other writers
        that ``read`` joins or leaves out.

        Raises:
            StoreUnavailable: The store cannot be reached now.
        """
        ...

    def read_home(self) -> HomeIdentity | None:
        """Return what is known of the home that the rows belong to; None if that was never stored. It is not a row.

        Raises:
            UsageError: The store was opened for all homes.
            StoreUnavailable: The store cannot be reached now.
        """
        ...

    def write_home(self, home: HomeIdentity, *, replace: bool = False) -> HomeIdentity:
        """Store which home the rows belong to, unless that is stored already.

        Args:
            home: The home.
            replace: Store it also in place of another home.

        Returns:
            The home that is stored afterwards. Where two programs do this at once, both get the same one; InfluxDB,
            which has no transactions, may give each its own, and both get the same one from ``read_home``.

        Raises:
            UsageError: The store was opened for all homes.
            StoreUnavailable: The store cannot be reached now.
        """
        ...

    def count_rows(self) -> int:
        """Return how many rows there are of the home in all tables, also of models that are not known here.

        What is known of the home itself counts as a row too.

        Raises:
            UsageError: The store was opened for all homes.
            StoreUnavailable: The store cannot be reached now.
        """
        ...

    def forget(self) -> None:
        """Delete everything of the home: its rows, and what is known of it. Safe to repeat.

        Raises:
            UsageError: The home has no name, or the store was opened for all homes.
            StoreUnavailable: Nothing or only a part was deleted; repeating the call completes it.
        """
        ...

    def check(self) -> list[str]:
        """Return a sentence for each thing that prevents reading or writing. Changes nothing.

        Also a store that was opened read-only is checked for what a writer needs.
        """
        ...

    def close(self) -> None:
        """Close all connections. Safe to repeat."""
        ...


def single_home(home: str | None) -> str:
    """Return the home that a store was opened for.

    Raises:
        UsageError: It was opened for all homes.
    """
    if home is None:
        raise UsageError("a store that was opened for all homes can only be read", hint="Open it for one home.")
    return home


def named_home(home: str | None) -> str:
    """Return the home that a store was opened for, if it has a name.

    Raises:
        UsageError: It has none, or the store was opened for all homes.
    """
    name = single_home(home)
    if not name:
        raise UsageError("a home without a name cannot be forgotten", hint="Delete its store and its ledger instead.")
    return name


def check_batch(home: str | None, batch: DayBatch) -> str:
    """Return the home that a store was opened for, if a batch is of that home.

    Raises:
        UsageError: It is of another home, or the store was opened for all homes.
    """
    name = single_home(home)
    if batch.findings and batch.home != name:
        raise UsageError(
            f"the rows of {batch.day} are of home {batch.home!r}, the store was opened for {name!r}",
            hint="Give the settings that computed these rows the same home.name as before.",
        )
    return name


def check_query(
    model: type[DailyAggregate],
    fields: Fields = NO_FIELDS,
    by: Sequence[str] = (),
    where: Where = NO_FILTER,
) -> None:
    """Refuse a query that no store could answer, with the same message for every store.

    Raises:
        UsageError: A name is not a field or tag of the model, or a function is unknown or does not suit its field.
    """
    kinds = {column.name: column.kind for column in columns(model)}
    values = [name for name in kinds if name not in ("date", HOME) and name not in model.tags()]
    if isinstance(by, str):
        raise UsageError(f"by={by!r} is a text, not a list", hint=f"Name tags in a list: by=[{by!r}].")
    check_names(model, where, (*model.tags(), HOME), "tag")
    for tag, condition in where.items():
        if not _is_condition(condition):
            raise UsageError(
                f"{tag}={condition!r} is not a valid filter", hint="Give one text, or several texts in a list."
            )
    check_names(model, by, ("date", *PERIODS, *model.tags(), HOME), "tag")
    check_names(model, fields, values, "field")
    results = list(by)
    for field, functions in fields.items():
        for name, function in functions_of(field, functions):
            if function not in get_args(Function):
                raise UsageError(
                    f"{field}: {function!r} is not a valid function",
                    hint=f"Use one of {', '.join(get_args(Function))}.",
                )
            if function != "count" and kinds[field] not in (Kind.INTEGER, Kind.FLOAT):
                raise UsageError(
                    f"{field} is not a number: it can only be counted", hint=f'Use {{"{field}": "count"}}.'
                )
            results.append(name)
    twice = sorted(name for name, count in Counter(results).items() if count > 1)
    if twice:
        raise UsageError(f"{twice[0]} would be in the summary twice", hint="Name each tag and each function once.")


def functions_of(field: str, functions: object) -> list[tuple[str, Function]]:
    """Return the functions of one field, each with the name of its result in ``Summary.values``.

    Raises:
        UsageError: It is neither one function nor a list of at least one.
    """
    if isinstance(functions, str):
        return [(field, cast("Function", functions))]
    if not isinstance(functions, Sequence) or not functions:
        raise UsageError(
            f"{field}: {functions!r} is not a valid function", hint='Give one, such as "sum", or several in a list.'
        )
    return [(f"{field}_{function}", function) for function in cast("Sequence[Function]", functions)]


def _is_condition(condition: object) -> bool:
    return isinstance(condition, Collection) and all(isinstance(value, str) for value in condition)


def as_values(condition: str | Collection[str]) -> list[str]:
    """Return the values that a ``where`` entry matches, each once, in order."""
    return [condition] if isinstance(condition, str) else sorted(set(condition))
