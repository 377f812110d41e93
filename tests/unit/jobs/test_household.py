"""What people say about their home, and the file that keeps it."""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.household import NO_HOUSEHOLD, Away, Household, Mute
from jobs.household_file import HouseholdFile, with_away, with_mute, without_away
from storage.dates import ONE_DAY, DateRange
from storage.errors import HouseholdError, HouseholdUnavailable

DAY = dt.date(2026, 8, 3)
HOLIDAY = Away(DAY, DAY + 13 * ONE_DAY, "summer")
MUTE = Mute("binary_sensor.shed", "count_low", DAY, DAY + ONE_DAY, "its battery is empty")


def days(*offsets: int) -> DateRange:
    return DateRange(DAY + offsets[0] * ONE_DAY, DAY + offsets[-1] * ONE_DAY)


@pytest.mark.parametrize(("offset", "is_away"), [(-1, False), (0, True), (13, True), (14, False)])
def test_the_first_and_the_last_day_are_days_away_and_the_days_beside_them_are_not(offset: int, is_away: bool) -> None:
    assert (Household((HOLIDAY,)).away_on(DAY + offset * ONE_DAY) is not None) == is_away


def test_what_was_entered_comes_before_what_the_calendar_says() -> None:
    calendar = Away(DAY - ONE_DAY, DAY + 20 * ONE_DAY, "Calendar", "calendar")
    assert Household((calendar, HOLIDAY)).away_on(DAY) == HOLIDAY


@pytest.mark.parametrize(
    ("entity", "anomaly_type", "offset", "is_muted"),
    [
        ("binary_sensor.shed", "count_low", 0, True),
        ("binary_sensor.shed", "count_low", 1, True),
        ("binary_sensor.shed", "count_low", 2, False),
        ("binary_sensor.shed", "count_low", -1, False),
        ("binary_sensor.shed", "count_high", 0, False),
        ("binary_sensor.shed_2", "count_low", 0, False),
    ],
)
def test_a_mute_holds_for_its_entity_type_and_days_only(
    entity: str, anomaly_type: str, offset: int, is_muted: bool
) -> None:
    found = Household(mutes=(MUTE,)).mute_of(entity, anomaly_type, DAY + offset * ONE_DAY)
    assert found == (MUTE if is_muted else None)


def test_a_mute_without_type_and_end_holds_for_all_types_and_for_ever_and_a_glob_for_all_that_match() -> None:
    household = Household(mutes=(Mute("binary_sensor.garage_*", None, DAY),))
    assert household.mute_of("binary_sensor.garage_door", "still_active", DAY + 900 * ONE_DAY)
    assert not household.mute_of("binary_sensor.front_door", "still_active", DAY)


def test_an_id_with_the_characters_of_a_glob_is_muted_by_its_own_name() -> None:
    assert Household(mutes=(Mute("sensor.a[1]", None, DAY),)).mute_of("sensor.a[1]", "count_low", DAY)


def test_a_mute_follows_a_renamed_entity() -> None:
    household = Household(mutes=(MUTE,)).with_present_names({"binary_sensor.shed": "binary_sensor.barn"})
    assert household.mute_of("binary_sensor.barn", "count_low", DAY)


@pytest.mark.parametrize(
    ("change", "concerns"),
    [
        (lambda household: with_away(household, Away(DAY - 9 * ONE_DAY, DAY - 9 * ONE_DAY)), True),
        (lambda household: with_away(household, Away(DAY - 10 * ONE_DAY, DAY - 10 * ONE_DAY)), False),
        (lambda household: with_away(household, Away(DAY, DAY + ONE_DAY)), True),
        (lambda household: with_away(household, Away(DAY + ONE_DAY, DAY + ONE_DAY)), False),
        (lambda household: with_mute(household, Mute("light.a", None, DAY, DAY)), True),
        (lambda household: with_mute(household, Mute("light.a", None, DAY + ONE_DAY)), False),
        (lambda household: with_mute(household, Mute("light.a", None, DAY - ONE_DAY, DAY - ONE_DAY)), False),
        (lambda household: replace(household, notices=("the calendar was slow",)), False),
    ],
)
def test_a_day_has_another_fingerprint_only_if_its_days_or_its_mutes_change(
    change: Callable[[Household], Household], concerns: bool
) -> None:
    ten_days = DateRange.ending(DAY, 10)
    assert (change(NO_HOUSEHOLD).fingerprint(ten_days) != NO_HOUSEHOLD.fingerprint(ten_days)) == concerns


