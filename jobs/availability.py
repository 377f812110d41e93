"""Whether source and store answer during a run: what does not answer is not tried again for every day."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from jobs.detector import EventDetector
from jobs.due import DayPlan
from jobs.run_report import DayReport, DayStatus
from storage.errors import PatternAggregatesError, SourceError, StoreError

MAX_STORE_ERRORS: Final = 3  # days in a row that the store may refuse before a run only stages


@dataclass(slots=True)
class Availability:
    """What has answered so far in a run.

    Attributes:
        source_error: Why the source cannot be reached; None if it can.
        store_error_count: How many days in a row the store has refused.
        unread_count: How many days were not read because of the source.
        too_slow: The detectors that were interrupted on a day, as they took too long; they stay due.
    """

    source_error: PatternAggregatesError | None = None
    store_error_count: int = 0
    unread_count: int = 0
    too_slow: set[str] = field(default_factory=set)

    def limit(self, plan: DayPlan) -> DayPlan:
        """Return the part of a plan that is worth trying."""
        readable = plan.readable and self.source_error is None
        return replace(
            plan,
            detectors=tuple(name for name in plan.detectors if name not in self.too_slow),
            candidates=tuple(one for one in plan.candidates if one.name not in self.too_slow),
            readable=readable,
            write=self.store_error_count < MAX_STORE_ERRORS,
        )

    def learn(self, day: DayReport) -> None:
        """Record the errors of a day."""
        self.too_slow |= set(day.too_slow)
        if isinstance(day.cause, SourceError) and day.cause.retryable:
            self.source_error = day.cause
        if isinstance(day.cause, StoreError):
            self.store_error_count += 1
        elif self.store_error_count < MAX_STORE_ERRORS:
            self.store_error_count = 0

    def report_unread(self, plan: DayPlan, day: DayReport) -> None:
        """Add to the report of a day that the day was due but could not be read."""
        self.unread_count += 1
        if not any(isinstance(one, EventDetector) and one.name in plan.detectors for one in plan.candidates):
            return
        day.error = day.error or f"not read: {self.source_error}"
        without_events = {DayStatus.SKIPPED: DayStatus.FAILED, DayStatus.WRITTEN: DayStatus.PARTIAL}
        day.status = without_events.get(day.status, day.status)
