"""The contract of a source of raw events. ``tests/contract/source`` checks it on every implementation."""

from __future__ import annotations

import datetime as dt
from typing import Protocol, runtime_checkable

from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from storage.dates import DateRange


class EventSource(Protocol):
    """Reads raw events, a local day at a time."""

    def read(self, window: DayWindow) -> DayLog:
        """Return everything that is known of one day. The same raw events give the same log.

        Raises:
            SourceUnavailable: The source cannot be reached now.
            SourceCorrupt: It is damaged.
            SourceMismatch: It is not the kind of source that the settings name.
        """
        ...

    def fingerprint(self, window: DayWindow) -> str:
        """Return a short text that changes when the raw events of a day change. Costs less than reading them.

        It looks at the day alone: an event that comes late to the day before may change in which state this one opens,
        and is found when that day is computed again, not this one.
        """
        ...

    def span(self) -> DateRange | None:
        """Return the whole days that the source still holds, None if there are none. A day half purged is not whole."""
        ...

    def close(self) -> None:
        """Close all files and connections. Safe to repeat."""
        ...


@runtime_checkable
class DatesNewestRow(Protocol):
    """A source that can tell cheaply when anything was recorded last, also on the present day."""

    def newest_row(self) -> dt.datetime | None:
        """Return the instant of the newest row, in UTC; None if there is none.

        Raises:
            SourceUnavailable: The source cannot be reached now.
            SourceCorrupt: It is damaged.
        """
        ...
