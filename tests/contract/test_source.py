"""What ``jobs.sources.base`` promises, on every source.

Scenarios are told in one small language, a line a row of October 2025 in Madrid (the month may be named)::

    20 23:50:00  light.lamp  off           state off is seen
    21 08:00:00  light.lamp  ~             an update of attributes only: the recorder notes since when the state holds,
                                           other sources see the same state again
    21 09:00:00  light.lamp  removed       the entity is gone
    26 02:30:00* light.lamp  on            in the second pass of the repeated hour
    run 20 02:00:00 - 21 23:00:00          the recorder ran; without such lines, from the first row to the last

What a source makes of them is told likewise: events as rows, intervals as
``light.lamp on [21 08:00:00 - 21 09:00:00)``,
with a square bracket where the begin or end is a change that was seen, a round one where it is not.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.activity.entities import Description, EntityRules, Kind
from jobs.activity.events import AUTOMATION, DEVICE, USER, DayLog
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow, from_instant, to_instant
from jobs.sources.base import EventSource
from jobs.sources.csv_files import CsvFiles
from jobs.sources.home_assistant_db import HomeAssistantDatabase
from jobs.sources.influxdb import LAYOUTS, InfluxSource
from jobs.sources.simulated_home import SimulatedHome
from storage.backends.influxdb.line_protocol import tag_value, text_field
from storage.dates import ONE_DAY, DateRange
from storage.drivers.influxdb import buckets
from storage.drivers.influxdb.influxql import Question
from tests.support.influxdb import LiveServer
from tests.support.memory_source import MemorySource, Row
from tests.support.recorder import RecorderDatabase, StateRow, from_samples

MADRID: Final = ZoneInfo("Europe/Madrid")
OCTOBER: Final = "2025-10-"


# --- the language ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """Raw rows, with the recorder's runs where these matter."""

    rows: tuple[Row, ...]
    attributes_only: frozenset[int] = frozenset()  # which of the rows
    runs: tuple[tuple[int, int], ...] = ()
    about: tuple[Description, ...] = ()

    def and_then(self, *rows: Row) -> Scenario:
        """With more rows, written after all others."""
        return replace(self, rows=(*self.rows, *rows))


def when(text: str) -> int:
    """An instant from ``21 08:00:00``, with ``*`` in the second pass of a repeated hour."""
    full = text.strip() if "-" in text else OCTOBER + text.strip()
    local = dt.datetime.fromisoformat(full.rstrip("*")).replace(tzinfo=MADRID, fold=int(full.endswith("*")))
    return to_instant(local)


def shown(instant: int) -> str:
    """The other way round."""
    local = from_instant(instant).astimezone(MADRID)
    text = local.strftime("%Y-%m-%d %H:%M:%S") + (f".{local.microsecond}" if local.microsecond else "")
    return text.removeprefix(OCTOBER) + "*" * local.fold


def story(text: str) -> Scenario:
    rows: list[Row] = []
    repeats: set[int] = set()
    runs: list[tuple[int, int]] = []
    state_of: dict[str, str | None] = {}
    for line in filter(str.strip, text.splitlines()):
        if line.strip().startswith("run "):
            start, end = line.strip().removeprefix("run ").split(" - ")
            runs.append((when(start), when(end)))
            continue
        day, time, entity_id, state = line.split(maxsplit=3)
        if state == "~":
            repeats.add(len(rows))
        else:
            state_of[entity_id] = None if state == "removed" else state
        rows.append(Row(when(f"{day} {time}"), entity_id, state_of[entity_id]))
    return Scenario(tuple(rows), frozenset(repeats), tuple(runs))


class View(NamedTuple):
    """A day's log in the language of scenarios."""

    events: list[str]
    intervals: list[str]
    known: list[str]


