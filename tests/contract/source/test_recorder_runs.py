"""What restarts and outages of the recorder make unknown."""

from __future__ import annotations

from tests.support.scenario_sources import Load
from tests.support.scenarios import scenario, view, window


def test_a_restart_that_repeats_the_state_changes_nothing(load_runs: Load) -> None:
    log = load_runs(
        scenario("""
            run 20 02:00:00 - 20 23:30:00
            run 20 23:30:04 - 22 12:00:00
            20 02:00:00 light.lamp off
            20 20:00:00 light.lamp on
            20 23:30:05 light.lamp unavailable
            20 23:30:20 light.lamp on
            21 07:00:00 light.lamp off
        """)
    ).read(window(21))
    assert view(log).events == ["21 07:00:00 light.lamp off"]
    assert "light.lamp on [20 20:00:00 - 21 07:00:00]" in view(log).intervals


def test_values_in_the_first_minute_of_a_run_only_establish_the_state_again(load_runs: Load) -> None:
    log = load_runs(
        scenario("""
            run 20 02:00:00 - 21 08:00:00
            run 21 08:00:04 - 22 12:00:00
            20 02:00:00 light.early off
            20 02:00:00 light.late off
            20 20:00:00 light.early on
            20 20:00:00 light.late on
            21 08:01:03 light.early off
            21 08:00:10 light.late on
            21 08:01:04 light.late off
            21 09:00:00 light.early on
        """)
    ).read(window(21))
    assert view(log).events == ["21 08:01:04 light.late off", "21 09:00:00 light.early on"]
    assert view(log).intervals == [
        "light.early off (21 08:01:03 - 21 09:00:00]",
        "light.early on [20 20:00:00 - 21 08:00:00)",
        "light.early on [21 09:00:00 - 22 00:00:00)",
        "light.late off [21 08:01:04 - 22 00:00:00)",
        "light.late on [20 20:00:00 - 21 08:01:04]",
    ]


def test_time_outside_the_runs_is_not_known_and_counts_as_a_gap(load_runs: Load) -> None:
    log = load_runs(
        scenario("""
            run 20 02:00:00 - 21 08:00:00
            run 21 08:10:00 - 22 12:00:00
            20 02:00:00 light.lamp off
            20 20:00:00 light.lamp on
            21 08:12:00 light.lamp off
            21 09:00:00 light.lamp on
        """)
    ).read(window(21))
    assert view(log).known == ["21 00:00:00 - 21 08:00:00", "21 08:10:00 - 22 00:00:00"]
    assert log.known_seconds == 24 * 3600 - 600
    assert view(log).events == ["21 09:00:00 light.lamp on"]
    assert view(log).intervals == [
        "light.lamp off (21 08:12:00 - 21 09:00:00]",
        "light.lamp on [20 20:00:00 - 21 08:00:00)",
        "light.lamp on [21 09:00:00 - 22 00:00:00)",
    ]


def test_an_outage_over_midnight_hides_neither_what_was_before_nor_after(load_runs: Load) -> None:
    source = load_runs(
        scenario("""
            run 20 02:00:00 - 20 22:00:00
            run 21 03:00:00 - 22 12:00:00
            20 02:00:00 light.lamp off
            20 20:00:00 light.lamp on
            21 03:00:01 light.lamp on
            21 07:00:00 light.lamp off
        """)
    )
    assert "light.lamp on [20 20:00:00 - 20 22:00:00)" in view(source.read(window(20))).intervals
    after = view(source.read(window(21)))
    assert after.known == ["21 03:00:00 - 22 00:00:00"]
    assert after.intervals == [
        "light.lamp off [21 07:00:00 - 22 00:00:00)",
        "light.lamp on (21 03:00:01 - 21 07:00:00]",
    ]