def test_a_day_that_nothing_concerns_has_the_fingerprint_of_an_earlier_version() -> None:
    assert NO_HOUSEHOLD.fingerprint(days(0)) == ""
    assert Household((HOLIDAY,)).fingerprint(DateRange.ending(DAY - ONE_DAY, 30)) == ""


@settings(deadline=None)  # other tests may run beside it
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6)), max_size=4), st.integers(0, 20), st.integers(0, 6))
def test_removing_days_away_removes_these_days_and_no_others(
    entered: list[tuple[int, int]], first: int, length: int
) -> None:
    household = Household(tuple(Away(*_ends(days(one, one + more))) for one, more in entered))
    removed = days(first, first + length)
    left = without_away(household, removed)
    for day in days(-1, 40):
        was_away, is_away = household.away_on(day) is not None, left.away_on(day) is not None
        assert is_away == (was_away and day not in removed)


def _ends(range_: DateRange) -> tuple[dt.date, dt.date]:
    return range_.first, range_.last


def test_what_is_entered_is_read_again(tmp_path: Path) -> None:
    file = HouseholdFile.beside(tmp_path / "new" / "ledger.db")
    assert (file.path.name, file.exists(), file.read()) == ("ledger.household.json", False, NO_HOUSEHOLD)
    file.change(lambda household: with_mute(with_away(household, HOLIDAY), MUTE))
    assert file.read() == Household((HOLIDAY,), (MUTE,))
    file.change(lambda household: with_away(household, replace(HOLIDAY, note="Norway")))
    assert [away.note for away in file.read().away] == ["Norway"]


def test_days_away_of_the_calendar_are_not_entered_into_the_file(tmp_path: Path) -> None:
    file = HouseholdFile(tmp_path / "household.json")
    file.change(lambda _: Household((replace(HOLIDAY, origin="calendar"),)))
    assert file.read() == NO_HOUSEHOLD


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    def add(number: int) -> None:
        away = Away(DAY + number * ONE_DAY, DAY + number * ONE_DAY)
        HouseholdFile(tmp_path / "household.json").change(lambda household: with_away(household, away))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(HouseholdFile(tmp_path / "household.json").read().away) == 12


def test_a_change_that_is_refused_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    def refuse(_household: Household) -> Household:
        raise ZeroDivisionError

    file = HouseholdFile(tmp_path / "household.json")
    file.change(lambda household: with_away(household, HOLIDAY))
    before = file.path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        file.change(refuse)
    assert file.path.read_bytes() == before


def _document(**changes: Any) -> str:
    return json.dumps({"format": "pattern-aggregates household", "version": 1, "away": [], "mutes": [], **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "not a file of days away"),
        ('{"somebody": "else"}', "not a file of days away"),
        (_document(version=2), "version 2, this program reads version 1"),
        (_document(more=1), "more"),
        (_document(away=[{"first": "2026-02-30", "last": "2026-03-01"}]), "away.0.first"),
        (_document(away=[{"first": "2026-03-02", "last": "2026-03-01"}]), "end on 2026-03-01"),
        (_document(mutes=[{"entity": "", "first": "2026-03-01"}]), "mutes.0.entity"),
    ],
)
def test_a_file_that_is_damaged_or_of_another_program_is_named_and_never_replaced(
    tmp_path: Path, text: str, message: str
) -> None:
    file = HouseholdFile(tmp_path / "household.json")
    file.path.write_text(text, encoding="utf-8")
    with pytest.raises(HouseholdError, match=message) as caught:
        file.read()
    assert str(file.path) in str(caught.value)
    with pytest.raises(HouseholdError):
        file.change(lambda household: with_away(household, HOLIDAY))
    assert file.path.read_text(encoding="utf-8") == text


def test_a_file_that_never_ends_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "household.json")
    with pytest.raises(HouseholdError, match="not a regular file"):
        HouseholdFile(tmp_path / "household.json").read()


def test_a_lock_that_is_held_is_waited_for_only_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock  # noqa: PLC0415 - only here

    monkeypatch.setattr("jobs.household_file.MAX_WAIT_SECONDS", 0.05)
    with FileLock(tmp_path / "household.json.lock"), pytest.raises(HouseholdUnavailable, match="another command"):
        HouseholdFile(tmp_path / "household.json").change(lambda household: household)
