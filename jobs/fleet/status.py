"""How the homes of a fleet are doing, by one question to the ledger of all homes."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.detector import Detector
from jobs.due import is_outstanding
from jobs.fleet.planning import Candidate, plan_homes
from storage.ledger.entry import Entry, Status

DONE: Final = "done"
DUE: Final = "due"
INVALID: Final = "invalid"
STATES: Final = (DONE, DUE, Status.STAGED, Status.DEFERRED, Status.EXPIRED, Status.FAILED, Status.LOST, INVALID)
"""The states of a home, each worse than those before; ``due``: not computed yet; ``invalid``: its row is not valid."""

_SEVERITY: Final = {str(state): number for number, state in enumerate(STATES)}


@dataclass(slots=True)
class FleetStatus:
    """How the homes of a fleet are doing.

    Attributes:
        homes: How many homes there are, by the worst state that any of their days has.
        oldest_due: The oldest day that is not done; None if every day is.
        oldest_home: The first home of the catalogue where it is not done; empty if every day is done.
        reasons: Why homes are not done: by the error, how many homes have it.
        examples: One home for each of these errors.
    """

    homes: Counter[str] = field(default_factory=Counter)
    oldest_due: dt.date | None = None
    oldest_home: str = ""
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, home: str, state: str, reason: str = "") -> None:
        """Add a home."""
        self.homes[state] += 1
        if reason:
            self.reasons[reason] += 1
            self.examples.setdefault(reason, home)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "homes": {str(state): self.homes[state] for state in STATES},
            "oldest_due": self.oldest_due.isoformat() if self.oldest_due is not None else None,
            "oldest_home": self.oldest_home or None,
            "reasons": [
                {"reason": reason, "homes": count, "example": self.examples[reason]}
                for reason, count in self.reasons.most_common()
            ],
        }


def fleet_status(
    candidates: Sequence[Candidate], entries: Iterable[tuple[str, Entry]], detectors: Sequence[Detector]
) -> FleetStatus:
    """Return how some homes are doing.

    Args:
        candidates: The homes.
        entries: What the ledger knows of their windows, with the name of the home, in any order.
        detectors: The enabled detectors.
    """
    worst: dict[str, Entry] = {}
    by_name = {one.name: one for one in detectors}

    def watched() -> Iterator[tuple[str, Entry]]:
        for home, entry in entries:
            one = by_name.get(entry.detector)
            if one is not None and is_outstanding(one, entry):
                known = worst.setdefault(home, entry)
                if _SEVERITY.get(entry.status, 0) > _SEVERITY.get(known.status, 0):
                    worst[home] = entry
            yield home, entry

    plan = plan_homes(candidates, watched(), detectors)
    status = FleetStatus()
    status.homes[DONE] = plan.nothing_due
    for due in plan.due:
        entry = worst.get(due.home.name)
        if entry is None or entry.status is Status.WRITTEN:  # then by an earlier version, or it is to be repeated
            status.add(due.home.name, DUE)
        else:
            status.add(due.home.name, entry.status, entry.error and f"{entry.detector}: {entry.error}")
        if due.oldest is not None and (status.oldest_due is None or due.oldest < status.oldest_due):
            status.oldest_due, status.oldest_home = due.oldest, due.home.name
    return status
