"""One day, from raw events to stored aggregates: read, detect, checkpoint, write, mark.

Each finding is staged in the ledger as soon as it is there, the store takes the day as one batch, and only then is it
marked written; so whatever interrupts this, calling it again ends as if nothing had happened. A detector that raises
costs its own rows, never the others'; a history that cannot be read defers the detectors that need it, as does a day of
which no other detector has found anything yet: the rows it would be judged by are missing, not zero.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from jobs.logs import fields
from jobs.registry import Detector, EventDetector, Finding, HistoryDetector, NotJudged
from jobs.sources.base import EventSource
from storage.batch import DetectorDay
from storage.dates import DateRange
from storage.errors import LedgerError, PatternAggregatesError, SourceError, StoreError
from storage.ledger.ledger import Entry, Ledger, LedgerDay, Models, Status, basis
from storage.models import REASON_LENGTH, DailyAggregate, DetectorRunDaily
from storage.overlay import OverlaidReader
from storage.store import AggregateStore

_log = logging.getLogger(__name__)


class DayStatus(StrEnum):
    """What became of a day."""

    WRITTEN = "written"  # the store holds everything that was due
    PARTIAL = "partial"  # some detector failed or was deferred; the rest is written
    STAGED = "staged"  # found, and kept until the store can be reached
    FAILED = "failed"  # nothing could be done
    SKIPPED = "skipped"  # nothing was due


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """What became of one detector's day."""

    status: str
    version: int
    rows: int
    error: str
    reason: str


@dataclass(slots=True)
class DayReport:
    """What became of a day.

    Attributes:
        day: The local calendar day.
        status: The outcome.
        detectors: The outcome of each detector that had something to do.
        events: Activity events of the day; 0 if they were not read.
        seconds: How long it took.
        detector_seconds: How long each detector took that computed.
        error: What kept the whole day from being done, if anything did.
        cause: The error behind it.
    """

    day: dt.date
    status: DayStatus = DayStatus.SKIPPED
    detectors: dict[str, DetectorReport] = field(default_factory=dict)
    events: int = 0
    seconds: float = 0.0
    detector_seconds: dict[str, float] = field(default_factory=dict)
    error: str = ""
    cause: PatternAggregatesError | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What a day's run works with. Clock, zone, source and store are given; nothing here looks for them.

    Attributes:
        detectors: The enabled detectors, those that judge events first.
        source: Raw events.
        store: Where aggregates go.
        ledger: What is done.
        zone: The home's zone.
        models: The models whose staged rows may be written, those of detectors switched off since among them; the
            enabled detectors' own are always.
        clock: Gives the present instant: for ``computed_at`` only.
    """

    detectors: Sequence[Detector]
    source: EventSource
    store: AggregateStore
    ledger: Ledger
    zone: ZoneInfo
    clock: Callable[[], dt.datetime]
    models: Sequence[type[DailyAggregate]] = ()

    def run_day(
        self,
        day: dt.date,
        *,
        only: Collection[str] | None = None,
        raw: bool = True,
        late: bool = False,
        force: bool = False,
        write: bool = True,
    ) -> DayReport:
        """Do what is outstanding of one day, under the lock.

        Args:
            day: The local calendar day.
            only: The detectors that may compute; by default all.
            raw: Whether the source still holds the day; if not, only stored and staged aggregates are worked with.
            late: Also compute again what was computed from other raw events than the source has now.
            force: Replace even what was computed from more than the source knows now.
            write: Whether to try the store.

        Returns:
            What became of it. Trouble with source or store is reported, not raised.

        Raises:
            LedgerError: Nothing can be kept without the ledger.
        """
        began = time.perf_counter()
        report = DayReport(day)
        allowed = [one for one in self.detectors if only is None or one.name in only]
        with fields(day=day), self.ledger.day(day) as work:
            touched: set[str] = set()
            try:
                if raw:
                    touched |= self._detect(work, report, allowed, late=late, force=force)
                touched |= self._judge(work, report, allowed)
            except LedgerError:
                raise
            except PatternAggregatesError as error:
                _log.error("%s: %s", day, error)
                report.error, report.cause = str(error), error
            except Exception as error:  # noqa: BLE001 - what a source did not expect costs this day, not the others
                _log.exception("%s: the source failed", day)
                report.error = f"{type(error).__name__}: {error}"
                report.cause = SourceError(report.error)
            if write:
                touched |= self._write(work, report)
            _conclude(report, work, touched)
        report.seconds = time.perf_counter() - began
        return report

    def _detect(
        self, work: LedgerDay, report: DayReport, allowed: Sequence[Detector], *, late: bool, force: bool
    ) -> set[str]:
        """Let event detectors that are due see the day's log, and stage what they find. Returns their names."""
        judges = [one for one in allowed if isinstance(one, EventDetector)]
        if not late and not any(_due(work, one) for one in judges):
            return set()
        window = DayWindow(work.day, self.zone)
        fingerprint = self.source.fingerprint(window)
        due = [one for one in judges if _due(work, one) or (late and work.entries[one.name].changed(fingerprint))]
        if not due:
            return set()
        log = self.source.read(window)
        report.events = len(log.events)
        for notice in log.notices:
            _log.warning("%s: %s", work.day, notice)
        for one in due:
            entry = work.entries.get(one.name)
            if entry is not None and not force and _knows_less(log, entry):
                work.keep(one.name, one.version, fingerprint)
                _log.warning("%s: %s stays as written: the source knows less of that day now", work.day, one.name)
                continue
            facts = _Facts(len(log.events), log.samples, log.known_seconds, window.seconds, log.notices)
            with _timed(report, one):
                self._attempt(work, one, partial(one.detect, log), facts, fingerprint)
        return {one.name for one in due}

    def _judge(self, work: LedgerDay, report: DayReport, allowed: Sequence[Detector]) -> set[str]:
        """Let history detectors read stored and staged aggregates, again if the day's changed. Returns their names."""
        judged = basis(work.entries.values())
        due = [
            one
            for one in allowed
            if isinstance(one, HistoryDetector) and (_due(work, one) or work.entries[one.name].changed(judged))
        ]
        if not due:
            return set()
        if not any(entry.found for name, entry in work.entries.items() if name not in {one.name for one in due}):
            return self._put_off(work, due)
        history = OverlaidReader(self.store, self.ledger.staged(self._models()))
        events = max((entry.events for entry in work.entries.values()), default=0)
        known_seconds = max((entry.known_seconds for entry in work.entries.values()), default=0.0)
        facts = _Facts(events, 0, known_seconds, DayWindow(work.day, self.zone).seconds, ())
        for one in due:
            try:
                with _timed(report, one):
                    self._attempt(work, one, partial(one.judge, work.day, history), facts, judged)
            except StoreError as error:
                work.defer(one.name, one.version, f"the history cannot be read: {error}")
                _log.warning("%s: %s is deferred: %s", work.day, one.name, error)
        return {one.name for one in due}

    @staticmethod
    def _put_off(work: LedgerDay, due: Sequence[Detector]) -> set[str]:
        """Leave a day unjudged that no raw events were found to tell of; noted only where that was tried."""
        if not work.entries:
            return set()
        for one in due:
            work.defer(one.name, one.version, "no other detector has found anything of this day")
        return {one.name for one in due}

    def _is_stored(self, day: dt.date, detector: str) -> bool:
        """Whether the store still has what a detector once said of a day: it may have been lost."""
        return bool(self.store.read(DetectorRunDaily, DateRange(day, day), {"detector": detector}))

    def _attempt(
        self, work: LedgerDay, one: Detector, find: Callable[[], Finding], facts: _Facts, fingerprint: str
    ) -> None:
        """Run one detector and stage what it finds; what it raises is noted and costs nobody else anything."""
        try:
            found = find()
            entry = work.entries.get(one.name)
            written = entry is not None and entry.written_version is not None
            if isinstance(found, NotJudged) and written and self._is_stored(work.day, one.name):
                work.keep(one.name, one.version, fingerprint)
                return
            rows, reason = found
            run = DetectorRunDaily(
                date=work.day,
                detector=one.name,
                version=one.version,
                rows=len(rows),
                events=facts.events,
                known_seconds=facts.known_seconds,
                day_seconds=facts.day_seconds,
                reason=_shortened("; ".join([reason, *facts.notices])),
                computed_at=self.clock(),
            )
            finding = DetectorDay(run, one.model, tuple(rows))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a detector raises is its own affair
            _log.exception("%s: %s failed", work.day, one.name)
            work.fail(one.name, one.version, _shortened(f"{type(error).__name__}: {error}"))
        else:
            work.stage(finding, fingerprint, facts.samples)

    def _write(self, work: LedgerDay, report: DayReport) -> set[str]:
        """Hand the store all that waits. Returns the names of the detectors whose findings these are."""
        batch = work.batch(self._models())
        if batch is None:
            return set()
        try:
            self.store.replace_day(batch)
        except PatternAggregatesError as error:
            _log.error("%s: not written: %s", work.day, error)
            report.error, report.cause = str(error), error
        else:
            work.written(batch)
        return {finding.run.detector for finding in batch.findings}

    def _models(self) -> Models:
        return {model.measurement: model for model in (*self.models, *(one.model for one in self.detectors))}


