"""``query``: print stored rows, or summaries of them."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import closing
from enum import StrEnum
from itertools import takewhile
from typing import Annotated, Any

import typer
from rich.text import Text

from jobs.cli import completion
from jobs.cli.app import (
    First,
    Json,
    Last,
    command,
    days_of,
    print_json,
    print_line,
    print_message,
    terminal_text,
)
from jobs.cli.cells import cell
from jobs.cli.filters import conditions_of, is_glob, model_of, without_globs
from jobs.cli.known_values import refuse_unknown_values
from jobs.cli.named_home import HomeOption, named_home
from jobs.cli.ranking import Ranking, Record
from jobs.cli.tables import SEVERITY_STYLE, print_table
from jobs.names import Names
from jobs.sentences.groups import stories
from storage.clean_text import csv_cell
from storage.columns import HOME, to_json
from storage.dates import PERIODS, DateRange
from storage.errors import UsageError
from storage.models import AnomalyDaily, DailyAggregate, DetectorRunDaily
from storage.periods import has_rows_on
from storage.plurals import counted
from storage.query import AggregateQuery
from storage.store import Function, check_query, functions_of

MAX_DAYS_NAMED = 3


class Format(StrEnum):
    """The form in which rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@command("pattern-aggregates query time_based_daily -7d yesterday --by entity_id --sum occurrences", takes_days=True)
def query(
    context: typer.Context,
    measurement: Annotated[
        str,
        typer.Argument(
            metavar="MEASUREMENT", help="time_based_daily, duration_daily ...", autocompletion=completion.measurements
        ),
    ],
    first: First,
    last: Last = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="TAG=VALUE",
            help="Only rows with this tag value, or with one that matches a glob such as light.*; may be repeated.",
            autocompletion=completion.conditions,
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="TAG",
            help="Group summaries by a tag, date, week or month.",
            autocompletion=completion.groups,
        ),
    ] = None,
    sums: Annotated[
        list[str] | None,
        typer.Option(
            "--sum",
            metavar="FIELD",
            autocompletion=completion.fields,
        ),
    ] = None,
    means: Annotated[
        list[str] | None,
        typer.Option(
            "--mean",
            metavar="FIELD",
            help="Weighted, if rows give their number of observations.",
            autocompletion=completion.fields,
        ),
    ] = None,
    counts: Annotated[
        list[str] | None,
        typer.Option(
            "--count",
            metavar="FIELD",
            autocompletion=completion.fields,
        ),
    ] = None,
    minima: Annotated[
        list[str] | None,
        typer.Option(
            "--min",
            metavar="FIELD",
            autocompletion=completion.fields,
        ),
    ] = None,
    maxima: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            metavar="FIELD",
            autocompletion=completion.fields,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort", metavar="FIELD", help="Lowest first; -FIELD: highest first.", autocompletion=completion.fields
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", help="Only the N highest by --sort, or by the first function."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="Only the first N.")] = None,
    output: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on standard output.")] = False,
    home_name: HomeOption = None,
) -> None:
    """Print rows, or summaries if a function such as --sum is given."""
    output = _format(output, as_json=as_json, as_csv=as_csv)
    home = named_home(context, home_name)
    model = model_of(home, measurement)
    days = days_of(home, first, last)
    fields = _fields({"sum": sums, "mean": means, "count": counts, "min": minima, "max": maxima})
    conditions = conditions_of(where or [])
    check_query(model, fields, by or [], conditions)
    if by and not fields:
        raise UsageError("--by groups summaries", hint="Name a function too, such as --sum FIELD.")
    results = [name for field, functions in fields.items() for name, _ in functions_of(field, functions)]
    ranking = Ranking(sort, top, limit).check(
        [*(by or ()), *results] or [name for name in model.model_fields if name != HOME], next(iter(results), None)
    )
    anomalies: list[AnomalyDaily] = []
    with closing(home.open_reader()) as store:
        aggregates, where_values = AggregateQuery(store), without_globs(store, model, days, conditions)
        if fields:
            groups = store.summarize(model, days, fields, by or [], where_values)
            records = [{**group.by, **group.values} for group in groups]
        else:
            rows = store.read(model, days, where_values)
            anomalies = [row for row in rows if isinstance(row, AnomalyDaily)]
            records = [row.model_dump(mode="json") for row in rows]
        _mention_missing(aggregates, model, days)
        if not records and conditions:
            typed = {tag: [value for value in values if not is_glob(value)] for tag, values in conditions.items()}
            refuse_unknown_values(store, typed, yesterday=home.yesterday(), names=home.names)
    found = len(records)
    records = ranking.apply(records)
    if len(records) < found:
        print_message(f"{len(records):,} of {counted(found, 'row')}")
        anomalies = []  # the sentences are about all of them
    if output is Format.TABLE:
        records = [_named(record, home.names) for record in records]
    _print(records, output, {"date", *PERIODS, *model.tags()})
    if output is Format.TABLE:
        for story in stories(anomalies, home.zone, names=home.names):
            style = "dim" if story.is_muted else SEVERITY_STYLE[story.severity]
            print_line(f"{story.rows[0].date}: {story.sentence} ({story.severity})", style=style)


