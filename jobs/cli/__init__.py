"""The command line: parse, call, render, exit code. One file for each command; ``app`` has what they share."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence

from jobs import isolation, logs, signals
from jobs.cli import app


def main(words: Sequence[str] | None = None) -> None:
    """Run ``pattern-aggregates``; it ends with SystemExit.

    Args:
        words: Command and options; those of this process if left out.
    """
    signals.watch()
    sys.excepthook = logs.print_uncaught
    app.replace_unknown_characters()
    try:
        try:
            app.app(words, prog_name=app.NAME)
        except SystemExit as ended:
            isolation.end_process(ended.code if isinstance(ended.code, int) else bool(ended.code))
            raise
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EPIPE, errno.EIO):
            raise
        sys.exit(app.output_failed(error))
