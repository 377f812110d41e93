"""What automations did, as their own points show it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from jobs.activity.entities import Description
from jobs.activity.events import AUTOMATION
from jobs.activity.settling import MAX_SETTLING
from jobs.activity.window import SECOND
from jobs.sources.influxdb_automations import BEFORE_END, MAX_DELAY, Runs, causes, runs_of
from jobs.sources.influxdb_points import LAYOUTS, Points
from storage.drivers.influxdb.influxql import Series

AT = 1_000 * SECOND


def caused(
    entity_id: str, at: int, *, began: Sequence[int] = (), ended: Sequence[int] = (), starts: Sequence[int] = ()
) -> bool:
    points = Points(
        np.array([at]), np.zeros(1, np.int32), np.zeros(1, np.int32), [Description(entity_id)], ["on"], nameless=0
    )
    runs = Runs(np.array(began, np.int64), np.array(ended, np.int64))
    return bool(causes(points, runs, np.array(starts, np.int64))[0] == AUTOMATION)


@pytest.mark.parametrize(
    ("delay", "found"), [(-1, False), (0, True), (SECOND, True), (MAX_DELAY, True), (MAX_DELAY + 1, False)]
)
def test_a_device_that_changes_just_after_an_automation_began_was_changed_by_it(delay: int, found: bool) -> None:
    assert caused("light.hall", AT + delay, began=[AT]) is found


@pytest.mark.parametrize(("before", "found"), [(0, True), (BEFORE_END, True), (BEFORE_END + 1, False), (-1, False)])
def test_the_last_thing_that_a_long_run_does_comes_just_before_its_end(before: int, found: bool) -> None:
    assert caused("switch.pump", AT - before, began=[AT - 900 * SECOND], ended=[AT]) is found


@pytest.mark.parametrize("entity_id", ["binary_sensor.motion", "person.ann", "sensor.mode", "device_tracker.phone"])
def test_what_nobody_can_operate_was_not_changed_by_an_automation(entity_id: str) -> None:
    assert not caused(entity_id, AT + SECOND, began=[AT])


@pytest.mark.parametrize(("since", "found"), [(MAX_SETTLING, False), (MAX_SETTLING + 1, True)])
def test_automations_that_report_again_after_a_start_do_not_run(since: int, found: bool) -> None:
    assert caused("light.hall", AT + SECOND, began=[AT], starts=[AT - since]) is found


def part(entity_id: str, *values: list[object]) -> Series:
    domain, _, object_id = entity_id.partition(".")
    return Series(entity_id, {"domain": domain, "entity_id": object_id}, ["time"], list(values))


def test_current_says_whether_a_run_begins_or_ends() -> None:
    parts = [
        part("automation.a", [10, 1.0, "on", None], [12, 0.0, "on", None], [20, None, "on", None]),
        part("script.s", [30, None, "on", None], [31, None, "off", None]),
        part("scene.x", [40, None, "2026-11-26T07:00:00+00:00", None]),
    ]
    runs = runs_of(parts, LAYOUTS["home_assistant"])
    assert runs.began.tolist() == [10, 20, 30, 40]
    assert runs.ended.tolist() == [12, 31]
