"""The daemon's metrics: what is counted, and in which form it is shown."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from jobs.daemon.metrics import Metrics
from jobs.due import DayPlan
from jobs.outcome import Outcome
from jobs.run_report import DayReport, DayStatus, DetectorReport, RunReport
from storage.dates import ONE_DAY, DateRange
from storage.errors import SourceUnavailable, StoreUnavailable
from storage.ledger.announcements import ChannelState
from storage.ledger.entry import Entry, Status
from tests.support.prometheus import promtool
from tests.support.rows import DAY

NOW = dt.datetime(2026, 3, 3, 3, 30, tzinfo=dt.UTC)


def counting() -> Metrics:
    return Metrics(["duration"], NOW)


def day(status: DayStatus, error: str = "") -> DayReport:
    found = {"duration": DetectorReport("failed" if error else "written", 1, 7, error, "")}
    return DayReport(DAY, status, found, events=12, detector_seconds={"duration": 0.5})


def samples(metrics: Metrics) -> list[str]:
    """The samples without prefix, each value as Python writes a float."""
    lines = (line.removeprefix("pattern_aggregates_") for line in metrics.text().splitlines() if line[0] != "#")
    return [f"{name} {float(value)}" for name, _, value in (line.rpartition(" ") for line in lines)]


def test_the_time_of_the_last_success_comes_first_and_a_failed_run_does_not_move_it() -> None:
    metrics = counting()
    entries = [Entry(DAY, "duration", Status.WRITTEN, 1, updated_at="2026-03-02T03:30:00+00:00")]
    metrics.load_ledger(entries)
    before = dt.datetime(2026, 3, 2, 3, 30, tzinfo=dt.UTC).timestamp()
    metrics.end_run(RunReport(outcome=Outcome.UNAVAILABLE), entries, yesterday=DAY, now=NOW)
    assert samples(metrics)[0] == f"last_success_timestamp_seconds {before}"
    metrics.end_run(RunReport(), entries, yesterday=DAY, now=NOW)
    assert samples(metrics)[0] == f"last_success_timestamp_seconds {NOW.timestamp()}"
    left = RunReport(plan=[DayPlan(DAY, ("duration",), (), readable=True)])  # stopped before the day
    metrics.end_run(left, entries, yesterday=DAY, now=NOW + ONE_DAY)
    assert samples(metrics)[0] == f"last_success_timestamp_seconds {NOW.timestamp()}"
    assert {'runs_total{exit_code="75"} 1.0', 'runs_total{exit_code="0"} 2.0'} <= set(samples(metrics))


def test_days_are_counted_with_their_events_rows_and_seconds() -> None:
    metrics = counting()
    metrics.count_day(day(DayStatus.WRITTEN), remaining=4)
    metrics.count_day(day(DayStatus.PARTIAL, "failed"), remaining=3)
    assert {
        "days_due 3.0",
        'days_total{status="written"} 1.0',
        'days_total{status="partial"} 1.0',
        "events_total 24.0",
        'rows_total{detector="duration"} 7.0',
        'detector_seconds_total{detector="duration"} 1.0',
        'detector_errors_total{detector="duration"} 1.0',
    } <= set(samples(metrics))


def test_every_counter_that_may_be_alerted_on_begins_at_zero() -> None:
    assert {
        "running 0.0",
        f"start_timestamp_seconds {NOW.timestamp()}",
        "events_total 0.0",
        *(f'errors_total{{of="{kind}"}} 0.0' for kind in ("source", "store", "ledger", "other")),
        *(f'days_total{{status="{status}"}} 0.0' for status in DayStatus),
        *(f'runs_total{{exit_code="{code}"}} 0.0' for code in (0, 1, 75, 78)),
        *(
            f'{name}{{detector="duration"}} 0.0'
            for name in ("rows_total", "detector_seconds_total", "detector_errors_total")
        ),
    } == set(samples(counting()))


def test_days_that_the_ledger_knows_as_unfinished_are_shown_before_the_first_run() -> None:
    metrics = counting()
    metrics.load_ledger([Entry(DAY, "duration", Status.STAGED, 1), Entry(DAY, "anomaly", Status.DEFERRED, 1)])
    assert {"days_staged 1.0", "days_failed 1.0"} <= set(samples(metrics))
    assert not any(line.startswith("last_success") for line in samples(metrics))


def test_a_run_is_shown_while_it_lasts_and_however_it_ends_not_longer() -> None:
    metrics = counting()
    metrics.begin_run()
    assert "running 1.0" in samples(metrics)
    metrics.end_run(RunReport(), [], yesterday=DAY, now=NOW)
    assert "running 0.0" in samples(metrics)
    metrics.begin_run()
    metrics.end_failed_run(ZeroDivisionError(), now=NOW)
    assert "running 0.0" in samples(metrics)


def test_it_shows_by_how_many_days_the_source_is_behind_and_keeps_that_while_the_source_is_down() -> None:
    metrics = counting()
    metrics.end_run(RunReport(span=DateRange(DAY, DAY)), [], yesterday=DAY + 2 * ONE_DAY, now=NOW)
    assert "days_behind 2.0" in samples(metrics)
    metrics.end_run(RunReport(outcome=Outcome.UNAVAILABLE), [], yesterday=DAY + 3 * ONE_DAY, now=NOW)
    assert "days_behind 2.0" in samples(metrics)
    metrics.end_run(RunReport(span=DateRange(DAY, DAY + 9 * ONE_DAY)), [], yesterday=DAY, now=NOW)
    assert "days_behind 0.0" in samples(metrics)


def test_free_space_is_shown_also_where_the_first_run_is_still_to_create_the_folder(tmp_path: Path) -> None:
    metrics = counting()
    metrics.measure_disks({"ledger": tmp_path / "not" / "yet"})
    (free,) = (line for line in samples(metrics) if line.startswith("disk_free_bytes"))
    name, value = free.split()
    assert name == 'disk_free_bytes{of="ledger"}'
    assert float(value) > 0


def test_of_a_folder_that_cannot_be_looked_at_nothing_is_samples(tmp_path: Path) -> None:
    metrics = counting()
    metrics.measure_disks({"ledger": tmp_path})
    metrics.measure_disks({"ledger": tmp_path / ("x" * 300)})  # a name too long for any disk
    assert not any(line.startswith("disk_free_bytes") for line in samples(metrics))


def test_a_run_shows_how_many_days_are_due_staged_and_failed() -> None:
    plan = [DayPlan(DAY - number * ONE_DAY, ("duration",), (), readable=True) for number in range(3)]
    report = RunReport(days=[day(DayStatus.WRITTEN)], plan=plan, outcome=Outcome.UNAVAILABLE)
    report.errors = [SourceUnavailable(), StoreUnavailable(), StoreUnavailable()]
    entries = [
        Entry(DAY - ONE_DAY, "duration", Status.STAGED, 1),
        Entry(DAY - ONE_DAY, "anomaly", Status.DEFERRED, 1),
        Entry(DAY - 2 * ONE_DAY, "duration", Status.FAILED, 1),
    ]
    metrics = counting()
    metrics.end_run(report, entries, yesterday=DAY, now=NOW)
    assert {
        "days_due 3.0",  # two of the plan, and yesterday, of which the ledger knows nothing
        "days_staged 1.0",
        "days_failed 2.0",
        'errors_total{of="source"} 1.0',
        'errors_total{of="store"} 2.0',
        'errors_total{of="ledger"} 0.0',
    } <= set(samples(metrics))


def test_a_failed_day_that_cannot_be_tried_again_stops_raising_the_alert() -> None:
    purged, disabled = Entry(DAY - ONE_DAY, "duration", Status.FAILED, 1), Entry(DAY, "room_based", Status.FAILED, 1)
    entries = [purged, disabled, Entry(DAY, "duration", Status.FAILED, 1)]
    plan = [DayPlan(DAY, ("duration",), (), readable=True)]
    metrics = counting()
    metrics.end_run(RunReport(plan=plan), entries, yesterday=DAY, now=NOW)
    assert "days_failed 2.0" in samples(metrics)  # the source could not be asked, so any day may come back
    metrics.end_run(RunReport(plan=plan, span=DateRange(DAY, DAY)), entries, yesterday=DAY, now=NOW)
    assert "days_failed 1.0" in samples(metrics)
    metrics.end_run(RunReport(span=DateRange(DAY, DAY)), entries[:2], yesterday=DAY, now=NOW)
    assert "days_failed 0.0" in samples(metrics)


def test_names_cannot_break_the_format() -> None:
    metrics = counting()
    report = day(DayStatus.WRITTEN)
    report.detector_seconds = {'a"b\\c\nd': 1.0}
    metrics.count_day(report, remaining=0)
    assert r'detector_seconds_total{detector="a\"b\\c\nd"} 1.0' in samples(metrics)


def test_prometheus_own_linter_finds_nothing_but_days_which_are_counted_here_and_no_unit(tmp_path: Path) -> None:
    metrics = counting()
    metrics.load_ledger([Entry(DAY, "duration", Status.WRITTEN, 1, updated_at=NOW.isoformat())])
    metrics.count_day(day(DayStatus.PARTIAL, "failed"), remaining=1)
    metrics.end_run(RunReport(span=DateRange(DAY, DAY)), [], yesterday=DAY, now=NOW)
    metrics.measure_disks({"ledger": tmp_path, "store": tmp_path})
    metrics.set_channels({"mqtt": ChannelState(waiting=2)})
    names = {line.partition("{")[0].split()[0] for line in samples(metrics)}
    assert len(names) == metrics.text().count("# TYPE"), "every metric has a value here"
    checked = promtool("check", "metrics", stdin=metrics.text())
    complaint = 'use base unit "seconds" instead of "days"'
    expected = {f"pattern_aggregates_{name} {complaint}" for name in names if name.startswith("days_")}
    assert set((checked.stdout + checked.stderr).splitlines()) == expected


def test_what_waits_and_what_could_not_be_published_is_counted_by_channel() -> None:
    metrics = counting()
    metrics.set_channels({"mqtt": ChannelState(waiting=2), "ntfy": ChannelState()})
    metrics.count_publish_error("mqtt")
    metrics.count_publish_error("ping")
    found = [line for line in samples(metrics) if "channel=" in line]
    assert found == [
        'findings_waiting{channel="mqtt"} 2.0',
        'findings_waiting{channel="ntfy"} 0.0',
        'publish_errors_total{channel="mqtt"} 1.0',
        'publish_errors_total{channel="ntfy"} 0.0',
        'publish_errors_total{channel="ping"} 1.0',
    ]


def test_every_metric_has_the_name_of_the_home_if_it_has_one() -> None:
    unnamed, named = (Metrics(["duration"], NOW, home).text() for home in ("", 'küche "1"'))
    values = [line for line in named.splitlines() if not line.startswith("#")]
    assert values
    assert all('home="küche \\"1\\""' in line for line in values)
    assert named.count("\n") == unnamed.count("\n")
    assert "home=" not in unnamed
