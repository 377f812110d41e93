"""Recorder databases whose clocks, runs, names, rows and schemas are not what they should be: what is still right."""

from __future__ import annotations

import datetime as dt
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.entities import EntityRules, Kind
from jobs.activity.events import AUTOMATION, DEVICE, USER, DayLog
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow, from_instant, midnight
from jobs.sources.home_assistant_db import first_rows
from jobs.sources.home_assistant_db.causes import context_bytes
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from jobs.sources.home_assistant_db.row_times import MIN_INSTANT
from jobs.sources.home_assistant_registry import read_registry
from storage.errors import SourceMismatch
from tests.support.recorder import RecorderDatabase, StateRow

BERLIN: Final = ZoneInfo("Europe/Berlin")
WINDOW: Final = DayWindow(dt.date(2026, 3, 10), BERLIN)
NOW: Final = dt.datetime(2026, 3, 14, tzinfo=BERLIN)
LAMP: Final = "light.lamp"

Read = Callable[..., DayLog]


def at(hours: float) -> int:
    return midnight(WINDOW.day, BERLIN) + round(hours * HOUR)


def rows(*changes: tuple[float, str], entity_id: str = LAMP) -> list[StateRow]:
    return [StateRow(at(hours), entity_id, state) for hours, state in changes]


def heartbeat(recorder: RecorderDatabase, first: float, last: float, minutes: float = 5) -> None:
    """Write a temperature that reports all the time, as every home has some."""
    recorder.describe("sensor.heartbeat", {"unit_of_measurement": "°C"})
    instants = range(at(first), at(last), round(minutes * MINUTE))
    recorder.write(
        StateRow(instant, "sensor.heartbeat", f"{20 + n % 7 / 10:.1f}") for n, instant in enumerate(instants)
    )


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[RecorderDatabase]:
    with RecorderDatabase(tmp_path / "home-assistant_v2.db") as database:
        yield database


@pytest.fixture
def read(recorder: RecorderDatabase) -> Read:
    def read_it(window: DayWindow = WINDOW, **options: Any) -> DayLog:
        source = HomeAssistantDatabase(recorder.url, BERLIN, EntityRules(), clock=lambda: NOW, **options)
        try:
            return source.read(window)
        finally:
            source.close()

    return read_it


def known_hours(log: DayLog) -> float:
    return round(log.known_seconds / 3600, 2)


def events_of(log: DayLog, entity_id: str = LAMP) -> list[float]:
    """The hours of the day at which an entity had events."""
    of_one = log.events[log.events.entity == log.code_of(entity_id)]
    return [round((instant - WINDOW.start) / HOUR, 3) for instant in of_one.at.tolist()]


def episode_minutes(log: DayLog, entity_id: str = LAMP) -> list[float]:
    """The lengths of the episodes whose begin and end are known."""
    episodes = log.episodes[log.episodes.entity == log.code_of(entity_id)]
    measured = episodes[episodes.start_known & episodes.end_known]
    return [round((end - start) / MINUTE, 1) for start, end in zip(measured.start, measured.end, strict=True)]


# --- known time: rows vouch, runs only claim ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "silent_hours", "expected"),
    [(5, 0.9, 24.0), (5, 1.5, 22.5), (5, 12, 12.0), (30, 2.5, 24.0), (30, 3.5, 20.5), (60, 5.5, 24.0), (60, 7, 17.0)],
)
def test_a_silence_of_all_entities_that_is_long_for_the_home_is_not_known(
    recorder: RecorderDatabase, read: Read, minutes: float, silent_hours: float, expected: float
) -> None:
    """Long is six times the usual silence, an hour at least and ``max_silence_hours`` at most."""
    recorder.run(at(-240), at(120))
    heartbeat(recorder, -48, 9 + 0.001, minutes)
    heartbeat(recorder, 9 + silent_hours, 48, minutes)
    assert known_hours(read()) == pytest.approx(expected, abs=minutes / 60 + 0.01)