def view(log: DayLog) -> View:
    """What a log says of entities that are activity."""
    events, intervals = log.events, log.intervals
    return View(
        [
            f"{shown(at)} {log.entities[entity].entity_id} {log.states[state]}"
            for at, entity, state in zip(events.at.tolist(), events.entity.tolist(), events.state.tolist(), strict=True)
        ],
        sorted(
            f"{log.entities[entity].entity_id} {log.states[state]} "
            f"{'[' if start_known else '('}{shown(start)} - {shown(end)}{']' if end_known else ')'}"
            for entity, state, start, end, start_known, end_known in zip(
                intervals.entity.tolist(),
                intervals.state.tolist(),
                intervals.start.tolist(),
                intervals.end.tolist(),
                intervals.start_known.tolist(),
                intervals.end_known.tolist(),
                strict=True,
            )
        ),
        [f"{shown(start)} - {shown(end)}" for start, end in log.known.tolist()],
    )


def window(day: int | str | dt.date) -> DayWindow:
    text = f"{OCTOBER}{day:02}" if isinstance(day, int) else str(day)
    return DayWindow(dt.date.fromisoformat(text), MADRID)


def october(day: int) -> dt.date:
    return dt.date(2025, 10, day)


# --- the sources -----------------------------------------------------------------------------------------------------


class Load(Protocol):
    """Makes a source of a scenario; called again for the same folder, it changes what lies there."""

    def __call__(self, scenario: Scenario) -> EventSource: ...


def home_assistant_db(scenario: Scenario, folder: Path) -> EventSource:
    path = folder / "home-assistant_v2.db"
    path.unlink(missing_ok=True)
    instants = [row.at for row in scenario.rows]
    with RecorderDatabase(path) as recorder:
        for start, end in scenario.runs or ([(min(instants), max(instants))] if instants else []):
            recorder.run(start, end)
        for about in scenario.about:
            recorder.describe(about.entity_id, {"device_class": about.device_class, "unit_of_measurement": about.unit})
        changed_at: dict[str, int] = {}
        rows = []
        for number, (at, entity_id, state, cause) in enumerate(scenario.rows):
            repeated = number in scenario.attributes_only
            if not repeated:
                changed_at[entity_id] = at
            rows.append(StateRow(at, entity_id, state, cause, changed_at[entity_id] if repeated else None))
        recorder.write(rows)
    return HomeAssistantDatabase(recorder.url, MADRID, EntityRules())


def csv_text(scenario: Scenario, *, offset: bool = True) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", "entity_id", "state", "device_class"])
    classes = {about.entity_id: about.device_class or "" for about in scenario.about}
    for at, entity_id, state, _ in scenario.rows:
        local = from_instant(at).astimezone(MADRID)
        moment = local if offset else local.replace(tzinfo=None)
        writer.writerow([moment.isoformat(), entity_id, state or "", classes.get(entity_id, "")])
    return text.getvalue()


def csv_files(scenario: Scenario, folder: Path) -> EventSource:
    (folder / "events.csv").write_text(csv_text(scenario), encoding="utf-8")
    return CsvFiles(str(folder / "events.csv"), MADRID, EntityRules())


def csv_files_gz(scenario: Scenario, folder: Path) -> EventSource:
    (folder / "events.csv.gz").write_bytes(gzip.compress(csv_text(scenario, offset=False).encode()))
    return CsvFiles(str(folder / "*.csv.gz"), MADRID, EntityRules())


def influxdb_events(scenario: Scenario, folder: Path, server: LiveServer) -> EventSource:
    """One measurement with full ids, in a bucket that is filled anew; no point can say that an entity was removed."""
    bucket = f"test_{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"
    connection = server.connection()
    if buckets.look_up(connection, bucket) is None:
        buckets.create(connection, bucket, 0)
    connection.ask(Question(bucket, 'DELETE FROM "home_assistant_events"', streamed=False), list)
    lines = [
        f"home_assistant_events,entity_id={tag_value(entity_id)} state={text_field(state or 'unavailable')} {at}"
        for at, entity_id, state, _ in scenario.rows
    ]
    assert connection.write(bucket, "\n".join(lines), "us") == ""
    connection.close()
    layout = LAYOUTS["home_assistant_events"]
    return InfluxSource(
        server.server(), bucket, MADRID, EntityRules(), layout=layout, lookback_days=14, max_silence_hours=24 * 14
    )


