"""The same raw events give the same log, in whatever order and however often they are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.activity.window import HOUR, SECOND, DayWindow, from_instant
from storage.dates import ONE_DAY, DateRange
from tests.support.memory_source import Row
from tests.support.scenario_sources import ALL, Load, home_assistant_db, memory
from tests.support.scenarios import BUSY, MADRID, Scenario, october, scenario, view, when, window


def test_reading_twice_is_equal_even_through_another_connection(load: Load) -> None:
    source = load(BUSY)
    once, twice = source.read(window(21)), source.read(window(21))
    source.close()
    anew = load(BUSY).read(window(21))
    assert view(once) == view(twice) == view(anew)
    assert once.entities == twice.entities == anew.entities
    assert (once.samples, once.notices) == (twice.samples, twice.notices) == (anew.samples, anew.notices)


def test_days_can_be_read_in_any_order(load: Load) -> None:
    source = load(BUSY)
    forth = [view(source.read(window(day))) for day in (20, 21, 22)]
    back = [view(source.read(window(day))) for day in (22, 21, 20)]
    assert forth == back[::-1]


def test_rows_out_of_order_give_the_same_log(load: Load) -> None:
    ordered = view(load(BUSY).read(window(21)))
    assert view(load(replace(BUSY, rows=BUSY.rows[::-1])).read(window(21))) == ordered


def test_duplicated_rows_give_the_same_events(load: Load) -> None:
    once = view(load(BUSY).read(window(21)))
    assert view(load(replace(BUSY, rows=tuple(row for row in BUSY.rows for _ in range(2)))).read(window(21))) == once


def test_what_happens_after_a_day_changes_nothing_in_it(load: Load) -> None:
    short = load(BUSY).read(window(21))
    later = [Row(when(f"24 {hour:02}:00:00"), "light.lamp", ("off", "on")[hour % 2]) for hour in range(24)]
    long = load(BUSY.and_then(*later)).read(window(21))
    assert view(long) == view(short)
    assert long.samples == short.samples


def test_states_of_other_days_do_not_change_how_an_entity_is_classed(load: Load) -> None:
    """A day's aggregates must not depend on how long the recording goes on: it would be due again every night."""
    words = ["washing", "rinsing", "spinning", "done"]
    rows = [Row(when(f"21 {hour:02}:00:00"), "sensor.washer", words[hour % 4]) for hour in range(4, 12)]
    program = scenario("""
        20 08:00:00 light.lamp off
        20 08:00:00 sensor.washer idle
    """).and_then(*rows)
    more = [Row(when(f"22 {n // 60:02}:{n % 60:02}:00"), "sensor.washer", f"program {n}") for n in range(60, 120)]
    alone = view(load(program.and_then(Row(when("22 00:30:00"), "light.lamp", "off"))).read(window(21)))
    assert len(alone.events) == 8
    assert view(load(program.and_then(*more)).read(window(21))).events == alone.events


def test_all_sources_read_the_same(tmp_path: Path) -> None:
    found = []
    for maker in ALL:
        source = maker(BUSY, tmp_path)
        found.append([(view(log), log.samples, log.entities) for log in map(source.read, map(window, range(19, 25)))])
        source.close()
    assert all(one == found[0] for one in found)


Step = tuple[int, int, str | None]
STEPS: Final = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([1, 30, 59, 60, 299, 300, 301, 1800, 7200, 40_000]),
        st.sampled_from(["on", "off", "on", "off", "unavailable", None]),
    ),
    min_size=1,
    max_size=40,
)
RUNS: Final = st.lists(
    st.tuples(st.sampled_from([600, 7200, 50_000, 200_000]), st.sampled_from([1, 299, 301, 30_000])), max_size=6
)


def _random_rows(steps: Iterable[Step], runs: Iterable[tuple[int, int]]) -> Scenario:
    """Build rows from steps (entity, seconds since the last, state) and runs (seconds up, seconds down)."""
    at = start = begin = when("18 20:00:00")
    spans: list[tuple[int, int]] = []
    for up, down in runs:
        spans.append((begin, begin + up * SECOND))
        begin += (up + down) * SECOND
    spans.append((begin, begin + 3_000_000 * SECOND))
    rows = [Row(start, "light.number_0", "off")]  # a recorder writes when it starts
    for entity, seconds, state in steps:
        at += seconds * SECOND
        inside = [max(at, begin) for begin, end in spans if at < end]
        at = inside[0]  # nothing is recorded while the recorder is down
        rows.append(Row(at, f"light.number_{entity}", state))
    ended = [(begin, min(end, max(begin + SECOND, at + HOUR))) for begin, end in spans if begin <= at]
    return Scenario(tuple(rows), runs=tuple(ended))


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(steps=STEPS, runs=RUNS)
def test_reading_the_recorder_a_day_at_a_time_equals_reading_the_whole_recording(
    steps: list[Step], runs: list[tuple[int, int]]
) -> None:
    recording = _random_rows(steps, runs)
    with tempfile.TemporaryDirectory() as folder:
        source, expected_source = home_assistant_db(recording, Path(folder)), memory(recording, Path(folder))
        try:
            for day in DateRange(october(18), from_instant(recording.rows[-1].at).date() + ONE_DAY):
                found, expected = (view(one.read(DayWindow(day, MADRID))) for one in (source, expected_source))
                assert found.events == expected.events
                assert found.known == expected.known
                assert found.intervals == expected.intervals
        finally:
            source.close()
