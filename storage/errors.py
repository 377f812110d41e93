"""Every error that this project raises on purpose.

::

    PatternAggregatesError
    ├── TimeLimitExceeded             something took longer than it may
    ├── UsageError                    an invalid call or command
    │   └── DaysMissing               a reader asked for days that were never computed
    ├── SettingsError                 settings that cannot work
    │   ├── DetectorInvalid           a detector that cannot be registered
    │   ├── LedgerMismatch            the file of the ledger belongs to another program
    │   ├── HomeMismatch              store, ledger and settings are not of one home
    │   └── SourceMismatch            the source is not what the settings say
    ├── SourceError                   raw events cannot be read
    │   ├── SourceCorrupt             the source is damaged
    │   └── SourceUnavailable         the source cannot be read now
    ├── StoreError                    aggregates cannot be written or read
    │   ├── StoreMissing              the store does not exist yet
    │   ├── StoreCorrupt              the store holds a row that its model does not accept
    │   └── StoreUnavailable          the store cannot be used now
    ├── LedgerError                   the ledger cannot be used
    │   ├── LedgerVersionMismatch     the file has another schema version than this program
    │   ├── LedgerCorrupt             the file is damaged
    │   └── LedgerUnavailable         the ledger cannot be used now
    └── HouseholdError                the file of days away and mutes cannot be used
        └── HouseholdUnavailable      the file of days away and mutes cannot be used now

The docstring of a class is its default message. ``retryable`` says whether the same call may succeed later without a
change by anybody. ``hint`` says what the operator can do. Errors of drivers are translated where the driver is called
and stay reachable as ``__cause__``. How a command ends because of an error is decided in ``jobs.outcome``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


MAX_LISTED_DAYS: Final = 5
MAX_LISTED_HOMES: Final = 5


class PatternAggregatesError(Exception):
    """Something went wrong."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])
        self.hint = hint


class TimeLimitExceeded(PatternAggregatesError):
    """Something took longer than it may."""

    retryable = True


class UsageError(PatternAggregatesError):
    """The call is not valid."""


class DaysMissing(UsageError):
    """Some of the days asked for were never computed."""

    def __init__(self, detector: str, days: Sequence[dt.date], homes: Sequence[str] = ()) -> None:
        listed = ", ".join(str(day) for day in days[:MAX_LISTED_DAYS])
        more = f" and {len(days) - MAX_LISTED_DAYS} more" if len(days) > MAX_LISTED_DAYS else ""
        named = [repr(home) for home in homes if home]
        of_homes = f", of home {', '.join(named[:MAX_LISTED_HOMES])}" if named else ""
        of_homes += f" and {len(named) - MAX_LISTED_HOMES} more" if len(named) > MAX_LISTED_HOMES else ""
        super().__init__(
            f"{detector} was not computed for {len(days)} of the days asked for: {listed}{more}{of_homes}",
            hint="Run a backfill for these days, or pass allow_missing=True to take what is there.",
        )
        self.detector = detector
        self.days = tuple(days)
        self.homes = tuple(homes)


class SettingsError(PatternAggregatesError):
    """The settings cannot work."""


class DetectorInvalid(SettingsError):
    """A detector cannot be registered."""


class LedgerMismatch(SettingsError):
    """The file that is named as the ledger belongs to another program."""


class HomeMismatch(SettingsError):
    """Store, ledger and settings are not of one home."""


class SourceMismatch(SettingsError):
    """The source is not what the settings say."""


class SourceError(PatternAggregatesError):
    """The raw events cannot be read."""


class SourceCorrupt(SourceError):
    """The source is damaged."""


class SourceUnavailable(SourceError):
    """The source cannot be read now."""

    retryable = True


class StoreError(PatternAggregatesError):
    """The aggregates cannot be written or read."""


class StoreMissing(StoreError):
    """The store does not exist yet."""


class StoreCorrupt(StoreError):
    """The store holds a row that its model does not accept."""


class StoreUnavailable(StoreError):
    """The store cannot be used now."""

    retryable = True


class LedgerError(PatternAggregatesError):
    """The ledger cannot be used."""


class LedgerVersionMismatch(LedgerError):
    """The ledger file has another schema version than this program."""


class LedgerCorrupt(LedgerError):
    """The ledger file is damaged."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be used now."""

    retryable = True


class HouseholdError(PatternAggregatesError):
    """The file of days away and mutes cannot be used."""


class HouseholdUnavailable(HouseholdError):
    """The file of days away and mutes cannot be used now."""

    retryable = True
