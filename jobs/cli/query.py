"""``query``: stored rows, or summaries of them."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from jobs.cli.app import First, Last, command, days_of, home_of, out, print_json, say, shown
from jobs.wiring import Home
from storage.columns import closest, to_json
from storage.dates import DateRange
from storage.errors import UsageError
from storage.models import AGGREGATES, HOURS, DailyAggregate, DetectorRunDaily
from storage.query import AggregateQuery
from storage.store import Function, check_query

NARROW = 140
BARS = " ▁▂▃▄▅▆▇█"


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@command("pattern-aggregates query time_based_daily -7d yesterday --by entity_id --sum occurrences", takes_days=True)
def query(
    context: typer.Context,
    measurement: Annotated[str, typer.Argument(metavar="MEASUREMENT", help="time_based_daily, duration_daily ...")],
    first: First,
    last: Last,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="TAG=VALUE", help="Only such rows; repeat for several values."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="TAG", help="Group summaries by a tag or date.")
    ] = None,
    sums: Annotated[list[str] | None, typer.Option("--sum", metavar="FIELD")] = None,
    means: Annotated[list[str] | None, typer.Option("--mean", metavar="FIELD")] = None,
    counts: Annotated[list[str] | None, typer.Option("--count", metavar="FIELD")] = None,
    minima: Annotated[list[str] | None, typer.Option("--min", metavar="FIELD")] = None,
    maxima: Annotated[list[str] | None, typer.Option("--max", metavar="FIELD")] = None,
    output: Annotated[Format, typer.Option("--format")] = Format.TABLE,
) -> None:
    """Print rows, or summaries when a function is named."""
    home = home_of(context)
    model = model_of(home, measurement)
    days = days_of(home, first, last)
    asked = {"sum": sums, "mean": means, "count": counts, "min": minima, "max": maxima}
    fields = _functions(asked)
    conditions = conditions_of(where or [])
    check_query(model, fields, by or [], conditions)
    with home.open_query() as aggregates:
        if fields:
            summaries = aggregates.summarize(
                model, days.first, days.last, by=by or [], where=conditions, allow_missing=True, **fields
            )
            records = [{**summary.by, **summary.values} for summary in summaries]
        elif by:
            raise UsageError("--by groups summaries", hint="Name a function too, such as --sum FIELD.")
        else:
            rows = aggregates.daily(model, days.first, days.last, allow_missing=True, **conditions)
            records = [row.model_dump(mode="json") for row in rows]
        _mention_missing(aggregates, model, days)
    _print(records, output)


def model_of(home: Home, measurement: str) -> type[DailyAggregate]:
    """The model of a measurement, with or without its ending ``_daily``."""
    built_in: tuple[type[DailyAggregate], ...] = (*AGGREGATES, DetectorRunDaily)
    models = {model.measurement: model for model in built_in}
    models |= {one.detector.model.measurement: one.detector.model for one in home.registered}
    found = models.get(measurement) or models.get(f"{measurement}_daily")
    if found is None:
        hint = closest(measurement, models) or f"There are {', '.join(sorted(models))}."
        raise UsageError(f"there is no measurement {measurement!r}", hint=hint)
    return found


def _functions(asked: dict[str, list[str] | None]) -> dict[str, Function]:
    fields: dict[str, Function] = {}
    for function, names in asked.items():
        for name in names or []:
            if name in fields:
                raise UsageError(
                    f"{name} is asked for twice, as {fields[name]} and as {function}", hint="Ask in two calls."
                )
            fields[name] = function  # type: ignore[assignment]  # the option's name is the function's
    return fields


def conditions_of(where: list[str]) -> dict[str, list[str]]:
    """What ``--where TAG=VALUE`` options ask for."""
    conditions: dict[str, list[str]] = defaultdict(list)
    for condition in where:
        tag, equals, value = condition.partition("=")
        if not equals:
            raise UsageError(f"--where {condition!r} is no TAG=VALUE")
        conditions[tag].append(value)
    return dict(conditions)


def _mention_missing(aggregates: AggregateQuery, model: type[DailyAggregate], days: DateRange) -> None:
    """Say which of the days were never computed: an empty answer about them means nothing."""
    detector = model.measurement.removesuffix("_daily")
    runs = aggregates.daily(DetectorRunDaily, days.first, days.last, detector=detector)
    judged = {run.date for run in runs}
    missing = [day for day in days if day not in judged] if model is not DetectorRunDaily else []
    if missing:
        named = ", ".join(map(str, missing[:3])) + (", ..." if len(missing) > 3 else "")  # noqa: PLR2004 - a readable few
        say(f"{len(missing)} of {len(days)} days are not computed ({named})", style="yellow")


def _print(records: list[dict[str, Any]], output: Format) -> None:
    if output is Format.JSON:
        print_json(records)
    elif output is Format.CSV:
        if records:
            writer = csv.writer(sys.stdout)
            writer.writerow(records[0])
            writer.writerows([_plain(value) for value in record.values()] for record in records)
            sys.stdout.flush()
    elif not records:
        out.print("no rows")
    elif out.width < NARROW and len(records[0]) > 4:  # noqa: PLR2004 - columns that a narrow terminal holds
        for record in records:
            for name, value in record.items():
                out.print(shown(f"{name:24} {_short(name, value)}"), soft_wrap=True)
            out.print()
    else:
        table = Table()
        for name in records[0]:
            table.add_column(name, overflow="fold", no_wrap=name == "date")
        for record in records:
            table.add_row(*(shown(_short(name, value)) for name, value in record.items()))
        out.print(table)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return to_json(value) if isinstance(value, list | dict) else value


def _short(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004 - seconds need no decimals then
    if name == "hourly_distribution":
        return hours_as_bars(value)
    return str(_plain(value))


def hours_as_bars(counts: list[int]) -> str:
    """24 counts as 24 bars, the highest full.

    >>> hours_as_bars([0] * 7 + [4, 8] + [0] * 15)
    '       ▄█               '
    """
    top = max(counts, default=0) or 1
    return "".join(BARS[-(-count * (len(BARS) - 1) // top)] for count in counts[:HOURS])
