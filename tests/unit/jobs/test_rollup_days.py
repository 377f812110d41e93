"""A rollup is due with the last day of its week or month, is retried like a day, and follows its days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobs.activity.window import DayWindow
from jobs.detector import HistoryDetector, Rollup
from jobs.due import plan_day
from jobs.rebuild import rebuild_ledger
from storage.dates import ONE_DAY, DateRange
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from tests.support.memory_source import MemorySource
from tests.support.night import ZONE, Night, uses
from tests.support.weeks import ALWAYS, Sum, SumMonthly, SumWeekly, monthly

MONDAY = dt.date(2026, 3, 2)
SUNDAY = MONDAY + 6 * ONE_DAY
NEXT_SUNDAY = SUNDAY + 7 * ONE_DAY
WEEKS = DateRange(MONDAY, NEXT_SUNDAY)

NewHome = Callable[..., Night]


@pytest.fixture
def new_home(tmp_path: Path) -> Iterator[NewHome]:
    """Make homes with four changes on each day, whose weeks and months are added up."""
    with ExitStack() as opened:

        def new_home(days: DateRange = WEEKS) -> Night:
            night = home(tmp_path, days)
            opened.callback(night.ledger.close)
            return night

        yield new_home


def home(folder: Path, days: DateRange) -> Night:
    night = Night(folder)
    rows = [row for day in days for row in uses(day)]
    night.source = MemorySource(ZONE, rows, runs=[(DayWindow(days.first, ZONE).start, DayWindow(days.last, ZONE).end)])
    night.source.held = days
    night.detectors = [night.counter, Sum(), monthly()]
    return night


def weekly(night: Night) -> Sum:
    found = night.detectors[1]
    assert isinstance(found, Sum)
    return found


def weeks(night: Night) -> dict[dt.date, tuple[int, int]]:
    return {row.date: (row.events, row.days) for row in night.store.read(SumWeekly, ALWAYS)}


def test_a_rollup_is_a_history_detector_with_a_cadence() -> None:
    assert isinstance(Sum(), Rollup)
    assert isinstance(Sum(), HistoryDetector)


def test_each_week_is_computed_with_its_sunday(new_home: NewHome) -> None:
    night = new_home()
    night.run(yesterday=NEXT_SUNDAY)
    assert weeks(night) == {SUNDAY: (28, 7), NEXT_SUNDAY: (28, 7)}
    assert night.statuses("sum_weekly") == {SUNDAY: Status.WRITTEN, NEXT_SUNDAY: Status.WRITTEN}


def test_a_month_is_computed_with_its_last_day(new_home: NewHome) -> None:
    night = new_home(DateRange(dt.date(2026, 2, 24), dt.date(2026, 3, 1)))
    night.run(yesterday=dt.date(2026, 3, 1))
    assert [(row.date, row.events, row.days) for row in night.store.read(SumMonthly, ALWAYS)] == [
        (dt.date(2026, 2, 28), 20, 5)
    ]


@pytest.mark.parametrize(("yesterday", "computed"), [(SUNDAY - ONE_DAY, []), (SUNDAY, [SUNDAY])])
def test_a_week_that_is_not_over_is_not_due(new_home: NewHome, yesterday: dt.date, computed: list[dt.date]) -> None:
    night = new_home()
    night.run(yesterday=yesterday)
    assert list(night.statuses("sum_weekly")) == computed


def test_the_record_of_a_week_has_the_known_time_of_all_its_days(new_home: NewHome) -> None:
    night = new_home()
    night.run(yesterday=SUNDAY)
    run = night.runs("sum_weekly")[SUNDAY]
    assert (run.events, run.known_seconds, run.day_seconds) == (28, 7 * 86_400.0, 7 * 86_400.0)


def test_the_week_in_which_the_clocks_go_forward_is_an_hour_shorter(new_home: NewHome) -> None:
    night = new_home(DateRange(dt.date(2026, 3, 28), dt.date(2026, 3, 29)))
    night.run(yesterday=dt.date(2026, 3, 29))
    run = night.runs("sum_weekly")[dt.date(2026, 3, 29)]
    assert (run.known_seconds, run.day_seconds) == (2 * 86_400 - 3600, 7 * 86_400 - 3600)


def test_a_week_with_holes_is_computed_from_the_other_days_even_without_its_sunday(new_home: NewHome) -> None:
    night = new_home()
    night.counter.fails_on = {MONDAY, SUNDAY}
    night.run(yesterday=SUNDAY)
    assert weeks(night) == {SUNDAY: (20, 5)}


def test_late_rows_of_a_day_make_its_week_due_again_in_the_same_run(new_home: NewHome) -> None:
    night = new_home()
    night.counter.fails_on = {MONDAY + ONE_DAY}
    night.run(yesterday=NEXT_SUNDAY)
    assert weeks(night)[SUNDAY] == (24, 6)
    night.counter.fails_on = set()
    night.run(yesterday=NEXT_SUNDAY)
    assert weeks(night)[SUNDAY] == (28, 7)
    assert night.run(yesterday=NEXT_SUNDAY, recheck_days=0).plan == []


def test_only_the_weeks_that_read_a_changed_day_are_computed_again(new_home: NewHome) -> None:
    night = new_home()
    night.run(yesterday=NEXT_SUNDAY)
    weekly(night).calls.clear()
    first_day = DateRange(MONDAY, MONDAY)
    night.backfill(first_day, yesterday=NEXT_SUNDAY, redo="all")
    night.run(yesterday=NEXT_SUNDAY, recheck_days=0)
    assert weekly(night).calls == []  # the day was computed again from the same raw events
    night.source.rows += uses(MONDAY, "light.b")
    night.backfill(first_day, yesterday=NEXT_SUNDAY, redo="all")
    weekly(night).history_days = 13  # so that the second week does not read the first Monday
    night.run(yesterday=NEXT_SUNDAY, recheck_days=0)
    assert SUNDAY in weekly(night).calls


def test_a_week_is_kept_when_days_that_it_came_from_are_past_the_retention(new_home: NewHome) -> None:
    night = new_home()
    night.run(yesterday=NEXT_SUNDAY)
    night.store.expire(NEXT_SUNDAY - 3 * ONE_DAY)
    weekly(night).version = 2
    weekly(night).calls.clear()
    night.run(yesterday=NEXT_SUNDAY, recheck_days=0)
    assert (weeks(night), weekly(night).calls) == ({SUNDAY: (28, 7), NEXT_SUNDAY: (28, 7)}, [])
    assert night.run(yesterday=NEXT_SUNDAY, recheck_days=0).plan == []
    night.backfill(DateRange(NEXT_SUNDAY, NEXT_SUNDAY), yesterday=NEXT_SUNDAY, redo="all", force=True)
    assert weeks(night)[NEXT_SUNDAY] == (16, 4)


def test_entries_of_weeks_outlive_those_of_days(new_home: NewHome) -> None:
    night = new_home()
    night.run(yesterday=SUNDAY)
    night.ledger.expire(SUNDAY + 31 * ONE_DAY)
    assert {name for _, name in night.ledger.entries()} == {"sum_weekly"}
    night.ledger.expire(SUNDAY + 31 * ONE_DAY, SUNDAY + 31 * ONE_DAY)
    assert not night.ledger.entries()


@pytest.mark.parametrize(("kept_days", "kept"), [(8, [SUNDAY, NEXT_SUNDAY]), (7, [NEXT_SUNDAY])])
def test_weeks_past_the_retention_of_rollups_are_not_computed(
    new_home: NewHome, kept_days: int, kept: list[dt.date]
) -> None:
    night = new_home()
    bounds = {"yesterday": NEXT_SUNDAY, "retention_days": 0, "rollup_retention_days": kept_days}
    night.run(**bounds)
    assert list(weeks(night)) == kept
    assert night.run(**bounds, recheck_days=0).plan == []


def test_a_week_waits_until_the_store_can_be_reached(new_home: NewHome) -> None:
    night = new_home()
    night.store.down = True
    night.run(yesterday=SUNDAY)
    assert night.statuses("sum_weekly") == {SUNDAY: Status.DEFERRED}
    night.store.down = False
    night.run(yesterday=SUNDAY)
    assert weeks(night) == {SUNDAY: (28, 7)}


def test_backfill_computes_the_weeks_of_stored_days_without_the_source(new_home: NewHome) -> None:
    night = new_home()
    night.detectors = [night.counter]
    night.run(yesterday=NEXT_SUNDAY)
    night.detectors = [night.counter, Sum()]
    night.source.held = DateRange(NEXT_SUNDAY, NEXT_SUNDAY)
    report = night.backfill(WEEKS, yesterday=NEXT_SUNDAY)
    assert [(plan.day, plan.detectors) for plan in report.plan] == [
        (SUNDAY, ("sum_weekly",)),
        (NEXT_SUNDAY, ("sum_weekly",)),
    ]
    assert weeks(night) == {SUNDAY: (28, 7), NEXT_SUNDAY: (28, 7)}


def test_a_rebuilt_ledger_finds_no_week_due(tmp_path: Path, new_home: NewHome) -> None:
    night = new_home()
    night.run(yesterday=NEXT_SUNDAY)
    with Ledger(tmp_path / "rebuilt.db", clock=lambda: night.now) as ledger:
        rebuild_ledger(night.store, ledger, night.detectors, yesterday=NEXT_SUNDAY)
        night.ledger = ledger
        assert night.run(yesterday=NEXT_SUNDAY, recheck_days=0).plan == []


def test_a_rollup_is_planned_only_for_a_day_that_ends_its_period_and_has_something_to_add_up() -> None:
    assert plan_day(MONDAY, [Sum()], {}, readable=True) is None
    due = plan_day(SUNDAY, [Sum()], {}, readable=True)
    assert due is not None
    assert due.detectors == ("sum_weekly",)
    assert plan_day(SUNDAY, [Sum()], {}, readable=False) is None
