"""Every error this project raises on purpose.

::

    PatternAggregatesError
    ├── UsageError                  a call or command that cannot be meant (exit 2)
    │   └── DaysMissing             a reader asked for days that were never computed
    ├── SettingsError               settings that cannot work (exit 78)
    │   ├── DetectorRefused         a detector that cannot be registered
    │   └── SourceForeign           the source is something else than the settings say
    ├── SourceError                 raw events cannot be read (exit 1)
    │   ├── SourceCorrupt           the source is damaged
    │   └── SourceUnavailable       not now, perhaps later (exit 75)
    ├── StoreError                  aggregates cannot be kept or read (exit 1)
    │   ├── StoreMissing            there is no such store yet
    │   ├── StoreCorrupt            the store holds what no model accepts
    │   └── StoreUnavailable        not now, perhaps later (exit 75)
    └── LedgerError                 the book of what is done is not usable (exit 1)
        ├── LedgerForeign           another program's file, or a newer version's
        ├── LedgerCorrupt           the file is damaged
        └── LedgerUnavailable       not now, perhaps later (exit 75)

A class's docstring is its default message. ``retryable`` says whether the same call may succeed later without anybody
changing anything. ``hint`` tells an operator what to do. Drivers' own errors are translated where the driver is called
and stay reachable as ``__cause__``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


_SHOWN: Final = 5  # days that a message lists


class PatternAggregatesError(Exception):
    """Something went wrong."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])
        self.hint = hint


class UsageError(PatternAggregatesError):
    """The call cannot be meant as it stands."""

    exit_code = 2


class DaysMissing(UsageError):
    """Some of the days asked for were never computed."""

    exit_code = 1

    def __init__(self, detector: str, days: Sequence[dt.date]) -> None:
        shown = ", ".join(str(day) for day in days[:_SHOWN])
        more = f" and {len(days) - _SHOWN} more" if len(days) > _SHOWN else ""
        super().__init__(
            f"{detector} was not computed for {len(days)} of the days asked for: {shown}{more}",
            hint="Run a backfill for these days, or pass allow_missing=True to take what is there.",
        )
        self.detector = detector
        self.days = tuple(days)


class SettingsError(PatternAggregatesError):
    """The settings cannot work."""

    exit_code = 78


class DetectorRefused(SettingsError):
    """A detector cannot be registered."""


class SourceForeign(SettingsError):
    """The source is not what the settings say it is."""


class SourceError(PatternAggregatesError):
    """The raw events cannot be read."""


class SourceCorrupt(SourceError):
    """The source is damaged."""


class SourceUnavailable(SourceError):
    """The source cannot be reached now."""

    retryable = True
    exit_code = 75


class StoreError(PatternAggregatesError):
    """The aggregates cannot be kept or read."""


class StoreMissing(StoreError):
    """There is no such store yet."""


class StoreCorrupt(StoreError):
    """The store holds a row that its model does not accept."""


class StoreUnavailable(StoreError):
    """The store cannot be reached now."""

    retryable = True
    exit_code = 75


class LedgerError(PatternAggregatesError):
    """The ledger cannot be used."""


class LedgerForeign(LedgerError):
    """The ledger file belongs to another program or to a newer version."""


class LedgerCorrupt(LedgerError):
    """The ledger file is damaged."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be used now."""

    retryable = True
    exit_code = 75