@pytest.mark.parametrize(("hours", "expected"), [(8, 24), (9, 15)])
def test_no_home_is_so_quiet_that_a_silence_beyond_the_setting_is_known(
    recorder: RecorderDatabase, read: Read, hours: float, expected: float
) -> None:
    recorder.run(at(-240), None)
    recorder.write(rows(*((-48 + 2 * n, ("on", "off")[n % 2]) for n in range(29))))
    recorder.write(rows(*((8 + hours + 2 * n, ("on", "off")[n % 2]) for n in range(12))))
    assert known_hours(read(max_silence_hours=8.5)) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("nights", "usual", "tonight", "is_known"),
    [
        (7, 3, 3, True),
        (3, 3, 3, True),
        (2, 3, 3, False),
        (7, 2, 3.9, True),
        (7, 2, 4.2, False),
        (7, 4, 5.9, True),
        (7, 4, 6.1, False),
        (7, 7, 3, True),
    ],
    ids=["each night", "3 nights", "2 nights", "twice", "more than twice", "6 h", "more than 6 h", "longer before"],
)
def test_a_silence_that_is_usual_at_its_hours_is_known(  # noqa: PLR0917 - parameters of one story
    recorder: RecorderDatabase, read: Read, nights: int, usual: float, tonight: float, is_known: bool
) -> None:
    """A home where only people make entities report is silent while they sleep; an outage does not come every night."""
    recorder.run(at(-240), None)
    first = -nights * 24 + 10
    recorder.describe("sensor.heartbeat", {"unit_of_measurement": "°C"})
    quiet = [(24 * day + 5 - usual / 2, 24 * day + 5 + usual / 2) for day in range(-nights, 0)]
    quiet.append((5 - tonight / 2, 5 + tonight / 2))
    hours = [first - 24 + n / 12 for n in range(12 * (24 * (nights + 1) + 14 + 24))]
    loud = [hour for hour in hours if not any(start < hour < end for start, end in quiet)]
    recorder.write(StateRow(at(hour), "sensor.heartbeat", "20") for hour in loud)
    expected = 24 if is_known else 24 - tonight
    assert known_hours(read()) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(
    ("days", "usual", "tonight", "known"),
    [
        (3, 9, 9, 24),
        (2, 9, 9, 15),
        (7, 9, 13.4, 24),
        (7, 9, 13.6, 12.4),
        (7, 6.5, 9.7, 24),
        (7, 6.5, 9.8, 14.2),
    ],
)
def test_long_nights_are_known_if_they_recur_in_a_home_of_one_entity(  # noqa: PLR0917 - parameters of one story
    recorder: RecorderDatabase, read: Read, days: int, usual: float, tonight: float, known: float
) -> None:
    """``max_silence_hours`` is 6; of 24 hours, what lies in nights that are too long is not known."""
    recorder.run(at(-240), None)
    hours = [24 * day + 7 + (24 - usual) * step / 6 for day in range(-days, 3) for step in range(7)]
    begin = max(hour for hour in hours if hour < 7)
    quiet = [*(hour for hour in hours if not begin < hour < begin + tonight), begin + tonight]
    recorder.write(rows(*((hour, ("on", "off")[n % 2]) for n, hour in enumerate(sorted(set(quiet))))))
    assert known_hours(read()) == pytest.approx(known, abs=0.01)


@pytest.mark.parametrize("is_started", [True, False])
def test_nights_after_which_the_recorder_starts_do_not_make_a_silence_known(
    recorder: RecorderDatabase, read: Read, is_started: bool
) -> None:
    recorder.run(at(-400), None)
    for day in range(-7, 0):
        if is_started:
            recorder.run(at(24 * day + 7) - SECOND, None)
    hours = [24 * day + hour for day in range(-8, 3) for hour in (7, 10, 13, 16, 19, 22)]
    recorder.write(rows(*((hour, ("on", "off")[n % 2]) for n, hour in enumerate(hours))))
    assert known_hours(read()) == pytest.approx(15 if is_started else 24, abs=0.01)


def test_days_without_any_row_are_no_evidence_that_a_night_is_usually_silent(
    recorder: RecorderDatabase, read: Read
) -> None:
    recorder.run(at(-240), None)
    heartbeat(recorder, -230, -200)
    heartbeat(recorder, -24, 3)
    heartbeat(recorder, 6, 48)
    assert known_hours(read()) == pytest.approx(21, abs=0.1)


def test_a_run_that_is_closed_hours_after_its_last_row_ends_with_that_row(
    recorder: RecorderDatabase, read: Read
) -> None:
    recorder.run(at(-240), at(21))
    recorder.run(at(21.01), None)
    recorder.write(rows((-12, "off"), (8.9, "on"), (21.05, "off")))
    heartbeat(recorder, -48, 9)
    heartbeat(recorder, 21.02, 30)
    log = read()
    assert known_hours(log) == pytest.approx(12, abs=0.1)
    assert episode_minutes(log) == []


@pytest.mark.parametrize(
    "start", ["1970-01-01 00:00:12", "2120-01-31 12:00:00", "0000-00-00 00:00:00", "", "soon", None]
)
@pytest.mark.parametrize("end", ["2026-03-10 04:00:00", "1970-01-02 00:00:00", None])
def test_a_wrong_date_of_a_run_costs_no_day_around_it(
    recorder: RecorderDatabase, read: Read, start: str | None, end: str | None
) -> None:
    recorder.run(at(-240), at(-20))
    recorder.run(at(5), None)
    recorder.connection.execute("CREATE TABLE copied AS SELECT * FROM recorder_runs")
    recorder.connection.execute("DROP TABLE recorder_runs")  # a database that was moved by hand has lost its rules
    recorder.connection.execute("ALTER TABLE copied RENAME TO recorder_runs")
    recorder.connection.execute(
        'INSERT INTO recorder_runs (start, "end", closed_incorrect) VALUES (?, ?, 0)', (start, end)
    )
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-12, "off"), (8, "on"), (9, "off")))
    log = read()
    assert known_hours(log) == pytest.approx(24, abs=0.1)
    assert episode_minutes(log) == [60]


@pytest.mark.parametrize("stray", [0, midnight(dt.date(2000, 1, 1), BERLIN), at(-24 * 80)])
def test_a_stray_row_of_long_ago_makes_no_days(recorder: RecorderDatabase, stray: int) -> None:
    recorder.run(at(-24 * 7), None)
    recorder.write([StateRow(stray, LAMP, "off")])
    heartbeat(recorder, -48, 48)
    source = HomeAssistantDatabase(recorder.url, BERLIN, EntityRules(), clock=lambda: NOW)
    span = source.span()
    source.close()
    assert span is not None
    assert (WINDOW.day - span.first).days == 2


# --- causes ---------------------------------------------------------------------------------------------------------


def _set_context(recorder: RecorderDatabase, entity_id: str, context: bytes, user: bytes | None = None) -> None:
    recorder.connection.execute(
        "UPDATE states SET context_id_bin = ?, context_user_id_bin = ? "
        "WHERE metadata_id = (SELECT metadata_id FROM states_meta WHERE entity_id = ?)",
        (context, user, entity_id),
    )
    recorder.connection.commit()


