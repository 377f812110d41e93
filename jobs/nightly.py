"""Which days are due, and working them off, oldest first: the one path of daemon, ``run`` and ``backfill``.

A day is due if the ledger does not know all its detectors as written in their present version, wherever it lies: a hole
behind the newest success is found like any other. Days are bounded by what the source still holds, by the store's
retention, and by yesterday, which is an argument. The last days are looked at again for late events.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from jobs.outcome import Outcome
from jobs.pipeline import DayReport, DayStatus, Pipeline
from jobs.registry import Detector, EventDetector
from storage.dates import ONE_DAY, DateRange
from storage.errors import PatternAggregatesError, SourceError, StoreError, UsageError
from storage.ledger.ledger import Entry, Status, basis

_log = logging.getLogger(__name__)

STALE_DAYS: Final = 7  # a source that lags further behind the clock makes the clock doubtful
STORE_TRIES: Final = 3  # days in a row that the store may refuse before a run only stages
Redo = Literal["missing", "failed", "all"]
CatchUp = Literal["all", "latest", "none"]
Entries = Mapping[tuple[dt.date, str], Entry]
Progress = Callable[[DayReport, int, int], None]
Stop = Callable[[], bool]


class PlannedDay(NamedTuple):
    """One day's work.

    Attributes:
        day: The local calendar day.
        detectors: The detectors that will compute; none if the day is only written or looked at.
        raw: Whether the source still holds the day.
        late: Whether to look for late events.
    """

    day: dt.date
    detectors: tuple[str, ...]
    raw: bool
    late: bool = False


@dataclass(slots=True)
class RunReport:
    """What became of a run.

    Attributes:
        days: The days that were worked on, in order.
        plan: What was due.
        notices: What somebody should know beside that.
        errors: What source and store refused, each time.
        span: The whole days that the source holds; None if it holds none, or could not say.
        outcome: The most severe of what happened.
    """

    days: list[DayReport] = field(default_factory=list)
    plan: list[PlannedDay] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    errors: list[PatternAggregatesError] = field(default_factory=list)
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


@dataclass(frozen=True, slots=True)
class Reach:
    """The days that can be worked on.

    Attributes:
        yesterday: The newest day that is over.
        retention_days: How long the store keeps a day; 0 for ever.
        span: The whole days that the source holds; None if it holds none, or cannot say now.
    """

    yesterday: dt.date
    retention_days: int
    span: DateRange | None

    @property
    def oldest(self) -> dt.date:
        """The oldest day that the store keeps."""
        if not self.retention_days:
            return dt.date.min
        return self.yesterday - (self.retention_days - 1) * ONE_DAY

    def raw(self, day: dt.date) -> bool:
        """Whether raw events of a day can be had."""
        return self.span is not None and day in self.span


def run(
    pipeline: Pipeline,
    *,
    yesterday: dt.date,
    retention_days: int,
    recheck_days: int = 0,
    only_day: dt.date | None = None,
    catch_up: CatchUp = "all",
    stop: Stop | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """The nightly job: every due day, yesterday last.

    Args:
        pipeline: What a day's run works with.
        yesterday: The newest day that is over, fixed before the run.
        retention_days: How long the store keeps a day; 0 for ever.
        recheck_days: How many of the newest days are looked at again for late events.
        only_day: Only what is outstanding of this day.
        catch_up: Which missed days, those never tried, are computed: all, at most the newest of all days, or none. What
            was tried before is always due.
        stop: Asked before each day whether to leave the rest for the next run.
        progress: Told of each day, with its number and how many there are.

    Raises:
        UsageError: ``only_day`` is not over yet, or past the retention.
        LedgerError: Nothing can be kept without the ledger.
    """
    report = RunReport()
    reach = _reach(pipeline, report, yesterday, retention_days)
    if only_day is not None:
        _refuse(DateRange(only_day, only_day), reach)
        days: Collection[dt.date] = [only_day]
        if not reach.raw(only_day):
            _out_of_reach(report, reach, [only_day])
    else:
        _forget(pipeline, report, reach)
        days = _days_in_reach(pipeline, reach)
        if reach.span is not None and reach.span.last < yesterday:
            report.add_problem(f"stale source: its newest whole day is {reach.span.last}, {yesterday} is over")
    entries = pipeline.ledger.entries()
    if only_day is None:
        days = _caught_up(days, entries, catch_up)
    recheck = DateRange.ending(yesterday, recheck_days) if recheck_days and only_day is None else None
    report.plan = _plan(pipeline.detectors, entries, days, reach, recheck=recheck)
    return _work_off(pipeline, report, stop=stop, progress=progress)


def backfill(
    pipeline: Pipeline,
    days: DateRange,
    *,
    yesterday: dt.date,
    retention_days: int,
    detectors: Collection[str] | None = None,
    redo: Redo | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Work off a range of days.

    Args:
        pipeline: What a day's run works with.
        days: The range.
        yesterday: The newest day that is over, fixed before the run.
        retention_days: How long the store keeps a day; 0 for ever.
        detectors: Only these; by default all.
        redo: ``missing`` only what was never computed, ``failed`` only what failed or was deferred, ``all`` everything
            again (marked once, so an interrupted one is resumed without it); by default whatever is outstanding.
        force: Replace even what was computed from more than the source knows now.
        dry_run: Only plan.
        progress: Told of each day, with its number and how many there are.

    Raises:
        UsageError: The range is not over yet or past the retention, or a detector is unknown.
        LedgerError: Nothing can be kept without the ledger.
    """
    report = RunReport()
    chosen = _chosen(pipeline.detectors, detectors)
    reach = _reach(pipeline, report, yesterday, retention_days)
    _refuse(days, reach)
    _out_of_reach(report, reach, [day for day in days if not reach.raw(day)])
    if redo == "all" and not dry_run:
        within = reach.span & days if reach.span is not None else None
        if within is not None:
            pipeline.ledger.mark_redo(within, [one.name for one in chosen])
    entries = pipeline.ledger.entries(days)
    report.plan = _plan(chosen, entries, days, reach, redo=redo)
    if dry_run:
        return report
    narrowed = detectors is not None or redo in ("missing", "failed")
    return _work_off(pipeline, report, narrowed=narrowed, force=force, progress=progress)