def memory(scenario: Scenario, _folder: Path) -> EventSource:
    return MemorySource(MADRID, scenario.rows, runs=scenario.runs or None, about=scenario.about)


Maker = Callable[[Scenario, Path], EventSource]
WITH_RUNS: Final[list[Maker]] = [home_assistant_db, memory]
ALL: Final[list[Maker]] = [*WITH_RUNS, csv_files, csv_files_gz]


def _loader(maker: Maker, folder: Path) -> Iterator[Load]:
    opened: list[EventSource] = []

    def load(scenario: Scenario) -> EventSource:
        opened.append(maker(scenario, folder))
        return opened[-1]

    yield load
    for source in opened:
        source.close()
        source.close()  # safe to repeat


@pytest.fixture(params=[*ALL, "influxdb_1", "influxdb_2"], ids=lambda maker: getattr(maker, "__name__", maker))
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Load]:
    """Each source that a scenario without runs can be loaded into."""
    maker = request.param
    if isinstance(maker, str):
        maker = partial(influxdb_events, server=request.getfixturevalue(maker))
    yield from _loader(maker, tmp_path)


@pytest.fixture(params=ALL, ids=lambda maker: maker.__name__)
def load_rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Load]:
    """Each source that keeps any row; InfluxDB keeps one an instant, and none whose id no tag can hold."""
    yield from _loader(request.param, tmp_path)


@pytest.fixture(params=WITH_RUNS, ids=lambda maker: maker.__name__)
def load_runs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Load]:
    """Each source that knows when a recorder ran."""
    yield from _loader(request.param, tmp_path)


# --- events, intervals -----------------------------------------------------------------------------------------------


