"""Recorder databases as they are found in the wild: old, foreign, damaged, locked, purged, in use."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.entities import EntityRules, Kind
from jobs.activity.events import DayLog
from jobs.activity.window import DAY, HOUR, SECOND, DayWindow, midnight
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from storage.dates import DateRange
from storage.drivers import sql
from storage.errors import SettingsError, SourceCorrupt, SourceMismatch, SourceUnavailable
from tests.support.recorder import RecorderDatabase, Registered, StateRow, write_registries

BERLIN: Final = ZoneInfo("Europe/Berlin")
TODAY: Final = dt.date(2026, 3, 10)
WINDOW: Final = DayWindow(TODAY, BERLIN)
NOBODY: Final = 65534

Open = Callable[..., HomeAssistantDatabase]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home-assistant_v2.db"


@pytest.fixture
def open_db(path: Path) -> Iterator[Open]:
    """Opens the database, and closes it again."""
    opened: list[HomeAssistantDatabase] = []

    def open_it(where: Path | str | None = None, registry: Path | None = None) -> HomeAssistantDatabase:
        url = where if isinstance(where, str) else f"sqlite:///{where or path}"
        opened.append(HomeAssistantDatabase(url, BERLIN, EntityRules(), registry, max_silence_hours=math.inf))
        return opened[-1]

    yield open_it
    for source in opened:
        source.close()


def at(hours: float, day: dt.date = TODAY) -> int:
    return midnight(day, BERLIN) + round(hours * HOUR)


def days_before(count: int) -> dt.date:
    return TODAY - dt.timedelta(days=count)


def rows(*changes: tuple[float, str], entity_id: str = "light.lamp") -> list[StateRow]:
    return [StateRow(at(hours), entity_id, state) for hours, state in changes]


def known(log: DayLog) -> list[tuple[float, float]]:
    """Known time in hours of the day."""
    return [((start - WINDOW.start) / HOUR, (end - WINDOW.start) / HOUR) for start, end in log.known.tolist()]


def some_day(path: Path, **options: str) -> RecorderDatabase:
    recorder = RecorderDatabase(path, **options)  # type: ignore[arg-type]
    recorder.run(at(-24), None)
    recorder.write(rows((-24, "off"), (8, "on"), (9, "off"), (20, "on"), (30, "off")))
    return recorder


# --- not a database of this kind -------------------------------------------------------------------------------------


def test_a_missing_file_is_not_made_and_may_come_back(open_db: Open, path: Path) -> None:
    source = open_db()
    for call in (source.span, lambda: source.read(WINDOW), lambda: source.fingerprint(WINDOW)):
        with pytest.raises(SourceUnavailable, match="does not exist") as caught:
            call()
        assert "source.url" in caught.value.hint
    assert not path.exists()


def test_a_folder_is_refused_as_a_wrong_setting(open_db: Open, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^source\.url: .* is not a regular file$"):
        open_db(tmp_path)


def test_a_schema_that_is_too_old_is_named(open_db: Open, path: Path) -> None:
    with sqlite3.connect(path) as old:
        old.executescript("""
            CREATE TABLE states (state_id INTEGER PRIMARY KEY, entity_id TEXT, state TEXT, last_updated DATETIME);
            CREATE TABLE recorder_runs (run_id INTEGER, start DATETIME, "end" DATETIME, closed_incorrect BOOLEAN);
            CREATE TABLE schema_changes (change_id INTEGER PRIMARY KEY, schema_version INTEGER, changed DATETIME);
            INSERT INTO schema_changes VALUES (1, 25, '2022-01-01'), (2, 30, '2023-01-01');
        """)
    old.close()
    with pytest.raises(SourceMismatch, match="schema 30, which is too old") as caught:
        open_db().span()
    assert "2023.4 or later" in caught.value.hint


def test_another_programs_database_is_refused(open_db: Open, path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (title TEXT)")
    other.close()
    with pytest.raises(SourceMismatch) as caught:
        open_db().read(WINDOW)
    assert "not a recorder database" in caught.value.hint


def test_an_empty_file_is_refused(open_db: Open, path: Path) -> None:
    path.touch()
    with pytest.raises(SourceMismatch):
        open_db().read(WINDOW)


def test_a_file_that_is_no_database_is_damaged(open_db: Open, path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to look at\n" * 1000)
    with pytest.raises(SourceCorrupt):
        open_db().span()


def test_a_truncated_file_is_damaged(open_db: Open, path: Path) -> None:
    with some_day(path, journal="delete") as recorder:
        recorder.write(StateRow(at(7) + number * SECOND, "sensor.chatty", str(number)) for number in range(20_000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(SourceCorrupt, match="damaged"):
        open_db().read(WINDOW)


def test_a_url_that_is_none_is_a_matter_of_settings(open_db: Open) -> None:
    for url in ("no url", "sqlite://", "sqlite:///:memory:", "nosuchdb://host/name"):
        with pytest.raises(SettingsError, match=r"source\.url"):
            open_db(url)


def test_a_password_in_a_url_is_never_shown(open_db: Open, tmp_path: Path) -> None:
    source = open_db(f"sqlite:///{tmp_path}/none.db?password=secret")
    with pytest.raises(SourceUnavailable) as caught:
        source.span()
    assert "secret" not in str(caught.value)


# --- while somebody else works with it -------------------------------------------------------------------------------


def test_a_locked_database_is_unavailable_for_now(open_db: Open, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "MAX_LOCK_WAIT_SECONDS", 0.1)
    some_day(path, journal="delete").close()
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM states")  # what is on the disk now is nobody's to read
        with pytest.raises(SourceUnavailable, match="locked") as caught:
            open_db().read(WINDOW)
        assert caught.value.retryable
        other.execute("ROLLBACK")
        assert len(open_db().read(WINDOW).events) == 3
    finally:
        other.close()


def test_a_database_whose_writer_crashed_in_the_middle_is_not_read_as_it_lies(open_db: Open, path: Path) -> None:
    """A rollback journal that is left over holds what must be put back before anybody may read."""
    some_day(path, journal="delete").close()
    sick = path.parent / "sick"
    sick.mkdir()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA cache_size=1")
    other.execute("PRAGMA cache_spill=1")
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE states SET state = 'wrong'")
    other.executemany("INSERT INTO state_attributes (shared_attrs) VALUES (?)", [("x" * 4000,)] * 50)
    for file in path.parent.glob("home-assistant_v2.db*"):
        shutil.copy(file, sick / file.name)
    other.execute("ROLLBACK")
    other.close()
    assert (sick / "home-assistant_v2.db-journal").stat().st_size
    (sick / "home-assistant_v2.db").chmod(0o400)
    try:
        log = open_db(sick / "home-assistant_v2.db").read(WINDOW)
    except SourceUnavailable:
        return
    assert [log.states[code] for code in log.events.state.tolist()] == ["on", "off", "on"]


def test_a_wal_that_is_being_written_is_read_up_to_the_last_commit(open_db: Open, path: Path) -> None:
    with some_day(path) as recorder:
        source = open_db()
        before = source.fingerprint(WINDOW)
        recorder.write(rows((21, "off")))
        assert path.with_name(path.name + "-wal").stat().st_size
        assert source.fingerprint(WINDOW) != before
        assert len(source.read(WINDOW).events) == 4
        recorder.connection.execute("BEGIN IMMEDIATE")
        recorder.connection.execute("DELETE FROM states")
        assert len(source.read(WINDOW).events) == 4
        recorder.connection.rollback()


def test_reading_holds_no_lock_afterwards_and_writes_nothing(open_db: Open, path: Path) -> None:
    some_day(path, journal="delete").close()
    before = path.read_bytes()
    source = open_db()
    source.read(WINDOW)
    source.span()
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("ROLLBACK")
    other.close()
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Without root's rights, which no permission stops."""
    user = os.geteuid()
    if user:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_wal_database_in_a_folder_that_cannot_be_written_to_is_read(path: Path, open_db: Open) -> None:
    some_day(path).close()
    folder = Path(tempfile.mkdtemp(prefix="read-only-"))  # pytest's own folders are closed to other users
    try:
        shutil.copy(path, folder)
        (folder / path.name).chmod(0o444)
        folder.chmod(0o555)
        with _as_nobody():
            source = open_db(folder / path.name)
            assert len(source.read(WINDOW).events) == 3
            assert source.span() == DateRange(days_before(1), TODAY)
        assert [file.name for file in folder.iterdir()] == [path.name]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_wal_that_cannot_be_read_is_never_passed_over(path: Path, open_db: Open) -> None:
    folder = Path(tempfile.mkdtemp(prefix="read-only-"))
    try:
        with some_day(path) as recorder:
            recorder.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            recorder.write(rows((21, "off")))
            for file in (path, path.with_name(path.name + "-wal")):
                shutil.copy(file, folder)
                (folder / file.name).chmod(0o444)
        folder.chmod(0o555)
        with _as_nobody(), pytest.raises(SourceUnavailable):
            open_db(folder / path.name).read(WINDOW)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