def _reach(pipeline: Pipeline, report: RunReport, yesterday: dt.date, retention_days: int) -> Reach:
    try:
        report.span = span = pipeline.source.span()
        if span is None:
            report.add_problem("the source holds no whole day")
        elif span.last > yesterday + ONE_DAY:
            report.notices.append(f"the source holds events of {span.last}, which is in the future: look at its clock")
    except SourceError as error:
        report.add_error("source", error)
    return Reach(yesterday, retention_days, report.span)


def _refuse(days: DateRange, reach: Reach) -> None:
    if days.last > reach.yesterday:
        raise UsageError(
            f"{days.last} is not over yet", hint=f"The newest day that can be computed is {reach.yesterday}."
        )
    if days.first < reach.oldest:
        raise UsageError(
            f"{days.first} is past the retention: the store keeps {reach.retention_days} days, back to {reach.oldest}",
            hint="Set store.retention_days = 0 to keep everything, or begin later.",
        )


def _out_of_reach(report: RunReport, reach: Reach, days: Sequence[dt.date]) -> None:
    if days and reach.span is not None:
        count = "1 day is" if len(days) == 1 else f"{len(days)} days are"
        report.add_problem(f"{count} out of reach ({days[0]} to {days[-1]}): the source holds {reach.span}")


def _forget(pipeline: Pipeline, report: RunReport, reach: Reach) -> None:
    """Keep the retention, in ledger and store.

    A clock that is months ahead would empty the store if it were believed alone: what the source has seen has to be
    nearly as new.
    """
    if not reach.retention_days or reach.span is None:
        return
    oldest = min(reach.oldest, reach.span.last + STALE_DAYS * ONE_DAY - (reach.retention_days - 1) * ONE_DAY)
    for entry in pipeline.ledger.expire(oldest):
        report.add_problem(f"{entry.day} {entry.detector}: given up, the store did not take it within the retention")
    try:
        gone = pipeline.store.expire(oldest)
    except StoreError as error:
        report.add_error("store", error)
    else:
        if gone:
            _log.info("%d rows of days before %s are past the retention and gone", gone, oldest)


def _days_in_reach(pipeline: Pipeline, reach: Reach) -> list[dt.date]:
    """Days the source holds or the ledger knows, within retention, up to yesterday, ascending."""
    kept = DateRange(reach.oldest, reach.yesterday)
    held = set(reach.span & kept or ()) if reach.span is not None else set()
    known = {day for day, _ in pipeline.ledger.entries() if day in kept}
    return sorted(held | known)


