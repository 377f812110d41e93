"""The command line: parse, call, render, exit code. One file a command; ``app`` holds what they share."""

import errno
import sys

from jobs import signals
from jobs.cli import app, backfill, demo, detectors, doctor, explain, health, init, query, run, serve, status

__all__ = [
    "app",
    "backfill",
    "demo",
    "detectors",
    "doctor",
    "explain",
    "health",
    "init",
    "main",
    "query",
    "run",
    "serve",
    "status",
]


def main() -> None:
    """Entry point of ``pattern-aggregates``."""
    signals.watch()
    try:
        app.app(prog_name="pattern-aggregates")
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EPIPE, errno.EIO):
            raise
        sys.exit(app.output_failed(error))
