"""``status``: show what is done for each day and detector."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from jobs.cli.app import Json, Last, command, days_of, home_of, out, print_json, print_message, terminal_text
from jobs.household import Household
from jobs.lost_days import find_lost_days
from jobs.outcome import Outcome
from jobs.wiring import Home
from storage.dates import ONE_DAY, DateRange
from storage.errors import SourceError, StoreError, UsageError
from storage.ledger.entry import Entry, Status
from storage.store import AggregateStore

RECENT_DAYS = 14
STYLE = {
    "written": "green",
    "staged": "yellow",
    "failed": "red",
    "deferred": "yellow",
    "lost": "red",
    "expired": "red",
    "missing": "bold",
    "out of reach": "dim",
}


@command("pattern-aggregates status -14d yesterday", takes_days=True)
def status(
    context: typer.Context,
    first: Annotated[str | None, typer.Argument(metavar="FIRST", help="First day. Left out: the newest days.")] = None,
    last: Last = None,
    as_json: Json = False,
) -> Outcome:
    """Show for each day and detector whether it is written, staged, failed (why), missing or out of reach."""
    home = home_of(context, check_parameters=False)
    span, outcome = _span(home)
    with home.open_checked() as (ledger, store):
        entries = ledger.entries()
        household = home.read_household(ledger)
        outcome = max(outcome, _report_lost(home, entries.values(), store))
    days = _recent(home, span, [day for day, _ in entries]) if first is None else days_of(home, first, last)
    enabled = home.enabled_detectors
    names = [*enabled, *sorted({name for _, name in entries if name not in enabled})]
    grid = [
        {
            "day": day.isoformat(),
            "away": _away(household, day),
            "detectors": {
                name: _cell(entries.get((day, name)), reachable=_reachable(home, span, day)) for name in names
            },
        }
        for day in days
    ]
    if as_json:
        print_json(grid)
    else:
        _show(grid, names)
        if household.problem:
            print_message(household.problem, style="yellow")
    return outcome


def _away(household: Household, day: dt.date) -> str | None:
    """Return why nobody was home on a day, as people entered it or their calendar says; None if they do not."""
    away = household.away_on(day)
    return None if away is None else away.note or ("calendar" if away.origin == "calendar" else "entered")


def _span(home: Home) -> tuple[DateRange | None, Outcome]:
    """Return the days that the source holds, and how reading them ended."""
    try:
        source = home.open_source()
        try:
            return source.span(), Outcome.DONE
        finally:
            source.close()
    except SourceError as error:
        print_message(f"source: {error}; what is out of reach is not known. {error.hint}", style="yellow")
        return None, Outcome.of_error(error)


def _report_lost(home: Home, entries: Iterable[Entry], store: AggregateStore) -> Outcome:
    """Print what the store no longer holds of the newest days, and return whether that is all right."""
    try:
        lost = find_lost_days(entries, store, home.oldest_kept_day())
    except StoreError as error:
        print_message(f"store: {error}; whether it holds what is written is not known. {error.hint}", style="yellow")
        return Outcome.DONE  # the ledger says what is to be done, with or without the store
    if not lost:
        return Outcome.DONE
    print_message(f"store: {lost}. {lost.hint}", style="red")
    return Outcome.INCOMPLETE


def _recent(home: Home, span: DateRange | None, known: list[dt.date]) -> DateRange:
    """Return the newest days of which the ledger has an entry or the source has events."""
    newest = [*known, *([min(span.last, home.yesterday())] if span else [])]
    if not newest:
        raise UsageError("the ledger is empty and the source holds no whole day: there is nothing to show")
    last = max(newest)
    oldest = min([*known, *([span.first] if span else [])])
    return DateRange(min(last, max(oldest, last - (RECENT_DAYS - 1) * ONE_DAY)), last)


def _reachable(home: Home, span: DateRange | None, day: dt.date) -> bool:
    yesterday = home.yesterday()
    kept = day >= home.store_settings.oldest_kept_day(yesterday)
    return span is not None and day in span and day <= yesterday and kept


def _cell(entry: Entry | None, *, reachable: bool) -> dict[str, Any]:
    if entry is None:
        return {"status": "missing" if reachable else "out of reach"}
    return {
        "status": entry.status,
        "version": entry.version,
        "rows": entry.rows,
        "error": entry.error or None,
        "reason": entry.reason,
        "attempts": entry.attempts,
        "redo": entry.redo,
        "stored_version": entry.written_version,
        "updated_at": entry.updated_at,
    }


def _show(grid: list[dict[str, Any]], names: list[str]) -> None:
    table = Table()
    table.add_column("day")
    if is_away := any(line["away"] is not None for line in grid):
        table.add_column("away")
    for name in names:
        table.add_column(terminal_text(name))
    errors = []
    for line in grid:
        cells = [terminal_text(line["away"] or "")] if is_away else []
        for name in names:
            cell = line["detectors"][name]
            text = f"{cell['status']} {cell['rows']}" if cell["status"] == Status.WRITTEN else str(cell["status"])
            text += " (redo)" if cell.get("redo") else ""
            cells.append(Text(text, style=STYLE[cell["status"]]))
            if cell.get("error"):
                errors.append(f"{line['day']} {name}: {cell['error']}")
        table.add_row(line["day"], *cells)
    out.print(table)
    for error in errors:
        out.print(terminal_text(error, "red"), soft_wrap=True)
