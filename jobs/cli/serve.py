"""``serve``: run the daemon."""

from __future__ import annotations

import sys
from contextlib import suppress

import typer

from jobs import logs
from jobs.cli.app import command, home_of
from jobs.daemon.loop import Daemon
from jobs.signals import stop_on_signals
from storage.errors import LedgerError


@command("pattern-aggregates serve")
def serve(context: typer.Context) -> None:
    """Run the nightly job now and then every night, until SIGTERM or Ctrl-C; logs go to standard error."""
    home = home_of(context)
    home.require_source()
    with suppress(LedgerError), home.open_checked():  # the first run reports a ledger that cannot be read
        pass
    logs.configure(sys.stderr)
    daemon = Daemon(home)
    stop_on_signals(daemon.stop)
    daemon.serve()
