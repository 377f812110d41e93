"""What a summary calculates, the types of its results, and their order: the same for every store.

A ``SummaryPlan`` says which columns to read and what to calculate. A store whose server calculates gives the results to
``finish``; a store that reads rows, all at once or as they arrive, gives these to ``accumulate``.

A ``mean`` of a field that is marked with ``WeightedBy`` is sum(value x weight) / sum(weight) over the rows that have
both; it is None where no row has both, or where the weights add up to 0. The unweighted mean is the field's ``sum`` by
its ``count``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from storage.columns import Kind, columns
from storage.dates import PERIODS
from storage.models import DailyAggregate
from storage.store import Fields, Function, Summary, functions_of

Number = int | float
Group = tuple[Sequence[str | dt.date], Sequence[Number | None], int]  # values of ``by``, results, number of rows
Periods = dict[int, Callable[[dt.date], str]]  # how to name the week or month of a date, by its place in ``by``


class Calculation(NamedTuple):
    """One function of one field.

    Attributes:
        name: The key of the result in ``Summary.values``.
        field: The field of the model.
        function: What is calculated.
        weight: The field that weights a mean; None for an unweighted mean and for every other function.
        is_integer: Whether the result is an integer.
    """

    name: str
    field: str
    function: Function
    weight: str | None
    is_integer: bool

    def typed(self, result: Any) -> Number | None:  # noqa: ANN401 - whatever number a driver returns
        """Return a result as the type that ``Summary`` promises; a count of nothing is 0, else None stays None."""
        if result is None:
            return 0 if self.function == "count" else None
        return int(result) if self.is_integer else float(result)


class SummaryPlan:
    """The calculations of one call of ``AggregateReader.summarize``.

    Args:
        model: Which aggregate.
        fields: As in ``AggregateReader.summarize``; already checked by ``check_query``.
        by: Likewise.

    Attributes:
        by: The names that make the groups.
        calculations: What to calculate for each group.
        periods: Where ``by`` has a week or a month, and how its name follows from a date.
        columns: The columns that ``accumulate`` expects of each record, in this order: first ``by``, with the date in
            place of a week or a month, then each field that a calculation needs.
    """

    def __init__(self, model: type[DailyAggregate], fields: Fields, by: Sequence[str] = ()) -> None:
        kinds = {column.name: column.kind for column in columns(model)}
        weights = model.weights()
        self.by = tuple(by)
        self.periods: Periods = {
            place: PERIODS[name] for place, name in enumerate(self.by) if name in PERIODS and name not in kinds
        }
        self.calculations = tuple(
            Calculation(
                name,
                field,
                function,
                weight=weights.get(field) if function == "mean" else None,
                is_integer=function == "count" or (function != "mean" and kinds[field] is Kind.INTEGER),
            )
            for field, functions in fields.items()
            for name, function in functions_of(field, functions)
        )
        needed = [name for one in self.calculations for name in (one.field, one.weight) if name is not None]
        groups = ("date" if place in self.periods else name for place, name in enumerate(self.by))
        self.columns = (*groups, *dict.fromkeys(needed))

    def finish(self, groups: Iterable[Group]) -> list[Summary]:
        """Return typed summaries, ordered by group, of what was calculated for each; groups without rows are left out.

        Args:
            groups: For each group the values of ``by`` (a date also as text), a result for each of ``calculations``
                and how many rows it has.
        """
        typed = [
            (tuple(map(_group_value, self.by, group)), [*map(Calculation.typed, self.calculations, results)], rows)
            for group, results, rows in groups
            if rows
        ]
        return [
            Summary(
                by=dict(zip(self.by, group, strict=True)),
                values={one.name: result for one, result in zip(self.calculations, results, strict=True)},
                rows=rows,
            )
            for group, results, rows in sorted(typed, key=lambda one: one[0])
        ]

    def with_periods(self, values: Sequence[str | dt.date]) -> tuple[str | dt.date, ...]:
        """Return the values of ``by`` with the name of the week or month in place of a date in it."""
        return tuple(
            _period(self.periods[place], value) if place in self.periods else value
            for place, value in enumerate(values)
        )

    def accumulate(self, records: Iterable[Sequence[Any]]) -> list[Summary]:
        """Return the summaries of some rows, which may arrive in any order; only the groups are kept in memory.

        Args:
            records: For each row its values of ``columns``; absent ones are None.
        """
        depth, position = len(self.by), {name: place for place, name in enumerate(self.columns)}
        places = [
            (position[one.field], None if one.weight is None else position[one.weight]) for one in self.calculations
        ]
        groups: dict[tuple[Any, ...], _Group] = {}
        for record in records:
            key = tuple(record[:depth])
            if self.periods:
                key = self.with_periods(key)
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group([_accumulator(one) for one in self.calculations])
            group.rows += 1
            for accumulator, (value_at, weight_at) in zip(group.accumulators, places, strict=True):
                if (value := record[value_at]) is not None:
                    accumulator.add(value, 1 if weight_at is None else record[weight_at])
        return self.finish(
            (key, [accumulator.result() for accumulator in group.accumulators], group.rows)
            for key, group in groups.items()
        )


def _group_value(name: str, value: str | dt.date) -> str | dt.date:
    return dt.date.fromisoformat(value) if name == "date" and isinstance(value, str) else value


@lru_cache(maxsize=4096)  # each of the many rows of a day has the same
def _period(name: Callable[[dt.date], str], date: str | dt.date) -> str:
    return name(dt.date.fromisoformat(date) if isinstance(date, str) else date)


class _Accumulator(Protocol):
    def add(self, value: Any, weight: Number | None) -> None: ...  # noqa: ANN401 - what is counted may have any type

    def result(self) -> Number | None: ...


class _Group:
    __slots__ = ("accumulators", "rows")

    def __init__(self, accumulators: list[_Accumulator]) -> None:
        self.accumulators = accumulators
        self.rows = 0


def _accumulator(calculation: Calculation) -> _Accumulator:
    match calculation.function:
        case "sum":
            return _Sum()
        case "mean":
            return _Mean()
        case "count":
            return _Count()
        case "min":
            return _Minimum()
        case "max":
            return _Maximum()


class _Count:
    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def add(self, _value: object, _weight: Number | None) -> None:
        self._count += 1

    def result(self) -> int:
        return self._count


class _Sum:
    __slots__ = ("_total",)

    def __init__(self) -> None:
        self._total: Number | None = None

    def add(self, value: Number, _weight: Number | None) -> None:
        self._total = value if self._total is None else self._total + value

    def result(self) -> Number | None:
        return self._total


class _Mean:
    __slots__ = ("_total", "_weights")

    def __init__(self) -> None:
        self._total: Number = 0
        self._weights: Number = 0

    def add(self, value: Number, weight: Number | None) -> None:
        if weight is not None:
            self._total += value * weight
            self._weights += weight

    def result(self) -> float | None:
        return self._total / self._weights if self._weights else None


class _Minimum:
    __slots__ = ("_least",)

    def __init__(self) -> None:
        self._least: Number | None = None

    def add(self, value: Number, _weight: Number | None) -> None:
        if self._least is None or value < self._least:
            self._least = value

    def result(self) -> Number | None:
        return self._least


class _Maximum:
    __slots__ = ("_greatest",)

    def __init__(self) -> None:
        self._greatest: Number | None = None

    def add(self, value: Number, _weight: Number | None) -> None:
        if self._greatest is None or value > self._greatest:
            self._greatest = value

    def result(self) -> Number | None:
        return self._greatest
