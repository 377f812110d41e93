"""Find the days that are due and work on them, oldest first: the one path of daemon, ``run`` and ``backfill``.

A day is due if the ledger does not know all its detectors as written in their present version (``jobs.due``), wherever
it lies: a hole behind the newest success is found like any other. Days are bounded by what the source still holds, by
the retention of the store, and by yesterday, which is an argument. The newest days are rechecked for late events.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from jobs.availability import Availability
from jobs.detector import Detector
from jobs.due import Redo
from jobs.lost_days import find_lost_days
from jobs.periods import history_of
from jobs.pipeline import Pipeline
from jobs.planning import CatchUp, Reach, days_in_reach, plan_days, without_missed
from jobs.run_report import DayReport, RunReport
from storage.dates import ONE_DAY, DateRange
from storage.errors import (
    SettingsError,
    SourceError,
    SourceUnavailable,
    StoreError,
    StoreUnavailable,
    UsageError,
)
from storage.ledger.entry import Entry, Status
from storage.plurals import counted

_log = logging.getLogger(__name__)

Progress = Callable[[DayReport, int, int], None]
Stop = Callable[[], bool]


def run(
    pipeline: Pipeline,
    *,
    yesterday: dt.date,
    retention_days: int,
    rollup_retention_days: int = 0,
    recheck_days: int = 0,
    only_day: dt.date | None = None,
    catch_up: CatchUp = "all",
    stop: Stop | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Work on every due day, yesterday last: the nightly job.

    Args:
        pipeline: What a day's run works with.
        yesterday: The newest day that is over, fixed before the run.
        retention_days: How long the store keeps a day; 0 for ever.
        rollup_retention_days: How long it keeps the rows of rollups; 0 for ever.
        recheck_days: How many of the newest days are rechecked for late events.
        only_day: Only what is outstanding of this day.
        catch_up: Which missed days, those never tried, are computed: all, at most the newest of all days, or none. What
            was tried before is always due.
        stop: Called before each day; True leaves the rest for the next run.
        progress: Called after each day with its report, its number and how many days there are.

    Raises:
        UsageError: ``only_day`` is not over yet, or is older than the retention.
        LedgerError: Nothing can be kept without the ledger.
    """
    report = RunReport()
    reach = _reach(pipeline, report, yesterday, retention_days, rollup_retention_days)
    if only_day is not None:
        only = DateRange(only_day, only_day)
        _check_range(only, reach)
        _report_unreadable(report, reach, only)
        report.entries = pipeline.ledger.entries(only)
        known = _with_history(pipeline, pipeline.detectors, only, report)
        days: Collection[dt.date] = only
        recheck = None
    else:
        _expire(pipeline, report, reach)
        if reach.span is not None and reach.span.last < yesterday:
            older = "; the store keeps no day that old (store.retention_days)" if reach.span.last < reach.oldest else ""
            report.add_problem(f"stale source: its newest whole day is {reach.span.last}, not {yesterday}{older}")
        report.entries = known = pipeline.ledger.entries()
        days = without_missed(days_in_reach(report, reach), report, catch_up)
        recheck = DateRange.ending(yesterday, recheck_days) if recheck_days else None
    report.plan = plan_days(pipeline.detectors, known, days, reach, recheck=recheck, household=pipeline.household)
    _work(pipeline, report, stop=stop, progress=progress)
    if only_day is None:
        _delete_old_rows(pipeline, report, reach)
        _report_lost(pipeline, report, reach)
    return report


