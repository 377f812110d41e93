"""A day opens with the state that each entity has, and knows since when."""

from __future__ import annotations

from jobs.activity.window import MINUTE
from tests.support.memory_source import Row
from tests.support.scenario_sources import Load
from tests.support.scenarios import scenario, view, when, window


def test_a_day_opens_with_the_instant_at_which_its_state_began_days_before(load: Load) -> None:
    log = load(
        scenario("""
            14 08:00:00 light.lamp off
            15 19:12:34 light.lamp on
            21 07:00:00 light.lamp off
            22 07:00:00 light.lamp off
        """)
    ).read(window(21))
    assert view(log).events == ["21 07:00:00 light.lamp off"]
    assert "light.lamp on [15 19:12:34 - 21 07:00:00]" in view(log).intervals


def test_updates_of_attributes_before_the_day_do_not_hide_when_the_state_began(load: Load) -> None:
    log = load(
        scenario("""
            18 08:00:00 light.lamp off
            18 19:12:34 light.lamp on
            18 23:00:00 light.lamp ~
            19 12:00:00 light.lamp ~
            20 23:59:59 light.lamp ~
            21 00:00:01 light.lamp ~
            21 07:00:00 light.lamp off
            21 07:00:01 light.lamp ~
        """)
    ).read(window(21))
    assert "light.lamp on [18 19:12:34 - 21 07:00:00]" in view(log).intervals


def test_a_state_that_was_repeated_many_times_before_the_day_keeps_its_begin(load: Load) -> None:
    """Some devices send their state every minute, and Home Assistant can be told to record that (force_update)."""
    begin = when("20 20:00:00")
    repeats = [Row(begin + minute * MINUTE, "binary_sensor.bed", "on") for minute in range(300)]
    recording = scenario("20 08:00:00 binary_sensor.bed off").and_then(
        *repeats, Row(when("21 07:00:00"), "binary_sensor.bed", "off")
    )
    assert "binary_sensor.bed on [20 20:00:00 - 21 07:00:00]" in view(load(recording).read(window(21))).intervals


def test_a_short_unavailability_before_midnight_does_not_hide_when_the_state_began(load: Load) -> None:
    log = load(
        scenario("""
            20 08:00:00 light.lamp off
            20 20:00:00 light.lamp on
            20 22:00:00 light.lamp unavailable
            20 22:04:00 light.lamp on
            20 23:58:00 light.lamp unavailable
            20 23:59:00 light.lamp unknown
            21 00:01:00 light.lamp on
            21 07:00:00 light.lamp off
            21 08:00:00 light.lamp off
        """)
    ).read(window(21))
    assert view(log).events == ["21 07:00:00 light.lamp off"]
    assert "light.lamp on [20 20:00:00 - 21 07:00:00]" in view(log).intervals


def test_a_change_across_a_short_unavailability_over_midnight_is_an_event(load: Load) -> None:
    log = load(
        scenario("""
            20 08:00:00 light.lamp off
            20 20:00:00 light.lamp on
            20 23:58:00 light.lamp unavailable
            21 00:02:00 light.lamp off
            21 08:00:00 light.lamp off
        """)
    ).read(window(21))
    assert view(log).events == ["21 00:02:00 light.lamp off"]
    assert "light.lamp on [20 20:00:00 - 21 00:02:00]" in view(log).intervals


def test_a_long_unavailability_before_midnight_makes_the_begin_unknown(load: Load) -> None:
    log = load(
        scenario("""
            20 08:00:00 light.lamp off
            20 20:00:00 light.lamp on
            20 22:00:00 light.lamp unavailable
            20 22:10:00 light.lamp on
            20 23:00:00 light.lamp ~
            21 07:00:00 light.lamp off
            21 08:00:00 light.lamp off
        """)
    ).read(window(21))
    assert view(log).events == ["21 07:00:00 light.lamp off"]
    assert "light.lamp on (20 22:10:00 - 21 07:00:00]" in view(log).intervals


def test_an_entity_that_is_unavailable_all_night_opens_unknown(load: Load) -> None:
    log = load(
        scenario("""
            20 08:00:00 light.lamp off
            20 20:00:00 light.lamp on
            20 22:00:00 light.lamp unavailable
            21 07:00:00 light.lamp off
            21 08:00:00 light.lamp on
            21 09:00:00 light.lamp off
        """)
    ).read(window(21))
    assert view(log).events == ["21 08:00:00 light.lamp on", "21 09:00:00 light.lamp off"]
    assert view(log).intervals[:1] == ["light.lamp off (21 07:00:00 - 21 08:00:00]"]


def test_two_changes_in_one_instant_before_the_day_both_count(load_rows: Load) -> None:
    log = load_rows(
        scenario("""
            20 08:00:00 light.lamp off
            20 20:00:00 light.lamp on
            20 22:00:00 light.lamp off
            20 22:00:00 light.lamp on
            21 07:00:00 light.lamp off
        """)
    ).read(window(21))
    assert "light.lamp on [20 22:00:00 - 21 07:00:00]" in view(log).intervals