@pytest.mark.parametrize("machine", ["automation.evening", "script.film", "scene.film", "input_boolean.guests", None])
@pytest.mark.parametrize("user", [None, b"u" * 16])
def test_what_shares_its_context_with_an_automation_script_or_scene_was_caused_by_it(
    recorder: RecorderDatabase, read: Read, machine: str | None, user: bytes | None
) -> None:
    recorder.run(at(-240), None)
    heartbeat(recorder, -24, 30)
    recorder.write(rows((-12, "off"), (8, "on"), (9, "off")))
    _set_context(recorder, LAMP, b"c" * 16, user)
    if machine is not None:
        recorder.write(rows((7.99, "on"), entity_id=machine))
        _set_context(recorder, machine, b"c" * 16)
    log = read()
    is_machine = machine is not None and not machine.startswith("input_boolean")
    lamp = log.events[log.events.entity == log.code_of(LAMP)]
    assert lamp.cause.tolist() == [AUTOMATION if is_machine else USER if user else DEVICE] * 2


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [("automation_triggered", AUTOMATION), ("script_started", AUTOMATION), ("call_service", DEVICE)],
)
@pytest.mark.parametrize("hour", [7.99, -10])
def test_the_event_of_an_automation_tells_what_it_caused_also_after_midnight(
    recorder: RecorderDatabase, read: Read, event_type: str, expected: int, hour: float
) -> None:
    recorder.run(at(-240), None)
    heartbeat(recorder, -24, 30)
    recorder.write(rows((-12, "off"), (8, "on"), (9, "off")))
    _set_context(recorder, LAMP, b"c" * 16)
    recorder.connection.execute("CREATE TABLE events (event_type_id INTEGER, time_fired_ts FLOAT, context_id_bin BLOB)")
    recorder.connection.execute("INSERT INTO event_types VALUES (1, ?)", (event_type,))
    recorder.connection.execute("INSERT INTO events VALUES (1, ?, ?)", (at(hour) / SECOND, b"c" * 16))
    recorder.connection.commit()
    assert read().events.cause.tolist() == [expected] * 2


CONTEXT: Final = bytes.fromhex("0199f3a1b2c3d4e5f60718293a4b5c6d")
ULID: Final = "01K7ST3CP3TKJZC1RR54X4PQ3D"  # of these bytes


@pytest.mark.parametrize("machine_form", [CONTEXT, ULID, ULID.lower(), CONTEXT.hex(), str(uuid.UUID(bytes=CONTEXT))])
@pytest.mark.parametrize("row_form", [CONTEXT, ULID, CONTEXT.hex()])
@pytest.mark.parametrize("where", ["state", "event", "state named by a text"])
def test_a_context_joins_what_has_it_whether_bytes_or_a_text_that_was_never_migrated(  # noqa: PLR0917 - one story
    recorder: RecorderDatabase, read: Read, machine_form: bytes | str, row_form: bytes | str, where: str, tmp_path: Path
) -> None:
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-12, "off"), (8, "on"), (9, "off")))
    _set_form(recorder, "states", "state = 'on'", row_form)
    recorder.connection.execute(
        "CREATE TABLE events (event_type_id INTEGER, time_fired_ts FLOAT, context_id_bin BLOB, context_id CHAR(36))"
    )
    if where == "event":
        recorder.connection.execute("INSERT INTO event_types VALUES (1, 'automation_triggered')")
        recorder.connection.execute("INSERT INTO events VALUES (1, ?, NULL, NULL)", (at(8) / SECOND,))
        _set_form(recorder, "events", "1", machine_form)
    else:
        recorder.write([StateRow(at(8), "automation.evening", "armed")])
        _set_form(recorder, "states", "state = 'armed'", machine_form)
    if where == "state named by a text":
        recorder.connection.execute(
            "UPDATE states SET entity_id = 'automation.evening', metadata_id = NULL WHERE state = 'armed'"
        )
        recorder.connection.commit()
    assert read().events.cause.tolist() == [AUTOMATION, DEVICE]


def _set_form(recorder: RecorderDatabase, table: str, where: str, context: bytes | str) -> None:
    """Give rows a context as bytes, or as a text in the former column."""
    text, binary = (context, None) if isinstance(context, str) else (None, context)
    recorder.connection.execute(
        f"UPDATE {table} SET context_id = ?, context_id_bin = ? WHERE {where}",  # noqa: S608 - of these tests
        (text, binary),
    )
    recorder.connection.commit()


@pytest.mark.parametrize(("user", "cause"), [("u" * 32, USER), (None, DEVICE)])
def test_a_text_context_that_no_automation_has_leaves_the_cause_to_the_user(
    recorder: RecorderDatabase, read: Read, user: str | None, cause: int
) -> None:
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-12, "off"), (8, "on")))
    _set_form(recorder, "states", "state = 'on'", ULID)
    recorder.connection.execute("UPDATE states SET context_user_id = ?", (user,))
    recorder.connection.commit()
    assert read().events.cause.tolist() == [cause]


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (ULID, CONTEXT),
        ("0" * 26, bytes(16)),
        ("7" + "Z" * 25, b"\xff" * 16),
        (CONTEXT.hex(), CONTEXT),
        ("01KHB4S9", b"01KHB4S9"),
        ("U" * 26, b"U" * 26),  # the letter is not a digit of a ULID
    ],
)
def test_a_context_in_text_has_the_bytes_that_home_assistant_would_give_it(context: str, expected: bytes) -> None:
    assert context_bytes(context) == expected


