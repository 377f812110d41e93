"""Decide whether a day is due: only here, from the ledger's entries, without reading or changing anything.

``nightly`` plans a run with ``plan_day``. Other processes may work on the same days meanwhile, so the pipeline asks
again under the day's lock, with fresh entries (``DayPlan.renewed``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from jobs.detector import Detector, EventDetector, HistoryDetector, Rollup, UsesHousehold
from jobs.household import NO_HOUSEHOLD, Household
from jobs.periods import NO_DAYS, Days, Entries, can_compute, days_fingerprint, differs, has_findings_in_period
from storage.dates import DateRange
from storage.ledger.entry import Entry, Status, findings_fingerprint
from storage.periods import cadence_of

Redo = Literal["missing", "failed", "lost", "all"]

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

    def renewed(self, entries: Entries, days: Days = NO_DAYS) -> DayPlan | None:
        """Return the plan for the same day by newer entries of it, and of the days that its rollups read."""
        return plan_day(
            self.day,
            self.candidates,
            entries,
            readable=self.readable,
            redo=self.redo,
            recheck=self.recheck,
            household=self.household,
            days=days,
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
    days: Days = NO_DAYS,
) -> DayPlan | None:
    """Decide what is to be done for one day.

    A detector is due if it was never tried, failed, was deferred, has another version or was asked for again; a history
    detector also if what it judged has changed, or what it uses of the household. An event detector needs a readable
    day. A history detector needs one too, unless there are findings to judge. A rollup is due on the last day of its
    period only, and again if one of the days that it reads has other findings since.

    Args:
        day: The local calendar day.
        detectors: The detectors that may compute.
        entries: What the ledger knows of the day, also of other detectors.
        readable: Whether the source can be read for the day.
        redo: ``missing`` only what was never tried, ``failed`` only what failed or was deferred, ``lost`` only what the
            store has lost, ``all`` everything; by default whatever is due.
        recheck: Whether to look for late events.
        household: What is known of the household.
        days: What the ledger knows of the days that rollups of this day read.

    Returns:
        The plan; None if there is nothing to do.
    """
    candidates = tuple(one for one in detectors if can_compute(one, day))
    days = {**days, day: entries}
    judged = frozenset(
        one.name
        for one in candidates
        if isinstance(one, HistoryDetector) and one.name in entries and _is_judged(one, day, household, days)
    )
    due = tuple(
        one.name
        for one in candidates
        if _is_due(one, entries, judged, redo=redo) and (readable or _has_input(one, day, candidates, days))
    )
    rechecked = recheck and readable
    is_waiting = any(entry.status is Status.STAGED for entry in entries.values())
    if not (due or rechecked or is_waiting):
        return None
    return DayPlan(day, due, candidates, readable, redo, rechecked, household=household)


def judged_fingerprint(
    one: HistoryDetector,
    entries: Iterable[Entry],
    day: dt.date,
    household: Household = NO_HOUSEHOLD,
    days: Days = NO_DAYS,
) -> str:
    """Return a fingerprint of what a history detector judges a day by: findings, and what it uses of the household."""
    findings = days_fingerprint(one, day, days) if isinstance(one, Rollup) else findings_fingerprint(entries)
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
    return any(entry.has_finding for name, entry in entries.items() if name not in history and cadence_of(name) is None)


def is_outstanding(one: Detector, entry: Entry | None) -> bool:
    """Return whether the ledger alone shows that there is something to do for a detector on a day."""
    return entry is None or entry.status is Status.STAGED or _is_outstanding(entry, one.version)


def _has_input(one: Detector, day: dt.date, candidates: Sequence[Detector], days: Days) -> bool:
    """Whether a detector can compute a day although the source cannot be read for it."""
    if isinstance(one, Rollup):
        return has_findings_in_period(one, day, days)
    return not isinstance(one, EventDetector) and has_findings(candidates, days[day])


def _is_due(one: Detector, entries: Entries, judged: Collection[str], *, redo: Redo | None) -> bool:
    entry = entries.get(one.name)
    if redo in _REDONE:
        return (entry.status if entry is not None else None) in _REDONE[redo]
    if entry is None or redo == "all":
        return True
    if isinstance(one, HistoryDetector) and one.name not in judged:
        return True
    return _is_outstanding(entry, one.version)


def _is_judged(one: HistoryDetector, day: dt.date, household: Household, days: Days) -> bool:
    """Whether a history detector has judged what there is now; what is not known of the household changes nothing."""
    entries = days[day]
    entry = entries[one.name]
    present = judged_fingerprint(one, entries.values(), day, household, days)
    if household.problem and isinstance(one, UsesHousehold):
        of_findings = (text and text.partition(" ")[0] for text in (entry.fingerprint, entry.kept_fingerprint))
        fingerprint, kept = of_findings
        entry = replace(entry, fingerprint=fingerprint or "", kept_fingerprint=kept)
        present = present.partition(" ")[0]
    if not isinstance(one, Rollup):
        return not _has_changed(entry, present)
    is_kept = entry.kept_version == entry.version and not _has_changed_days(entry.kept_fingerprint or "", present)
    return is_kept or not _has_changed_days(entry.fingerprint, present)


def _has_changed_days(stored: str, present: str) -> bool:
    """Whether a rollup was given other days, or other facts about the household, than there are now."""
    before, _, household_before = stored.partition(" ")
    now, _, household_now = present.partition(" ")
    return household_before != household_now or differs(before, now)


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
