"""``init``: create or upgrade what store and ledger need."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from jobs.belonging import Adoption, Belonging
from jobs.cli.app import Json, command, home_of, print_json, print_line
from jobs.rebuild import rebuild_ledger
from jobs.wiring import Home
from storage.errors import StoreMissing, UsageError


def _refuse_former_name(value: bool) -> bool:
    if value:
        raise typer.BadParameter("was renamed; it is now called '--update-retention'")
    return value


@command("pattern-aggregates init")
def init(
    context: typer.Context,
    update_retention: Annotated[
        bool, typer.Option("--update-retention", help="Also change a retention that differs from the settings.")
    ] = False,
    adopt: Annotated[
        list[Adoption] | None,
        typer.Option(
            "--adopt",
            help="Change what belongs together: store (make it the ledger's home's), ledger (make it the store's "
            "home's), source or zone (make them what the settings say). May be repeated.",
        ),
    ] = None,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Remove the device of this home from Home Assistant (MQTT), and nothing else."),
    ] = False,
    as_json: Json = False,
    _mend: Annotated[bool, typer.Option("--mend", hidden=True, callback=_refuse_former_name)] = False,
) -> None:
    """Create what store and ledger need, or upgrade them. Safe to repeat; prints what it changed."""
    home = home_of(context)
    home.require_source()
    if remove:
        _remove(home, as_json=as_json)
        return
    with home.open_ledger() as ledger, closing(home.open_store()) as store:
        changes = [ledger.changes] if ledger.changes else []
        belonging = home.belonging(ledger, store)
        try:
            belonging.store.read_home()
        except StoreMissing:  # a bucket that is not there
            changes += store.prepare()
        for adoption in (one for one in Adoption if one in (adopt or ())):
            changes += _adopt(home, belonging, adoption)
        changes += home.settle(ledger, store)
        changes += store.prepare(update_retention=update_retention)
    _print(changes, as_json=as_json, if_none="nothing to change")


def _print(changes: list[str], *, as_json: bool, if_none: str) -> None:
    if as_json:
        print_json({"changes": changes})
        return
    for change in changes or [if_none]:
        print_line(change)


def _remove(home: Home, *, as_json: bool) -> None:
    from jobs.publish.publishing import Publishing  # noqa: PLC0415 - only where it is used

    if not home.settings.mqtt.host:
        raise UsageError("no MQTT broker is named", hint="Name the broker that has the device in [mqtt] host.")
    _print(Publishing(home).remove(), as_json=as_json, if_none="nothing to remove: nothing was published yet")


def _adopt(home: Home, belonging: Belonging, adoption: Adoption) -> list[str]:
    changes = [belonging.adopt(adoption)]
    if adoption is Adoption.LEDGER:  # which otherwise would not know what the store holds
        detectors = [one.detector for one in home.registered]
        rebuilt = rebuild_ledger(belonging.store, belonging.ledger, detectors, yesterday=home.yesterday())
        changes.append(f"{belonging.ledger.where}: {rebuilt}")
    return changes