def test_an_empty_context_is_none(recorder: RecorderDatabase, read: Read) -> None:
    recorder.run(at(-240), None)
    recorder.write(rows((-2, "off"), (8, "on"), (9, "off"), (10, "off")))
    recorder.connection.execute("UPDATE states SET context_parent_id_bin = x'', context_user_id_bin = x''")
    recorder.connection.commit()
    assert read(max_silence_hours=24).events.cause.tolist() == [DEVICE] * 2


# --- the first row that is kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run_hours", "oldest_hours", "link", "changed", "expected"),
    [
        (-480, -216, None, None, [20.0, 21.0]),  # the start's rows are purged, and the lamp's among them
        (-216, -216, None, None, [21.0]),  # they are there: the lamp is new
        (-216, -216, 4711, None, [20.0, 21.0]),  # it names a row before it
        (-480, -216, None, -300.0, [21.0]),  # only attributes changed
        (-480, 20 - 24.1, None, None, [20.0, 21.0]),
        (-480, 20 - 23.9, None, None, [21.0]),  # too soon after the oldest row
    ],
)
def test_the_first_row_is_a_change_if_the_row_before_it_was_purged(  # noqa: PLR0917 - parameters of one story
    recorder: RecorderDatabase,
    read: Read,
    run_hours: float,
    oldest_hours: float,
    link: int | None,
    changed: float | None,
    expected: list[float],
) -> None:
    recorder.run(at(run_hours), None)
    heartbeat(recorder, oldest_hours, 30)
    recorder.write(rows((20, "on"), (21, "off")))
    recorder.connection.execute(
        "UPDATE states SET old_state_id = ?, last_changed_ts = ? WHERE state = 'on'",
        (link, None if changed is None else at(changed) / SECOND),
    )
    recorder.connection.commit()
    log = read()
    assert events_of(log) == expected
    assert episode_minutes(log) == ([60] if expected[0] == 20 else [])


@pytest.mark.parametrize("count", [first_rows.MIN_ADDED_TOGETHER - 1, first_rows.MIN_ADDED_TOGETHER])
def test_first_rows_that_come_together_are_a_new_device(recorder: RecorderDatabase, read: Read, count: int) -> None:
    recorder.run(at(-480), None)
    heartbeat(recorder, -216, 30)
    for number in range(count):
        recorder.write(rows((20 + number / 3600, "on"), entity_id=f"light.number_{number}"))
    assert len(read().events) == (count if count < first_rows.MIN_ADDED_TOGETHER else 0)


# --- classes of entities --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [None, "", "unavailable", "unknown"])
def test_what_an_entity_is_comes_from_its_last_row_with_a_state(
    recorder: RecorderDatabase, read: Read, state: str | None
) -> None:
    recorder.run(at(-240), None)
    heartbeat(recorder, -24, 30)
    recorder.describe("binary_sensor.bridge", {"device_class": "connectivity"})
    recorder.write(rows((-2, "on"), (8, "off"), (9, "on"), entity_id="binary_sensor.bridge"))
    recorder.describe("binary_sensor.bridge", {"restored": True})
    recorder.write([StateRow(at(20), "binary_sensor.bridge", state)])
    log = read()
    assert log.entities[log.code_of("binary_sensor.bridge")].kind is Kind.IGNORED


@pytest.mark.parametrize("lost", ["NULL", "999999", "(SELECT max(attributes_id) FROM state_attributes)"])
def test_attributes_that_were_lost_do_not_change_what_an_entity_is(
    recorder: RecorderDatabase, read: Read, lost: str
) -> None:
    """Without an id, under an id that is not there, or as a text that is cut short."""
    heartbeat(recorder, -24, 30)
    recorder.describe("binary_sensor.bridge", {"device_class": "connectivity"})
    recorder.write(rows((-2, "on"), (8, "off"), (9, "on"), (20, "off"), entity_id="binary_sensor.bridge"))
    recorder.connection.execute("INSERT INTO state_attributes (hash, shared_attrs) VALUES (0, '{\"device_cl')")
    recorder.connection.execute(
        f"UPDATE states SET attributes_id = {lost} WHERE last_updated_ts > ? AND state = 'off'",  # noqa: S608 - above
        (at(9) / SECOND,),
    )
    recorder.connection.commit()
    log = read()
    assert log.entities[log.code_of("binary_sensor.bridge")].kind is Kind.IGNORED


# --- identity -------------------------------------------------------------------------------------------------------


def test_two_metadata_ids_of_one_name_are_one_entity_and_noticed(recorder: RecorderDatabase, read: Read) -> None:
    recorder.run(at(-240), None)
    heartbeat(recorder, -24, 30)
    recorder.write(rows((-2, "off"), (8, "on"), (9, "off"), (18, "on")))
    recorder.write(rows((19, "off"), (20, "on"), (21, "off"), entity_id="light.copy"))
    recorder.connection.execute("DROP INDEX ix_states_meta_entity_id")
    recorder.connection.execute("UPDATE states_meta SET entity_id = ? WHERE entity_id = 'light.copy'", (LAMP,))
    recorder.connection.commit()
    log = read()
    assert episode_minutes(log) == [60, 60, 60]
    assert [entity.entity_id for entity in log.entities].count(LAMP) == 1
    assert "1 entities have several metadata ids and are read together: light.lamp" in log.notices


