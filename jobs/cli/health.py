"""``health``: show whether the newest due day is written, and the store holds what is."""

from __future__ import annotations

import typer

from jobs.cli.app import Json, command, home_of, print_json, print_line
from jobs.daemon.health import State, check_health, check_store
from jobs.lost_days import LostDays
from jobs.outcome import Outcome
from jobs.wiring import Home
from storage.errors import LedgerError


@command("pattern-aggregates health")
def health(context: typer.Context, as_json: Json = False) -> Outcome:
    """Exit 0 if the newest due day is written and the store has lost nothing, else 1 with the reason.

    For a container's HEALTHCHECK.
    """
    home = home_of(context, check_parameters=False)
    home.require_source()
    found = check_health(home, lost=_lost(home))
    if as_json:
        print_json({"state": found.state, "reason": found.reason})
    else:
        print_line(f"{found.state}: {found.reason}", style="green" if found.state is State.FRESH else "red")
    return Outcome.DONE if found.state is State.FRESH else Outcome.INCOMPLETE


def _lost(home: Home) -> LostDays | None:
    try:
        return check_store(home)
    except LedgerError:
        return None  # which check_health reports