# --- the recorder's runs ---------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_is_known_up_to_its_last_row(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-24), None)
        recorder.write(rows((-24, "off"), (8, "on"), (15.5, "off")))
    assert known(open_db().read(WINDOW)) == [(0, 15.5)]


def test_a_run_that_crashed_ends_with_its_last_row_and_not_at_the_next_start(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-24), at(12), closed_incorrect=True)
        recorder.run(at(12), None)
        recorder.write(rows((-24, "off"), (8, "on"), (9, "on"), (12.0001, "on"), (13, "off"), (23, "on")))
    log = open_db().read(WINDOW)
    assert known(log) == [(0, 9), (12, 23)]
    assert len(log.events) == 3
    assert not log.intervals[(log.intervals.end == at(9))].end_known.any()


def test_a_run_that_crashed_before_it_wrote_a_row_is_not_known(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-24), at(8))
        recorder.run(at(9), at(10), closed_incorrect=True)
        recorder.run(at(10), None)
        recorder.write(rows((-24, "off"), (7, "on"), (10.1, "on"), (23, "off")))
    assert known(open_db().read(WINDOW)) == [(0, 8), (10, 23)]


def test_rows_whose_run_was_purged_are_known_from_the_first_to_the_last_of_them(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(12), None)
        recorder.write(rows((-30, "off"), (8, "on"), (11, "off"), (12.1, "off"), (23, "on")))
    log = open_db().read(WINDOW)
    assert known(log) == [(0, 11), (12, 23)]
    assert len(log.events) == 3


