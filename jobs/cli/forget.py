"""``forget``: delete everything of a home from store and ledger, and count what is left."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Annotated

import typer

from jobs.cli.app import Json, command, home_of, print_json, print_message
from jobs.cli.named_home import no_such_home, with_name
from jobs.outcome import Outcome
from storage.errors import UsageError
from storage.ledger.ledger import Ledger
from storage.plurals import counted
from storage.store import AggregateStore


@command("pattern-aggregates forget north --yes")
def forget(
    context: typer.Context,
    home_name: Annotated[str, typer.Argument(metavar="HOME", help="The name of the home.")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: Json = False,
) -> Outcome:
    """Delete everything of a home from store and ledger, count what is left, and print both counts.

    Its raw events stay where they are. Other homes keep everything.
    """
    if not home_name:
        raise UsageError(
            "a home without a name cannot be forgotten", hint="Delete the files of its store and its ledger instead."
        )
    home = with_name(home_of(context, check_parameters=False), home_name)
    with closing(home.open_store()) as store, home.open_ledger() as ledger:
        found = _count(store, ledger)
        if not any(found.values()):
            raise no_such_home(home, store.homes())
        if not yes:
            _ask(home_name, found)
        with ledger.day(home.yesterday()):  # alone among all processes: a run would write what is being deleted
            store.forget()
            ledger.forget()
        left = _count(store, ledger)
    if as_json:
        print_json({"home": home_name, "deleted": {name: found[name] - left[name] for name in found}, "left": left})
    else:
        print_message(f"{home_name}: {_in_words(found)} before, {_in_words(left)} after")
    return Outcome.INCOMPLETE if any(left.values()) else Outcome.DONE


def _count(store: AggregateStore, ledger: Ledger) -> dict[str, int]:
    return {"store": store.count_rows(), "ledger": ledger.count_rows()}


def _in_words(counts: dict[str, int]) -> str:
    return " and ".join(f"{counted(count, 'row')} in the {name}" for name, count in counts.items())


def _ask(name: str, found: dict[str, int]) -> None:
    """Ask whether to delete a home.

    Raises:
        UsageError: Nobody can be asked, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{name} has {_in_words(found)}; nothing is deleted", hint="Pass --yes to delete it all.")
    if not typer.confirm(f"Delete {name}, which has {_in_words(found)}?", err=True):
        raise UsageError("nothing is deleted")
