"""The command line: parse, call, render, exit code. One file for each command; ``app`` has what they share."""

from __future__ import annotations

import errno
import sys

from jobs import logs, signals
from jobs.cli import app


def main() -> None:
    """Run ``pattern-aggregates``."""
    signals.watch()
    sys.excepthook = logs.print_uncaught
    app.replace_unknown_characters()
    try:
        app.app(prog_name=app.NAME)
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EPIPE, errno.EIO):
            raise
        sys.exit(app.output_failed(error))