def test_without_any_run_the_rows_themselves_are_the_known_time(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.write(rows((-30, "off"), (8, "on"), (11, "off")))
    assert known(open_db().read(WINDOW)) == [(0, 11)]


# --- span ------------------------------------------------------------------------------------------------------------


def hourly(recorder: RecorderDatabase, first: int, last: int) -> None:
    recorder.write(
        StateRow(instant, "light.lamp", ("on", "off")[instant // HOUR % 2]) for instant in range(first, last, HOUR)
    )


def test_the_day_on_which_the_recorder_began_counts(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(14, days_before(3)), None)
        hourly(recorder, at(14, days_before(3)), at(12))
    assert open_db().span() == DateRange(days_before(3), days_before(1))


@pytest.mark.parametrize("began", [3, 30], ids=["run purged, too", "one run since a month"])
def test_a_day_that_is_half_purged_does_not_count(open_db: Open, path: Path, began: int) -> None:
    """Home Assistant purges at 04:12; rows go, and the run that goes on keeps its start, however long ago."""
    with RecorderDatabase(path) as recorder:
        if began == 3:
            recorder.run(at(0, days_before(20)), at(12, days_before(9)))
            recorder.run(at(12.1, days_before(9)), None)
        else:
            recorder.run(at(0, days_before(began)), None)
        hourly(recorder, at(0, days_before(20)), at(12))
        recorder.purge(at(4.2, days_before(10)))
    assert open_db().span() == DateRange(days_before(9), days_before(1))


def test_time_before_the_first_row_that_is_left_is_not_known(open_db: Open, path: Path) -> None:
    """Otherwise purged days look like days on which nothing happened, known from midnight to midnight."""
    with RecorderDatabase(path) as recorder:
        recorder.run(at(0, days_before(30)), None)
        hourly(recorder, at(0, days_before(20)), at(30))
        recorder.purge(at(4.2))
    source = open_db()
    assert source.read(DayWindow(days_before(5), BERLIN)).known_seconds == 0
    assert known(source.read(WINDOW)) == [(5, 24)]


def test_runs_from_before_the_first_row_that_is_left_are_not_known(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        for first in (30, 25, 20):
            recorder.run(at(0, days_before(first)), at(0, days_before(first - 5)) - SECOND)
        recorder.run(at(0, days_before(15)), None)
        hourly(recorder, at(4.2), at(30))
    source = open_db()
    assert [source.read(DayWindow(days_before(ago), BERLIN)).known_seconds for ago in (28, 22, 18, 10)] == [0] * 4
    assert source.span() is None


def test_a_day_that_is_not_over_does_not_count(open_db: Open, path: Path) -> None:
    with some_day(path) as recorder:
        recorder.write(rows((24 + 12, "on")))
    assert open_db().span() == DateRange(days_before(1), TODAY)


def test_a_recorder_that_has_run_for_an_hour_of_the_afternoon_holds_no_day(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(14), None)
        recorder.write(rows((14, "off"), (15, "on")))
    assert open_db().span() is None


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_state_of_null_is_a_removed_entity(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-24), None)
        recorder.write(rows((-24, "off"), (8, "on")))
        recorder.write([StateRow(at(9), "light.lamp", None)])
        recorder.write(rows((10, "off"), (11, "on"), (23, "on")))
    log = open_db().read(WINDOW)
    assert [(instant - WINDOW.start) / HOUR for instant in log.events.at.tolist()] == [8, 11]


def test_rows_that_name_no_entity_are_counted_and_said(open_db: Open, path: Path) -> None:
    with some_day(path) as recorder:
        recorder.connection.execute(
            "INSERT INTO states (state, last_updated_ts, metadata_id) VALUES ('on', ?, 999), ('on', ?, NULL)",
            (at(12) / SECOND, at(13) / SECOND),
        )
        recorder.connection.commit()
    log = open_db().read(WINDOW)
    assert log.notices == ("2 rows belong to no entity",)
    assert len(log.events) == 3


def test_rows_are_ordered_by_time_and_not_by_id(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-24), None)
        recorder.write(rows((20, "on"), (9, "off"), (8, "on"), (-24, "off"), (30, "off")))
    assert [(instant - WINDOW.start) / HOUR for instant in open_db().read(WINDOW).events.at.tolist()] == [8, 9, 20]


def test_microseconds_survive(open_db: Open, path: Path) -> None:
    instants = [at(8) + offset for offset in (1, 999_999, 123_456, 654_321)]
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-24), None)
        recorder.write(rows((-24, "off")))
        recorder.write(
            StateRow(instant, "light.lamp", ("on", "off")[number % 2])
            for number, instant in enumerate(sorted(instants))
        )
        recorder.write(rows((23, "off")))
    assert open_db().read(WINDOW).events.at.tolist() == sorted(instants)


