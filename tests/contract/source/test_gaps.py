"""What a gap in an entity's states, or in the recording, makes unknown."""

from __future__ import annotations

import pytest

from tests.support.scenario_sources import Load
from tests.support.scenarios import scenario, view, window


@pytest.mark.parametrize("gap", ["unavailable", "unknown", "removed"])
def test_across_a_gap_of_five_minutes_a_change_is_an_event_and_no_change_is_nothing(load: Load, gap: str) -> None:
    log = load(
        scenario(f"""
            21 08:00:00 light.lamp off
            21 09:00:00 light.lamp on
            21 10:00:00 light.lamp {gap}
            21 10:05:00 light.lamp on
            21 11:00:00 light.lamp {gap}
            21 11:05:00 light.lamp off
            21 12:00:00 light.lamp off
        """)
    ).read(window(21))
    assert view(log).events == ["21 09:00:00 light.lamp on", "21 11:05:00 light.lamp off"]
    assert "light.lamp on [21 09:00:00 - 21 11:05:00]" in view(log).intervals


@pytest.mark.parametrize("gap", ["unavailable", "unknown", "removed"])
def test_across_a_longer_gap_a_value_only_establishes_the_state_again(load: Load, gap: str) -> None:
    log = load(
        scenario(f"""
            21 08:00:00 light.lamp off
            21 09:00:00 light.lamp on
            21 10:00:00 light.lamp {gap}
            21 10:05:01 light.lamp on
            21 11:00:00 light.lamp {gap}
            21 11:03:00 light.lamp {gap}
            21 11:06:00 light.lamp off
            21 12:00:00 light.lamp on
        """)
    ).read(window(21))
    assert view(log).events == ["21 09:00:00 light.lamp on", "21 12:00:00 light.lamp on"]
    assert view(log).intervals[:4] == [
        "light.lamp off (21 08:00:00 - 21 09:00:00]",
        "light.lamp off (21 11:06:00 - 21 12:00:00]",
        "light.lamp on (21 10:05:01 - 21 11:00:00)",
        "light.lamp on [21 09:00:00 - 21 10:00:00)",
    ]


def test_the_time_between_first_and_last_row_is_known_however_silent(load: Load) -> None:
    source = load(
        scenario("""
            20 08:00:00 light.lamp off
            22 20:00:00 light.lamp on
        """)
    )
    assert view(source.read(window(20))).known == ["20 08:00:00 - 21 00:00:00"]
    assert view(source.read(window(21))).known == ["21 00:00:00 - 22 00:00:00"]
    assert view(source.read(window(22))).known == ["22 00:00:00 - 22 20:00:00"]
    assert view(source.read(window(23))) == ([], [], [])
    assert view(source.read(window(19))) == ([], [], [])
