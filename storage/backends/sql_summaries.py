"""Summaries as SQL: what a ``SummaryPlan`` calculates, calculated by the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from storage.store import Function
from storage.summaries import Calculation, SummaryPlan

Expressions = Mapping[str, sa.ColumnElement[Any]]

_FUNCTIONS: Final[Mapping[Function, Any]] = {
    "sum": sa.func.sum,
    "mean": sa.func.avg,
    "count": sa.func.count,
    "min": sa.func.min,
    "max": sa.func.max,
}
_MONTH_LENGTH: Final = len("YYYY-MM")


class _Monday(sa.sql.functions.GenericFunction[str]):
    """The Monday of the week of a date that is stored as text."""

    type = sa.Text()
    inherit_cache = True
    name = "monday"


@compiles(_Monday, "sqlite")
def _compile_for_sqlite(function: _Monday, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the library's signature
    return f"date({compiler.process(function.clauses, **options)}, 'weekday 0', '-6 days')"


@compiles(_Monday, "postgresql")
def _compile_for_postgresql(function: _Monday, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - the library's signature
    return f"date_trunc('week', CAST({compiler.process(function.clauses, **options)} AS date))"


def summary_query(
    stored: Expressions, plan: SummaryPlan, conditions: Collection[sa.ColumnElement[bool]]
) -> sa.Select[Any]:
    """Return a query for each group's values of ``plan.by``, its results and the number of its rows.

    Args:
        stored: How to read each column of the model.
        plan: What to calculate. Of a week or a month the query returns a date in it.
        conditions: Which rows.
    """
    groups = [_group(stored, plan, place) for place in range(len(plan.by))]
    date = stored["date"]
    values = [sa.func.min(date) if place in plan.periods else group for place, group in enumerate(groups)]
    results = [_calculated(stored, one) for one in plan.calculations]
    return sa.select(*values, *results, sa.func.count()).where(*conditions).group_by(*groups)


def _group(stored: Expressions, plan: SummaryPlan, place: int) -> sa.ColumnElement[Any]:
    name, date = plan.by[place], stored["date"]
    if place not in plan.periods:
        return stored[name]
    return _Monday(date) if name == "week" else sa.func.substr(date, 1, _MONTH_LENGTH)


def _calculated(stored: Expressions, calculation: Calculation) -> sa.ColumnElement[Any]:
    value = stored[calculation.field]
    if calculation.weight is None:
        return cast("sa.ColumnElement[Any]", _FUNCTIONS[calculation.function](value))
    weight = stored[calculation.weight]
    total: sa.ColumnElement[Any] = sa.func.sum(sa.cast(value, sa.Double()) * weight)  # sum() leaves NULL products out
    weights = sa.func.sum(sa.case((value.is_not(None), weight)))
    return total / sa.func.nullif(sa.cast(weights, sa.Double()), 0)