def backfill(
    pipeline: Pipeline,
    days: DateRange,
    *,
    yesterday: dt.date,
    retention_days: int,
    rollup_retention_days: int = 0,
    detectors: Collection[str] | None = None,
    redo: Redo | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Work on a range of days.

    Args:
        pipeline: What a day's run works with.
        days: The range.
        yesterday: The newest day that is over, fixed before the run.
        retention_days: How long the store keeps a day; 0 for ever.
        rollup_retention_days: How long it keeps the rows of rollups; 0 for ever.
        detectors: Only these; by default all.
        redo: ``missing`` only what was never computed, ``failed`` only what failed or was deferred, ``lost`` only what
            the store has lost, ``all`` everything again (marked once, so that an interrupted one is resumed without
            it); by default whatever is outstanding.
        force: Replace even what was computed from more data than the source has now.
        dry_run: Only plan.
        progress: Called after each day with its report, its number and how many days there are.

    Raises:
        UsageError: The range is not over yet or is older than the retention, or a detector does not exist.
        LedgerError: Nothing can be kept without the ledger.
    """
    report = RunReport()
    chosen = _chosen(pipeline.detectors, detectors)
    reach = _reach(pipeline, report, yesterday, retention_days, rollup_retention_days)
    _check_range(days, reach)
    report.entries = pipeline.ledger.entries(days)
    if redo == "lost":
        _mark_lost(pipeline, report, days, dry_run=dry_run)
    else:
        _report_unreadable(report, reach, days)
    known = _with_history(pipeline, chosen, days, report)
    plans = plan_days(chosen, known, days, reach, redo=redo, household=pipeline.household)
    report.plan = [replace(plan, force=force) for plan in plans]
    if redo == "lost":
        _report_gone(report)
    if dry_run:
        return report
    if redo == "all":  # from here on the ledger says it, so that an interrupted run can be resumed
        pipeline.ledger.mark_redo((plan.day, plan.detectors) for plan in report.plan)
        report.plan = [replace(plan, redo=None) for plan in report.plan]
    return _work(pipeline, report, progress=progress)


def _with_history(
    pipeline: Pipeline, detectors: Sequence[Detector], days: DateRange, report: RunReport
) -> dict[tuple[dt.date, str], Entry]:
    """Return what the ledger knows of the days of a report, and of those before them that rollups read."""
    history = history_of(detectors, days)
    earlier = pipeline.ledger.entries(history) if history != days else {}
    return earlier | report.entries


def _reach(
    pipeline: Pipeline, report: RunReport, yesterday: dt.date, retention_days: int, rollup_retention_days: int
) -> Reach:
    report.notices += pipeline.household.notices
    if pipeline.household.problem:
        report.add_problem(f"{pipeline.household.problem}; days are not judged until then")
    try:
        read_span = pipeline.source.span
        report.span = span = pipeline.time_limit().run(
            read_span, "asking the source for its days", error=SourceUnavailable
        )
        if span is None:
            report.add_problem("the source holds no whole day")
        elif span.last > yesterday + ONE_DAY:
            report.notices.append(f"the source holds events of {span.last}, which is in the future: check its clock")
    except SourceError as error:
        report.add_error("source", error)
    return Reach(yesterday, retention_days, rollup_retention_days, report.span)


def _check_range(days: DateRange, reach: Reach) -> None:
    if days.last > reach.yesterday:
        raise UsageError(
            f"{days.last} is not over yet", hint=f"The newest day that can be computed is {reach.yesterday}."
        )
    if days.first < reach.oldest:
        raise UsageError(
            f"{days.first} is past the retention: the store keeps {reach.retention_days} days, back to {reach.oldest}",
            hint="Set store.retention_days = 0 to keep everything, or begin later.",
        )


def _report_unreadable(report: RunReport, reach: Reach, days: DateRange) -> None:
    unreadable = [day for day in days if not reach.is_readable(day)]
    if unreadable and reach.span is not None:
        count = "1 day is" if len(unreadable) == 1 else f"{len(unreadable)} days are"
        report.add_problem(f"{count} out of reach ({unreadable[0]} to {unreadable[-1]}): the source holds {reach.span}")


def _expire(pipeline: Pipeline, report: RunReport, reach: Reach) -> None:
    """Apply the retention to the ledger."""
    if (oldest := reach.oldest_to_keep()) is not None:
        for entry in pipeline.ledger.expire(*oldest):
            report.add_problem(
                f"{entry.day} {entry.detector}: given up, the store did not take it within the retention"
            )


def _delete_old_rows(pipeline: Pipeline, report: RunReport, reach: Reach) -> None:
    """Apply the retention to the store.

    After the work, and only in a store that has answered: one that is silent must not hold up what can be staged.
    """
    oldest = reach.oldest_to_keep()
    if oldest is None or any(isinstance(error, StoreError) for error in report.errors):
        return
    try:
        expire = partial(pipeline.store.expire, *oldest)
        count = pipeline.time_limit().run(expire, "deleting old days in the store", error=StoreUnavailable)
    except StoreError as error:
        report.add_error("store", error)
    else:
        if count:
            _log.info("%d rows are past the retention and deleted: before %s, rollups before %s", count, *oldest)


def _report_lost(pipeline: Pipeline, report: RunReport, reach: Reach) -> None:
    """Report what the store no longer holds of the newest days, and the command that repairs it.

    After the work, and only of a store that has answered: one that is silent must not hold up what can be staged.
    """
    if any(isinstance(error, StoreError) for error in report.errors):
        return
    try:
        report.lost = find_lost_days(
            report.entries.values(), pipeline.store, reach.oldest, models=pipeline.models_by_measurement().values()
        )
    except (StoreError, SettingsError):
        return  # a day that is to be written reports it; nothing is known to be lost
    if report.lost:
        report.add_problem(f"{report.lost}. {report.lost.hint}")


def _mark_lost(pipeline: Pipeline, report: RunReport, days: DateRange, *, dry_run: bool) -> None:
    """Note in the ledger what the store has lost, so that it is due.

    Raises:
        StoreError: The store cannot be read.
    """
    models = pipeline.models_by_measurement().values()
    entries = report.entries.values()
    found = find_lost_days(entries, pipeline.store, days.first, max_days=len(days), models=models)
    if dry_run:
        report.entries |= {key: replace(report.entries[key], status=Status.LOST) for key in found.lost}
    else:
        pipeline.ledger.mark_lost(found.lost)
        report.entries = pipeline.ledger.entries(days)


def _report_gone(report: RunReport) -> None:
    """Report what the store has lost and nothing can compute again."""
    planned = {(plan.day, name) for plan in report.plan for name in plan.detectors}
    lost = {key for key, entry in report.entries.items() if entry.status is Status.LOST}
    gone = sorted({day for day, _ in lost - planned})
    if gone and report.span is not None:
        report.add_problem(
            f"{counted(len(gone), 'day')} of what the store has lost ({gone[0]} to {gone[-1]}) cannot be computed "
            "again, because the source no longer holds the raw events: only a backup of the store has them"
        )


def _chosen(detectors: Sequence[Detector], names: Collection[str] | None) -> list[Detector]:
    known = {one.name for one in detectors}
    for name in names or ():
        if name not in known:
            raise UsageError(f"unknown detector {name!r}", hint=f"Enabled are {', '.join(sorted(known))}.")
    return [one for one in detectors if not names or one.name in names]


def _work(
    pipeline: Pipeline, report: RunReport, *, stop: Stop | None = None, progress: Progress | None = None
) -> RunReport:
    """Work on the planned days."""
    availability = Availability()
    for number, plan in enumerate(report.plan, 1):
        if stop is not None and stop():
            report.notices.append(f"stopped before {plan.day}: what is left of the plan is due at the next run")
            break
        possible = availability.limit(plan)
        day = pipeline.run_day(possible)
        if plan.readable and not possible.readable:
            availability.report_unread(plan, day)
        availability.learn(day)
        report.add_day(day)
        if progress is not None:
            progress(day, number, len(report.plan))
    for name in sorted(availability.too_slow):
        report.notices.append(f"{name} took too long on one day and was not tried on the days after it")
    if availability.unread_count:
        report.notices.append(
            f"{availability.unread_count} days were not computed, as the source could not be reached: "
            f"{availability.source_error}"
        )
    return report
