"""A day's fingerprint changes when its raw events change, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.memory_source import Row
from tests.support.scenario_sources import Load
from tests.support.scenarios import BUSY, when, window


def test_a_fingerprint_is_stable_and_differs_between_days(load: Load) -> None:
    source = load(BUSY)
    prints = {day: source.fingerprint(window(day)) for day in (20, 21, 22)}
    assert len(set(prints.values())) == 3
    source.read(window(21))
    source.close()
    assert {day: load(BUSY).fingerprint(window(day)) for day in (20, 21, 22)} == prints


@pytest.mark.parametrize(
    "late",
    [Row(when("21 12:00:00"), "light.lamp", "on"), Row(when("21 00:00:00"), "light.new", "off")],
    ids=["known entity", "new entity, first instant"],
)
def test_a_late_row_changes_the_fingerprint_of_its_day_only(load_rows: Load, late: Row) -> None:
    assert days_with_another_fingerprint(load_rows, late) == {21}


def test_a_late_row_at_midnight_may_show_how_long_the_day_before_was_recorded(load: Load) -> None:
    """Some sources know only from their rows how long the recording went on."""
    assert days_with_another_fingerprint(load, Row(when("21 00:00:00"), "light.new", "off")) in ({21}, {20, 21})


def days_with_another_fingerprint(load: Load, late: Row) -> set[int]:
    """Return the days of a busy home whose fingerprint changes when a row comes late."""
    source = load(BUSY)
    before = {day: source.fingerprint(window(day)) for day in (20, 21, 22)}
    source.close()
    after = {day: load(BUSY.and_then(late)).fingerprint(window(day)) for day in (20, 21, 22)}
    return {day for day in before if before[day] != after[day]}


def test_a_day_of_which_more_becomes_known_has_another_fingerprint(load: Load) -> None:
    """The newest day may be read before it is over; later, its silent hours are known too."""
    so_far = replace(BUSY, rows=tuple(row for row in BUSY.rows if row.at <= when("21 19:00:00")))
    source = load(so_far)
    before, log = source.fingerprint(window(21)), source.read(window(21))
    source.close()
    source = load(BUSY)
    assert source.read(window(21)).known_seconds > log.known_seconds
    assert source.fingerprint(window(21)) != before


def test_a_row_that_goes_changes_the_fingerprint(load: Load) -> None:
    source = load(BUSY)
    before = source.fingerprint(window(21))
    source.close()
    fewer = replace(BUSY, rows=tuple(row for row in BUSY.rows if row.at != when("21 19:00:00")))
    assert load(fewer).fingerprint(window(21)) != before
