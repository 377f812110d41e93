"""Whether the newest due day is written, and the reason given if it is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.daemon.findings import NO_FINDINGS
from jobs.daemon.health import State, check_health, newest_due_day
from jobs.daemon.overview import RunState, read_overview
from jobs.registry import Registered
from jobs.settings import Settings
from jobs.wiring import Home
from storage.batch import DayBatch
from storage.dates import ONE_DAY
from storage.ledger.ledger import Ledger
from storage.models import TimeBasedDaily
from tests.support.detectors import Fixed, fixed_duration
from tests.support.nights import GivenHome
from tests.support.rows import DAY, finding, time_based, time_based_batch

SETTINGS = {"home": {"time_zone": "Europe/Berlin"}, "ledger": {"path": "ledger.db"}}


class Clock:
    """A clock that shows the time that a test sets."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 3, 3, 8, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path, clock: Clock) -> Home:
    registered = [Registered(Fixed(), "test", enabled=True), Registered(fixed_duration(), "test", enabled=False)]
    return GivenHome(Settings.model_validate(SETTINGS), tmp_path, "test", clock, registered)


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with home.open_ledger() as opened:
        yield opened


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-03T02:29+01:00", "2026-03-01"),
        ("2026-03-03T04:29+01:00", "2026-03-01"),  # the night may take an hour
        ("2026-03-03T04:30+01:00", "2026-03-02"),
        ("2026-03-03T23:59+01:00", "2026-03-02"),
        ("2026-03-04T00:30+01:00", "2026-03-02"),
    ],
)
def test_a_day_is_due_when_its_night_came_and_had_its_hour(home: Home, clock: Clock, now: str, due: str) -> None:
    clock.now = dt.datetime.fromisoformat(now)
    assert newest_due_day(home) == dt.date.fromisoformat(due)


def test_a_day_that_is_not_computed_is_stale_or_failing_if_the_last_run_had_an_error(home: Home) -> None:
    assert check_health(home).state is State.STALE
    assert not home.has_ledger  # looking makes nothing
    failing = check_health(home, "source: locked")
    assert (failing.state, failing.reason) == (State.FAILING, "2026-03-02 is not computed: source: locked")


def test_a_day_is_fresh_once_every_enabled_detector_is_written(home: Home, ledger: Ledger) -> None:
    row = time_based()
    with ledger.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [row]), "f", 1)
        waiting = check_health(home)
        assert (waiting.state, waiting.reason) == (State.FAILING, "2026-03-02: time_based is staged")
        work.written(time_based_batch(row))
    assert check_health(home, "an older day failed").state is State.FRESH


def test_a_detector_that_failed_is_named_with_its_error(home: Home, ledger: Ledger) -> None:
    with ledger.day(DAY) as work:
        work.fail("time_based", 1, "ZeroDivisionError: oh")
    assert check_health(home).reason == "2026-03-02: time_based is failed, ZeroDivisionError: oh"


def test_a_ledger_that_cannot_be_read_is_failing(home: Home) -> None:
    (home.ledger_path or Path()).write_bytes(b"no database at all" * 100)
    assert check_health(home).state is State.FAILING


@pytest.mark.parametrize(
    ("last", "state"), [("2026-03-02", State.FRESH), ("2026-03-07", State.FRESH), ("2026-03-08", State.STALE)]
)
def test_a_rollup_is_missing_on_the_last_day_of_its_period_only(
    tmp_path: Path, clock: Clock, last: str, state: State
) -> None:
    day = dt.date.fromisoformat(last)
    weekly = Fixed()
    weekly.name = "habit_weekly"
    registered = [Registered(Fixed(), "test", enabled=True), Registered(weekly, "test", enabled=True)]
    home = GivenHome(Settings.model_validate(SETTINGS), tmp_path, "test", clock, registered)
    clock.now = dt.datetime.combine(day + ONE_DAY, dt.time(8), dt.UTC)
    row = time_based(day=day)
    with home.open_ledger() as ledger, ledger.day(day) as work:
        found_rows = finding(TimeBasedDaily, [row], day)
        work.stage(found_rows, "f", 1)
        work.written(DayBatch(day, (found_rows,)))
    found = check_health(home)
    assert found.state is state
    (night,) = read_overview(home, RunState(None, clock.now, "", None, ""), NO_FINDINGS).nights
    assert night.state == ("missing" if state is State.STALE else "done")
    assert ("habit_weekly" in found.reason) == (state is State.STALE) == ("habit_weekly" in night.summary)
