"""Decide which days a run works on, within the retention, and what is to be done for each of them.

A day that changes may change the weeks and months that read it, so these are planned with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from jobs.detector import Detector, Rollup
from jobs.due import DayPlan, Redo, plan_day
from jobs.household import NO_HOUSEHOLD, Household
from jobs.periods import by_day, can_compute, history_of
from jobs.run_report import RunReport
from storage.dates import ONE_DAY, DateRange, oldest_kept_day
from storage.ledger.entry import Entry
from storage.periods import cadence_of

MAX_LAG_DAYS: Final = 7  # if the source lags further behind the clock, the clock may be wrong
CatchUp = Literal["all", "latest", "none"]


@dataclass(frozen=True, slots=True)
class Reach:
    """The days that can be worked on.

    Attributes:
        yesterday: The newest day that is over.
        retention_days: How long the store keeps a day; 0 for ever.
        rollup_retention_days: How long it keeps the rows of rollups; 0 for ever.
        span: The whole days that the source holds; None if it holds none, or cannot be asked now.
    """

    yesterday: dt.date
    retention_days: int
    rollup_retention_days: int
    span: DateRange | None

    @property
    def oldest(self) -> dt.date:
        """The oldest day that the store keeps."""
        return oldest_kept_day(self.yesterday, self.retention_days)

    @property
    def oldest_rollup(self) -> dt.date:
        """The oldest day of which the store keeps the rows of rollups."""
        return oldest_kept_day(self.yesterday, self.rollup_retention_days)

    def keeps(self, name: str, day: dt.date) -> bool:
        """Return whether the store keeps what a detector finds on a day."""
        return day >= (self.oldest_rollup if cadence_of(name) else self.oldest)

    def oldest_to_keep(self) -> tuple[dt.date, dt.date] | None:
        """Return the days before which aggregates, and rollups, are to be deleted; None if nothing is.

        A clock that is months ahead would empty the store. So nothing is deleted unless the source holds days that are
        nearly as new as the clock says.
        """
        if not (self.retention_days or self.rollup_retention_days) or self.span is None:
            return None
        newest = min(self.yesterday, self.span.last + MAX_LAG_DAYS * ONE_DAY)
        return oldest_kept_day(newest, self.retention_days), oldest_kept_day(newest, self.rollup_retention_days)

    def is_readable(self, day: dt.date) -> bool:
        """Return whether the source holds a day."""
        return self.span is not None and day in self.span


def days_in_reach(report: RunReport, reach: Reach) -> list[dt.date]:
    """Return the days that the source holds or the ledger knows, within the retention, up to yesterday, ascending."""
    kept = DateRange(reach.oldest, reach.yesterday)
    held = set(reach.span & kept or ()) if reach.span is not None else set()
    known = {day for day, name in report.entries if day <= reach.yesterday and reach.keeps(name, day)}
    return sorted(held | known)


def without_missed(days: Collection[dt.date], report: RunReport, catch_up: CatchUp) -> Collection[dt.date]:
    """Leave out the missed days that are not to be caught up.

    Only the newest of all days counts as the latest: otherwise each run would fill one more of the older holes.
    """
    if catch_up == "all":
        return days
    tried = {day for day, _ in report.entries}
    newest = max(days, default=None) if catch_up == "latest" else None
    return [day for day in days if day in tried or day == newest]


def plan_days(
    detectors: Sequence[Detector],
    known: Mapping[tuple[dt.date, str], Entry],
    days: Collection[dt.date],
    reach: Reach,
    *,
    redo: Redo | None = None,
    recheck: DateRange | None = None,
    household: Household = NO_HOUSEHOLD,
) -> list[DayPlan]:
    """Return the plans of the days on which there is something to do, or may be once earlier days are computed.

    Args:
        detectors: Those that may compute.
        known: What the ledger knows of the days, and of those before them that rollups read.
        days: The days, ascending.
        reach: The days that can be worked on.
        redo: As for ``backfill``.
        recheck: The days to look at for late events.
        household: What is known of the household.
    """
    entries, plans = by_day(known), []
    newest_planned = dt.date.min
    for day in days:
        readable = reach.is_readable(day) and day >= reach.oldest
        rechecked = recheck is not None and day in recheck
        candidates = [one for one in detectors if reach.keeps(one.name, day)]
        of_day = entries.get(day, {})
        plan = plan_day(
            day,
            candidates,
            of_day,
            readable=readable,
            redo=redo,
            recheck=rechecked,
            household=household,
            days=entries,
        )
        rollups = [one for one in candidates if isinstance(one, Rollup) and can_compute(one, day)]
        if plan is None and redo is None and history_of(rollups, DateRange(day, day)).first <= newest_planned:
            plan = DayPlan(
                day, tuple(one.name for one in rollups), tuple(candidates), readable, household=household
            )  # it reads a day that may change
        elif plan is not None:
            newest_planned = day
        plans += [plan] if plan is not None else []
    return plans
