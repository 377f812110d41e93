"""How a run or a command ended, ordered by severity. ``jobs.exit_codes`` turns it into exit codes."""

from __future__ import annotations

from enum import IntEnum

from storage.errors import DaysMissing, PatternAggregatesError, SettingsError, UsageError


class Outcome(IntEnum):
    """How something ended. The values are only an order: of several outcomes, the ``max`` counts."""

    DONE = 0  # everything that was due is done
    INCOMPLETE = 1  # some day or detector failed, or the source is stale; the rest is done
    INVALID_CALL = 2  # the command or its arguments are not valid
    UNAVAILABLE = 3  # source, store or ledger cannot be reached now; nothing is lost
    INVALID_SETTINGS = 4  # somebody has to change the settings first

    @classmethod
    def of_error(cls, error: BaseException) -> Outcome:
        """Return the outcome of a command that an error stopped.

        >>> Outcome.of_error(SettingsError("no such time zone"))
        <Outcome.INVALID_SETTINGS: 4>
        """
        match error:
            case DaysMissing():
                return cls.INCOMPLETE
            case UsageError():
                return cls.INVALID_CALL
            case SettingsError():
                return cls.INVALID_SETTINGS
            case PatternAggregatesError(retryable=True):
                return cls.UNAVAILABLE
            case _:
                return cls.INCOMPLETE
