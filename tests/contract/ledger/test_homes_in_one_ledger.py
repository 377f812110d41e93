"""Several homes in one ledger: each sees its own days, names, entities and announcements, and nothing of another."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.errors import LedgerUnavailable
from storage.identity import HomeIdentity, Place
from storage.ledger.announcements import Announced, AnomalyKey
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.models import TimeBasedDaily
from tests.support.rows import COMPUTED_AT, DAY, finding, time_based

MODELS = {TimeBasedDaily.measurement: TimeBasedDaily}
KEY = AnomalyKey(DAY, "light.a", "missing")


def fill(ledger: Ledger, *, reason: str) -> None:
    """Put something of a home into every table."""
    with ledger.day(DAY) as work:
        work.stage(finding(TimeBasedDaily, [time_based()], reason=reason), reason, 4)
    ledger.record_names({"light.a": "key"})
    ledger.record_names({f"light.{reason}": "key", "light.x": "x"})
    ledger.write_home(HomeIdentity("UTC", Place(f"source {reason}"), id=reason), Place("store"))
    ledger.add_entities([f"light.{reason}"])
    announcements = ledger.announcements("mqtt")
    announcements.replace_day(DAY, reason, {KEY: Announced.WAITING})
    announcements.note_error(reason)


def facts(ledger: Ledger) -> object:
    """Everything that a ledger says of its home."""
    announcements = ledger.announcements("mqtt")
    return (
        ledger.entries(),
        ledger.staged(MODELS),
        ledger.renames(),
        ledger.read_home(),
        ledger.known_entities(),
        ledger.channels(),
        announcements.judged(),
        announcements.statuses(),
    )


def test_homes_with_the_same_days_names_and_channels_are_kept_apart(ledger: Ledger) -> None:
    homes = {name: ledger.for_home(name) for name in ("", "north", "south")}
    empty = facts(homes["north"])
    fill(homes[""], reason="unnamed")
    assert facts(homes["north"]) == empty
    before = facts(homes[""])
    fill(homes["north"], reason="north")
    fill(homes["south"], reason="south")
    assert facts(homes[""]) == before
    assert homes["north"].renames() == {"light.a": "light.north"}
    assert {name: entry.reason for name, one in homes.items() for entry in one.entries().values()} == {
        "": "unnamed",
        "north": "north",
        "south": "south",
    }


def test_what_is_changed_of_one_home_is_changed_of_no_other(ledger: Ledger) -> None:
    north, south = ledger.for_home("north"), ledger.for_home("south")
    fill(north, reason="north")
    fill(south, reason="south")
    before = facts(south)
    with north.day(DAY) as work:
        batch = work.batch(MODELS)
        assert batch is not None
        work.written(batch)
    north.mark_redo([(DAY, ["time_based"])])
    north.mark_lost([(DAY, "time_based")])
    north.forget_entities()
    north.announcements("mqtt").forget_before(DAY + dt.timedelta(days=1))
    north.announcements("mqtt").mark([KEY], Announced.DELIVERED)
    north.announcements("mqtt").forget()
    assert north.entries()[DAY, "time_based"].status is Status.LOST
    north.expire(DAY + dt.timedelta(days=400), DAY + dt.timedelta(days=400))
    assert north.entries() == {}
    assert facts(south) == before


def test_a_home_is_forgotten_whole_and_the_others_stay(ledger: Ledger) -> None:
    north, south = ledger.for_home("north"), ledger.for_home("south")
    empty = facts(north)
    for one in (north, south):
        fill(one, reason=one.home)
    before = facts(south)
    assert north.count_rows() == south.count_rows() >= 9
    north.forget()
    assert north.count_rows() == 0
    assert facts(north) == empty
    assert facts(south) == before


def test_closing_the_ledger_of_one_home_leaves_the_others_open(ledger: Ledger) -> None:
    with ledger.for_home("north") as north:
        fill(north, reason="north")
    assert north.count_rows() >= 9
    assert ledger.count_rows() == 0


def test_two_homes_are_worked_on_at_once_and_one_home_by_one_process_alone(ledger: Ledger) -> None:
    with ledger.for_home("north").day(DAY), ledger.for_home("south").day(DAY), ledger.day(DAY):
        for home in ("", "north", "a/b", "…" * 200):
            other = ledger.for_home(home)
            if home in ("", "north"):
                with pytest.raises(LedgerUnavailable, match="another run h"), other.day(DAY, max_wait_seconds=0.1):
                    pass
            else:
                with other.day(DAY, max_wait_seconds=0.1):
                    pass


def test_a_ledger_opened_for_a_home_is_that_of_the_home(ledger_place: Path | sa.URL, ledger: Ledger) -> None:
    fill(ledger.for_home("north"), reason="north")
    with Ledger(ledger_place, home="north", clock=lambda: COMPUTED_AT, read_only=True) as north:
        assert north.entries() == ledger.for_home("north").entries() != {}
        assert north.for_home("south").entries() == {}