def test_a_change_from_one_known_state_to_another_is_an_event(load: Load) -> None:
    log = load(
        story("""
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
        story("""
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
        story("""
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
        story("""
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


# --- openings --------------------------------------------------------------------------------------------------------


def test_a_day_opens_with_the_instant_at_which_its_state_began_days_before(load: Load) -> None:
    log = load(
        story("""
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
        story("""
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
    told = story("20 08:00:00 binary_sensor.bed off").and_then(
        *repeats, Row(when("21 07:00:00"), "binary_sensor.bed", "off")
    )
    assert "binary_sensor.bed on [20 20:00:00 - 21 07:00:00]" in view(load(told).read(window(21))).intervals


def test_a_short_unavailability_before_midnight_does_not_hide_when_the_state_began(load: Load) -> None:
    log = load(
        story("""
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
        story("""
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
        story("""
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
        story("""
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
        story("""
            20 08:00:00 light.lamp off
            20 20:00:00 light.lamp on
            20 22:00:00 light.lamp off
            20 22:00:00 light.lamp on
            21 07:00:00 light.lamp off
        """)
    ).read(window(21))
    assert "light.lamp on [20 22:00:00 - 21 07:00:00]" in view(log).intervals


# --- gaps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", ["unavailable", "unknown", "removed"])
def test_across_a_gap_of_five_minutes_a_change_is_an_event_and_no_change_is_nothing(load: Load, gap: str) -> None:
    log = load(
        story(f"""
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
        story(f"""
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
        story("""
            20 08:00:00 light.lamp off
            22 20:00:00 light.lamp on
        """)
    )
    assert view(source.read(window(20))).known == ["20 08:00:00 - 21 00:00:00"]
    assert view(source.read(window(21))).known == ["21 00:00:00 - 22 00:00:00"]
    assert view(source.read(window(22))).known == ["22 00:00:00 - 22 20:00:00"]
    assert view(source.read(window(23))) == ([], [], [])
    assert view(source.read(window(19))) == ([], [], [])


# --- the recorder's runs ---------------------------------------------------------------------------------------------


def test_a_restart_that_repeats_the_state_changes_nothing(load_runs: Load) -> None:
    log = load_runs(
        story("""
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
        story("""
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
        story("""
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
        story("""
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


# --- days ------------------------------------------------------------------------------------------------------------


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
        story("""
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
        story("""
            2026-03-28 12:00:00 light.lamp off
            2026-03-29 01:59:59 light.lamp on
            2026-03-29 03:00:00 light.lamp off
            2026-03-30 12:00:00 light.lamp on
        """)
    ).read(window("2026-03-29"))
    assert log.window.seconds == log.known_seconds == 23 * 3600
    assert log.window.hours_of(log.events.at).tolist() == [1, 3]
    assert np.diff(log.events.at).tolist() == [SECOND]


# --- the same events give the same log -------------------------------------------------------------------------------

BUSY: Final = story("""
    20 08:00:00 light.lamp off
    20 08:00:01 binary_sensor.door off
    20 20:00:00 light.lamp on
    21 08:00:00 binary_sensor.door on
    21 08:00:07 binary_sensor.door off
    21 09:00:00 light.lamp off
    21 09:00:00 binary_sensor.door on
    21 19:00:00 light.lamp on
    22 09:00:00 light.lamp off
    23 09:00:00 binary_sensor.door off
""")


def test_reading_twice_is_equal_also_through_another_connection(load: Load) -> None:
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


def test_what_an_entity_says_on_other_days_does_not_change_how_it_is_classed(load: Load) -> None:
    """A day's aggregates must not depend on how long the recording goes on: it would be due again every night."""
    words = ["washing", "rinsing", "spinning", "done"]
    rows = [Row(when(f"21 {hour:02}:00:00"), "sensor.washer", words[hour % 4]) for hour in range(4, 12)]
    program = story("""
        20 08:00:00 light.lamp off
        20 08:00:00 sensor.washer idle
    """).and_then(*rows)
    more = [Row(when(f"22 {n // 60:02}:{n % 60:02}:00"), "sensor.washer", f"program {n}") for n in range(60, 120)]
    alone = view(load(program.and_then(Row(when("22 00:30:00"), "light.lamp", "off"))).read(window(21)))
    assert len(alone.events) == 8
    assert view(load(program.and_then(*more)).read(window(21))).events == alone.events


def test_all_sources_tell_the_same(tmp_path: Path) -> None:
    told = []
    for maker in ALL:
        source = maker(BUSY, tmp_path)
        told.append([(view(log), log.samples, log.entities) for log in (source.read(window(d)) for d in range(19, 25))])
        source.close()
    assert all(one == told[0] for one in told)


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
    """Steps (entity, seconds since the last, state) and runs (seconds up, seconds down) from 18 October on."""
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


@settings(max_examples=120, deadline=None)
@given(steps=STEPS, runs=RUNS)
def test_a_day_at_a_time_the_recorder_tells_what_the_whole_recording_tells(
    steps: list[Step], runs: list[tuple[int, int]]
) -> None:
    scenario = _random_rows(steps, runs)
    with tempfile.TemporaryDirectory() as folder:
        source, whole = home_assistant_db(scenario, Path(folder)), memory(scenario, Path(folder))
        try:
            for day in DateRange(october(18), from_instant(scenario.rows[-1].at).date() + ONE_DAY):
                told, expected = view(source.read(DayWindow(day, MADRID))), view(whole.read(DayWindow(day, MADRID)))
                assert told.events == expected.events
                assert told.known == expected.known
                assert told.intervals == expected.intervals
        finally:
            source.close()


# --- cause -----------------------------------------------------------------------------------------------------------


def test_the_recorder_tells_what_caused_an_event(tmp_path: Path) -> None:
    rows = [Row(when("21 08:00:00"), "light.lamp", "off")]
    for hour, cause in ((9, USER), (10, AUTOMATION), (11, DEVICE)):
        rows.append(Row(when(f"21 {hour:02}:00:00"), "light.lamp", ("off", "on")[hour % 2], cause))
    source = home_assistant_db(Scenario(tuple(rows)), tmp_path)
    assert source.read(window(21)).events.cause.tolist() == [USER, AUTOMATION, DEVICE]
    source.close()


# --- fingerprint -----------------------------------------------------------------------------------------------------


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


def test_a_late_row_at_midnight_may_tell_when_the_day_before_was_over(load: Load) -> None:
    """Where the samples alone say how long the recording was alive."""
    assert days_with_another_fingerprint(load, Row(when("21 00:00:00"), "light.new", "off")) in ({21}, {20, 21})


def days_with_another_fingerprint(load: Load, late: Row) -> set[int]:
    """The days of a busy home that look different once a row has come late."""
    source = load(BUSY)
    before = {day: source.fingerprint(window(day)) for day in (20, 21, 22)}
    source.close()
    after = {day: load(BUSY.and_then(late)).fingerprint(window(day)) for day in (20, 21, 22)}
    return {day for day in before if before[day] != after[day]}


def test_a_day_of_which_more_becomes_known_has_another_fingerprint(load: Load) -> None:
    """The newest day is read while its last hours are still to come; that these were silent is news."""
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


# --- span ------------------------------------------------------------------------------------------------------------


def test_the_span_holds_each_day_from_the_first_to_the_last_that_is_over(load: Load) -> None:
    told = story("""
        20 00:00:00 light.lamp off
        21 12:00:00 light.lamp on
        23 23:59:59 light.lamp off
    """)
    assert load(told).span() == DateRange(october(20), october(23))


def test_the_first_day_of_a_recorder_counts_though_it_began_at_noon(load_rows: Load) -> None:
    span = load_rows(BUSY).span()
    assert span is not None
    assert span.first == october(20)


def test_a_source_without_rows_holds_no_day_and_knows_nothing(load: Load) -> None:
    source = load(Scenario(()))
    assert source.span() is None
    log = source.read(window(21))
    assert view(log) == ([], [], [])
    assert (log.samples, log.known_seconds) == (0, 0.0)
    assert source.fingerprint(window(21)) == source.fingerprint(window(21))


# --- what is hostile -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity_id", "fault"),
    [
        ("light.a\nb", "line break"),
        ("light.nul\0", "NUL"),
        ("light.ends\\", "backslash"),
        ("light." + "x" * 250, "256 characters"),
    ],
    ids=["newline", "NUL", "backslash", "256"],
)
def test_an_entity_that_no_tag_can_name_is_left_out_and_said(load_rows: Load, entity_id: str, fault: str) -> None:
    odd = (Row(when("21 10:00:00"), entity_id, "off"), Row(when("21 11:00:00"), entity_id, "on"))
    hostile = Scenario(tuple(sorted((*BUSY.rows, *odd), key=lambda row: row.at)))
    log = load_rows(hostile).read(window(21))
    assert all(entity_id not in event for event in view(log).events)
    assert view(log).events == view(load_rows(BUSY).read(window(21))).events
    refused = [
        entity.reason for entity in log.entities if entity.entity_id == entity_id and entity.kind is Kind.IGNORED
    ]
    # In a CSV file a line break ends the row, whatever it is quoted with: its two halves are bad rows.
    assert [text for text in (*log.notices, *refused) if fault in text or "bad rows" in text]


@pytest.mark.parametrize("entity_id", ["light.o'neill", 'light."q"', "light.a,b", "light.küche 💡", "x" * 255, "nodot"])
def test_a_hostile_name_is_a_name(load: Load, entity_id: str) -> None:
    log = load(Scenario((Row(when("21 08:00:00"), entity_id, "off"), Row(when("21 09:00:00"), entity_id, "on")))).read(
        window(21)
    )
    assert [log.entities[code].entity_id for code in log.events.entity.tolist()] == [entity_id]


def test_states_of_255_characters_are_states(load: Load) -> None:
    long, other = "é" * 255, "é" * 254 + "x"
    rows = [
        Row(when("21 08:00:00"), "sensor.mode", long),
        Row(when("21 09:00:00"), "sensor.mode", other),
        Row(when("21 10:00:00"), "sensor.mode", long),
    ]
    log = load(Scenario(tuple(rows))).read(window(21))
    assert [log.states[code] for code in log.events.state.tolist()] == [other, long]
    assert log.notices == ()


@pytest.mark.parametrize("state", ["1e400", "nan", "-", "'; DROP TABLE states; --", '"', "on,off", " on "])
def test_a_hostile_state_costs_nobody_else_anything(load: Load, state: str) -> None:
    hostile = BUSY.and_then(Row(when("21 10:00:00"), "light.odd", "off"), Row(when("21 11:00:00"), "light.odd", state))
    log = load(hostile).read(window(21))
    lamp = [event for event in view(log).events if "light.lamp" in event]
    assert lamp == ["21 09:00:00 light.lamp off", "21 19:00:00 light.lamp on"]
    assert len(view(log).events) == len(view(load(BUSY).read(window(21))).events) + 1


# --- the home that does not exist keeps the same promises ------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated() -> SimulatedHome:
    return SimulatedHome(
        MADRID, EntityRules(), seed=3, events_per_day=3000, first_day=october(20), last_day=dt.date(2025, 11, 2)
    )


def test_a_simulated_home_reads_the_same_twice_and_in_any_order(simulated: SimulatedHome) -> None:
    forth = [view(simulated.read(window(day))) for day in (24, 25, 26)]
    simulated.close()
    assert [view(simulated.read(window(day))) for day in (26, 25, 24)] == forth[::-1]


def test_the_days_of_a_simulated_home_tile(simulated: SimulatedHome) -> None:
    logs = [simulated.read(window(day)) for day in range(20, 27)]
    events = [event for log in logs for event in view(log).events]
    assert len(events) == len(set(events)) > 500
    finished = [interval for log in logs for interval in view(log).intervals if interval.endswith("]")]
    assert len(finished) == len(set(finished)) > 500
    for log in logs:
        assert log.known_seconds <= log.window.seconds
        assert np.all((log.window.start <= log.events.at) & (log.events.at < log.window.end))
        assert np.all(log.known[:, 0] < log.known[:, 1])
        assert np.all(log.known[1:, 0] > log.known[:-1, 1])


def test_a_simulated_home_that_home_assistant_records_tells_the_same(simulated: SimulatedHome, tmp_path: Path) -> None:
    path = from_samples(tmp_path / "home-assistant_v2.db", simulated.samples(october(20), october(27)))
    recorded = HomeAssistantDatabase(f"sqlite:///{path}", MADRID, EntityRules())
    assert recorded.span() == DateRange(october(20), october(27))
    for day in range(20, 28):
        one, other = recorded.read(window(day)), simulated.read(window(day))
        assert view(one) == view(other)
        assert (one.samples, one.known_seconds) == (other.samples, other.known_seconds)
        kinds = {entity.entity_id: entity.kind for entity in other.entities}
        assert {entity.entity_id: entity.kind for entity in one.entities} == kinds
    recorded.close()


def test_the_fingerprint_of_a_simulated_day_is_stable_and_its_own(simulated: SimulatedHome) -> None:
    prints = [simulated.fingerprint(window(day)) for day in range(20, 27)]
    assert len(set(prints)) == 7
    longer = SimulatedHome(MADRID, EntityRules(), seed=3, events_per_day=3000, first_day=october(20))
    assert [longer.fingerprint(window(day)) for day in range(20, 27)] == prints


def test_a_simulated_home_holds_the_days_it_was_asked_for_and_nothing_beyond(simulated: SimulatedHome) -> None:
    assert simulated.span() == DateRange(october(20), dt.date(2025, 11, 2))
    for day in (october(19), dt.date(2025, 11, 3)):
        log = simulated.read(DayWindow(day, MADRID))
        assert (log.samples, log.known_seconds, view(log).events) == (0, 0.0, [])
