"""Questions about all homes of a ledger: asked once, answered home by home."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.dates import ONE_DAY, DateRange
from storage.ledger.homes import LedgerOfHomes
from storage.ledger.ledger import Ledger
from storage.models import TimeBasedDaily
from tests.support.rows import DAY, finding, time_based

MODELS = {TimeBasedDaily.measurement: TimeBasedDaily}
DAYS = DateRange(DAY, DAY + ONE_DAY)


def write(ledger: Ledger, day: dt.date) -> None:
    with ledger.day(day) as work:
        work.stage(finding(TimeBasedDaily, [time_based(day=day)], day), "abc", 4)
        batch = work.batch(MODELS)
        assert batch is not None
        work.written(batch)


def stage(ledger: Ledger, day: dt.date) -> None:
    with ledger.day(day) as work:
        work.stage(finding(TimeBasedDaily, [time_based(day=day)], day), "abc", 4)


def fail(ledger: Ledger, day: dt.date, error: str) -> None:
    with ledger.day(day) as work:
        work.fail("duration", 1, error)


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A ledger of four homes: north is done, south waits, west and east have failed."""
    for name in ("east", "north", "west"):
        write(ledger.for_home(name), DAY)
    stage(ledger.for_home("south"), DAYS.last)
    fail(ledger.for_home("west"), DAY, "no route to host")
    fail(ledger.for_home("east"), DAYS.last, "no route to host")
    fail(ledger.for_home("east"), DAY, "by zero")
    write(ledger.for_home("north"), DAY - 9 * ONE_DAY)
    return ledger


def test_the_entries_of_all_homes_or_of_some_come_home_by_home(filled: Ledger, ledger_place: Path | sa.URL) -> None:
    expected = [
        (name, entry)
        for name in ("east", "north", "south", "west")
        for (day, _), entry in filled.for_home(name).entries().items()
        if day in DAYS
    ]
    with LedgerOfHomes(ledger_place) as homes:
        assert list(homes.entries(None, DAYS)) == expected
        assert list(homes.entries(["west", "south", "nobody's"], DAYS)) == expected[4:]
        assert list(homes.entries([], DAYS)) == []


def test_there_is_no_limit_to_the_number_of_homes_that_are_asked_for(
    filled: Ledger, ledger_place: Path | sa.URL
) -> None:
    asked = [*(f"home {number}" for number in range(40_000)), "north"]
    with LedgerOfHomes(ledger_place) as homes:
        assert [name for name, _ in homes.entries(asked, DAYS)] == ["north"]
    assert filled.for_home("north").count_rows() >= 2


def test_a_ledger_that_does_not_exist_has_no_homes(tmp_path: Path) -> None:
    with LedgerOfHomes(tmp_path / "none.db") as homes:
        assert list(homes.entries(None, DAYS)) == []
    assert not (tmp_path / "none.db").exists()
