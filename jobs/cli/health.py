"""``health``: show whether the newest due day is written, and the store holds what is."""

from __future__ import annotations

import typer

from jobs.cli.app import command, home_of, out
from jobs.daemon.health import State, check_health, check_store
from jobs.lost_days import LostDays
from jobs.outcome import Outcome
from jobs.wiring import Home
from storage.errors import LedgerError


@command("pattern-aggregates health")
def health(context: typer.Context) -> Outcome:
    """Exit 0 if the newest due day is written and the store has lost nothing, else 1 with the reason.

    For a container's HEALTHCHECK.
    """
    home = home_of(context, check_parameters=False)
    home.require_source()
    found = check_health(home, lost=_lost(home))
    out.print(f"{found.state}: {found.reason}", markup=False, soft_wrap=True)
    return Outcome.DONE if found.state is State.FRESH else Outcome.INCOMPLETE


def _lost(home: Home) -> LostDays | None:
    try:
        return check_store(home)
    except LedgerError:
        return None  # which check_health reports
