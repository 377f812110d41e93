"""What a source of raw events promises. ``tests/contract/source`` checks it on every implementation."""

from __future__ import annotations

from typing import Protocol

from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from storage.dates import DateRange


class EventSource(Protocol):
    """Reads raw events, a local day at a time."""

    def read(self, window: DayWindow) -> DayLog:
        """Everything known of one day. The same raw events give the same log.

        Raises:
            SourceUnavailable: The source cannot be reached now.
            SourceCorrupt: It is damaged.
            SourceMismatch: It is something else than the settings say.
        """
        ...

    def fingerprint(self, window: DayWindow) -> str:
        """A short text that changes when the raw events of a day change, and costs less than reading them.

        It looks at the day alone: an event that comes late to the day before may change in which state this one opens,
        and is found when that day is computed again, not this one.
        """
        ...

    def span(self) -> DateRange | None:
        """The whole days that the source still holds; None if it holds none. A day half purged is not whole."""
        ...

    def close(self) -> None:
        """Give back files and connections. Safe to repeat."""
        ...
