"""The daemon over nights that take no time: when it runs, what it catches up, how it retries, how it stops."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest

from jobs.activity.window import DayWindow
from jobs.daemon.loop import CLOCK_CHECK_SECONDS, Daemon
from jobs.wiring import system_clock
from storage.batch import DayBatch
from storage.dates import ONE_DAY, DateRange
from storage.errors import LedgerUnavailable, SourceUnavailable
from storage.ledger.entry import Status
from tests.support.detectors import FlakyStore
from tests.support.nights import Make
from tests.support.prometheus import value_of

FIRST = dt.date(2026, 3, 2)
DAYS = DateRange(FIRST, FIRST + 29 * ONE_DAY)


@pytest.mark.parametrize(
    ("zone", "first", "at"),
    [
        ("Europe/Berlin", "2026-03-26", "02:30"),  # skipped on 29 March
        ("Europe/Berlin", "2026-10-22", "02:30"),  # repeated on 25 October
        ("America/New_York", "2026-10-29", "01:30"),  # repeated on 1 November
        ("Asia/Kolkata", "2026-03-26", "03:30"),
        ("Australia/Lord_Howe", "2026-10-01", "02:15"),  # half an hour, skipped on 4 October
        ("Australia/Lord_Howe", "2026-04-02", "01:45"),  # half an hour, repeated on 5 April
        ("Africa/Cairo", "2026-04-21", "00:30"),  # midnight is skipped on 24 April
        ("Africa/Cairo", "2026-10-25", "23:30"),  # repeated on 29 October
        ("Pacific/Apia", "2011-12-27", "03:30"),  # 30 December never was
    ],
)
def test_over_a_clock_change_each_local_day_is_computed_once(nights: Make, zone: str, first: str, at: str) -> None:
    days = DateRange.ending(dt.date.fromisoformat(first) + 6 * ONE_DAY, 7)
    home = nights(days, zone=zone, at=at, retention_days=5)
    home.serve(until=days.last + ONE_DAY, hour=24)
    assert home.counter.calls == list(days)
    assert home.store.writes == list(days)
    nightly = Counter(wake.date() for wake in home.wakes[1:])  # the first is the one at start
    existing = [day for day in days if DayWindow(day, home.zone).seconds][1:]
    assert set(nightly) == {*existing, days.last + ONE_DAY}
    assert set(nightly.values()) == {1}


def test_ten_days_down_are_caught_up_oldest_first_and_none_twice(nights: Make) -> None:
    home = nights()
    home.serve(until=FIRST + 5 * ONE_DAY)
    assert home.counter.calls == list(DAYS)[:5]
    home.sleep_until(FIRST + 15 * ONE_DAY, hour=9)
    home.serve(until=FIRST + 16 * ONE_DAY)
    assert home.counter.calls == list(DAYS)[:16]
    assert home.wakes[-2].hour == 9  # at start, not at the next night


def test_catching_up_can_be_kept_to_the_latest_day(nights: Make) -> None:
    home = nights(catch_up="latest")
    home.sleep_until(FIRST + 10 * ONE_DAY, hour=9)
    home.serve(until=FIRST + 12 * ONE_DAY)
    assert home.counter.calls == list(DAYS)[9:12]
    home.serve(until=FIRST + 12 * ONE_DAY, hour=14)
    assert home.counter.calls == list(DAYS)[9:12]  # nor does a restart fill an older hole


def test_without_catching_up_only_nights_that_come_are_worked_off(nights: Make) -> None:
    home = nights(catch_up="none")
    home.sleep_until(FIRST + 10 * ONE_DAY, hour=9)
    home.serve(until=FIRST + 10 * ONE_DAY, hour=20)
    assert home.counter.calls == []
    home.serve(until=FIRST + 12 * ONE_DAY)
    assert home.counter.calls == list(DAYS)[10:12]


def test_what_was_tried_is_made_up_for_even_without_catching_up(nights: Make) -> None:
    home = nights(catch_up="none")
    home.counter.fails_on = {FIRST + ONE_DAY}
    home.serve(until=FIRST + 2 * ONE_DAY, hour=8)
    assert home.ledger.entries()[FIRST + ONE_DAY, "count"].status is Status.FAILED
    home.counter.fails_on = set()
    home.sleep_until(FIRST + 9 * ONE_DAY, hour=8)
    home.serve(until=FIRST + 9 * ONE_DAY, hour=9)
    assert home.store.writes == [FIRST, FIRST + ONE_DAY]


def test_a_store_that_is_down_is_asked_again_with_growing_pauses_until_the_next_night(nights: Make) -> None:
    home = nights()
    home.store.down = True
    daemon = home.serve(until=FIRST + 2 * ONE_DAY, hour=3)
    pauses = [(after - before).total_seconds() / 60 for before, after in zip(home.wakes, home.wakes[1:], strict=False)]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    night = next(number for number, wake in enumerate(home.wakes) if wake.time() == dt.time(3, 30))
    assert set(pauses[7 : night - 1]) == {60}
    assert pauses[night : night + 7] == [1, 2, 4, 8, 16, 32, 60]
    assert "the store is down" in daemon.last_error
    assert home.counter.calls == [FIRST, FIRST + ONE_DAY]  # found once, kept in the ledger
    home.store.down = False
    recovered = home.serve(until=FIRST + 2 * ONE_DAY, hour=4)
    assert recovered.last_error == ""
    assert home.store.writes == [FIRST, FIRST + ONE_DAY]


@pytest.mark.parametrize("refusal", [LedgerUnavailable("locked"), ZeroDivisionError("a mistake of ours")])
def test_whatever_breaks_a_night_is_logged_counted_and_tried_again(nights: Make, refusal: Exception) -> None:
    home = nights()
    home.refusal = refusal
    mended = []

    def mend() -> None:
        mended.append(len(home.wakes))
        if len(mended) == 3:
            home.refusal = None

    home.meanwhile = mend
    daemon = home.serve(until=FIRST + ONE_DAY, hour=1)
    assert [wake.minute for wake in home.wakes] == [0, 1, 3, 7]
    assert home.store.writes == [FIRST]
    kind = "ledger" if isinstance(refusal, LedgerUnavailable) else "other"
    assert f'errors_total{{of="{kind}"}} 3.0' in daemon.metrics.text()


def test_a_source_that_comes_back_in_the_night_is_not_waited_for_until_the_next(nights: Make) -> None:
    home = nights(catch_up="none")
    home.source.error = SourceUnavailable("locked")
    home.sleep_until(FIRST + ONE_DAY, hour=3)

    def recover() -> None:
        if len(home.wakes) == 8:
            home.source.error = None

    home.meanwhile = recover
    home.serve(until=FIRST + ONE_DAY)
    assert home.store.writes == [FIRST]  # the retry is of the night, not of the start


def test_a_stop_leaves_the_rest_of_the_plan_for_the_next_start(nights: Make) -> None:
    home = nights()
    home.sleep_until(FIRST + 10 * ONE_DAY)
    daemons: list[Daemon] = []

    class Stopping(FlakyStore):
        def replace_day(self, batch: DayBatch) -> None:
            super().replace_day(batch)
            if len(self.writes) == 3:
                daemons[0].stop()

    home.store = Stopping()
    daemons.append(home.daemon())
    daemons[0].serve()
    assert home.store.writes == list(DAYS)[:3]
    assert len(home.wakes) == 1
    assert not daemons[0].ready
    home.serve(until=FIRST + 10 * ONE_DAY)
    assert home.counter.calls == list(DAYS)[:10]


def test_a_clock_that_is_set_back_for_years_loses_no_night(nights: Make) -> None:
    home = nights()
    home.frozen.move_to("2036-01-01T12:00:00Z")
    set_right: list[bool] = []

    def step() -> None:
        if not set_right:
            set_right.append(True)
            home.sleep_until(FIRST + 3 * ONE_DAY, hour=9)

    home.meanwhile = step
    home.serve(until=FIRST + 5 * ONE_DAY)
    nights_after = [wake.date() for wake in home.wakes if wake.year == 2026]
    assert nights_after == [FIRST + number * ONE_DAY for number in (3, 4, 5)]


def test_no_sleep_is_so_long_that_a_clock_set_forward_goes_unnoticed(nights: Make) -> None:
    home = nights()
    daemon = home.daemon(clock_check_seconds=CLOCK_CHECK_SECONDS)

    def step() -> None:
        if len(home.sleeps) == 2:
            home.sleep_until(FIRST + 9 * ONE_DAY)
        if len(home.sleeps) == 3:
            daemon.stop()

    home.meanwhile = step
    daemon.serve()
    assert max(home.sleeps) <= CLOCK_CHECK_SECONDS
    assert home.counter.calls == list(DAYS)[:9]
    assert len(home.wakes) == 2  # eight nights at once are one run


def test_it_says_when_it_started_and_for_how_long_it_is_at_work(nights: Make) -> None:
    home = nights()
    started_at = system_clock()
    during: list[str] = []

    class Watching(FlakyStore):
        def replace_day(self, batch: DayBatch) -> None:
            during.append(daemon.metrics.text())
            super().replace_day(batch)

    home.store = Watching()
    daemon = home.daemon(until=started_at + ONE_DAY)
    daemon.serve()
    assert "pattern_aggregates_running 1.0" in during[0]
    after = daemon.metrics.text()
    assert "pattern_aggregates_running 0.0" in after
    assert value_of(after, "start_timestamp_seconds") == started_at.timestamp()
    assert 'pattern_aggregates_detector_errors_total{detector="count"} 0.0' in after


def test_a_daemon_begins_with_what_the_ledger_knows(nights: Make) -> None:
    home = nights()
    home.serve(until=FIRST + ONE_DAY)
    written_at = dt.datetime.fromisoformat(home.ledger.entries()[FIRST, "count"].updated_at).timestamp()
    home.sleep_until(FIRST + 3 * ONE_DAY)
    home.source.error = SourceUnavailable("locked")
    metrics = home.serve(until=FIRST + 3 * ONE_DAY, hour=1).metrics.text()
    assert value_of(metrics, "last_success_timestamp_seconds") == written_at
    assert "pattern_aggregates_days_due 1.0" in metrics
    assert system_clock().timestamp() > written_at
