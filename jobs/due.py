"""Decide whether a day is due: only here, from the ledger's entries, without reading or changing anything.

``nightly`` plans a run with ``plan_day``. Other processes may work on the same days meanwhile, so the pipeline asks
again under the day's lock, with fresh entries (``DayPlan.renewed``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from jobs.detector import Detector, EventDetector, HistoryDetector, UsesHousehold
from jobs.household import NO_HOUSEHOLD, Household
from storage.dates import DateRange
from storage.ledger.entry import Entry, Status, findings_fingerprint

Redo = Literal["missing", "failed", "lost", "all"]
Entries = Mapping[str, Entry]
"""What the ledger knows of one day, by detector."""

_REDONE: Final[Mapping[str | None, Collection[Status | None]]] = {
    "missing": (None,),
    "failed": (Status.FAILED, Status.DEFERRED),
    "lost": (Status.LOST,),
}
"""Which states of an attempt a kind of ``Redo`` computes again; None stands for no attempt."""


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What is to be done for one day.

    Attributes:
        day: The local calendar day.
        detectors: The names of the detectors that are due; empty if the day is only to be written or rechecked.
        candidates: The detectors that may compute, event detectors first.
        readable: Whether the source can be read for the day; if not, only stored and staged aggregates are used.
        redo: What the user asked to compute again.
        recheck: Whether to compute again what was computed from raw events that have changed since.
        force: Whether to replace even rows that were computed from more data than the source has now.
        write: Whether to try to write to the store.
        household: What is known of the household.
    """

    day: dt.date
    detectors: tuple[str, ...]
    candidates: tuple[Detector, ...]
    readable: bool
    redo: Redo | None = None
    recheck: bool = False
    force: bool = False
    write: bool = True
    household: Household = NO_HOUSEHOLD

    def renewed(self, entries: Entries) -> DayPlan | None:
        """Return the plan for the same day by newer entries."""
        return plan_day(
            self.day,
            self.candidates,
            entries,
            readable=self.readable,
            redo=self.redo,
            recheck=self.recheck,
            household=self.household,
        )


def plan_day(
    day: dt.date,
    detectors: Iterable[Detector],
    entries: Entries,
    *,
    readable: bool,
    redo: Redo | None = None,
    recheck: bool = False,
    household: Household = NO_HOUSEHOLD,
) -> DayPlan | None:
    """Decide what is to be done for one day.

    A detector is due if it was never tried, failed, was deferred, has another version or was asked for again; a history
    detector also if what it judged has changed, or what it uses of the household. An event detector needs a readable
    day. A history detector needs one too, unless there are findings to judge.

    Args:
        day: The local calendar day.
        detectors: The detectors that may compute.
        entries: What the ledger knows of the day, also of other detectors.
        readable: Whether the source can be read for the day.
        redo: ``missing`` only what was never tried, ``failed`` only what failed or was deferred, ``lost`` only what the
            store has lost, ``all`` everything; by default whatever is due.
        recheck: Whether to look for late events.
        household: What is known of the household.

    Returns:
        The plan; None if there is nothing to do.
    """
    candidates = tuple(detectors)
    judged = frozenset(
        one.name
        for one in candidates
        if isinstance(one, HistoryDetector) and one.name in entries and _is_judged(one, entries, day, household)
    )
    due = tuple(
        one.name for one in candidates if _is_due(one, candidates, entries, judged, readable=readable, redo=redo)
    )
    rechecked = recheck and readable
    is_waiting = any(entry.status is Status.STAGED for entry in entries.values())
    if not (due or rechecked or is_waiting):
        return None
    return DayPlan(day, due, candidates, readable, redo, rechecked, household=household)


def judged_fingerprint(
    one: HistoryDetector, entries: Iterable[Entry], day: dt.date, household: Household = NO_HOUSEHOLD
) -> str:
    """Return a fingerprint of what a history detector judges a day by: findings, and what it uses of the household."""
    findings = findings_fingerprint(entries)
    if not isinstance(one, UsesHousehold):
        return findings
    return f"{findings} {household.fingerprint(DateRange.ending(day, one.household_days))}".rstrip()


def with_late_events(detectors: Iterable[Detector], entries: Entries, fingerprint: str) -> set[str]:
    """Return the event detectors whose raw events have changed since they ran.

    Args:
        detectors: The detectors that may compute.
        entries: What the ledger knows of the day.
        fingerprint: The source's present fingerprint of the day's raw events.
    """
    names = {one.name for one in detectors if isinstance(one, EventDetector)}
    return {name for name in names & entries.keys() if _has_changed(entries[name], fingerprint)}


def has_findings(detectors: Sequence[Detector], entries: Entries) -> bool:
    """Return whether there are findings from which history detectors could judge the day."""
    history = {one.name for one in detectors if isinstance(one, HistoryDetector)}
    return any(entry.has_finding for name, entry in entries.items() if name not in history)


def _is_due(
    one: Detector,
    candidates: Sequence[Detector],
    entries: Entries,
    judged: Collection[str],
    *,
    readable: bool,
    redo: Redo | None,
) -> bool:
    if not readable and (isinstance(one, EventDetector) or not has_findings(candidates, entries)):
        return False
    entry = entries.get(one.name)
    if redo in _REDONE:
        return (entry.status if entry is not None else None) in _REDONE[redo]
    if entry is None or redo == "all":
        return True
    if isinstance(one, HistoryDetector) and one.name not in judged:
        return True
    return _is_outstanding(entry, one.version)


def _is_judged(one: HistoryDetector, entries: Entries, day: dt.date, household: Household) -> bool:
    """Whether a history detector has judged what there is now; what is not known of the household changes nothing."""
    entry = entries[one.name]
    if household.problem and isinstance(one, UsesHousehold):
        of_findings = (text and text.partition(" ")[0] for text in (entry.fingerprint, entry.kept_fingerprint))
        fingerprint, kept = of_findings
        entry = replace(entry, fingerprint=fingerprint or "", kept_fingerprint=kept)
        return not _has_changed(entry, findings_fingerprint(entries.values()))
    return not _has_changed(entry, judged_fingerprint(one, entries.values(), day, household))


def _is_outstanding(entry: Entry, version: int) -> bool:
    if entry.redo:
        return True
    if entry.status is Status.EXPIRED:
        return False
    if entry.status in (Status.FAILED, Status.DEFERRED, Status.LOST):
        return True
    return version not in (entry.version, entry.kept_version)


def _has_changed(entry: Entry, fingerprint: str) -> bool:
    """Whether an attempt had other input than the fingerprint's, which was not left out because it was less."""
    is_kept = (entry.kept_version, entry.kept_fingerprint) == (entry.version, fingerprint)
    return entry.fingerprint != fingerprint and not is_kept