def test_an_attribute_update_whose_change_was_purged_has_no_known_begin(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-300), None)
        recorder.write([StateRow(at(-20), "light.lamp", "on", changed_at=at(-290))])
        recorder.write(rows((8, "off"), (23, "on")))
    log = open_db().read(WINDOW)
    on = log.intervals[log.intervals.end == at(8)]
    assert on.end_known.tolist() == [True]
    assert on.start_known.tolist() == [False]


# --- what is known of entities ---------------------------------------------------------------------------------------


def test_the_newest_attributes_of_the_day_class_an_entity(open_db: Open, path: Path) -> None:
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-24), None)
        recorder.describe("sensor.power", {"unit_of_measurement": "W", "state_class": "measurement"})
        recorder.describe("binary_sensor.hall", {"device_class": "motion"})
        recorder.describe("binary_sensor.broken", {})
        recorder.write([StateRow(at(8), entity, "0") for entity in ("sensor.power", "binary_sensor.hall")])
        recorder.connection.execute("UPDATE state_attributes SET shared_attrs = 'no JSON' WHERE shared_attrs = '{}'")
        recorder.write([StateRow(at(8), "binary_sensor.broken", "on"), StateRow(at(23), "sensor.power", "1")])
    entities = {entity.entity_id: entity for entity in open_db().read(WINDOW).entities}
    assert entities["sensor.power"].kind is Kind.READING
    assert (entities["binary_sensor.hall"].device_class, entities["binary_sensor.hall"].presence) == ("motion", True)
    assert entities["binary_sensor.broken"].kind is Kind.ACTIVITY