def test_two_names_under_one_metadata_id_cost_these_two_and_are_noticed(recorder: RecorderDatabase, read: Read) -> None:
    recorder.run(at(-240), None)
    heartbeat(recorder, -24, 30)
    recorder.write(rows((-2, "off"), (8, "on"), (9, "off")))
    recorder.write(rows((-2, "off"), (10, "on"), (11, "off"), entity_id="light.other"))
    recorder.connection.execute("CREATE TABLE copied AS SELECT * FROM states_meta")
    recorder.connection.execute("DROP TABLE states_meta")
    recorder.connection.execute("ALTER TABLE copied RENAME TO states_meta")
    recorder.connection.execute(
        "INSERT INTO states_meta SELECT metadata_id, 'light.second_name' FROM states_meta WHERE entity_id = ?", (LAMP,)
    )
    recorder.connection.commit()
    log = read()
    assert events_of(log, "light.other") == [10, 11]
    assert log.code_of(LAMP) == -1
    assert any("share a metadata id" in notice for notice in log.notices)


def test_one_entry_of_the_registries_that_cannot_be_read_costs_that_entry_only(tmp_path: Path) -> None:
    entities = '{"data": {"entities": [3, {"entity_id": null}, {"entity_id": "light.a", "platform": "hue", '
    entities += '"unique_id": 7, "area_id": 4, "capabilities": [], "device_class": {}}]}}'
    (tmp_path / "core.entity_registry").write_text(entities, encoding="utf-8")
    (tmp_path / "core.device_registry").write_text('{"data": {"devices": [null, {"id": "d"}]}}', encoding="utf-8")
    registry = read_registry(tmp_path)
    assert list(registry.descriptions) == ["light.a"]
    assert registry.keys == {"light.a": "light hue 7"}
    assert registry.notices == ("3 entries of the registries cannot be read",)


# --- rows in the form of older schemas ------------------------------------------------------------------------------


def _text(hours: float) -> str:
    return from_instant(at(hours)).strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.parametrize("which", ["time", "entity", "both"])
def test_rows_that_were_never_migrated_are_read(recorder: RecorderDatabase, read: Read, which: str) -> None:
    recorder.run(at(-240), None)
    heartbeat(recorder, -24, 30)
    recorder.write(rows((-2, "off"), (8, "on"), (8.5, "off"), (12, "on"), (12.5, "off")))
    for hours in (-2, 12, 12.5):
        if which in ("entity", "both"):
            recorder.connection.execute(
                "UPDATE states SET entity_id = ?, metadata_id = NULL "
                "WHERE last_updated_ts = ? AND state IN ('on', 'off')",
                (LAMP, at(hours) / SECOND),
            )
        if which in ("time", "both"):
            recorder.connection.execute(
                "UPDATE states SET last_updated = ?, last_updated_ts = NULL "
                "WHERE last_updated_ts = ? AND state IN ('on', 'off')",
                (_text(hours), at(hours) / SECOND),
            )
    recorder.connection.commit()
    log = read()
    assert events_of(log) == [8, 8.5, 12, 12.5]
    assert episode_minutes(log) == [30, 30]
    assert log.notices == ()


def test_rows_without_any_time_are_counted(recorder: RecorderDatabase, read: Read) -> None:
    recorder.run(at(-240), None)
    heartbeat(recorder, -24, 30)
    recorder.write(rows((-2, "off"), (8, "on"), (9, "off"), (10, "on")))
    for hours, text in ((9, None), (10, "yesterday")):
        recorder.connection.execute(
            "UPDATE states SET last_updated = ?, last_updated_ts = NULL "
            "WHERE last_updated_ts = ? AND state IN ('on', 'off')",
            (text, at(hours) / SECOND),
        )
    recorder.connection.commit()
    log = read()
    assert events_of(log) == [8]
    assert "2 rows have no time that can be read" in log.notices


@pytest.mark.parametrize(
    ("version", "is_read"), [(30, False), (35, False), (40, False), (41, True), (42, True), (54, True)]
)
def test_each_schema_is_read_or_refused_by_its_number(
    recorder: RecorderDatabase, read: Read, version: int, is_read: bool
) -> None:
    recorder.connection.execute("INSERT INTO schema_changes VALUES (2, ?, '2026-01-01')", (version,))
    recorder.connection.commit()
    if is_read:
        assert read().samples == 0
    else:
        with pytest.raises(SourceMismatch, match=f"schema {version}, which is too old"):
            read()


@pytest.mark.parametrize(
    ("version", "hint"), [(54, "update this program"), (50, "schema is 50"), (None, "not recorded")]
)
def test_a_missing_column_is_named_with_the_schema(
    recorder: RecorderDatabase, read: Read, version: int | None, hint: str
) -> None:
    recorder.connection.execute("DELETE FROM schema_changes")
    if version:
        recorder.connection.execute("INSERT INTO schema_changes VALUES (1, ?, '2026-01-01')", (version,))
    recorder.connection.execute("ALTER TABLE states DROP COLUMN last_changed_ts")
    recorder.connection.commit()
    with pytest.raises(SourceMismatch, match=r"states\.last_changed_ts") as caught:
        read()
    assert hint in caught.value.hint


# --- the order of writing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back_hours", [0.0001, 0.25, 1, 10])
def test_a_clock_that_is_set_back_between_on_and_off_makes_no_long_episode(
    recorder: RecorderDatabase, read: Read, back_hours: float
) -> None:
    """The lamp goes on at 12:00 by a clock that is ahead, off a moment later, and burns again from 21:00 to 22:00."""
    recorder.run(at(-240), None)
    heartbeat(recorder, -24, 30)
    off = 12 - back_hours
    recorder.write(rows((-2, "off"), (12, "on"), (off, "off"), (21, "on"), (22, "off")))
    log = read()
    assert episode_minutes(log) == [60]
    assert events_of(log) == [pytest.approx(off, abs=0.001), 21, 22]
    assert any("1 rows left out: the clock was set back" in notice for notice in log.notices)


