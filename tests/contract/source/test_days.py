"""Days lie side by side without overlap, also where clocks change."""

from __future__ import annotations

import numpy as np

from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow, from_instant
from storage.dates import DateRange
from tests.support.memory_source import Row
from tests.support.scenario_sources import Load
from tests.support.scenarios import MADRID, Scenario, october, scenario, view, when, window


def test_days_tile_the_recording(load: Load) -> None:
    rng = np.random.default_rng(7)
    start = when("18 00:00:30")
    rows = [Row(start, f"light.number_{code}", "off") for code in range(5)]
    for code in range(5):
        at = start + 2 * MINUTE
        for step in range(60):
            at += int(rng.integers(1, 4 * 3600)) * SECOND
            rows.append(
                Row(at, f"light.number_{code}", "unavailable" if rng.random() < 0.1 else ("on", "off")[step % 2])
            )
    rows.sort()
    source = load(Scenario(tuple(rows)))
    last = from_instant(rows[-1].at).astimezone(MADRID).date()
    logs = [source.read(DayWindow(day, MADRID)) for day in DateRange(october(18), last)]
    assert sum(log.samples for log in logs) == len(rows)
    events = [event for log in logs for event in view(log).events]
    assert len(events) == len(set(events)) > 100
    finished = [interval for log in logs for interval in view(log).intervals if interval.endswith("]")]
    assert len(finished) == len(set(finished)) > 100
    for log in logs:
        assert np.all(np.diff(log.events.at) >= 0)
        assert np.all((log.window.start <= log.events.at) & (log.events.at < log.window.end))
        assert np.all((log.intervals.end >= log.window.start) & (log.intervals.end <= log.window.end))
    assert sum(log.known_seconds for log in logs) == (rows[-1].at - rows[0].at) / SECOND


def test_the_day_on_which_clocks_are_set_back_has_twenty_five_hours(load: Load) -> None:
    log = load(
        scenario("""
            25 12:00:00  light.lamp off
            26 01:30:00  light.lamp on
            26 02:30:00  light.lamp off
            26 02:15:00* light.lamp on
            26 03:30:00  light.lamp off
            27 12:00:00  light.lamp on
        """)
    ).read(window(26))
    assert log.window.seconds == 25 * 3600
    assert view(log).events == [
        "26 01:30:00 light.lamp on",
        "26 02:30:00 light.lamp off",
        "26 02:15:00* light.lamp on",
        "26 03:30:00 light.lamp off",
    ]
    assert log.window.hours_of(log.events.at).tolist() == [1, 2, 2, 3]
    assert np.diff(log.events.at).tolist() == [HOUR, 45 * MINUTE, 75 * MINUTE]
    assert log.known_seconds == 25 * 3600


def test_the_day_on_which_clocks_are_set_forward_has_twenty_three_hours(load: Load) -> None:
    log = load(
        scenario("""
            2026-03-28 12:00:00 light.lamp off
            2026-03-29 01:59:59 light.lamp on
            2026-03-29 03:00:00 light.lamp off
            2026-03-30 12:00:00 light.lamp on
        """)
    ).read(window("2026-03-29"))
    assert log.window.seconds == log.known_seconds == 23 * 3600
    assert log.window.hours_of(log.events.at).tolist() == [1, 3]
    assert np.diff(log.events.at).tolist() == [SECOND]