def _caught_up(days: Collection[dt.date], entries: Entries, catch_up: CatchUp) -> Collection[dt.date]:
    """Leave out the missed days that nobody wants caught up.

    Only the newest of all days counts as the latest: else each further run would fill one more of the older holes.
    """
    if catch_up == "all":
        return days
    known = {day for day, _ in entries}
    newest = max(days, default=None) if catch_up == "latest" else None
    return [day for day in days if day in known or day == newest]


def _plan(
    detectors: Sequence[Detector],
    entries: Entries,
    days: Collection[dt.date],
    reach: Reach,
    *,
    redo: Redo | None = None,
    recheck: DateRange | None = None,
) -> list[PlannedDay]:
    plan = []
    by_day: dict[dt.date, dict[str, Entry]] = defaultdict(dict)
    for (day, name), entry in entries.items():
        by_day[day][name] = entry
    seers = {one.name for one in detectors if isinstance(one, EventDetector)}
    for day in days:
        known, raw = by_day[day], reach.raw(day)
        due = tuple(one.name for one in detectors if _is_due(one, known, sees=one.name in seers, raw=raw, redo=redo))
        late = raw and recheck is not None and day in recheck
        if due or late or any(entry.status is Status.STAGED for entry in known.values()):
            plan.append(PlannedDay(day, due, raw, late))
    return plan


def _is_due(one: Detector, known: Mapping[str, Entry], *, sees: bool, raw: bool, redo: Redo | None) -> bool:
    """Whether a detector, one that sees events or one of history, has to compute a day with some known entries."""
    entry = known.get(one.name)
    if sees:
        if not raw:
            return False
        changed = False  # only the source knows, and it is asked about the newest days
    else:
        if not raw and not any(other.found for name, other in known.items() if name != one.name):
            return False
        changed = entry is not None and entry.changed(basis(known.values()))
    if redo == "missing":
        return entry is None
    if redo == "failed":
        return entry is not None and entry.status in (Status.FAILED, Status.DEFERRED)
    return entry is None or redo == "all" or changed or entry.due(one.version)


def _chosen(detectors: Sequence[Detector], names: Collection[str] | None) -> list[Detector]:
    known = {one.name for one in detectors}
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no detector {name!r}", hint=f"Enabled are {', '.join(sorted(known))}.")
    return [one for one in detectors if not names or one.name in names]


def _work_off(
    pipeline: Pipeline,
    report: RunReport,
    *,
    narrowed: bool = False,
    force: bool = False,
    stop: Stop | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Do what is planned. Only a narrowed plan binds the day's run, which else looks for itself what is due by then."""
    source_trouble: PatternAggregatesError | None = None
    events = {one.name for one in pipeline.detectors if isinstance(one, EventDetector)}
    refusals = 0
    untried = 0
    for number, planned in enumerate(report.plan, 1):
        if stop is not None and stop():
            report.notices.append(f"stopped before {planned.day}: what is left of the plan is due at the next run")
            break
        raw = planned.raw and source_trouble is None
        untried += planned.raw and not raw
        day = pipeline.run_day(
            planned.day,
            only=planned.detectors if narrowed else None,
            raw=raw,
            late=planned.late,
            force=force,
            write=refusals < STORE_TRIES,
        )
        if planned.raw and not raw and events.intersection(planned.detectors):
            _left_unread(day, source_trouble)
        report.days.append(day)
        if isinstance(day.cause, SourceError) and day.cause.retryable:
            source_trouble = day.cause
        refusals = refusals + 1 if isinstance(day.cause, StoreError) else 0 if refusals < STORE_TRIES else refusals
        if day.cause is not None:
            report.errors.append(day.cause)
            report.outcome = max(report.outcome, Outcome.of_error(day.cause))
        elif day.status not in (DayStatus.WRITTEN, DayStatus.SKIPPED):
            report.outcome = max(report.outcome, Outcome.INCOMPLETE)
        if progress is not None:
            progress(day, number, len(report.plan))
    if untried:
        report.notices.append(f"{untried} days were not computed, as the source could not be reached: {source_trouble}")
    return report


def _left_unread(day: DayReport, source_trouble: PatternAggregatesError | None) -> None:
    """Say of a day that it was due and not read, whatever else was done of it."""
    day.error = day.error or f"not read: {source_trouble}"
    instead = {DayStatus.SKIPPED: DayStatus.FAILED, DayStatus.WRITTEN: DayStatus.PARTIAL}
    day.status = instead.get(day.status, day.status)