@pytest.mark.parametrize(("link", "is_set_back"), [("before", True), ("other", False), ("none", False)])
def test_old_state_id_tells_a_clock_that_was_set_back_from_imported_rows(
    recorder: RecorderDatabase, read: Read, link: str, is_set_back: bool
) -> None:
    """The last row is dated two days before the one written before it."""
    recorder.run(at(-240), None)
    heartbeat(recorder, -72, 30)
    recorder.write(rows((-60, "off"), (8, "on"), (9, "off"), (-40, "on")))
    before, last = (
        recorder.connection.execute(
            "SELECT state_id FROM states WHERE last_updated_ts = ? AND state IN ('on', 'off')", (t,)
        ).fetchone()[0]
        for t in (at(9) / SECOND, at(-40) / SECOND)
    )
    links = {"before": before, "other": before - 2, "none": None}
    recorder.connection.execute("UPDATE states SET old_state_id = ? WHERE state_id = ?", (links[link], last))
    recorder.connection.commit()
    assert bool(events_of(read())) is not is_set_back


def test_rows_since_a_start_with_a_stale_clock_are_not_dated(recorder: RecorderDatabase, read: Read) -> None:
    """The board starts with 11:17, its last stop but one; at 15:00 the clock is set right."""
    recorder.run(at(-240), at(11.283), closed_incorrect=True)
    recorder.run(at(11.283), None)
    heartbeat(recorder, -24, 12)
    recorder.write(
        rows((-2, "off"), (11.9, "on"), (11.3, "off"), (11.31, "on"), (15.2, "off"), (16, "on"), (17, "off"))
    )
    heartbeat(recorder, 15, 30)
    log = read()
    assert known_hours(log) == pytest.approx(21, abs=0.2)
    assert [hour for hour in events_of(log) if hour > 12] == [15.2, 16, 17]
    assert episode_minutes(log) == [60]


def test_a_database_file_of_another_program_stays_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE states (state_id INTEGER)")
    other.close()
    source = HomeAssistantDatabase(f"sqlite:///{tmp_path / 'other.db'}", BERLIN, EntityRules())
    with pytest.raises(SourceMismatch) as caught:
        source.span()
    source.close()
    assert "not a recorder database" in caught.value.hint


# --- rows and runs that contradict each other ------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "expected"), [(14, 24.0), (24 * 5, 23.83)])
def test_runs_that_overlap_cost_no_time_between_them(
    recorder: RecorderDatabase, read: Read, end: float, expected: float
) -> None:
    """A run that was closed after the next one began was alive until then; one closed in the future was not."""
    recorder.run(at(-240), at(end))
    recorder.run(at(10), at(40))
    heartbeat(recorder, -48, 48, 10.01)
    recorder.write(rows((-12, "off"), (12, "on"), (12.5, "off")))
    log = read()
    assert known_hours(log) == pytest.approx(expected, abs=0.09)
    assert len(events_of(log)) == (2 if end == 14 else 1)


@pytest.mark.parametrize("until", [12.0, 72.0])
def test_the_time_of_rows_that_were_never_migrated_is_known(
    recorder: RecorderDatabase, read: Read, until: float
) -> None:
    """All rows up to an hour have their time and their entity as text only, as after a migration that was stopped."""
    recorder.run(at(-240), None)
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-12, "off"), (8, "on"), (9, "off"), (15, "on"), (16, "off")))
    recorder.connection.execute(
        "UPDATE states SET last_updated = strftime('%Y-%m-%d %H:%M:%f', last_updated_ts, 'unixepoch'), "
        "entity_id = (SELECT m.entity_id FROM states_meta m WHERE m.metadata_id = states.metadata_id)"
    )
    recorder.connection.execute(
        "UPDATE states SET last_updated_ts = NULL, metadata_id = NULL WHERE last_updated_ts < ?", (at(until) / SECOND,)
    )
    recorder.connection.commit()
    log = read()
    assert known_hours(log) == pytest.approx(24, abs=0.1)
    assert episode_minutes(log) == [60, 60]
    source = HomeAssistantDatabase(recorder.url, BERLIN, EntityRules(), clock=lambda: NOW)
    span = source.span()
    source.close()
    assert span is not None
    assert (span.first, span.last) == (dt.date(2026, 3, 8), dt.date(2026, 3, 11))


@pytest.mark.parametrize(
    ("column", "cause"), [("context_parent_id", AUTOMATION), ("context_user_id", USER), ("context_id", DEVICE)]
)
def test_a_context_that_was_never_migrated_says_what_caused_a_change(
    recorder: RecorderDatabase, read: Read, column: str, cause: int
) -> None:
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-12, "off"), (8, "on")))
    recorder.connection.execute(
        f"UPDATE states SET {column} = '01KHB4S9', context_id_bin = NULL WHERE state = 'on'"  # noqa: S608 - a column
    )
    recorder.connection.commit()
    assert read().events.cause.tolist() == [cause]


