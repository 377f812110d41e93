"""What a restart ends and what it does not: both sides of each span of time after a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from jobs.activity.settling import MAX_DOWNTIME, MAX_SETTLING, SETTLING, SETTLING_LIMIT
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND
from tests.support.activity import Event, StateInterval, built, traced

BED = "binary_sensor.bed"
NOON = 12 * HOUR
Sample = tuple[int, str | None]


def bed(
    after: Sequence[Sample], *, downtime: int = 3 * SECOND, others: Sequence[tuple[int, str, str | None]] = ()
) -> tuple[list[Event], list[StateInterval]]:
    """A bed that is occupied from 8 to 18 h, and what it says after a start at noon."""
    rows: list[tuple[int, str, str | None]] = [(HOUR, BED, "off"), (8 * HOUR, BED, "on"), *others]
    rows += [(NOON + at, BED, state) for at, state in after]
    rows.append((18 * HOUR, BED, "off"))
    events, intervals = traced(built(rows, [(0, NOON - downtime), (NOON, DAY)], [NOON]))
    return [one for one in events if one.entity_id == BED], [one for one in intervals if one.entity_id == BED]


WHOLE = StateInterval(BED, "on", 8 * HOUR, 18 * HOUR, start_known=True, end_known=True)
TWO_EVENTS = [Event(8 * HOUR, BED, "on"), Event(18 * HOUR, BED, "off")]


@pytest.mark.parametrize(
    "after",
    [
        [(5 * SECOND, "on")],
        [(5 * SECOND, "off"), (7 * SECOND, "on")],
        [(20 * SECOND, "off"), (100 * SECOND, "on")],
        [(0, "unknown"), (6 * MINUTE, "on")],
        [(0, "unavailable"), (10 * SECOND, "off"), (SETTLING_LIMIT - 1, "on")],
        [(SECOND, "on"), (2 * SECOND, "off"), (3 * SECOND, "on")],
        [(2 * SECOND, "off"), (5 * SECOND, "unknown"), (9 * MINUTE, "on")],
    ],
    ids=str,
)
@pytest.mark.parametrize("downtime", [3 * SECOND, 4 * MINUTE, 8 * MINUTE, MAX_DOWNTIME])
def test_a_state_that_returns_while_the_home_settles_was_never_left(after: list[Sample], downtime: int) -> None:
    events, intervals = bed(after, downtime=downtime)
    assert events == TWO_EVENTS
    assert WHOLE in intervals


@pytest.mark.parametrize(("downtime", "whole"), [(5 * MINUTE, True), (5 * MINUTE + 1, False)])
def test_an_entity_that_is_not_seen_again_is_known_across_a_short_stop_only(downtime: int, whole: bool) -> None:
    _, intervals = bed([], downtime=downtime)
    assert (WHOLE in intervals) is whole


def test_after_an_absence_of_more_than_half_an_hour_a_state_that_returns_is_established_anew() -> None:
    events, intervals = bed([(20 * SECOND, "off"), (100 * SECOND, "on")], downtime=MAX_DOWNTIME + 1)
    assert events == TWO_EVENTS  # what was wrong at first is still no event
    on = [one for one in intervals if one.state == "on"]
    assert [(one.start, one.end, one.start_known, one.end_known) for one in on] == [
        (8 * HOUR, NOON - MAX_DOWNTIME - 1, True, False),
        (NOON + 100 * SECOND, 18 * HOUR, False, True),
    ]


def test_a_state_that_returns_when_the_home_must_have_settled_has_changed() -> None:
    events, intervals = bed([(20 * SECOND, "off"), (SETTLING_LIMIT, "on")])
    assert events == [TWO_EVENTS[0], Event(NOON + SETTLING_LIMIT, BED, "on"), TWO_EVENTS[1]]
    assert WHOLE not in intervals


@pytest.mark.parametrize(("first", "changed"), [(SETTLING, False), (MAX_SETTLING - 1, False), (MAX_SETTLING, True)])
def test_a_state_seen_first_when_every_home_has_settled_is_a_change(first: int, changed: bool) -> None:
    """An entity that says its first word later than others is still starting, on a small board for two minutes."""
    events, _ = bed([(first, "off"), (first + 2 * MINUTE, "on")])
    between = [Event(NOON + first, BED, "off"), Event(NOON + first + 2 * MINUTE, BED, "on")]
    assert events == ([TWO_EVENTS[0], *between, TWO_EVENTS[1]] if changed else TWO_EVENTS)


def test_an_entity_that_has_returned_can_change_at_once() -> None:
    events, _ = bed([(5 * SECOND, "on"), (90 * SECOND, "off"), (3 * MINUTE, "on")])
    assert [event.at for event in events] == [8 * HOUR, NOON + 90 * SECOND, NOON + 3 * MINUTE, 18 * HOUR]


def test_a_state_that_does_not_return_has_changed_while_nobody_saw_it() -> None:
    events, intervals = bed([(5 * SECOND, "off")])
    assert events == [TWO_EVENTS[0]]
    assert intervals[1] == StateInterval(BED, "on", 8 * HOUR, NOON - 3 * SECOND, start_known=True, end_known=False)


def reports(seconds: Sequence[int]) -> list[tuple[int, str, str | None]]:
    """Other entities that say what they said before, each at its time after the start."""
    rows: list[tuple[int, str, str | None]] = []
    for number, second in enumerate(seconds):
        rows += [(HOUR + number, f"switch.s{number}", "off"), (NOON + second * SECOND, f"switch.s{number}", "off")]
    return rows


@pytest.mark.parametrize(
    ("seconds", "settled_after"),
    [
        ([], SETTLING),
        (range(0, 50, 5), SETTLING),
        (range(0, 91, 10), 90 * SECOND + 1),  # one after the other, ten seconds apart
        (range(0, 91, 11), SETTLING),  # eleven seconds apart they have nothing to do with each other
        (range(0, 300, 4), MAX_SETTLING),
    ],
)
def test_a_home_settles_as_long_as_one_entity_after_the_other_reports_again(
    seconds: Sequence[int], settled_after: int
) -> None:
    for first, changed in ((settled_after - 1, False), (settled_after, True)):
        events, _ = bed([(first, "off")], others=reports(seconds))
        assert (len(events) > 1) is changed


def test_starts_that_follow_each_other_closely_are_one_settling() -> None:
    rows: list[tuple[int, str, str | None]] = [(HOUR, BED, "off"), (8 * HOUR, BED, "on")]
    rows += [(NOON + 20 * SECOND, BED, "off"), (NOON + 4 * MINUTE, BED, "off"), (NOON + 9 * MINUTE, BED, "on")]
    rows.append((18 * HOUR, BED, "off"))
    known = [(0, NOON - MINUTE), (NOON, NOON + 2 * MINUTE), (NOON + 3 * MINUTE, DAY)]
    events, intervals = traced(built(rows, known, [NOON, NOON + 3 * MINUTE]))
    assert events == TWO_EVENTS
    assert WHOLE in intervals


def test_an_absence_of_its_own_after_the_start_is_a_gap_as_any_other() -> None:
    rows: list[tuple[int, str, str | None]] = [
        (HOUR, BED, "off"),
        (8 * HOUR, BED, "on"),
        (NOON + 8 * MINUTE, BED, "on"),
    ]
    known = [(0, NOON - MINUTE), (NOON, NOON + MINUTE), (NOON + 7 * MINUTE, DAY)]
    _, intervals = traced(built(rows, known, [NOON]))
    assert [(one.state, one.start_known) for one in intervals] == [("off", False), ("on", True), ("on", False)]


# --- a start that is not certain -------------------------------------------------------------------------------------


def after_possible_start(before: str, after: Sequence[Sample]) -> list[Event]:
    rows: list[tuple[int, str, str | None]] = [(HOUR, BED, "on" if before == "off" else "off"), (8 * HOUR, BED, before)]
    rows += [(NOON + at, BED, state) for at, state in after]
    samples = replace(built(rows, [(0, DAY)]), possible_starts=np.array([NOON]))
    return traced(samples)[0]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("on", [(20 * SECOND, "off"), (100 * SECOND, "on")], 0),  # a template that is not up yet
        ("off", [(20 * SECOND, "on"), (100 * SECOND, "off")], 2),  # somebody used it
        ("on", [(20 * SECOND, "off")], 1),
        ("on", [(20 * SECOND, "off"), (SETTLING_LIMIT, "on")], 2),
        ("on", [(5 * SECOND, "on"), (20 * SECOND, "off"), (100 * SECOND, "on")], 2),  # it was up
        ("off", [(30 * SECOND, "on")], 1),
    ],
)
def test_after_a_possible_start_changes_count_unless_what_was_in_use_says_off_for_a_while(
    before: str, after: Sequence[Sample], changes: int
) -> None:
    assert len(after_possible_start(before, after)) == 1 + changes
