"""``away``: enter days on which nobody is home, list them, or remove them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from jobs.cli.app import Json, command, days_of, home_of, print_json, print_message
from jobs.cli.tables import print_table
from jobs.household import Away
from jobs.household_file import MAX_DAYS_AWAY, MAX_TEXT, with_away, without_away
from jobs.wiring import Home
from storage.dates import DateRange
from storage.errors import UsageError
from storage.plurals import counted

JUDGED_AGAIN = "Days that this concerns are judged again by the next run."


@command('pattern-aggregates away 2026-08-01 2026-08-14 --note "summer holiday"', takes_days=True)
def away(
    context: typer.Context,
    first: Annotated[str | None, typer.Argument(metavar="FIRST", help="First day away: YYYY-MM-DD, today.")] = None,
    last: Annotated[str | None, typer.Argument(metavar="LAST", help="Last day away, included.")] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why, for yourself.")] = "",
    list_all: Annotated[bool, typer.Option("--list", help="List all days away, also those of the calendar.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the days FIRST to LAST.")] = False,
    as_json: Json = False,
) -> None:
    """Enter days on which nobody is home: they are no baseline, and only movement inside is reported.

    On FIRST and LAST, you may still or already be home for a part of the day.
    """
    home = home_of(context, check_parameters=False)
    if list_all or first is None:
        if first is not None or note or remove or not list_all:
            raise UsageError("not a valid call", hint="Give FIRST and perhaps LAST, or --list alone.")
    else:
        days = _checked(days_of(home, first, last))
        if remove:
            _remove(home, days)
        elif len(note) > MAX_TEXT:
            raise UsageError(f"the note has {len(note)} characters, at most {MAX_TEXT} are allowed")
        else:
            home.household_file.change(partial(with_away, away=Away(days.first, days.last, note)))
            print_message(f"away: {_named(days)}. {JUDGED_AGAIN}")
    if list_all or as_json:
        _list(home, as_json=as_json)


def _checked(days: DateRange) -> DateRange:
    if len(days) > MAX_DAYS_AWAY:
        raise UsageError(
            f"{days} is {len(days):,} days long", hint=f"At most {MAX_DAYS_AWAY} days away can be entered at once."
        )
    return days


def _remove(home: Home, days: DateRange) -> None:
    entered = home.household_file.read().away
    if not any(one.days & days for one in entered):
        stretches = ", ".join(str(one.days) for one in entered)
        raise UsageError(
            f"no days away were entered for {_named(days)}",
            hint=f"Entered are {stretches}." if stretches else "None are entered; see `away --list`.",
        )
    home.household_file.change(partial(without_away, days=days))
    print_message(f"no longer away: {_named(days)}. {JUDGED_AGAIN}")


def _named(days: DateRange) -> str:
    return str(days) if len(days) == 1 else f"{days}, {counted(len(days), 'day')}"


def _list(home: Home, *, as_json: bool) -> None:
    with home.open_ledger(read_only=True) as ledger:
        household = home.read_household(ledger)
    for problem in (*household.notices, household.problem):
        if problem:
            print_message(problem, style="yellow")
    found = sorted(household.away)
    if as_json:
        print_json(
            [
                {"first": one.first, "last": one.last, "days": len(one.days), "note": one.note, "origin": one.origin}
                for one in found
            ]
        )
        return
    if not found:
        print_message("no days away are known")
        return
    rows = [
        (
            str(one.first),
            str(one.last),
            str(len(one.days)),
            one.note,
            "the calendar" if one.origin == "calendar" else "entered",
        )
        for one in found
    ]
    print_table(("first", "last", "days", "note", "from"), rows, numbers=("days",), texts=("note",))