@pytest.mark.parametrize(
    "attributes", ["[]", "null", "3", '"text"', '{"device_class": 3}', '{"unit_of_measurement": []}']
)
def test_attributes_of_another_shape_cost_nothing(open_db: Open, path: Path, attributes: str) -> None:
    with some_day(path) as recorder:
        recorder.describe("light.other", {})
        recorder.connection.execute("UPDATE state_attributes SET shared_attrs = ?", (attributes,))
        recorder.write(rows((8, "on"), (9, "off"), entity_id="light.other"))
    assert len(open_db().read(WINDOW).events) == 4


def test_an_entitys_own_area_goes_before_its_devices(open_db: Open, path: Path, tmp_path: Path) -> None:
    registry = write_registries(
        tmp_path / ".storage",
        [
            Registered("light.own", area="hall", device="d1", device_area="kitchen"),
            Registered("light.device", device="d2", device_area="kitchen"),
            Registered("light.none", device="d3"),
            Registered("light.alone", area="attic"),
            Registered("binary_sensor.hall", device_class="motion", category="diagnostic"),
        ],
    )
    with some_day(path) as recorder:
        for entity_id in ("light.own", "light.device", "light.none", "light.alone", "binary_sensor.hall", "light.new"):
            recorder.write(rows((8, "on"), (9, "off"), entity_id=entity_id))
    entities = {entity.entity_id: entity for entity in open_db(None, registry).read(WINDOW).entities}
    areas = {entity_id: entity.area_id for entity_id, entity in entities.items() if entity.area_id}
    assert areas == {"light.own": "hall", "light.device": "kitchen", "light.alone": "attic"}
    assert entities["light.own"].device_id == "d1"
    assert entities["binary_sensor.hall"].kind is Kind.IGNORED
    assert entities["light.new"].kind is Kind.ACTIVITY  # recorded, and in no registry


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"data": []}', '{"data": {"entities": [3]}}', "\ud800"])
def test_a_broken_registry_is_a_matter_of_settings(open_db: Open, path: Path, tmp_path: Path, text: str) -> None:
    some_day(path).close()
    registry = write_registries(tmp_path / ".storage", [Registered("light.own", area="hall")])
    (registry / "core.entity_registry").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(SettingsError, match=r"source\.registry_dir") as caught:
        open_db(None, registry)
    assert ".storage" in caught.value.hint


def test_a_registry_that_is_not_there_is_a_matter_of_settings(open_db: Open, path: Path, tmp_path: Path) -> None:
    some_day(path).close()
    with pytest.raises(SettingsError, match=r"source\.registry_dir"):
        open_db(None, tmp_path / "nowhere")


