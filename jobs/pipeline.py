"""One day, from raw events to stored aggregates: read, detect, stage, write, mark as written.

Each finding is staged in the ledger as soon as there is one, the store takes the day as one batch, and only then is it
marked as written. So whatever interrupts this, the same call again ends like an undisturbed one. A detector that raises
loses its own rows only. Detectors that need the history are deferred if it cannot be read, and if no other detector has
found anything of the day yet: the rows it would be judged by are missing, which does not mean that they are zero.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from jobs.activity.window import DayWindow
from jobs.day_facts import DayFacts, has_input, has_less_data, has_lost_days, stored_facts
from jobs.detector import Detector, EventDetector, Finding, HistoryDetector, NotJudged, Rollup, UsesHousehold
from jobs.due import DayPlan, judged_fingerprint, with_late_events
from jobs.finding_check import rows_and_reason
from jobs.household import NO_HOUSEHOLD, Household
from jobs.isolation import ForeignError, describe, run_isolated
from jobs.logs import fields
from jobs.periods import NO_DAYS, Days, by_day, history_of, period_of
from jobs.recognition import recognise
from jobs.run_report import DayReport, DayStatus, DetectorReport
from jobs.sources.base import EventSource
from jobs.time_limit import LIMIT_HINT, MAX_DAY_SECONDS, MAX_DETECTOR_SHARE, TimeLimit
from storage.batch import DetectorDay
from storage.clean_text import clean
from storage.dates import DateRange
from storage.errors import (
    HomeMismatch,
    LedgerError,
    PatternAggregatesError,
    SettingsError,
    SourceError,
    SourceUnavailable,
    StoreError,
    StoreUnavailable,
    TimeLimitExceeded,
)
from storage.ledger.day import LedgerDay
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.ledger.payload import Models, verified
from storage.models import REASON_LENGTH, DailyAggregate, DetectorRunDaily
from storage.overlay import OverlaidReader
from storage.renamed import RenamedReader
from storage.store import AggregateReader, AggregateStore

_log = logging.getLogger(__name__)

MAX_CLEANED_LENGTH: Final = 64 * REASON_LENGTH  # cleaning takes time; what is kept of a longer text is at its beginning


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a day's run works with. Clock, zone, source and store are given; nothing here looks for them.

    Attributes:
        detectors: The enabled detectors, those that are given events first.
        source: Raw events.
        store: Where aggregates go.
        ledger: What is done.
        zone: The home's zone.
        clock: Returns the present instant, for ``computed_at`` only.
        models: The models whose staged rows may be written, also of detectors that are disabled by now; those of the
            enabled detectors always may.
        household: What is known of the household.
        max_day_seconds: How long a day may take.
        home: The name of the home, which every row gets; empty for a home without a name.
    """

    detectors: Sequence[Detector]
    source: EventSource
    store: AggregateStore
    ledger: Ledger
    zone: ZoneInfo
    clock: Callable[[], dt.datetime]
    models: Sequence[type[DailyAggregate]] = ()
    household: Household = NO_HOUSEHOLD
    max_day_seconds: float = MAX_DAY_SECONDS
    home: str = ""

    def run_day(self, plan: DayPlan) -> DayReport:
        """Do what is outstanding of one day, under the lock.

        Returns:
            What became of it. Errors of source and store are reported, not raised.

        Raises:
            LedgerError: Nothing can be kept without the ledger.
            HomeMismatch: The source holds the events of another home.
        """
        began = time.perf_counter()
        report = DayReport(plan.day)
        limit = self.time_limit()
        named = {"home": self.home} if self.home else {}
        with fields(day=plan.day, **named), self.ledger.day(plan.day) as work:
            done: set[str] = set()
            try:
                done |= self._detect(work, report, plan, limit)
                done |= self._judge(work, report, plan, limit)
            except (LedgerError, HomeMismatch):
                raise
            except PatternAggregatesError as error:
                _log.error("%s: %s", plan.day, error)
                report.error, report.cause = str(error), error
            except Exception as error:  # noqa: BLE001 - an unforeseen error of a source costs this day, not the others
                _log.exception("%s: the source failed", plan.day)
                report.error = describe(error)
                report.cause = SourceError(report.error)
            if plan.write:
                done |= self._write(work, report, limit)
            _conclude(report, work, done)
        report.seconds = time.perf_counter() - began
        return report

    def time_limit(self) -> TimeLimit:
        """Return the time that a day has, from now on."""
        return TimeLimit(self.max_day_seconds)

    def _detect(self, work: LedgerDay, report: DayReport, plan: DayPlan, limit: TimeLimit) -> set[str]:
        """Give the day's log to the event detectors that are due, and stage what they find. Returns their names."""
        present = plan.renewed(work.entries)
        if present is None or not present.readable:
            return set()
        event_detectors = [one for one in plan.candidates if isinstance(one, EventDetector)]
        due = {one.name for one in event_detectors if one.name in present.detectors}
        if not due and not present.recheck:
            return set()
        window = DayWindow(work.day, self.zone)
        reading = f"reading {work.day} from the source"
        fingerprint = limit.run(partial(self.source.fingerprint, window), reading, error=SourceUnavailable)
        if present.recheck:
            due |= with_late_events(event_detectors, work.entries, fingerprint)
        if not due:
            return set()
        log = limit.run(partial(self.source.read, window), reading, error=SourceUnavailable)
        recognise(log, self.ledger)
        report.events = len(log.events)
        for notice in log.notices:
            _log.warning("%s: %s", work.day, notice)
        for former, name in self.ledger.record_names(log.keys, log.numbers).items():
            _log.info("%s: %s is now called %s: its history goes on", work.day, former, name)
        facts = DayFacts(len(log.events), log.samples, log.known_seconds, window.seconds, log.notices)
        tried: set[str] = set()
        for one in event_detectors:
            if one.name not in due or not _has_time(report, limit, one):
                continue
            tried.add(one.name)
            entry = work.entries.get(one.name)
            if entry is not None and not plan.force and has_less_data(log, entry, one.version):
                work.keep(one.name, one.version, fingerprint)
                _log.warning("%s: %s is kept: the source now has less data for this day", work.day, one.name)
                continue
            with _timed(report, one):
                find = partial(one.detect, log)
                self._attempt(work, one, find, facts, fingerprint, report=report, limit=limit)
        return tried

    def _judge(self, work: LedgerDay, report: DayReport, plan: DayPlan, limit: TimeLimit) -> set[str]:
        """Let the history detectors that are due judge stored and staged aggregates. Returns their names."""
        days = self._days_read_by_rollups(work.day, plan)
        present = plan.renewed(work.entries, days)
        if present is None:
            return set()
        history_detectors = [one for one in plan.candidates if isinstance(one, HistoryDetector)]
        due = [one for one in history_detectors if one.name in present.detectors]
        if not due:
            return set()
        days = {**days, work.day: work.entries}
        without_input = [one for one in due if not has_input(one, work.day, plan.candidates, days)]
        tried = self._defer_all(work, without_input)
        due = [one for one in due if one not in without_input]
        renames, models = self.ledger.renames(), self.models_by_measurement()
        found = list(work.entries.values())  # of the event detectors: what the others judge, not what they find
        day_facts = stored_facts((work.day,), days, self.zone)
        for one in due:
            if not _has_time(report, limit, one):
                continue
            tried.add(one.name)
            if self.household.problem and isinstance(one, UsesHousehold):
                work.defer(one.name, one.version, self.household.problem)
                continue
            fingerprint = judged_fingerprint(one, found, work.day, self.household, days)
            facts = stored_facts(period_of(one, work.day), days, self.zone) if isinstance(one, Rollup) else day_facts
            # Its own for each: rows hold lists, which a detector of another package could change for the next one.
            history = RenamedReader(OverlaidReader(self.store, self.ledger.staged(models)), renames)
            try:
                if not plan.force and has_lost_days(one, work, history):
                    work.keep(one.name, one.version, fingerprint)
                    continue
                with _timed(report, one):
                    judge = self._judgement(one, work.day, history)
                    self._attempt(work, one, judge, facts, fingerprint, report=report, limit=limit)
            except (StoreError, SettingsError) as error:
                work.defer(one.name, one.version, f"the history cannot be read: {error}")
                _log.info("%s: %s is deferred: %s", work.day, one.name, error)  # writing meets the same cause
        return tried

    def _days_read_by_rollups(self, day: dt.date, plan: DayPlan) -> Days:
        """Return what the ledger knows of the days that the rollups of a day read; nothing if it has no rollups."""
        history = history_of(plan.candidates, DateRange(day, day))
        return by_day(self.ledger.entries(history)) if len(history) > 1 else NO_DAYS

    def _judgement(self, one: HistoryDetector, day: dt.date, history: AggregateReader) -> Callable[[], Finding]:
        """Return the call of a history detector, with the household if it uses it."""
        if isinstance(one, UsesHousehold):
            return partial(one.judge, day, history, self.household)
        return partial(one.judge, day, history)

    @staticmethod
    def _defer_all(work: LedgerDay, due: Sequence[Detector]) -> set[str]:
        """Defer history detectors of a day without findings; only noted where an event detector was tried."""
        if not work.entries:
            return set()
        for one in due:
            work.defer(one.name, one.version, "no other detector has found anything of this day")
        return {one.name for one in due}

    def _is_stored(self, day: dt.date, detector: str) -> bool:
        """Whether the store still has what a detector found on a day: it may have been lost."""
        return bool(self.store.read(DetectorRunDaily, DateRange(day, day), {"detector": detector}))

    def _attempt(
        self,
        work: LedgerDay,
        one: Detector,
        find: Callable[[], Finding],
        facts: DayFacts,
        fingerprint: str,
        *,
        report: DayReport,
        limit: TimeLimit,
    ) -> None:
        """Run one detector and stage what it finds. What it raises is noted and affects no other detector."""
        deferring = (
            (StoreError, SettingsError) if isinstance(one, HistoryDetector) else ()
        )  # the store's, which it reads
        try:
            found, finding = limit.run(
                partial(run_isolated, partial(self._found, work.day, one, find, facts), (PatternAggregatesError,)),
                f"the detector {one.name}",
                share=MAX_DETECTOR_SHARE,
            )
        except deferring:
            raise
        except TimeLimitExceeded as error:
            _log.error("%s: %s", work.day, error)
            work.fail(one.name, one.version, str(error))
            report.too_slow.append(one.name)
            report.error, report.cause = report.error or str(error), report.cause or error
            return
        except (ForeignError, PatternAggregatesError) as error:
            where = f"\n{error.place}" if isinstance(error, ForeignError) else ""
            _log.error("%s: %s failed: %s%s", work.day, one.name, describe(error), where)
            work.fail(one.name, one.version, _kept(describe(error)))
            return
        entry = work.entries.get(one.name)
        is_written = entry is not None and entry.written_version is not None
        if isinstance(found, NotJudged) and is_written and self._is_stored(work.day, one.name):
            work.keep(one.name, one.version, fingerprint)
            return
        work.stage(finding, fingerprint, facts.samples)

    def _found(
        self, day: dt.date, one: Detector, find: Callable[[], Finding], facts: DayFacts
    ) -> tuple[Finding, DetectorDay]:
        """Return what a detector found, as it is and as it is kept."""
        found = find()
        return found, self._finding(day, one, found, facts)

    def _finding(self, day: dt.date, one: Detector, found: Finding, facts: DayFacts) -> DetectorDay:
        """Return what a detector found with the record of its run, validated as it will be read from the ledger."""
        rows, reason = rows_and_reason(one.name, found)
        if self.home:
            rows = tuple(row.model_copy(update={"home": self.home}) for row in rows)
        run = DetectorRunDaily(
            date=day,
            home=self.home,
            detector=one.name,
            version=one.version,
            rows=len(rows),
            events=facts.events,
            known_seconds=facts.known_seconds,
            day_seconds=facts.day_seconds,
            reason=_kept("; ".join([reason, *facts.notices])),
            computed_at=self.clock(),
        )
        return verified(DetectorDay(run, one.model, rows))

    def _write(self, work: LedgerDay, report: DayReport, limit: TimeLimit) -> set[str]:
        """Give the store everything that waits. Returns the names of its detectors, also of those that have failed."""
        waiting = {name for name, entry in work.entries.items() if entry.status is Status.STAGED}
        batch = work.batch(self.models_by_measurement())
        failed = {name for name in waiting if work.entries[name].status is Status.FAILED}
        for name in failed:
            _log.error("%s: %s: %s", work.day, name, work.entries[name].error)
        if batch is None:
            return failed
        try:
            give = partial(work.hand_over, batch, self.store)
            is_noted = limit.run(give, f"writing {work.day} to the store", error=StoreUnavailable)
        except LedgerError:
            raise
        except PatternAggregatesError as error:
            _log.error("not written: %s", error)  # without the day, which is in the report: one cause is one message
            report.error, report.cause = str(error), error
        else:
            if not is_noted:
                work.written(batch)
        return failed | {finding.run.detector for finding in batch.findings}

    def models_by_measurement(self) -> Models:
        """Return the models of all detectors, also of those that are disabled."""
        return {model.measurement: model for model in (*self.models, *(one.model for one in self.detectors))}


