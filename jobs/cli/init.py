"""``init``: create or upgrade what store and ledger need."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.cli.app import command, home_of, out


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
    _mend: Annotated[bool, typer.Option("--mend", hidden=True, callback=_refuse_former_name)] = False,
) -> None:
    """Create what store and ledger need, or upgrade them. Safe to repeat; prints what it changed."""
    home = home_of(context)
    store = home.open_store()
    try:
        changes = store.prepare(update_retention=update_retention)
    finally:
        store.close()
    with home.open_ledger() as ledger:
        changes += [ledger.changes] if ledger.changes else []
    for change in changes or ["nothing to change"]:
        out.print(change, markup=False)
