"""The result of a run over a fleet: counts by state, and every home that was not done, with the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from jobs.fleet.tasks import HomeResult
from jobs.outcome import Outcome


@dataclass(slots=True)
class FleetReport:
    """The result of a run over a fleet.

    Attributes:
        homes: How many homes are in the catalogue, those with a row that is not valid included.
        nothing_due: How many homes had nothing to do.
        not_over: How many homes are left for later, as the days that were named are not over there yet.
        due: How many homes were due.
        due_days: About how many home-days that was.
        done: How many homes were done.
        failing: Why a home was not done, by its name.
        days: How many home-days ended how, by ``DayStatus``.
        rows: How many rows were computed.
        events: Activity events of the days.
        processor_seconds: What all workers together have spent on homes.
        seconds: How long the run took.
        notices: What else an operator should know.
    """

    homes: int = 0
    nothing_due: int = 0
    not_over: int = 0
    due: int = 0
    due_days: int = 0
    done: int = 0
    failing: dict[str, str] = field(default_factory=dict)
    days: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    events: int = 0
    processor_seconds: float = 0.0
    seconds: float = 0.0
    notices: list[str] = field(default_factory=list)
    _outcomes: set[Outcome] = field(default_factory=set)

    def add_invalid(self, home: str, reason: str) -> None:
        """Add a home that cannot be worked on."""
        self.failing[home] = reason
        self._outcomes.add(Outcome.INCOMPLETE)

    def add(self, result: HomeResult) -> None:
        """Add a home that was worked on."""
        self.days.update(result.days)
        self.rows += result.rows
        self.events += result.events
        self.processor_seconds += result.seconds
        self._outcomes.add(result.outcome)
        if result.outcome is Outcome.DONE:
            self.done += 1
        else:
            self.failing[result.home] = result.reason or "something is still to be done"

    @property
    def outcome(self) -> Outcome:
        """How the run ended: one broken home makes it incomplete; only what stops every home counts as such."""
        if self.done + self.failed < self.due:  # stopped before the others
            return Outcome.INCOMPLETE
        if not self._outcomes - {Outcome.DONE}:
            return Outcome.DONE
        is_every_home = len(self._outcomes) == 1 and not self.nothing_due
        return next(iter(self._outcomes)) if is_every_home else Outcome.INCOMPLETE

    @property
    def failed(self) -> int:
        """How many homes were not done."""
        return len(self.failing)

    def document(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "homes": {
                "catalogue": self.homes,
                "nothing_due": self.nothing_due,
                "not_over": self.not_over,
                "due": self.due,
                "done": self.done,
                "failed": self.failed,
            },
            "home_days": {"planned": self.due_days, **dict(sorted(self.days.items()))},
            "rows": self.rows,
            "events": self.events,
            "seconds": round(self.seconds, 3),
            "processor_seconds": round(self.processor_seconds, 3),
            "failing": [{"home": home, "reason": reason} for home, reason in self.failing.items()],
            "notices": self.notices,
        }
