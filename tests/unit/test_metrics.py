"""What the daemon counts, and how it says so."""

from __future__ import annotations

import datetime as dt

from jobs.metrics import Metrics
from jobs.nightly import PlannedDay, RunReport
from jobs.pipeline import DayReport, DayStatus, DetectorReport
from storage.dates import ONE_DAY
from storage.errors import SourceUnavailable, StoreUnavailable
from storage.ledger import Entry, Status
from tests.support.rows import DAY

NOW = dt.datetime(2026, 3, 3, 3, 30, tzinfo=dt.UTC)


def day(status: DayStatus, error: str = "") -> DayReport:
    found = {"duration": DetectorReport("written", 1, 7, error, "")}
    return DayReport(DAY, status, found, events=12, detector_seconds={"duration": 0.5})


def told(metrics: Metrics) -> list[str]:
    return [line.removeprefix("pattern_aggregates_") for line in metrics.text().splitlines() if line[0] != "#"]


def test_the_time_of_the_last_success_comes_first_and_trouble_does_not_move_it() -> None:
    metrics = Metrics()
    entries = [Entry(DAY, "duration", Status.WRITTEN, 1, updated_at="2026-03-02T03:30:00+00:00")]
    metrics.begin(entries)
    before = dt.datetime(2026, 3, 2, 3, 30, tzinfo=dt.UTC).timestamp()
    metrics.run(RunReport(exit_code=75), entries, yesterday=DAY, now=NOW)
    assert told(metrics)[0] == f"last_success_timestamp_seconds {before}"
    metrics.run(RunReport(), entries, yesterday=DAY, now=NOW)
    assert told(metrics)[0] == f"last_success_timestamp_seconds {NOW.timestamp()}"
    left = RunReport(plan=[PlannedDay(DAY, ("duration",), raw=True)])  # told to stop before the day
    metrics.run(left, entries, yesterday=DAY, now=NOW + ONE_DAY)
    assert told(metrics)[0] == f"last_success_timestamp_seconds {NOW.timestamp()}"
    assert {'runs_total{exit_code="75"} 1.0', 'runs_total{exit_code="0"} 2.0'} <= set(told(metrics))


def test_days_are_counted_with_their_events_rows_and_seconds() -> None:
    metrics = Metrics()
    metrics.day(day(DayStatus.WRITTEN), remaining=4)
    metrics.day(day(DayStatus.PARTIAL, "failed"), remaining=3)
    assert {
        "days_due 3.0",
        'days_total{status="written"} 1.0',
        'days_total{status="partial"} 1.0',
        "events_total 24.0",
        'rows_total{detector="duration"} 7.0',
        'detector_seconds_total{detector="duration"} 1.0',
    } <= set(told(metrics))


def test_a_run_tells_what_is_due_staged_and_failed() -> None:
    plan = [PlannedDay(DAY - number * ONE_DAY, ("duration",), raw=True) for number in range(3)]
    report = RunReport(days=[day(DayStatus.WRITTEN)], plan=plan, exit_code=75)
    report.errors = [SourceUnavailable(), StoreUnavailable(), StoreUnavailable()]
    entries = [
        Entry(DAY - ONE_DAY, "duration", Status.STAGED, 1),
        Entry(DAY - ONE_DAY, "anomaly", Status.DEFERRED, 1),
        Entry(DAY - 2 * ONE_DAY, "duration", Status.FAILED, 1),
    ]
    metrics = Metrics()
    metrics.run(report, entries, yesterday=DAY, now=NOW)
    assert {
        "days_due 3.0",  # two of the plan, and yesterday, of which the ledger knows nothing
        "days_staged 1.0",
        "days_failed 2.0",
        'errors_total{of="source"} 1.0',
        'errors_total{of="store"} 2.0',
        'errors_total{of="ledger"} 0.0',
    } <= set(told(metrics))


def test_names_cannot_break_the_format() -> None:
    metrics = Metrics()
    report = day(DayStatus.WRITTEN)
    report.detector_seconds = {'a"b\\c\nd': 1.0}
    metrics.day(report, remaining=0)
    assert r'detector_seconds_total{detector="a\"b\\c\nd"} 1.0' in told(metrics)
