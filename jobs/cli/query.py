"""``query``: print stored rows, or summaries of them."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from jobs.cli.app import First, Last, command, days_of, home_of, out, print_json, print_message, terminal_text
from jobs.cli.known_values import refuse_unknown_values
from jobs.names import Names
from jobs.sentences.groups import stories
from jobs.wiring import Home
from storage.clean_text import csv_cell
from storage.columns import closest, to_json
from storage.dates import DateRange
from storage.errors import UsageError
from storage.models import AGGREGATES, HOURS, AnomalyDaily, DailyAggregate, DetectorRunDaily
from storage.query import AggregateQuery
from storage.store import Function, check_query

NARROW_COLUMNS = 140
MAX_TABLE_COLUMNS_WHEN_NARROW = 4
MAX_DAYS_NAMED = 3
BARS = " ▁▂▃▄▅▆▇█"


class Format(StrEnum):
    """The form in which rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@command("pattern-aggregates query time_based_daily -7d yesterday --by entity_id --sum occurrences", takes_days=True)
def query(
    context: typer.Context,
    measurement: Annotated[str, typer.Argument(metavar="MEASUREMENT", help="time_based_daily, duration_daily ...")],
    first: First,
    last: Last = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="TAG=VALUE", help="Only rows with this tag value; repeat for several values."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="TAG", help="Group summaries by a tag or date.")
    ] = None,
    sums: Annotated[list[str] | None, typer.Option("--sum", metavar="FIELD")] = None,
    means: Annotated[
        list[str] | None,
        typer.Option("--mean", metavar="FIELD", help="Weighted, if rows give their number of observations."),
    ] = None,
    counts: Annotated[list[str] | None, typer.Option("--count", metavar="FIELD")] = None,
    minima: Annotated[list[str] | None, typer.Option("--min", metavar="FIELD")] = None,
    maxima: Annotated[list[str] | None, typer.Option("--max", metavar="FIELD")] = None,
    output: Annotated[Format, typer.Option("--format")] = Format.TABLE,
) -> None:
    """Print rows, or summaries if a function such as --sum is given."""
    home = home_of(context)
    model = model_of(home, measurement)
    days = days_of(home, first, last)
    fields = _fields({"sum": sums, "mean": means, "count": counts, "min": minima, "max": maxima})
    conditions = conditions_of(where or [])
    check_query(model, fields, by or [], conditions)
    if by and not fields:
        raise UsageError("--by groups summaries", hint="Name a function too, such as --sum FIELD.")
    anomalies: list[AnomalyDaily] = []
    with home.open_query() as aggregates:
        if fields:
            groups = aggregates.summarize(
                model, days.first, days.last, by=by or [], fields=fields, allow_missing=True, **conditions
            )
            records = [{**group.by, **group.values} for group in groups]
        else:
            rows = aggregates.daily(model, days.first, days.last, allow_missing=True, **conditions)
            anomalies = [row for row in rows if isinstance(row, AnomalyDaily)]
            records = [row.model_dump(mode="json") for row in rows]
        _mention_missing(aggregates, model, days)
    if not records and conditions:
        with closing(home.open_reader()) as store:
            refuse_unknown_values(store, conditions, yesterday=home.yesterday(), names=home.names)
    if output is Format.TABLE:
        records = [_named(record, home.names) for record in records]
    _print(records, output)
    if output is Format.TABLE:
        for story in stories(anomalies, home.zone, names=home.names):
            style = "dim" if story.is_muted else ""
            out.print(
                terminal_text(f"{story.rows[0].date}: {story.sentence} ({story.severity})", style), soft_wrap=True
            )


def model_of(home: Home, measurement: str) -> type[DailyAggregate]:
    """Return the model of a measurement, whose name may lack the ending ``_daily``."""
    built_in: tuple[type[DailyAggregate], ...] = (*AGGREGATES, DetectorRunDaily)
    models = {model.measurement: model for model in built_in}
    models |= {one.detector.model.measurement: one.detector.model for one in home.registered}
    found = models.get(measurement) or models.get(f"{measurement}_daily")
    if found is None:
        hint = closest(measurement, models) or f"There are {', '.join(sorted(models))}."
        raise UsageError(f"unknown measurement {measurement!r}", hint=hint)
    return found


def _fields(options: Mapping[Function, list[str] | None]) -> dict[str, Function | list[Function]]:
    """Return what the options ask for: one function of a field, or a list of several."""
    functions: dict[str, list[Function]] = defaultdict(list)
    for function, names in options.items():
        for name in dict.fromkeys(names or []):
            functions[name].append(function)
    return {name: several if len(several) > 1 else several[0] for name, several in functions.items()}


def conditions_of(where: list[str]) -> dict[str, list[str]]:
    """Return the values that ``--where TAG=VALUE`` options name for each tag."""
    conditions: dict[str, list[str]] = defaultdict(list)
    for condition in where:
        tag, equals, value = condition.partition("=")
        if not equals:
            raise UsageError(f"--where {condition!r} is not a valid filter", hint="Write it as TAG=VALUE.")
        conditions[tag].append(value)
    return dict(conditions)


def _mention_missing(aggregates: AggregateQuery, model: type[DailyAggregate], days: DateRange) -> None:
    """Print which days were never computed: an empty answer does not mean that nothing happened on them."""
    if model is DetectorRunDaily:
        return
    runs = aggregates.daily(DetectorRunDaily, days, detector=model.measurement.removesuffix("_daily"))
    computed = {run.date for run in runs}
    missing = [day for day in days if day not in computed]
    if missing:
        named = ", ".join(map(str, missing[:MAX_DAYS_NAMED])) + (", ..." if len(missing) > MAX_DAYS_NAMED else "")
        print_message(f"{len(missing)} of {len(days)} days are not computed ({named})", style="yellow")


def _named(record: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return a record with names instead of ids."""
    found = {field: names.value(field, value) if isinstance(value, str) else value for field, value in record.items()}
    if isinstance(record.get("sequence"), list):
        found["sequence"] = [names.step(step) for step in record["sequence"]]
    return found


def _print(records: list[dict[str, Any]], output: Format) -> None:
    if output is Format.JSON:
        print_json(records, are_rows=True)
    elif output is Format.CSV:
        if records:
            writer = csv.writer(sys.stdout)
            writer.writerow(records[0])
            writer.writerows([csv_cell(_plain(value)) for value in record.values()] for record in records)
            sys.stdout.flush()
    elif not records:
        out.print("no rows")
    elif out.width < NARROW_COLUMNS and len(records[0]) > MAX_TABLE_COLUMNS_WHEN_NARROW:
        for record in records:
            for name, value in record.items():
                out.print(terminal_text(f"{name:24} {_short(name, value)}"), soft_wrap=True)
            out.print()
    else:
        table = Table()
        for name in records[0]:
            table.add_column(name, overflow="fold", no_wrap=name == "date")
        for record in records:
            table.add_row(*(terminal_text(_short(name, value)) for name, value in record.items()))
        out.print(table)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return to_json(value) if isinstance(value, list | dict) else value


def _short(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004 - it needs no decimals then
    if name == "hourly_distribution":
        return hours_as_bars(value)
    return str(_plain(value))


def hours_as_bars(counts: list[int]) -> str:
    """Return 24 counts as 24 bars, the highest of full height.

    >>> hours_as_bars([0] * 7 + [4, 8] + [0] * 15)
    '       ▄█               '
    """
    top = max(counts, default=0) or 1
    return "".join(BARS[-(-count * (len(BARS) - 1) // top)] for count in counts[:HOURS])
