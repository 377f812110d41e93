"""When bouts began: one start for each run of events, and nothing that does not fit."""

from __future__ import annotations

import pytest

from jobs.activity.building import example_day
from jobs.detectors.bout_times import BoutTimes
from storage.rollup_models import BoutTimesDaily


def starts(changes: list[tuple[float, str, str]]) -> dict[str, list[int]]:
    rows = BoutTimes().detect(example_day(changes)).rows
    return {row.entity_id: row.starts for row in rows if isinstance(row, BoutTimesDaily)}


def test_a_day_without_events_has_no_rows_and_says_so() -> None:
    finding = BoutTimes().detect(example_day([(0, "light.a", "off")]))
    assert (list(finding.rows), finding.reason) == ([], "no entity had an activity event that no automation caused")


@pytest.mark.parametrize(("pause", "expected"), [(5.0, [3600]), (5.02, [3600, 3901])])
def test_events_at_most_five_minutes_apart_are_one_bout(pause: float, expected: list[int]) -> None:
    assert starts([(0, "light.a", "off"), (60, "light.a", "on"), (60 + pause, "light.a", "off")]) == {
        "light.a": expected
    }


@pytest.mark.parametrize(("bouts", "is_kept"), [(160, True), (230, False)])
def test_an_entity_with_too_many_bouts_is_left_out_and_counted(bouts: int, is_kept: bool) -> None:
    changes = [(6.0 * place + 1, "switch.pump", ("on", "off")[place % 2]) for place in range(bouts)]
    finding = BoutTimes().detect(example_day([(0, "switch.pump", "off"), *changes]))
    assert bool(finding.rows) is is_kept
    assert ("1 entity with too many bouts left out" in finding.reason) is not is_kept
