"""An ``EventSource`` over a list of raw rows, which tests change between two reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DEVICE, DayLog
from jobs.activity.window import DayWindow, from_instant
from storage.dates import DateRange
from storage.errors import SourceError


class Row(NamedTuple):
    """One raw sample."""

    at: int
    entity_id: str
    state: str | None
    cause: int = DEVICE


class MemorySource:
    """Raw rows in a list, in any order.

    Args:
        zone: The home's zone.
        rows: The rows.
        runs: (start, end) of each run of the recorder; by default all time from the first row to the last is known,
            and the recorder never started in it.
        about: What is known of entities besides their ids.
        rules: How entities are classed.

    Attributes:
        rows: Can be changed at any time, as can ``runs``.
        held: What ``span`` returns, where a test sets it.
        error: What the next calls raise, where a test sets it.
        reads: How often a day was read.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        rows: Iterable[Row] = (),
        *,
        runs: Iterable[tuple[int, int]] | None = None,
        about: Iterable[Description] = (),
        rules: EntityRules | None = None,
    ) -> None:
        self.rows = list(rows)
        self.held: DateRange | None = None
        self.error: SourceError | None = None
        self.reads = 0
        self._zone = zone
        self.runs = None if runs is None else sorted(runs)
        self._about = list(about)
        self._rules = rules or EntityRules()

    def close(self) -> None:
        """See ``EventSource.close``."""

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        self._raise_error()
        self.reads += 1
        builder = SampleBuilder()
        for about in self._about:
            builder.describe(about)
        for row in self.rows:
            builder.add(*row)
        starts = [start for start, _ in self.runs or ()]
        return Recording.of(builder.build(self._known(), starts), self._rules).day(window)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``."""
        self._raise_error()
        rows = sorted((row for row in self.rows if window.start <= row.at < window.end), key=repr)
        known = [(max(start, window.start), min(end, window.end)) for start, end in self._known()]
        parts = rows, [span for span in known if span[0] < span[1]]
        return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()

    def span(self) -> DateRange | None:
        """See ``EventSource.span``: what a test has set, else from the first known day to the last."""
        self._raise_error()
        known = self._known()
        if self.held is not None or not known:
            return self.held
        first, last = (from_instant(at).astimezone(self._zone).date() for at in (known[0][0], known[-1][1]))
        return DateRange(first, last)

    def _known(self) -> list[tuple[int, int]]:
        if self.runs is not None:
            return self.runs
        instants = [row.at for row in self.rows]
        return [(min(instants), max(instants))] if instants else []

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error
