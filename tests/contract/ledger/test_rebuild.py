"""A ledger that was lost is made again from what each store says was computed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs import nightly
from jobs.activity.window import HOUR, DayWindow
from jobs.detector import Detector
from jobs.pipeline import Pipeline
from jobs.rebuild import Rebuilt, rebuild_ledger
from jobs.run_report import DayStatus, RunReport
from storage.dates import ONE_DAY, DateRange
from storage.errors import LedgerCorrupt, StoreUnavailable
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.models import DailyAggregate, DetectorRunDaily
from storage.store import AggregateStore
from tests.support.detectors import CountDaily, Counter, FlakyStore, Trend, TrendDaily
from tests.support.memory_source import MemorySource, Row

ZONE = ZoneInfo("Europe/Berlin")
FIRST = dt.date(2026, 3, 2)
DAYS = DateRange(FIRST, FIRST + 4 * ONE_DAY)
NOW = dt.datetime(2026, 3, 7, 3, 30, tzinfo=dt.UTC)


class Kept:
    """A home over a store, whose ledger can be lost."""

    def __init__(self, folder: Path, store: AggregateStore) -> None:
        self.file = folder / "ledger.db"
        self.store = store
        starts = [DayWindow(day, ZONE).start for day in DAYS]
        rows = [Row(at + hour * HOUR, "light.a", ("off", "on")[hour % 2]) for at in starts for hour in range(5)]
        self.source = MemorySource(ZONE, rows, runs=[(starts[0], DayWindow(DAYS.last, ZONE).end)])
        self.source.held = DAYS
        self.counter, self.trend = Counter(), Trend()
        self.now = NOW
        self.ledger = self.open_ledger()

    def open_ledger(self) -> Ledger:
        return Ledger(self.file, clock=lambda: self.now)

    def lose(self) -> None:
        self.ledger.close()
        self.file.unlink()
        self.ledger = self.open_ledger()

    def rebuild(self) -> Rebuilt:
        return rebuild_ledger(self.store, self.ledger, [self.trend, self.counter], yesterday=DAYS.last)

    def pipeline(self) -> Pipeline:
        detectors: list[Detector] = [self.counter, self.trend]
        return Pipeline(detectors, self.source, self.store, self.ledger, ZONE, lambda: self.now)

    def run(self, recheck_days: int = 0) -> RunReport:
        return nightly.run(self.pipeline(), recheck_days=recheck_days, yesterday=DAYS.last, retention_days=0)

    def backfill(self, only: list[str] | None = None) -> RunReport:
        return nightly.backfill(self.pipeline(), DAYS, yesterday=DAYS.last, retention_days=0, detectors=only)

    def rows(self) -> list[DailyAggregate]:
        return [row for model in (CountDaily, TrendDaily, DetectorRunDaily) for row in self.store.read(model, DAYS)]

    def asked(self) -> tuple[int, int, int]:
        return self.source.reads, len(self.counter.calls), len(self.trend.calls)


Open = Callable[[AggregateStore], Kept]


@pytest.fixture
def open_home(tmp_path: Path) -> Iterator[Open]:
    opened = []

    def make(store: AggregateStore) -> Kept:
        opened.append(Kept(tmp_path, store))
        return opened[-1]

    yield make
    for one in opened:
        one.ledger.close()


def test_nothing_is_due_after_a_lost_ledger_is_rebuilt_and_the_store_is_as_it_was(
    store: AggregateStore, open_home: Open
) -> None:
    home = open_home(store)
    home.run()
    rows, asked, entries = home.rows(), home.asked(), home.ledger.entries()
    home.lose()
    assert home.rebuild() == Rebuilt(restored=10, first=DAYS.first, last=DAYS.last)
    assert {key: (one.status, one.version, one.rows) for key, one in home.ledger.entries().items()} == {
        key: (one.status, one.version, one.rows) for key, one in entries.items()
    }
    assert (home.run().plan, home.backfill().plan) == ([], [])
    assert (home.rows(), home.asked()) == (rows, asked)
    assert home.rebuild() == Rebuilt(kept=10, first=DAYS.first, last=DAYS.last)


def test_days_that_are_looked_at_again_come_out_as_they_were(store: AggregateStore, open_home: Open) -> None:
    home = open_home(store)
    home.run()
    rows = home.rows()
    home.lose()
    home.rebuild()
    again = home.run(recheck_days=2)
    assert [day.day for day in again.days if day.status is DayStatus.WRITTEN] == list(DAYS)[-2:]
    assert home.rows() == rows
    assert {day.status for day in home.run(recheck_days=2).days} == {DayStatus.SKIPPED}


@pytest.fixture
def home(open_home: Open) -> Kept:
    return open_home(FlakyStore())


def test_late_events_that_came_while_the_ledger_was_lost_are_found(home: Kept) -> None:
    home.run()
    home.lose()
    late = Row(DayWindow(DAYS.last, ZONE).start + 7 * HOUR, "light.a", "on")
    home.source.rows.append(late)
    home.rebuild()
    home.run(recheck_days=2)
    assert [row.events for row in home.store.read(CountDaily, DAYS)][-1] == 5


def test_what_was_stored_is_not_replaced_from_raw_events_that_are_purged_by_now(home: Kept) -> None:
    home.run()
    rows = home.rows()
    home.lose()
    home.source.rows = [row for row in home.source.rows if row.at < DayWindow(DAYS.last, ZONE).start + 3 * HOUR]
    home.rebuild()
    home.run(recheck_days=2)
    assert home.rows() == rows


def test_a_new_version_makes_restored_days_outstanding(home: Kept) -> None:
    home.run()
    home.lose()
    home.rebuild()
    home.counter.version = 2
    assert [day.day for day in home.run().days] == list(DAYS)


def test_a_history_that_was_judged_before_the_newest_rows_is_judged_again_from_the_store(home: Kept) -> None:
    home.run()
    home.now += dt.timedelta(hours=1)
    home.counter.version = 2
    home.backfill(["count"])
    home.lose()
    home.rebuild()
    reads = home.source.reads
    assert {planned.detectors for planned in home.run().plan} == {("trend",)}
    assert home.source.reads == reads


def test_what_waits_and_what_failed_stays_and_learns_what_the_store_holds(home: Kept) -> None:
    home.run()
    home.lose()
    assert isinstance(home.store, FlakyStore)
    home.store.down = True
    home.counter.fails_on = {FIRST}
    home.run()
    before = home.ledger.entries()
    home.store.down = False
    rebuilt = home.rebuild()
    after = home.ledger.entries()
    assert (rebuilt.restored, rebuilt.completed, rebuilt.kept) == (0, 10, 0)
    assert {one.written_version for one in after.values()} == {1}
    assert {key: (one.status, one.error, one.attempts) for key, one in after.items()} == {
        key: (one.status, one.error, one.attempts) for key, one in before.items()
    }
    assert {one.status for one in after.values()} == {Status.STAGED, Status.FAILED, Status.DEFERRED}
    assert len(home.ledger.staged({model.measurement: model for model in (CountDaily, TrendDaily)})) == 4


def test_a_rebuild_that_is_killed_can_be_repeated(home: Kept) -> None:
    home.run()
    rows = home.rows()
    home.lose()
    ticks = iter(range(7))

    def die_at_the_eighth() -> dt.datetime:
        next(ticks)
        return NOW

    home.ledger.close()
    home.ledger = Ledger(home.file, clock=die_at_the_eighth)
    with pytest.raises(StopIteration):
        home.rebuild()
    home.ledger.close()
    home.ledger = home.open_ledger()
    assert home.rebuild() == Rebuilt(restored=3, kept=7, first=DAYS.first, last=DAYS.last)
    assert (home.run().plan, home.rows()) == ([], rows)


def test_an_empty_store_restores_nothing_and_says_so(home: Kept) -> None:
    assert str(home.rebuild()) == "nothing to restore, the store has no record of any run"


def test_a_store_that_cannot_be_read_is_an_error_and_leaves_the_ledger_alone(home: Kept) -> None:
    assert isinstance(home.store, FlakyStore)
    home.store.down = True
    with pytest.raises(StoreUnavailable):
        home.rebuild()
    assert home.ledger.entries() == {}


def test_a_damaged_ledger_says_how_to_make_it_anew(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_bytes(b"not a database, whatever its name may say" * 100)
    with pytest.raises(LedgerCorrupt) as refused:
        Ledger(file, clock=lambda: NOW)
    assert "doctor --rebuild-ledger" in refused.value.hint