@pytest.mark.parametrize("state", ["CAST(x'6f6eff' AS TEXT)", "x'6f6eff'"], ids=["invalid UTF-8", "bytes"])
@pytest.mark.parametrize("hour", [-12, 8.25])
def test_a_state_that_is_not_a_text_is_not_known_and_costs_no_other_entity(
    recorder: RecorderDatabase, read: Read, state: str, hour: float
) -> None:
    other = "switch.fan"
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-13, "off"), (-12, "off"), (8, "on"), (8.25, "on"), (9, "off")))
    recorder.write(rows((-13, "off"), (8, "on"), (9, "off"), entity_id=other))
    recorder.connection.execute(
        f"UPDATE states SET state = {state} WHERE last_updated_ts = ? AND metadata_id = "  # noqa: S608 - written above
        "(SELECT metadata_id FROM states_meta WHERE entity_id = ?)",
        (at(hour) / SECOND, LAMP),
    )
    recorder.connection.commit()
    log = read()
    assert episode_minutes(log, other) == [60]
    assert "\ufffd" not in "".join(log.states)
    assert events_of(log) == ([9.0] if hour == -12 else [8.0])
    assert any("not valid UTF-8" in notice for notice in log.notices) == state.startswith("CAST")
    is_counted = "1 states are not texts of at most 255 characters and were read as not known" in log.notices
    assert is_counted == (hour > 0 and state.startswith("x"))


def test_a_time_of_change_that_is_not_a_number_costs_nothing(recorder: RecorderDatabase, read: Read) -> None:
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-13, "off"), (8, "on"), (9, "off")))
    recorder.connection.execute("UPDATE states SET last_changed_ts = 'soon'")
    recorder.connection.commit()
    assert episode_minutes(read()) == [60]


@pytest.mark.parametrize(
    ("time", "events", "is_noticed"),
    [
        ("2026-03-10 08:00:00.000000", [8 + 1, 10], False),  # UTC, as in the former column
        ("soon", [10], True),
        (b"\x00", [10], True),
    ],
    ids=["a date", "another text", "bytes"],
)
def test_a_time_that_is_not_a_number_is_read_if_it_is_a_date_and_else_counted(
    recorder: RecorderDatabase, read: Read, time: str | bytes, events: list[float], is_noticed: bool
) -> None:
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-13, "off"), (9, "on"), (10, "off" if not is_noticed else "on")))
    recorder.connection.execute(
        "UPDATE states SET last_updated_ts = ? WHERE last_updated_ts = ? AND state = 'on'", (time, at(9) / SECOND)
    )
    recorder.connection.commit()
    log = read()
    assert events_of(log) == events
    assert ("1 rows have no time that can be read" in log.notices) == is_noticed


def test_an_entity_whose_rows_all_have_a_text_as_their_time_costs_no_other_its_day(
    recorder: RecorderDatabase, read: Read
) -> None:
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-13, "off"), (8, "on"), (9, "off")))
    recorder.write(rows((-13, "off"), (8, "on"), entity_id="switch.fan"))
    recorder.connection.execute(
        "UPDATE states SET last_updated_ts = 'soon' WHERE metadata_id = "
        "(SELECT metadata_id FROM states_meta WHERE entity_id = 'switch.fan')"
    )
    recorder.connection.commit()
    log = read()
    assert events_of(log) == [8, 9]
    assert "2 rows have no time that can be read" in log.notices


def test_a_name_that_is_not_a_text_costs_no_other_entity_its_day(recorder: RecorderDatabase, read: Read) -> None:
    heartbeat(recorder, -48, 48)
    recorder.write(rows((-13, "off"), (8, "on"), (9, "off")))
    recorder.connection.execute("INSERT INTO states_meta VALUES (99, x'6c6967'), (98, NULL)")
    recorder.connection.executemany(
        "INSERT INTO states (state, last_updated_ts, metadata_id) VALUES ('on', ?, ?)",
        [(at(10) / SECOND, number) for number in (98, 99)],
    )
    recorder.connection.commit()
    log = read()
    assert events_of(log) == [8, 9]
    assert log.notices == ("1 entities left out, whose ids are not texts", "2 rows belong to no entity")


@pytest.mark.parametrize(
    ("seconds", "is_wrong"),
    [
        (0, True),
        (MIN_INSTANT / SECOND - 1, True),
        (MIN_INSTANT / SECOND, False),
        (NOW.timestamp() + 86_000, False),
        (NOW.timestamp() + 86_401, True),
        (at(8) / 1_000, True),  # milliseconds
    ],
)
def test_a_row_with_a_wrong_date_is_counted(
    recorder: RecorderDatabase, read: Read, seconds: float, is_wrong: bool
) -> None:
    heartbeat(recorder, -48, 48)
    recorder.write([StateRow(round(seconds * SECOND), "switch.fan", "on")])
    assert read().notices == (("1 rows are dated before 2013 or in the future",) if is_wrong else ())


# --- a class that changes within a day -------------------------------------------------------------------------------

WATTS: Final = {"unit_of_measurement": "W", "device_class": "power", "state_class": "measurement"}
OPTIONS: Final = {"device_class": "enum"}


def test_numbers_from_the_time_when_a_sensor_was_in_watts_are_no_events(recorder: RecorderDatabase, read: Read) -> None:
    heartbeat(recorder, -24, 30)
    recorder.describe("sensor.washer", WATTS)
    recorder.write(rows(*((n / 6, f"{n * 37 % 500}.5") for n in range(-6, 60)), entity_id="sensor.washer"))
    recorder.describe("sensor.washer", OPTIONS)
    recorder.write(rows((12, "idle"), (13, "2"), (14, "idle"), entity_id="sensor.washer"))  # an option may be a number
    log = read()
    washer = log.events[log.events.entity == log.code_of("sensor.washer")]
    assert [log.states[state] for state in washer.state.tolist()] == ["2", "idle"]