def _format(output: Format, *, as_json: bool, as_csv: bool) -> Format:
    """Return the form that the options name."""
    named = {one for one, is_named in ((Format.JSON, as_json), (Format.CSV, as_csv)) if is_named}
    named |= {output} - {Format.TABLE}
    if len(named) > 1:
        raise UsageError(f"not both {' and '.join(sorted(named))}", hint="Name one form of output.")
    return named.pop() if named else output


def _fields(options: Mapping[Function, list[str] | None]) -> dict[str, Function | list[Function]]:
    """Return what the options ask for: one function of a field, or a list of several."""
    functions: dict[str, list[Function]] = defaultdict(list)
    for function, names in options.items():
        for name in dict.fromkeys(names or []):
            functions[name].append(function)
    return {name: several if len(several) > 1 else several[0] for name, several in functions.items()}


def _mention_missing(aggregates: AggregateQuery, model: type[DailyAggregate], days: DateRange) -> None:
    """Print which days were never computed: an empty answer does not mean that nothing happened on them."""
    if model is DetectorRunDaily:
        return
    runs = aggregates.daily(DetectorRunDaily, days, detector=model.measurement.removesuffix("_daily"))
    computed = {run.date for run in runs}
    possible = [day for day in days if has_rows_on(model.measurement, day)]
    missing = [day for day in possible if day not in computed]
    if missing:
        named = ", ".join(map(str, missing[:MAX_DAYS_NAMED])) + (", ..." if len(missing) > MAX_DAYS_NAMED else "")
        are = "is" if len(missing) == 1 else "are"
        print_message(f"{len(missing)} of {counted(len(possible), 'day')} {are} not computed ({named})", style="yellow")


def _named(record: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return a record with names instead of ids; a chain goes by its entities, as its id says nothing to people."""
    named = {field: _named_value(field, value, names) for field, value in record.items()}
    if named.get("kind") == "chain" and isinstance(named.get("entities"), list):
        named["habit"] = ", then ".join(named["entities"])
    return named


def _named_value(field: str, value: Any, names: Names) -> Any:  # noqa: ANN401 - any JSON value
    match field, value:
        case _, str():
            return names.value(field, value)
        case "sequence", list():
            return [names.step(str(step)) for step in value]
        case "entities", list():
            return [names.entity(str(one)) for one in value]
        case "device_usage", dict():
            return {names.entity(one): count for one, count in value.items()}
        case "transition_patterns", list():
            return [{**move, "to": names.area(str(move.get("to")))} for move in value]
        case _:
            return value


def _print(records: list[Record], output: Format, tags: Collection[str]) -> None:
    if output is Format.JSON:
        print_json(records, are_rows=True)
    elif output is Format.CSV:
        if records:
            writer = csv.writer(sys.stdout)
            writer.writerow(records[0])
            writer.writerows([csv_cell(_plain(value)) for value in record.values()] for record in records)
            sys.stdout.flush()
    elif not records:
        print_line("no rows")
    else:
        _print_table(records, tags)


def _print_table(records: list[Record], tags: Collection[str]) -> None:
    names = [name for name in records[0] if any(record[name] is not None for record in records)]
    numbers = [name for name in names if any(isinstance(record[name], int | float) for record in records)]
    texts = [name for name in names if name not in ("date", "hourly_distribution", *numbers)]
    rows = [[_styled(name, cell(name, record[name])) for name in names] for record in records]
    keys = len(list(takewhile(lambda name: name in tags, names)))
    print_table(names, rows, numbers=numbers, texts=texts, key_columns=max(keys, 1))


def _styled(name: str, text: str) -> Text:
    return terminal_text(text, SEVERITY_STYLE.get(text, "") if name == "severity" else "")


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return to_json(value) if isinstance(value, list | dict) else value