class _Facts(NamedTuple):
    """What is known of the day that a detector judges."""

    events: int
    samples: int
    known_seconds: float
    day_seconds: float
    notices: Sequence[str]


@contextmanager
def _timed(report: DayReport, one: Detector) -> Iterator[None]:
    began = time.perf_counter()
    with fields(detector=one.name):
        yield
    report.detector_seconds[one.name] = time.perf_counter() - began


def _due(work: LedgerDay, one: Detector) -> bool:
    entry = work.entries.get(one.name)
    return entry is None or entry.due(one.version)


def _knows_less(log: DayLog, entry: Entry) -> bool:
    """Purged raw events are not late ones: what the store holds was made from more than the source has now."""
    if entry.written_version is None:
        return False
    if not entry.fingerprint and len(log.events) < entry.events:  # restored from the store, which counts no samples
        return True
    return log.known_seconds < entry.written_known_seconds or log.samples < entry.written_samples


def _shortened(text: str) -> str:
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"


def _conclude(report: DayReport, work: LedgerDay, touched: Collection[str]) -> None:
    """Say what became of the day, from what the ledger says of the detectors that had something to do."""
    for name in sorted(touched):
        entry = work.entries[name]
        report.detectors[name] = DetectorReport(entry.status, entry.version, entry.rows, entry.error, entry.reason)
    statuses = {work.entries[name].status for name in touched}
    if Status.STAGED in statuses:
        report.status = DayStatus.STAGED
    elif statuses & {Status.FAILED, Status.DEFERRED}:
        report.status = DayStatus.PARTIAL if Status.WRITTEN in statuses else DayStatus.FAILED
    elif statuses:
        report.status = DayStatus.PARTIAL if report.error else DayStatus.WRITTEN
    elif report.error:
        report.status = DayStatus.FAILED
