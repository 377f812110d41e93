"""``doctor``: check everything that could be wrong, with what to do about it, and show how entities are classified."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from jobs.activity.entities import Entity
from jobs.cli.app import UNLIMITED_WIDTH, Json, command, home_of, out, print_json, print_line, terminal_text
from jobs.cli.checks import Check, check_home
from jobs.cli.tables import fits, print_table
from jobs.outcome import Outcome
from jobs.rebuild import rebuild_ledger as rebuild_ledger_from
from jobs.wiring import Home
from storage.clean_text import clean

STYLE = {"ok": "green", "note": "yellow", "problem": "bold red"}


@command("pattern-aggregates doctor")
def doctor(
    context: typer.Context,
    rebuild_ledger: Annotated[
        bool,
        typer.Option(
            "--rebuild-ledger", help="Do not check; add to the ledger the runs that the store has records of."
        ),
    ] = False,
    as_json: Json = False,
) -> Outcome:
    """Check settings, time zone, source, store, ledger and versions, and show how entities are classified, and why."""
    home = home_of(context)
    if rebuild_ledger:
        return _rebuild(home, as_json=as_json)
    checks, entities = check_home(home)
    if as_json:
        print_json({"checks": [check_as_json(one) for one in checks], "entities": [_entity(one) for one in entities]})
    else:
        print_checks(checks)
        _print_entities(entities)
    return outcome_of(checks)


def outcome_of(checks: Sequence[Check]) -> Outcome:
    """Return how a command that checked a home ends."""
    return max((check.outcome for check in checks if check.verdict == "problem"), default=Outcome.DONE)


def print_checks(checks: Sequence[Check]) -> None:
    """Print checks, each with its hint."""
    for check in checks:
        _print_entry(Text(f"{check.verdict:8}", STYLE[check.verdict]), f"{check.about}: {check.found}")
        if check.hint:
            _print_entry(Text(" " * 8), check.hint)


def _print_entry(head: Text, text: str) -> None:
    """Print a text after its head; a terminal gets the lines of the text below each other, a file gets one line."""
    if out.width >= UNLIMITED_WIDTH:
        print_line(Text.assemble(head, clean(text)))
        return
    grid = Table.grid(padding=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(head, terminal_text(text))
    out.print(grid)


def _rebuild(home: Home, *, as_json: bool) -> Outcome:
    with closing(home.open_store(read_only=True)) as store, home.open_ledger() as ledger:
        home.belonging(ledger, store).take_home_of_store()
        detectors = [one.detector for one in home.registered]
        rebuilt = rebuild_ledger_from(store, ledger, detectors, yesterday=home.yesterday())
        where = ledger.where
    if as_json:
        print_json({"rebuilt": asdict(rebuilt)})
    else:
        print_line(f"{where}: {rebuilt}")
    return Outcome.DONE


def check_as_json(one: Check) -> dict[str, object]:
    """Return a check as JSON."""
    return {name: value for name, value in asdict(one).items() if name != "outcome"}


def _entity(one: Entity) -> dict[str, object]:
    return {**asdict(one), "active_states": sorted(one.active_states)}


def _print_entities(entities: Sequence[Entity]) -> None:
    if not entities:
        return
    rows, joined = [], []
    for one in entities:
        is_active = one.kind == "activity"
        active = ", ".join(sorted(one.active_states)) if is_active else ""
        presence = "yes" if one.presence and is_active else ""
        cells = (one.entity_id, one.kind, one.reason, one.area_id or "", active, presence)
        rows.append([terminal_text(cell) for cell in cells])
        about = (one.area_id, f"active when {active}" if active else "", "shows presence" if presence else "")
        joined.append((one.entity_id, "; ".join((f"{one.kind} ({one.reason})", *filter(None, about)))))
    headings = ("entity", "class", "why", "area", "active when", "presence")
    if fits(headings, rows):
        print_table(headings, rows, title="entities")
    else:
        print_table(("entity", "how it is classified"), joined, title="entities", texts=("how it is classified",))
