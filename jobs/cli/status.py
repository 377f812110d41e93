"""``status``: show what is done for each day and detector."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.text import Text

from jobs.cli.app import (
    UNLIMITED_WIDTH,
    Json,
    Last,
    command,
    days_of,
    out,
    print_json,
    print_line,
    print_message,
    terminal_text,
)
from jobs.cli.named_home import HomeOption, named_home
from jobs.cli.tables import fits, print_table
from jobs.household import Household
from jobs.lost_days import find_lost_days
from jobs.outcome import Outcome
from jobs.wiring import Home
from storage.clean_text import clean, clean_lines
from storage.dates import ONE_DAY, DateRange
from storage.errors import SourceError, StoreError, UsageError
from storage.ledger.entry import Entry, Status
from storage.ledger.ledger import Ledger
from storage.periods import has_rows_on
from storage.plurals import counted
from storage.store import AggregateStore

RECENT_DAYS = 14
FILE_WIDTH = 80  # of a grid that goes to a file or pipe, where people look at it and no program reads it
MAX_NAMES = 3  # of detectors in a line; more are counted
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
    home_name: HomeOption = None,
) -> Outcome:
    """Show for each day and detector whether it is written, staged, failed (why), missing or out of reach."""
    home = named_home(context, home_name, check_parameters=False)
    if home.identity is None:
        home.require_source()
    with home.open_checked() as (ledger, store):
        span, outcome = _span(home, ledger)
        entries = ledger.entries()
        household = home.read_household(ledger)
        outcome = max(outcome, _report_lost(home, entries.values(), store))
        _report_channels(ledger)
    days = _recent(home, span, [day for day, _ in entries]) if first is None else days_of(home, first, last)
    enabled = home.enabled_detectors
    names = [*enabled, *sorted({name for _, name in entries if name not in enabled})]
    grid = [
        {
            **({"home": home.settings.home.name} if home.settings.home.name else {}),
            "day": day.isoformat(),
            "away": _away(household, day),
            "detectors": {
                name: _cell(entries.get((day, name)), reachable=_reachable(home, span, day))
                for name in names
                if has_rows_on(name, day) or (day, name) in entries
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


def _span(home: Home, ledger: Ledger) -> tuple[DateRange | None, Outcome]:
    """Return the days that the source holds, and how reading them ended.

    Raises:
        HomeMismatch: The source holds the events of another home.
    """
    if home.identity is not None:  # the settings are of other homes; what is out of reach is not known
        return None, Outcome.DONE
    from jobs.recognition import check_source  # noqa: PLC0415 - loads numpy, as the source does

    try:
        source = home.open_source()
        try:
            span = source.span()
            if span is not None:
                check_source(source, span, ledger, home.zone)
            return span, Outcome.DONE
        finally:
            source.close()
    except SourceError as error:
        print_message(f"source: {error}; what is out of reach is not known. {error.hint}", style="yellow")
        return None, Outcome.of_error(error)


def _report_channels(ledger: Ledger) -> None:
    """Print what could not be published, and why; it is not part of the night's work, so it changes no outcome."""
    for name, state in ledger.channels().items():
        if state.error:
            waiting = f" ({counted(state.waiting, 'anomaly waits', 'anomalies wait')})" if state.waiting else ""
            print_message(f"not published: {name}{waiting}: {state.error}", style="yellow")


def _report_lost(home: Home, entries: Iterable[Entry], store: AggregateStore) -> Outcome:
    """Print what the store no longer holds of the newest days, and return whether that is all right."""
    try:
        lost = find_lost_days(entries, store, home.oldest_kept_day(), models=home.stored_models)
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
    """Print the grid if the terminal is wide enough, else a line for each day. Rollups only have cells on some days."""
    names = [name for name in names if any(name in line["detectors"] for line in grid)]
    if not any(_print_grid(grid, names, in_full=in_full) for in_full in (True, False)):
        for line in grid:
            print_line(_day_line(line))
    for line in grid:
        for name in names:
            if error := line["detectors"].get(name, {}).get("error"):
                print_line(f"{line['day']} {name}: {error}", style="red")


def _print_grid(grid: list[dict[str, Any]], names: list[str], *, in_full: bool) -> bool:
    """Print a grid of days and detectors, unless it is wider than the terminal. Returns whether it was printed."""
    is_away = any(line["away"] is not None for line in grid)
    headings = [
        "day",
        *(["away"] if is_away else []),
        *(clean_lines(name if in_full else _stacked(name)) for name in names),
    ]
    rows = [
        [
            terminal_text(line["day"]),
            *([terminal_text(line["away"] or "")] if is_away else []),
            *(_cell_text(line["detectors"].get(name), in_full=in_full) for name in names),
        ]
        for line in grid
    ]
    width = out.width if out.width < UNLIMITED_WIDTH else FILE_WIDTH
    if not fits(headings, rows, width, with_lines=in_full):
        return False
    print_table(headings, rows, with_lines=in_full, numbers=() if in_full else headings[1:], max_width=width)
    if not in_full and any(cell["status"] == Status.WRITTEN for line in grid for cell in line["detectors"].values()):
        print_line("A number is how many rows are written.", style="dim")
    return True


def _stacked(name: str) -> str:
    """Return a name in several lines, if it has several words."""
    return name.replace("_", "_\n")


def _cell_text(cell: dict[str, Any] | None, *, in_full: bool) -> Text:
    if cell is None:  # a rollup, on a day that does not end its period
        return Text()
    text = str(cell["status"])
    if text == Status.WRITTEN:
        text = f"{text} {cell['rows']:,}" if in_full else f"{cell['rows']:,}"
    text += " (redo)" if cell.get("redo") else ""
    return Text(text, style=STYLE[cell["status"]])


def _day_line(line: dict[str, Any]) -> Text:
    """Return what is done for a day, in one line: detectors in the same state together."""
    by_state: dict[str, list[str]] = defaultdict(list)
    for name, cell in line["detectors"].items():
        by_state[f"{cell['status']}{' (redo)' if cell.get('redo') else ''}"].append(name)
    parts = [Text(line["day"])]
    if line["away"] is not None:
        parts.append(Text(clean(f"away ({line['away']})")))
    for state, names in by_state.items():
        rows = sum(line["detectors"][name].get("rows") or 0 for name in names)
        what = counted(len(names), "detector") if len(names) > MAX_NAMES else ", ".join(names)
        more = f", {counted(rows, 'row')}" if state == Status.WRITTEN else ""
        parts.append(Text(clean(f"{state}: {what}{more}"), style=STYLE[state.removesuffix(" (redo)")]))
    return Text("  ").join(parts)
