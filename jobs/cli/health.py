"""``health``: show whether the newest due day is written."""

from __future__ import annotations

import typer

from jobs.cli.app import command, home_of, out
from jobs.daemon.health import State, check_health
from jobs.outcome import Outcome


@command("pattern-aggregates health")
def health(context: typer.Context) -> Outcome:
    """Exit 0 if the newest due day is written, else 1 with the reason; for a container's HEALTHCHECK."""
    found = check_health(home_of(context, check_parameters=False))
    out.print(f"{found.state}: {found.reason}", markup=False, soft_wrap=True)
    return Outcome.DONE if found.state is State.FRESH else Outcome.INCOMPLETE