def test_a_number_among_the_options_of_a_sensor_stays_a_state(recorder: RecorderDatabase, read: Read) -> None:
    heartbeat(recorder, -24, 30)
    recorder.describe("sensor.washer", OPTIONS)
    recorder.write(rows((-6, "idle"), (9, "1"), (10, "idle"), entity_id="sensor.washer"))
    log = read()
    assert int((log.events.entity == log.code_of("sensor.washer")).sum()) == 2


def washer_states(log: DayLog) -> list[tuple[float, str]]:
    """The hours and states of the events of the sensor whose class changes."""
    washer = log.events[log.events.entity == log.code_of("sensor.washer")]
    hours = [round((instant - WINDOW.start) / HOUR, 3) for instant in washer.at.tolist()]
    return list(zip(hours, [log.states[state] for state in washer.state.tolist()], strict=True))


@pytest.mark.parametrize(
    "opening",
    [((-6.0, "idle"),), (), ((-6.0, "idle"), (-1.0, "unavailable"))],
    ids=["known before", "new in the day", "unavailable at midnight"],
)
@pytest.mark.parametrize("options", [("idle", "run"), ("1", "2")], ids=["words", "numbers"])
def test_a_sensor_that_becomes_a_reading_keeps_the_events_of_the_time_before(
    recorder: RecorderDatabase, read: Read, opening: tuple[tuple[float, str], ...], options: tuple[str, str]
) -> None:
    idle, run = options
    heartbeat(recorder, -24, 30)
    recorder.describe("sensor.washer", OPTIONS)
    before = [(hour, idle if state == "idle" else state) for hour, state in opening]
    recorder.write(rows(*before, (1, idle), (9, run), (10, idle), entity_id="sensor.washer"))
    recorder.describe("sensor.washer", WATTS)
    recorder.write(rows(*((12 + n / 6, f"{n * 37 % 500}.5") for n in range(60)), entity_id="sensor.washer"))
    assert [event for event in washer_states(read()) if event[0] > 1] == [(9, run), (10, idle)]


def test_a_sensor_that_is_a_reading_all_day_has_no_events_of_the_days_before(
    recorder: RecorderDatabase, read: Read
) -> None:
    heartbeat(recorder, -48, 30)
    recorder.describe("sensor.washer", OPTIONS)
    recorder.write(rows((-9, "run"), (-8, "idle"), entity_id="sensor.washer"))
    recorder.describe("sensor.washer", WATTS)
    recorder.write(rows(*((n / 6, f"{n * 37 % 500}.5") for n in range(-6, 60)), entity_id="sensor.washer"))
    assert washer_states(read()) == []


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_reading_whose_attributes_were_lost_at_midnight_stays_a_reading(
    recorder: RecorderDatabase, read: Read, text: str | None
) -> None:
    heartbeat(recorder, -24, 30)
    recorder.describe("sensor.washer", OPTIONS)
    recorder.write(rows((-1, "idle"), entity_id="sensor.washer"))
    recorder.connection.execute(
        "UPDATE state_attributes SET shared_attrs = ? WHERE shared_attrs LIKE '%enum%'", (text,)
    )
    recorder.connection.commit()
    recorder.describe("sensor.washer", WATTS)
    recorder.write(rows((9, "12.5"), (10, "80"), entity_id="sensor.washer"))
    assert washer_states(read()) == []


def test_options_that_are_numbers_are_kept_apart_from_the_watts_before_them(
    recorder: RecorderDatabase, read: Read
) -> None:
    heartbeat(recorder, -24, 30)
    recorder.describe("sensor.washer", WATTS)
    recorder.write(rows((-1, "40"), (2, "12"), (3, "80"), entity_id="sensor.washer"))
    recorder.describe("sensor.washer", OPTIONS)
    recorder.write(rows((12, "1"), (13, "2"), entity_id="sensor.washer"))
    assert washer_states(read()) == [(13, "2")]


def test_a_sensor_that_is_activity_only_between_two_times_as_a_reading_keeps_its_events(
    recorder: RecorderDatabase, read: Read
) -> None:
    """Its words are found among the rows of readings, and what its rows were recorded as decides."""
    watts = rows((-1, "40"), (2, "12"), (3, "80"), entity_id="sensor.washer")
    heartbeat(recorder, -24, 30)
    recorder.describe("sensor.washer", WATTS)
    recorder.write(watts)
    recorder.describe("sensor.washer", OPTIONS)
    recorder.write(rows((9, "Idle"), (10, "run"), (11, "Idle"), entity_id="sensor.washer"))
    recorder.describe("sensor.washer", WATTS)
    recorder.write(rows((14, "12.5"), (25, "80"), entity_id="sensor.washer"))
    assert washer_states(read()) == [(10, "run"), (11, "Idle")]
    for days in (-1, 1):
        assert len(read(DayWindow(WINDOW.day + dt.timedelta(days), BERLIN)).events) == 0


@pytest.mark.parametrize("state", ["run", "unavailable", "Not measured"])
def test_a_word_of_a_reading_makes_no_activity_of_it(recorder: RecorderDatabase, read: Read, state: str) -> None:
    heartbeat(recorder, -24, 30)
    recorder.describe("sensor.washer", WATTS)
    recorder.write(rows((-1, "40"), (2, state), (3, "80"), (4, state), entity_id="sensor.washer"))
    log = read()
    assert washer_states(log) == []
    assert log.entities[log.code_of("sensor.washer")].kind is Kind.READING