def _has_time(report: DayReport, limit: TimeLimit, one: Detector) -> bool:
    """Return whether a detector can still begin; otherwise it stays due, and the report says so."""
    if limit.is_over and report.cause is None:
        report.cause = TimeLimitExceeded(f"no time was left for {one.name}; it stays due", hint=LIMIT_HINT)
        report.error = str(report.cause)
    return not limit.is_over


@contextmanager
def _timed(report: DayReport, one: Detector) -> Iterator[None]:
    began = time.perf_counter()
    with fields(detector=one.name):
        yield
    report.detector_seconds[one.name] = time.perf_counter() - began


def _kept(text: str) -> str:
    """Return a text as it is kept: cleaned, and no longer than a reason may be."""
    text = clean(text[:MAX_CLEANED_LENGTH])
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"


def _conclude(report: DayReport, work: LedgerDay, done: Collection[str]) -> None:
    """Fill in what became of the day, by what the ledger says of the detectors that had something to do."""
    report.entries = dict(work.entries)
    for name in sorted(done):
        entry = work.entries[name]
        report.detectors[name] = DetectorReport(entry.status, entry.version, entry.rows, entry.error, entry.reason)
    statuses = {work.entries[name].status for name in done}
    if Status.STAGED in statuses:
        report.status = DayStatus.STAGED
    elif statuses & {Status.FAILED, Status.DEFERRED}:
        report.status = DayStatus.PARTIAL if Status.WRITTEN in statuses else DayStatus.FAILED
    elif statuses:
        report.status = DayStatus.PARTIAL if report.error else DayStatus.WRITTEN
    elif report.error:
        report.status = DayStatus.FAILED
