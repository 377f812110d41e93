"""Renamed entities: one history, under the present name."""

from __future__ import annotations

import datetime as dt

import pytest

from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.ledger.ledger import Ledger
from storage.models import TimeBasedDaily
from storage.renamed import RenamedReader
from tests.support.rows import time_based

FIRST = dt.date(2026, 3, 1)
DAYS = DateRange(FIRST, FIRST + dt.timedelta(days=9))


OTHERS = {f"light.number_{number}": f"metadata_id {number}" for number in range(10, 16)}


def test_a_known_key_with_a_new_name_is_a_rename(ledger: Ledger) -> None:
    assert ledger.record_names({"light.a": "metadata_id 1", **OTHERS}) == {}
    assert ledger.record_names({"light.b": "metadata_id 1", **OTHERS}) == {"light.a": "light.b"}
    assert ledger.record_names({"light.b": "metadata_id 1", **OTHERS}) == {}
    assert ledger.record_names({"light.c": "metadata_id 1", **OTHERS}) == {"light.b": "light.c"}
    assert ledger.renames() == {"light.a": "light.c", "light.b": "light.c"}


def test_a_former_name_that_is_used_again_is_no_former_name_any_more(ledger: Ledger) -> None:
    ledger.record_names({"light.a": "metadata_id 1", **OTHERS})
    ledger.record_names({"light.b": "metadata_id 1", **OTHERS})
    ledger.record_names({"light.b": "metadata_id 1", "light.a": "metadata_id 2", **OTHERS})
    assert ledger.renames() == {}


@pytest.mark.parametrize(
    "present",
    [
        {"light.b": "metadata_id 1", "light.a": "metadata_id 2"},  # the two have changed places
        {"light.b": "metadata_id 1"},  # the number is that of an entity that was known before
    ],
)
def test_a_database_that_numbers_its_entities_anew_renames_none(ledger: Ledger, present: dict[str, str]) -> None:
    ledger.record_names({"light.a": "metadata_id 1", "light.b": "metadata_id 2", **OTHERS})
    assert ledger.record_names({**present, **OTHERS}) == {}
    assert ledger.renames() == {}


@pytest.mark.parametrize(("renamed", "expected"), [(5, 5), (6, 0)])
def test_more_than_half_of_all_names_at_once_are_another_home(ledger: Ledger, renamed: int, expected: int) -> None:
    ledger.record_names({f"light.former_{number}": f"metadata_id {number}" for number in range(10)})
    names = {f"light.{'present' if n < renamed else 'former'}_{n}": f"metadata_id {n}" for n in range(10)}
    assert len(ledger.record_names(names)) == expected


FORMER, PRESENT, HUE = "light.hall", "light.corridor", "light hue 7"
REGISTERED = {f"light.number_{number}": f"light hue {number}" for number in range(10, 16)}
NUMBERED = {name: f"metadata_id {number}" for number, name in enumerate(REGISTERED, 10)}


def test_a_name_that_only_the_recorder_still_has_is_gone_and_may_come_back(ledger: Ledger) -> None:
    before = {FORMER: "metadata_id 1"}
    both = {**before, PRESENT: "metadata_id 2"}
    ledger.record_names({FORMER: HUE, **REGISTERED}, {**before, **NUMBERED})
    left = {FORMER: "metadata_id 1", PRESENT: HUE, **REGISTERED}
    assert ledger.record_names(left, {**both, **NUMBERED}) == {FORMER: PRESENT}
    assert ledger.record_names(left, {**both, **NUMBERED}) == {}
    assert ledger.renames() == {FORMER: PRESENT}
    back = {FORMER: HUE, PRESENT: "metadata_id 2", **REGISTERED}
    assert ledger.record_names(back, {**both, **NUMBERED}) == {PRESENT: FORMER}
    assert ledger.record_names(back, {**both, **NUMBERED}) == {}
    assert ledger.renames() == {PRESENT: FORMER}


@pytest.mark.parametrize("key", ["metadata_id 2", "light hue 8"])
def test_a_name_that_something_else_has_taken_is_not_gone(ledger: Ledger, key: str) -> None:
    ledger.record_names({FORMER: HUE, **REGISTERED}, {FORMER: "metadata_id 1", **NUMBERED})
    numbers = {FORMER: "metadata_id 2", PRESENT: "metadata_id 1", **NUMBERED}  # the recorder moved the history along
    assert ledger.record_names({FORMER: key, PRESENT: HUE, **REGISTERED}, numbers) == {}
    assert ledger.renames() == {}


def test_one_of_two_numbers_of_a_name_that_gets_another_name_leaves_the_name_in_use(ledger: Ledger) -> None:
    for number in ("metadata_id 1", "metadata_id 2"):
        ledger.record_names({FORMER: number, **OTHERS}, {FORMER: number, **OTHERS})
    names = {FORMER: "metadata_id 2", PRESENT: "metadata_id 1", **OTHERS}
    assert ledger.record_names(names, names) == {}


def test_history_goes_on_under_the_present_name() -> None:
    rows = [time_based("light.a", day) for day in DAYS if day.day < 6]
    rows += [time_based("light.b", day) for day in DAYS if day.day >= 5]
    reader = RenamedReader(MemoryStore(rows), {"light.a": "light.b"})
    found = reader.read(TimeBasedDaily, DAYS)
    assert [(row.date, row.entity_id) for row in found] == [(day, "light.b") for day in DAYS]
    assert reader.read(TimeBasedDaily, DAYS, {"entity_id": "light.b"}) == found
    assert reader.read(TimeBasedDaily, DAYS, {"entity_id": "light.a"}) == []
    (summary,) = reader.summarize(TimeBasedDaily, DAYS, {"occurrences": "count"}, ["entity_id"])
    assert summary.values["occurrences"] == len(DAYS)
