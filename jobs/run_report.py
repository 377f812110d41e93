"""The results of a day, and of a run over several days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from jobs.due import DayPlan
from jobs.lost_days import LostDays
from jobs.outcome import Outcome
from storage.dates import DateRange
from storage.errors import PatternAggregatesError
from storage.ledger.entry import Entry


class DayStatus(StrEnum):
    """The result of a day in one word."""

    WRITTEN = "written"  # the store holds everything that was due
    PARTIAL = "partial"  # some detector failed or was deferred; the rest is written
    STAGED = "staged"  # computed, and kept until the store can be reached
    FAILED = "failed"  # nothing could be done
    SKIPPED = "skipped"  # nothing was due


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """The result of one detector on one day."""

    status: str
    version: int
    rows: int
    error: str
    reason: str


@dataclass(slots=True)
class DayReport:
    """The result of a day.

    Attributes:
        day: The local calendar day.
        status: The result in one word.
        detectors: The result of each detector that had something to do.
        entries: What the ledger knows of each detector afterwards.
        events: Activity events of the day; 0 if they were not read.
        seconds: How long it took.
        detector_seconds: How long each detector took that computed.
        error: Why the day could not be done as a whole; empty if it could.
        cause: The error behind it.
        too_slow: The detectors that were interrupted, as they took too long.
    """

    day: dt.date
    status: DayStatus = DayStatus.SKIPPED
    detectors: dict[str, DetectorReport] = field(default_factory=dict)
    entries: Mapping[str, Entry] = field(default_factory=dict)
    events: int = 0
    seconds: float = 0.0
    detector_seconds: dict[str, float] = field(default_factory=dict)
    error: str = ""
    cause: PatternAggregatesError | None = None
    too_slow: list[str] = field(default_factory=list)


@dataclass(slots=True)
class RunReport:
    """The result of a run.

    Attributes:
        days: The days that were worked on, in order.
        plan: What was due.
        entries: What the ledger knows of each day and detector afterwards, as far as the run has looked at it.
        notices: What else an operator should know.
        errors: Every error of source and store.
        lost: What the ledger lists as written and the store does not hold, of the newest days; None if that was not
            looked at, or the store could not be read.
        span: The whole days that the source holds; None if it holds none, or could not be asked.
        outcome: The most severe outcome of all days and steps.
    """

    days: list[DayReport] = field(default_factory=list)
    plan: list[DayPlan] = field(default_factory=list)
    entries: dict[tuple[dt.date, str], Entry] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    errors: list[PatternAggregatesError] = field(default_factory=list)
    lost: LostDays | None = None
    span: DateRange | None = None
    outcome: Outcome = Outcome.DONE

    def add_problem(self, text: str, outcome: Outcome = Outcome.INCOMPLETE) -> None:
        """Add a notice of something that is wrong."""
        self.notices.append(text)
        self.outcome = max(self.outcome, outcome)

    def add_error(self, origin: str, error: PatternAggregatesError) -> None:
        """Add an error of source or store."""
        self.errors.append(error)
        hint = f". {error.hint}" if error.hint else ""
        self.add_problem(f"{origin}: {error}{hint}", Outcome.of_error(error))

    def add_day(self, day: DayReport) -> None:
        """Add a day that was worked on."""
        self.days.append(day)
        self.entries.update({(day.day, name): entry for name, entry in day.entries.items()})
        if day.cause is not None:
            self.errors.append(day.cause)
            self.outcome = max(self.outcome, Outcome.of_error(day.cause))
        elif day.status not in (DayStatus.WRITTEN, DayStatus.SKIPPED):
            self.outcome = max(self.outcome, Outcome.INCOMPLETE)
