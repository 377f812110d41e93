"""``explain``: show the evidence behind a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Annotated, Final

import typer

from jobs.activity.renaming import with_names
from jobs.activity.window import DayWindow
from jobs.cli import completion
from jobs.cli.app import Json, command, day_of, print_json, print_line, print_message
from jobs.cli.evidence import print_evidence
from jobs.cli.filters import conditions_of, model_of
from jobs.cli.known_values import refuse_unknown_values
from jobs.cli.named_home import HomeOption, named_home
from jobs.cli.tables import SEVERITY_STYLE
from jobs.detector import Evidence, ExplainsByEvents, ExplainsByHistory, ExplainsByHousehold
from jobs.household import Household
from jobs.isolation import ForeignError, describe, load_isolated
from jobs.names import NO_NAMES, Names
from jobs.sentences.groups import stories
from jobs.sentences.rows import sentence_of
from jobs.wiring import Home
from storage.dates import DateRange
from storage.errors import PatternAggregatesError, SourceError, UsageError
from storage.models import AnomalyDaily, DailyAggregate, DetectorRunDaily
from storage.periods import cadence_of, has_rows_on, period_around
from storage.renamed import RenamedReader, under_present_name
from storage.store import AggregateStore

MAX_EXPLAIN_SECONDS: Final = 300.0  # of one row, by code that may be of another package

MAX_ROWS = 5


@command("pattern-aggregates explain time_based_daily yesterday --where entity_id=light.kitchen", takes_days=True)
def explain(
    context: typer.Context,
    measurement: Annotated[
        str,
        typer.Argument(
            metavar="MEASUREMENT", help="time_based_daily, anomaly_daily ...", autocompletion=completion.measurements
        ),
    ],
    day: Annotated[str, typer.Argument(metavar="DAY", help="YYYY-MM-DD, yesterday or -7d.")],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="TAG=VALUE",
            help="Only such rows.",
            autocompletion=completion.conditions,
        ),
    ] = None,
    as_json: Json = False,
    home_name: HomeOption = None,
) -> None:
    """Show what a row means and the evidence for it, or why the row is missing.

    The evidence is counts by hour, matches, episodes or baseline days.
    """
    home = named_home(context, home_name)
    model = model_of(home, measurement)
    days = DateRange.parse(day_of(home, day))
    conditions = conditions_of(where or [])
    with closing(home.open_reader()) as store:
        rows = store.read(model, days, conditions)
        if len(rows) > MAX_ROWS and not as_json:
            print_message(
                f"{len(rows)} rows match; the first {MAX_ROWS} are explained (use --where to choose)", style="yellow"
            )
        if not rows:
            refuse_unknown_values(store, conditions, yesterday=home.yesterday(), names=home.names)
            _explain_absence(store, model, days)
        with home.open_ledger(read_only=True) as ledger:
            household, renames = home.read_household(ledger), ledger.renames()
        names = NO_NAMES if as_json else home.names
        explained = [
            (row, sentence_of(row, home.zone, store, names), _evidence(home, store, row, household, renames))
            for row in rows[: None if as_json else MAX_ROWS]
        ]
        anomalies = [row for row in rows if isinstance(row, AnomalyDaily)]
        found_stories = stories(anomalies, home.zone, store, names) if len(anomalies) > 1 and not as_json else []
    if as_json:
        print_json(
            [
                {"row": row.model_dump(mode="json"), "sentence": sentence, "evidence": found._asdict()}
                for row, sentence, found in explained
            ]
        )
        return
    for story in found_stories:
        print_line(
            f"- {story.sentence} ({story.severity})", style="dim" if story.is_muted else SEVERITY_STYLE[story.severity]
        )
    for row, sentence, found in explained:
        _show(row, sentence, found, names)


def _explain_absence(store: AggregateStore, model: type[DailyAggregate], days: DateRange) -> None:
    detector = model.measurement.removesuffix("_daily")
    cadence = cadence_of(model.measurement)
    if cadence is not None and not has_rows_on(model.measurement, days.first):
        raise UsageError(
            f"the rows of {detector} have the last day of their {'week' if cadence == 'weekly' else 'month'} as day",
            hint=f"Name {period_around(cadence, days.first).last}.",
        )
    runs = store.read(DetectorRunDaily, days, {"detector": detector})
    if not runs:
        raise UsageError(f"{detector} was not computed for {days.first}", hint="Run a backfill for that day.")
    print_message(f"no such row; {detector} reported for {days.first}: {runs[0].reason}")


def _evidence(
    home: Home, store: AggregateStore, row: DailyAggregate, household: Household, renames: Mapping[str, str]
) -> Evidence:
    """Return the evidence from raw events if the source still holds them, else from what is stored.

    Args:
        home: The home.
        store: Its store.
        row: The row.
        household: Its days away and mutes.
        renames: The present name of each entity that was renamed, by its former names: a row has the name of its day.
    """
    detector: object = next((one.detector for one in home.registered if one.detector.model is type(row)), None)
    history = RenamedReader(store, renames)
    if isinstance(detector, ExplainsByHousehold):
        return _explained(
            row, partial(detector.explain_by_history, under_present_name(row, renames), history, household)
        )
    if isinstance(detector, ExplainsByHistory):
        return _explained(row, partial(detector.explain_by_history, under_present_name(row, renames), history))
    if isinstance(detector, ExplainsByEvents):
        return _from_events(home, row, detector, renames)
    return _stored(row, "its detector explains no rows")


def _from_events(home: Home, row: DailyAggregate, detector: ExplainsByEvents, renames: Mapping[str, str]) -> Evidence:
    """Return the evidence from raw events; the row as stored if they cannot be read."""
    if home.identity is not None:
        return _stored(row, "the settings do not name the source of this home")
    try:
        with closing(home.open_source()) as source:
            span = source.span()
            log = source.read(DayWindow(row.date, home.zone)) if span is not None and row.date in span else None
    except SourceError as error:
        print_message(f"source: {error}", style="yellow")
        log = None
    if log is None:
        return _stored(row, "the raw events are gone")
    log = with_names(log, {renames[one]: one for one in row.entity_ids() if one in renames})
    missing = row.entity_ids() - {entity.entity_id for entity in log.entities}
    if missing:
        return _stored(row, f"the source now has no entity {', '.join(sorted(missing))}")
    return _explained(row, partial(detector.explain, row, log))


def _explained(row: DailyAggregate, explain: Callable[[], Evidence]) -> Evidence:
    """Return the evidence that a detector gives; the row as stored if it fails. Errors of the store are raised."""
    try:
        return load_isolated(explain, "explaining the row", MAX_EXPLAIN_SECONDS, passing=(PatternAggregatesError,))
    except ForeignError as error:
        return _stored(row, f"its detector cannot explain it: {describe(error)}")


def _stored(row: DailyAggregate, why: str) -> Evidence:
    values = row.model_dump(mode="json")
    return Evidence(("field", "value"), [(name, str(value)) for name, value in values.items()], (f"as stored: {why}",))


def _show(row: DailyAggregate, sentence: str, found: Evidence, names: Names) -> None:
    print_line("")
    print_line(" ".join((str(row.date), row.measurement, *row.key())), style="bold")
    if sentence:
        print_line(sentence)
    print_evidence(found, names)
