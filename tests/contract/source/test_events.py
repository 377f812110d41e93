"""Changes of state become events, with what caused them."""

from __future__ import annotations

from pathlib import Path

from jobs.activity.events import AUTOMATION, DEVICE, USER
from tests.support.memory_source import Row
from tests.support.scenario_sources import Load, home_assistant_db
from tests.support.scenarios import Scenario, scenario, view, when, window


def test_a_change_from_one_known_state_to_another_is_an_event(load: Load) -> None:
    log = load(
        scenario("""
            20 08:00:00 light.lamp off
            21 08:00:00 light.lamp on
            21 08:30:00 light.lamp on
            21 09:00:00 light.lamp off
            21 21:00:00 light.lamp on
            22 12:00:00 light.lamp on
        """)
    ).read(window(21))
    assert view(log).events == ["21 08:00:00 light.lamp on", "21 09:00:00 light.lamp off", "21 21:00:00 light.lamp on"]
    assert view(log).intervals == [
        "light.lamp off (20 08:00:00 - 21 08:00:00]",
        "light.lamp off [21 09:00:00 - 21 21:00:00]",
        "light.lamp on [21 08:00:00 - 21 09:00:00]",
        "light.lamp on [21 21:00:00 - 22 00:00:00)",
    ]
    assert log.samples == 4


def test_updates_of_attributes_are_no_events(load: Load) -> None:
    log = load(
        scenario("""
            21 08:00:00 light.lamp off
            21 09:00:00 light.lamp on
            21 09:00:05 light.lamp ~
            21 09:20:00 light.lamp ~
            21 10:00:00 light.lamp off
            21 10:30:00 light.lamp ~
            21 12:00:00 light.lamp on
        """)
    ).read(window(21))
    assert view(log).events == ["21 09:00:00 light.lamp on", "21 10:00:00 light.lamp off", "21 12:00:00 light.lamp on"]
    assert "light.lamp on [21 09:00:00 - 21 10:00:00]" in view(log).intervals


def test_the_first_value_ever_is_no_event_and_its_begin_is_not_known(load: Load) -> None:
    log = load(
        scenario("""
            21 08:00:00 switch.other off
            21 09:00:00 light.lamp on
            21 10:00:00 light.lamp off
            21 12:00:00 switch.other off
        """)
    ).read(window(21))
    assert view(log).events == ["21 10:00:00 light.lamp off"]
    assert "light.lamp on (21 09:00:00 - 21 10:00:00]" in view(log).intervals


def test_an_event_at_midnight_belongs_to_the_day_that_begins(load: Load) -> None:
    source = load(
        scenario("""
            20 08:00:00 light.lamp off
            20 20:00:00 light.lamp on
            21 00:00:00 light.lamp off
            21 12:00:00 light.lamp on
        """)
    )
    before, after = view(source.read(window(20))), view(source.read(window(21)))
    assert before.events == ["20 20:00:00 light.lamp on"]
    assert "light.lamp on [20 20:00:00 - 21 00:00:00)" in before.intervals
    assert after.events == ["21 00:00:00 light.lamp off", "21 12:00:00 light.lamp on"]
    assert "light.lamp on [20 20:00:00 - 21 00:00:00]" in after.intervals


def test_the_recorder_knows_what_caused_an_event(tmp_path: Path) -> None:
    rows = [Row(when("21 08:00:00"), "light.lamp", "off")]
    for hour, cause in ((9, USER), (10, AUTOMATION), (11, DEVICE)):
        rows.append(Row(when(f"21 {hour:02}:00:00"), "light.lamp", ("off", "on")[hour % 2], cause))
    source = home_assistant_db(Scenario(tuple(rows)), tmp_path)
    assert source.read(window(21)).events.cause.tolist() == [USER, AUTOMATION, DEVICE]
    source.close()