def test_deleted_devices_and_unknown_keys_in_the_registries_do_no_harm(
    open_db: Open, path: Path, tmp_path: Path
) -> None:
    some_day(path).close()
    registry = write_registries(tmp_path / ".storage", [Registered("light.lamp", device="gone", device_area="hall")])
    file = registry / "core.device_registry"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["data"] = {"devices": [], "deleted_devices": [{"id": "gone"}], "future": 1}
    file.write_text(json.dumps(document), encoding="utf-8")
    (lamp,) = open_db(None, registry).read(WINDOW).entities
    assert (lamp.entity_id, lamp.area_id) == ("light.lamp", None)


# --- size ------------------------------------------------------------------------------------------------------------


def test_a_day_costs_the_same_however_long_the_recording_is(open_db: Open, path: Path) -> None:
    """Counted in steps of SQLite's machine, which no other load disturbs."""
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-24), None)
        hourly(recorder, at(-24), at(24) + 1)
    short = _steps(open_db())
    with RecorderDatabase(path) as recorder:
        recorder.connection.execute("DELETE FROM states")
        recorder.connection.execute("DELETE FROM recorder_runs")
        recorder.run(at(-2400), None)
        hourly(recorder, at(-2400), at(24) + 1)
    assert _steps(open_db()) < short * 1.5


def _steps(source: HomeAssistantDatabase) -> int:
    source.read(WINDOW)  # looks at the schema
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    with source._engine.connect() as connection:  # noqa: SLF001 - the connection that the next read uses again
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(tick, 10)
    source.read(WINDOW)
    driver.set_progress_handler(None, 0)
    return count


def test_instants_far_from_the_day_do_no_harm(open_db: Open, path: Path) -> None:
    with some_day(path) as recorder:
        recorder.write([StateRow(0, "light.old", "on"), StateRow(at(0) + 20_000 * DAY, "light.future", "on")])
    source = open_db()
    assert len(source.read(WINDOW).events) == 3
    assert source.span() is not None


# --- what a database should not hold, and may -------------------------------------------------------------------------


def test_rows_from_the_future_are_not_known_time(path: Path) -> None:
    with some_day(path) as recorder:
        recorder.connection.execute('UPDATE recorder_runs SET "end" = NULL')
        recorder.write(rows((24 * 400, "on")))
    now = dt.datetime.combine(WINDOW.day + dt.timedelta(days=2), dt.time(), BERLIN)
    bounded = HomeAssistantDatabase(f"sqlite:///{path}", BERLIN, EntityRules(), clock=lambda: now)
    try:
        span = bounded.span()
        assert span is not None
        assert span.last <= WINDOW.day + dt.timedelta(days=1)
    finally:
        bounded.close()


def test_runs_that_overlap_are_known_time_once(open_db: Open, path: Path) -> None:
    with some_day(path) as recorder:
        recorder.run(at(3), at(9))
        recorder.run(at(5), at(12))
    assert open_db().read(WINDOW).known_seconds <= WINDOW.seconds


def test_an_entity_without_an_id_costs_its_rows_only(open_db: Open, path: Path) -> None:
    with some_day(path) as recorder:
        before = len(open_db().read(WINDOW).events)
        recorder.connection.execute("INSERT INTO states_meta (metadata_id, entity_id) VALUES (9999, NULL)")
        recorder.connection.commit()
    assert len(open_db().read(WINDOW).events) == before


def test_ids_that_cannot_be_kept_are_counted(open_db: Open, path: Path) -> None:
    with some_day(path) as recorder:
        recorder.connection.execute(
            "INSERT INTO states_meta (metadata_id, entity_id) VALUES (9999, 'light.a' || char(10))"
        )
        recorder.connection.commit()
    assert any("1 entities left out" in notice for notice in open_db().read(WINDOW).notices)
