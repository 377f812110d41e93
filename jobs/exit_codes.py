"""The exit codes of the commands, for the command line and the daemon's metrics. Other programs rely on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobs.outcome import Outcome

EXIT_CODES: Final[Mapping[Outcome, int]] = {
    Outcome.DONE: 0,
    Outcome.INCOMPLETE: 1,
    Outcome.INVALID_CALL: 2,
    Outcome.UNAVAILABLE: 75,  # EX_TEMPFAIL of sysexits.h
    Outcome.INVALID_SETTINGS: 78,  # EX_CONFIG of sysexits.h
}
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
