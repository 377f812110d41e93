"""The invariants of the nightly job, one after the other, with a source and a store that obey the test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import availability
from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, DayWindow
from jobs.detector import Finding
from jobs.outcome import Outcome
from jobs.run_report import DayStatus
from storage.dates import ONE_DAY, DateRange
from storage.errors import SettingsError, SourceUnavailable, UsageError
from storage.ledger.entry import Entry, Status
from storage.ledger.ledger import Ledger
from storage.models import TimeBasedDaily
from tests.support.detectors import CountDaily, Fixed, FlakyStore, TrendDaily
from tests.support.memory_source import MemorySource, Row
from tests.support.night import DAYS, FIRST, YESTERDAY, ZONE, Night, uses


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    home = Night(tmp_path)
    yield home
    home.ledger.close()


def test_every_day_the_source_holds_is_computed_once_oldest_first(night: Night) -> None:
    report = night.run()
    assert [day.day for day in report.days] == list(DAYS)
    assert {day.status for day in report.days} == {DayStatus.WRITTEN}
    assert report.outcome is Outcome.DONE
    assert night.counts() == dict.fromkeys(DAYS, 4)
    assert night.store.writes == list(DAYS)
    again = night.run()
    assert {day.status for day in again.days} == {DayStatus.SKIPPED}
    assert night.store.writes == list(DAYS)


def test_nothing_found_is_recorded_with_its_reason(night: Night) -> None:
    night.source.rows = [row for row in night.source.rows if row.at >= DayWindow(FIRST, ZONE).end]
    night.run()
    assert night.runs("count")[FIRST].rows == 0
    assert night.runs("count")[FIRST].reason == "0 entities counted"


def test_a_hole_behind_the_newest_success_is_found(night: Night) -> None:
    night.run(only_day=DAYS.last)
    night.run(only_day=DAYS.first)
    report = night.run()
    assert [day.day for day in report.days if day.status is DayStatus.WRITTEN] == list(DAYS)[1:4]


def test_a_detector_that_raises_costs_only_its_own_rows_and_is_tried_again(night: Night) -> None:
    night.detectors = [night.counter, Fixed()]
    night.counter.fails_on = {FIRST}
    report = night.run()
    assert report.outcome is Outcome.INCOMPLETE
    assert report.days[0].status is DayStatus.PARTIAL
    assert report.days[0].detectors["count"].error == "ZeroDivisionError: told to fail"
    assert FIRST in night.runs("time_based")
    assert FIRST not in night.runs("count")
    night.counter.fails_on = set()
    mended = night.run()
    assert [day.day for day in mended.days if day.status is DayStatus.WRITTEN] == [FIRST]
    assert mended.outcome is Outcome.DONE
    assert night.counts() == dict.fromkeys(DAYS, 4)


def test_a_failed_redo_leaves_what_an_earlier_run_wrote(night: Night) -> None:
    night.run()
    before = night.counts(), night.runs("count")
    night.counter.fails_on = {FIRST}
    report = night.backfill(DateRange(FIRST, FIRST), redo="all")
    assert report.outcome is Outcome.INCOMPLETE
    assert (night.counts(), night.runs("count")) == before


def test_a_store_that_is_down_costs_nothing_and_needs_no_raw_events_later(night: Night) -> None:
    night.store.down = True
    report = night.run()
    assert report.outcome is Outcome.UNAVAILABLE
    assert {day.status for day in report.days} == {DayStatus.STAGED}
    assert set(night.statuses().values()) == {Status.STAGED}
    assert set(night.statuses("trend").values()) == {Status.DEFERRED}
    night.source.rows, night.source.held, night.store.down = [], None, False
    night.source.error = SourceUnavailable("gone")
    later = night.run()
    assert night.counts() == dict.fromkeys(DAYS, 4)
    assert set(night.statuses().values()) == {Status.WRITTEN}
    trends = night.store.read(TrendDaily, DAYS)
    assert [(row.before, row.today) for row in trends] == [(0, 4), (4, 4), (4, 4), (4, 4), (4, 4)]
    assert later.outcome is Outcome.UNAVAILABLE  # the source is gone, and that is said


def test_an_answer_that_got_lost_is_written_again_and_nothing_stands_twice(night: Night) -> None:
    night.store.dies_after_write = True
    assert night.run().outcome is Outcome.UNAVAILABLE
    assert set(night.statuses().values()) == {Status.STAGED}
    night.store.dies_after_write = False
    assert night.run().outcome is Outcome.DONE
    assert night.counts() == dict.fromkeys(DAYS, 4)


def test_a_store_that_stays_down_is_not_asked_for_every_day(night: Night) -> None:
    asked = []

    class Counting(FlakyStore):
        def replace_day(self, batch: object) -> None:
            asked.append(batch)
            super().replace_day(batch)  # type: ignore[arg-type]

    night.store = Counting()
    night.store.down = True
    night.detectors = [night.counter]
    night.run()
    assert len(asked) == availability.MAX_STORE_ERRORS
    assert set(night.statuses().values()) == {Status.STAGED}


def test_a_store_that_refuses_the_account_is_a_matter_of_settings_and_costs_nothing(night: Night) -> None:
    night.store.refusal = SettingsError("the server refuses this account")
    report = night.run()
    assert report.outcome is Outcome.INVALID_SETTINGS
    assert set(night.statuses().values()) == {Status.STAGED}
    assert set(night.statuses("trend").values()) == {Status.DEFERRED}
    night.store.refusal = None
    assert night.run().outcome is Outcome.DONE
    assert night.counts() == dict.fromkeys(DAYS, 4)


def test_the_ledger_is_read_once_a_run_and_the_report_says_what_it_holds_afterwards(night: Night) -> None:
    reads = []

    class Counting(Ledger):
        def entries(self, days: DateRange | None = None) -> dict[tuple[dt.date, str], Entry]:
            reads.append(days)
            return super().entries(days)

    night.run(only_day=FIRST)
    night.ledger.close()
    night.ledger = Counting(night.folder / "ledger.db", clock=lambda: night.now)
    report = night.run()
    assert len(reads) == 1
    assert report.entries == night.ledger.entries()
    night.backfill(redo="all")
    assert reads[2:] == [DAYS]


def test_a_day_that_another_process_has_done_since_the_plan_was_made_is_not_done_again(night: Night) -> None:
    def finish(_report: object, number: int, _total: int) -> None:
        if number == 1:
            night.run()

    report = night.run(progress=finish, recheck_days=0)
    assert [day.status for day in report.days] == ["written", *["skipped"] * 4]
    assert night.counter.calls == list(DAYS)
    assert night.trend.calls == list(DAYS)


def test_a_day_that_another_process_has_failed_on_since_the_plan_was_made_is_tried_again(night: Night) -> None:
    night.detectors = [night.counter]

    def fail(_report: object, number: int, _total: int) -> None:
        if number == 1:
            night.counter.fails_on = {DAYS.last}
            night.run()
            night.counter.fails_on = set()

    report = night.run(progress=fail, recheck_days=0)
    assert [day.status for day in report.days] == ["written", *["skipped"] * 3, "written"]


def test_redo_all_repeats_history_detectors_where_the_raw_events_are_gone(night: Night) -> None:
    night.run()
    night.trend.calls, night.counter.calls = [], []
    night.source.held = DateRange(FIRST + ONE_DAY, DAYS.last)
    planned = night.backfill(redo="all", dry_run=True).plan
    assert [plan.detectors for plan in planned] == [("trend",), *[("count", "trend")] * 4]
    report = night.backfill(redo="all")
    assert night.trend.calls == list(DAYS)
    assert night.counter.calls == list(DAYS)[1:]
    assert {day.status for day in report.days} == {DayStatus.WRITTEN}
    assert not any(entry.redo for entry in night.ledger.entries().values())


def test_a_source_that_cannot_be_reached_is_reported_and_retried(night: Night) -> None:
    night.source.error = SourceUnavailable("locked")
    report = night.run()
    assert (report.outcome, report.days) == (Outcome.UNAVAILABLE, [])
    assert "locked" in report.notices[0]
    night.source.error = None
    assert night.run().outcome is Outcome.DONE
    assert night.counts() == dict.fromkeys(DAYS, 4)


def test_a_source_that_goes_away_in_the_middle_leaves_days_due_and_none_judged_from_nothing(night: Night) -> None:
    class Locked(MemorySource):
        def fingerprint(self, window: DayWindow) -> str:
            if window.day > FIRST + ONE_DAY:
                raise SourceUnavailable("database is locked")
            return super().fingerprint(window)

    whole = night.source
    night.source = Locked(ZONE, whole.rows, runs=[(DayWindow(FIRST, ZONE).start, DayWindow(YESTERDAY, ZONE).end)])
    night.source.held = DAYS
    report = night.run()
    assert report.outcome is Outcome.UNAVAILABLE
    assert [day.status for day in report.days] == ["written", "written", "failed", "failed", "failed"]
    assert all("database is locked" in day.error for day in report.days[2:])
    assert set(night.statuses("trend")) == set(night.statuses()) == {FIRST, FIRST + ONE_DAY}
    assert set(night.runs("trend")) == {FIRST, FIRST + ONE_DAY}

    night.source = whole
    assert night.run().outcome is Outcome.DONE
    assert night.counts() == dict.fromkeys(DAYS, 4)
    assert night.trend.calls == list(DAYS)


def test_a_day_on_which_no_detector_found_anything_is_judged_by_history_when_one_has(night: Night) -> None:
    night.counter.fails_on = {FIRST}
    report = night.run(only_day=FIRST)
    assert (report.outcome, report.days[0].status) == (Outcome.INCOMPLETE, DayStatus.FAILED)
    assert night.statuses("trend")[FIRST] is Status.DEFERRED
    assert night.trend.calls == []
    night.counter.fails_on = set()
    assert night.run(only_day=FIRST).outcome is Outcome.DONE
    assert night.statuses("trend")[FIRST] is Status.WRITTEN


def test_a_day_that_can_no_longer_be_read_is_not_put_off_every_night_anew(night: Night) -> None:
    night.counter.fails_on = {FIRST}
    night.run()
    night.source.held = DateRange(FIRST + ONE_DAY, DAYS.last)
    report = night.run()
    assert FIRST not in {day.day for day in report.days}
    assert report.outcome is Outcome.DONE


def test_late_events_are_found_in_the_days_that_are_looked_at_again(night: Night) -> None:
    night.run()
    night.source.rows += uses(DAYS.last, "light.late", 2) + uses(DAYS.first, "light.too_late", 2)
    report = night.run()
    assert [day.day for day in report.days if day.status is DayStatus.WRITTEN] == [DAYS.last]
    rows = night.store.read(CountDaily, DAYS)
    assert [row.entity_id for row in rows if row.date == DAYS.last] == ["light.a", "light.late"]
    assert [row.entity_id for row in rows if row.date == DAYS.first] == ["light.a"]
    assert [row.today for row in night.store.read(TrendDaily, DateRange(DAYS.last, DAYS.last))] == [6]


def test_purged_events_are_not_late_events(night: Night) -> None:
    night.run()
    before = night.counts(), night.runs("count")
    night.source.rows = [row for row in night.source.rows if row.at < DayWindow(DAYS.last, ZONE).start + 7 * HOUR]
    night.run()
    night.counter.version = 2
    night.run()
    night.backfill(redo="all")
    assert night.counts() == before[0]
    assert night.runs("count")[DAYS.last] == before[1][DAYS.last]
    assert night.runs("count")[DAYS.first].version == 2
    calls = len(night.counter.calls)
    night.run()
    assert len(night.counter.calls) == calls  # the decision is remembered
    night.backfill(DateRange(DAYS.last, DAYS.last), redo="all", force=True)
    assert night.counts()[DAYS.last] == 1


def test_less_known_time_of_the_same_samples_replaces_rows_only_in_a_new_version(night: Night) -> None:
    night.run()
    before = night.runs("count")[DAYS.last]
    first, last = DayWindow(DAYS.first, ZONE), DayWindow(DAYS.last, ZONE)
    night.source.runs = [(first.start, last.end - HOUR)]  # a hole that the former version did not see
    night.backfill(DateRange(DAYS.last, DAYS.last), redo="all")
    assert night.runs("count")[DAYS.last] == before
    night.counter.version = 2
    night.run()
    after = night.runs("count")[DAYS.last]
    assert (after.version, before.known_seconds - after.known_seconds) == (2, 3600)


def test_a_new_version_makes_old_days_outstanding(night: Night) -> None:
    night.run()
    night.counter.version = 2
    report = night.run()
    assert [day.day for day in report.days if day.status is DayStatus.WRITTEN] == list(DAYS)
    assert {run.version for run in night.runs("count").values()} == {2}


def test_a_rerun_takes_away_rows_that_a_day_no_longer_yields(night: Night) -> None:
    night.source.rows += uses(FIRST, "light.b")
    night.run()
    night.source.rows = [row for row in night.source.rows if row.entity_id != "light.b"] + uses(FIRST, "light.c", 6)
    night.backfill(DateRange(FIRST, FIRST), redo="all")
    rows = night.store.read(CountDaily, DateRange(FIRST, FIRST))
    assert [row.entity_id for row in rows] == ["light.a", "light.c"]


def test_history_is_judged_on_staged_days_too(night: Night) -> None:
    night.run()
    assert [(row.before, row.today) for row in night.store.read(TrendDaily, DAYS)][1:] == [(4, 4)] * 4


def test_a_history_that_changed_is_judged_again(night: Night) -> None:
    night.run()
    night.trend.calls.clear()
    night.counter.version = 2
    night.run()
    assert night.trend.calls == list(DAYS)


def test_staged_days_past_the_retention_are_given_up_once_and_reported(night: Night) -> None:
    night.store.down = True
    night.detectors = [night.counter]
    night.run()
    night.store.down = False
    later = YESTERDAY + 10 * ONE_DAY
    report = night.run(yesterday=later, retention_days=11)
    assert any("given up" in notice and str(FIRST) in notice for notice in report.notices)
    assert report.outcome is Outcome.INCOMPLETE
    assert night.statuses()[FIRST] is Status.EXPIRED
    assert FIRST not in night.counts()
    again = night.run(yesterday=later, retention_days=11)
    assert not any("given up" in notice for notice in again.notices)


def test_the_store_forgets_what_is_past_the_retention(night: Night) -> None:
    night.run()
    night.run(yesterday=YESTERDAY + ONE_DAY, retention_days=3)
    assert sorted(night.counts()) == list(DAYS)[-2:]


def test_a_clock_that_is_months_ahead_of_the_source_empties_no_store(night: Night) -> None:
    night.run()
    before = night.counts()
    report = night.run(yesterday=YESTERDAY + 200 * ONE_DAY, retention_days=90)
    assert report.outcome is Outcome.INCOMPLETE  # a stale source
    assert night.counts() == before


def test_zero_retention_keeps_everything(night: Night) -> None:
    night.run(retention_days=0)
    night.run(yesterday=YESTERDAY + 3000 * ONE_DAY, retention_days=0)
    assert sorted(night.counts()) == list(DAYS)


def test_a_source_that_fell_behind_is_stale(night: Night) -> None:
    report = night.run(yesterday=YESTERDAY + ONE_DAY)
    assert report.outcome is Outcome.INCOMPLETE
    assert "stale source" in report.notices[0]
    assert "retention" not in report.notices[0]
    assert report.span == DAYS
    assert night.counts() == dict.fromkeys(DAYS, 4)


@pytest.mark.parametrize(("retention_days", "computed"), [(3, 0), (4, 1)])
def test_a_notice_explains_that_all_days_of_the_source_are_past_the_retention(
    night: Night, retention_days: int, computed: int
) -> None:
    report = night.run(yesterday=YESTERDAY + 3 * ONE_DAY, retention_days=retention_days)
    assert len(report.days) == computed
    assert ("store.retention_days" in report.notices[0]) is (computed == 0)


def test_a_source_ahead_of_the_clock_is_pointed_at(night: Night) -> None:
    night.source.held = DateRange(FIRST, YESTERDAY + 3 * ONE_DAY)
    report = night.run()
    assert any("in the future" in notice for notice in report.notices)
    assert sorted(night.counts()) == list(DAYS)


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (DateRange(FIRST, YESTERDAY + ONE_DAY), "not over yet"),
        (DateRange(FIRST - 100 * ONE_DAY, FIRST), "past the retention"),
    ],
)
def test_a_range_that_is_not_valid_is_refused(night: Night, days: DateRange, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        night.backfill(days)
    with pytest.raises(UsageError):
        night.run(only_day=days.last if "over" in told else days.first)


def test_days_the_source_no_longer_holds_are_counted_and_not_made_up(night: Night) -> None:
    report = night.backfill(DateRange(FIRST - 2 * ONE_DAY, DAYS.last))
    assert report.outcome is Outcome.INCOMPLETE
    assert "2 days are out of reach" in report.notices[0]
    assert sorted(night.counts()) == list(DAYS)


def test_only_one_day_is_only_one_day(night: Night) -> None:
    report = night.run(only_day=DAYS.first + ONE_DAY)
    assert [day.day for day in report.days] == [DAYS.first + ONE_DAY]
    assert sorted(night.counts()) == [DAYS.first + ONE_DAY]


def test_a_backfill_can_be_narrowed_to_detectors(night: Night) -> None:
    night.detectors = [night.counter, Fixed()]
    night.backfill(detectors=["time_based"])
    assert night.counts() == {}
    assert len(night.store.read(TimeBasedDaily, DAYS)) == len(DAYS)
    with pytest.raises(UsageError, match="unknown detector"):
        night.backfill(detectors=["time_basd"])


def test_redo_missing_and_failed_touch_only_what_they_say(night: Night) -> None:
    night.detectors = [night.counter]
    night.counter.fails_on = {FIRST}
    night.backfill(DateRange(FIRST, FIRST + ONE_DAY))
    night.counter.fails_on, night.counter.calls = set(), []
    night.backfill(redo="missing")
    assert night.counter.calls == list(DAYS)[2:]
    night.counter.calls = []
    night.backfill(redo="failed")
    assert night.counter.calls == [FIRST]


def test_redo_all_gives_the_same_rows_and_an_interrupted_one_is_resumed_without_it(night: Night) -> None:
    night.run()
    before = night.counts()
    night.counter.calls = []

    def stop(_report: object, number: int, _total: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        night.backfill(redo="all", progress=stop)
    assert night.counter.calls == list(DAYS)[:2]
    night.backfill()
    assert night.counter.calls == list(DAYS)
    assert night.counts() == before


def test_a_dry_run_plans_and_touches_nothing(night: Night) -> None:
    report = night.backfill(dry_run=True)
    assert [planned.day for planned in report.plan] == list(DAYS)
    assert report.plan[0].detectors == ("count", "trend")
    assert night.ledger.entries() == {}
    assert night.store.writes == []


def test_a_detector_that_gives_rows_of_another_day_has_failed(night: Night) -> None:
    wrong = Fixed(make=lambda day: Fixed().make(day=day + ONE_DAY))
    night.detectors = [wrong, night.counter]
    report = night.run()
    assert report.days[0].status is DayStatus.PARTIAL
    assert "returned a row of" in report.days[0].detectors["time_based"].error
    assert night.counts() == dict.fromkeys(DAYS, 4)


def test_rows_found_under_the_same_key_twice_are_a_failure(night: Night) -> None:
    class Twice(Fixed):
        def detect(self, log: DayLog) -> Finding:
            rows, reason = super().detect(log)
            return Finding([*rows, *rows], reason)

    night.detectors = [Twice()]
    assert "returned several rows for 1 keys" in night.run().days[0].detectors["time_based"].error


def test_an_entry_knows_how_often_it_was_tried(night: Night) -> None:
    night.detectors = [night.counter]
    night.counter.fails_on = {FIRST}
    for _ in range(3):
        night.run()
    assert night.ledger.entries()[FIRST, "count"].attempts == 3


@pytest.mark.slow
def test_every_day_of_a_year_is_computed_with_its_true_length(night: Night) -> None:
    year = DateRange(dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    start, end = DayWindow(year.first, ZONE).start, DayWindow(year.last, ZONE).end
    night.source = MemorySource(ZONE, [Row(start, "light.a", "off")], runs=[(start, end)])
    night.source.held = year
    night.detectors = [night.counter]
    for month in range(1, 13):
        days = DateRange.month_of(dt.date(2026, month, 1))
        night.backfill(days, yesterday=year.last, retention_days=0)
    runs = night.runs("count")
    assert sorted(runs) == list(year)
    lengths = {day: run.day_seconds / 3600 for day, run in runs.items() if run.day_seconds != 86_400}
    assert lengths == {dt.date(2026, 3, 29): 23, dt.date(2026, 10, 25): 25}
    assert all(run.known_seconds == run.day_seconds for run in runs.values())
