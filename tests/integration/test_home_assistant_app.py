"""The Home Assistant app as the Supervisor starts it: a Supervisor in its place, real folders, a real daemon."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from jobs.activity.window import HOUR, SECOND, DayWindow
from jobs.home_assistant_app.__main__ import Places, write_settings
from jobs.home_assistant_app.options import Options, read_options
from jobs.home_assistant_app.recorder import FILE, MAX_AGE
from jobs.home_assistant_app.supervisor import SupervisorUnavailable, read_service
from storage.connect import open_store
from storage.dates import ONE_DAY, DateRange
from storage.errors import SettingsError
from storage.models import TimeBasedDaily
from storage.settings import SqlStoreSettings
from tests.support.daemon import wait_until_it_rests
from tests.support.home import ROOT
from tests.support.influxdb import free_port
from tests.support.recorder import RecorderDatabase, Registered, StateRow, write_registries

TOKEN: Final = "token-of-the-app"  # noqa: S105 - of no real Supervisor
NOW: Final = dt.datetime(2026, 11, 25, 3, tzinfo=dt.UTC)
MQTT: Final = {"host": "core-mosquitto", "port": 1883, "username": "addons", "password": "pw", "ssl": False}
MARIADB: Final = {"host": "core-mariadb", "port": 3306, "username": "service", "password": "p@ss/word:é"}
BERLIN: Final = ZoneInfo("Europe/Berlin")


class Supervisor:
    """What answers for the Supervisor: the services that some apps provide, to whoever has the token.

    Its answers are those of supervisor/api/services.py: 400 for a service that nobody provides, 403 for a wrong token.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.services: dict[str, dict[str, Any]] = {}
        self.address = server.url_for("").rstrip("/")
        self.asked: list[str] = []
        server.expect_request("/services/mqtt").respond_with_handler(self._answer)
        server.expect_request("/services/mysql").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        name = request.path.rpartition("/")[2]
        self.asked.append(name)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Response(json.dumps({"result": "error", "message": "unauthorized"}), 403)
        if name not in self.services:
            return Response(json.dumps({"result": "error", "message": "Service not enabled"}), 400)
        data = {**self.services[name], "protocol": "3.1.1", "addon": "core_mosquitto"}
        return Response(json.dumps({"result": "ok", "data": data}), 200)


@pytest.fixture
def supervisor(httpserver: HTTPServer) -> Supervisor:
    return Supervisor(httpserver)


@pytest.fixture
def places(tmp_path: Path, supervisor: Supervisor) -> Places:
    found = Places(
        tmp_path / "data", tmp_path / "homeassistant", tmp_path / "run" / "settings.toml", supervisor.address
    )
    found.data.mkdir()
    found.home_assistant.mkdir()
    set_options(found)
    return found


def set_options(places: Places, **options: Any) -> None:
    """Write the options as the Supervisor does: for root alone."""
    defaults = {"run_at": "03:30", "retention_days": 90, "exclude": [], "mqtt": True}
    file = places.data / "options.json"
    file.write_text(json.dumps({**defaults, **options}), encoding="utf-8")
    file.chmod(0o600)


def written(places: Places, *, now: dt.datetime = NOW, token: str = TOKEN) -> dict[str, Any]:
    write_settings(places, token=token, time_zone="Europe/Berlin", now=now)
    return tomllib.loads(places.settings.read_text(encoding="utf-8"))


def leave_file(places: Places, age: dt.timedelta) -> Path:
    file = places.home_assistant / FILE
    file.touch()
    at = (NOW - age).timestamp()
    os.utime(file, (at, at))
    return file


def test_the_sqlite_file_is_found_and_nobody_is_asked_for_another_database(
    places: Places, supervisor: Supervisor
) -> None:
    file = leave_file(places, MAX_AGE)
    supervisor.services = {"mysql": MARIADB}
    assert written(places)["source"]["url"] == f"sqlite:///{file}"
    assert supervisor.asked == ["mqtt"]


def test_a_file_that_was_left_behind_gives_way_to_mariadb_and_stays_without_one(
    places: Places, supervisor: Supervisor
) -> None:
    file = leave_file(places, MAX_AGE + dt.timedelta(seconds=1))
    assert written(places)["source"]["url"] == f"sqlite:///{file}"
    supervisor.services = {"mysql": MARIADB}
    expected = "mysql+pymysql://service:p%40ss%2Fword%3A%C3%A9@core-mariadb:3306/homeassistant"
    assert written(places)["source"]["url"] == expected


def test_the_database_that_home_assistant_is_configured_for_is_taken(places: Places, supervisor: Supervisor) -> None:
    leave_file(places, dt.timedelta())
    configuration = places.home_assistant / "configuration.yaml"
    configuration.write_text("recorder:\n  db_url: !secret recorder\n", encoding="utf-8")
    secrets = places.home_assistant / "secrets.yaml"
    secrets.write_text("recorder: postgresql://u:p@host/db\n", encoding="utf-8")
    supervisor.services = {"mysql": MARIADB}
    assert written(places)["source"]["url"] == "postgresql://u:p@host/db"
    assert supervisor.asked == ["mqtt"]


def test_the_time_zone_is_home_assistants_else_the_machines(places: Places) -> None:
    leave_file(places, dt.timedelta())
    assert written(places)["home"]["time_zone"] == "Europe/Berlin"
    storage = places.home_assistant / ".storage"
    storage.mkdir()
    (storage / "core.config").write_text('{"data": {"time_zone": "Asia/Tokyo"}}', encoding="utf-8")
    assert written(places)["home"]["time_zone"] == "Asia/Tokyo"
    set_options(places, database_url="postgresql://u:p@host/db")
    with pytest.raises(SettingsError, match="time zone of the home is not known"):
        write_settings(places, token=TOKEN, time_zone="", now=NOW)


def test_a_file_whose_log_is_being_written_is_in_use(places: Places, supervisor: Supervisor) -> None:
    file = leave_file(places, 10 * MAX_AGE)
    log = file.with_name(f"{FILE}-wal")
    log.touch()
    os.utime(log, (NOW.timestamp(), NOW.timestamp()))
    supervisor.services = {"mysql": MARIADB}
    assert written(places)["source"]["url"] == f"sqlite:///{file}"


def test_without_any_database_the_option_to_set_is_named(places: Places) -> None:
    with pytest.raises(SettingsError, match="no recorder database was found") as refused:
        written(places)
    assert "database_url" in refused.value.hint


def test_a_database_that_is_named_is_taken_and_nobody_is_asked(places: Places, supervisor: Supervisor) -> None:
    set_options(places, database_url="postgresql://u:p@host/db", mqtt=False)
    settings = written(places)
    assert settings["source"]["url"] == "postgresql://u:p@host/db"
    assert "mqtt" not in settings
    assert supervisor.asked == []


def test_the_broker_is_found_and_without_one_the_job_runs_all_the_same(places: Places, supervisor: Supervisor) -> None:
    leave_file(places, dt.timedelta())
    assert "mqtt" not in written(places)
    supervisor.services = {"mqtt": MQTT}
    assert written(places)["mqtt"]["host"] == "core-mosquitto"
    supervisor.services = {"mqtt": {**MQTT, "port": 0}}  # not valid
    assert "mqtt" not in written(places)


def test_a_supervisor_that_is_away_or_refuses_is_an_error_only_where_it_is_needed(
    places: Places, supervisor: Supervisor
) -> None:
    gone = places._replace(supervisor=f"http://127.0.0.1:{free_port()}")
    for broken, token in ((gone, TOKEN), (places, "another")):
        with pytest.raises(SupervisorUnavailable):
            written(broken, token=token)
    leave_file(places, dt.timedelta())
    assert written(gone)["source"]["kind"] == "home_assistant_db"
    assert written(places, token="another")["source"]["kind"] == "home_assistant_db"  # noqa: S106 - not the right one


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"data": null}', '{"data": {"host": "", "port": 1}}', "\xff"])
def test_an_answer_that_is_not_valid_is_an_error_without_its_values(httpserver: HTTPServer, body: str) -> None:
    httpserver.expect_request("/services/mqtt").respond_with_data(body.encode("latin-1"))
    with pytest.raises(SupervisorUnavailable):
        read_service("mqtt", TOKEN, httpserver.url_for("").rstrip("/"))


def test_the_settings_file_is_for_root_alone(places: Places) -> None:
    leave_file(places, dt.timedelta())
    written(places)
    assert places.settings.stat().st_mode & 0o777 == 0o600
    assert places.settings.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"run_at": 3}', '{"adopt": ["moon"]}', '{"runat": "03:30"}'])
def test_options_that_are_not_valid_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "options.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError):
        read_options(file)
    file.write_text("{}", encoding="utf-8")
    assert read_options(file) == Options()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder as the Supervisor gives it: mounted over itself, read-only."""
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if mount is None or unmount is None or os.geteuid():
        pytest.skip("not here: the right to mount")
    if subprocess.run([mount, "--bind", str(folder), str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("not here: the right to mount a folder")
    subprocess.run([mount, "-o", "remount,ro,bind", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run([unmount, "-l", str(folder)], check=True)


def record_days(folder: Path, days: DateRange) -> RecorderDatabase:
    """A recorder of a home with one lamp, which somebody uses every day."""
    database = RecorderDatabase(folder / FILE)
    first = DayWindow(days.first, BERLIN).start
    database.run(first, None)
    rows = [StateRow(first, "light.hall", "off")]
    for day in days:
        start = DayWindow(day, BERLIN).start
        rows += [StateRow(start + hour * HOUR, "light.hall", ("on", "off")[hour % 2]) for hour in range(6, 22)]
        rows += [StateRow(start + n * 60 * SECOND, "sensor.clock", str(n)) for n in range(0, 1440, 10)]
    database.write(sorted(rows, key=lambda row: row.at))
    write_registries(folder / ".storage", [Registered("light.hall", area="hall")])
    return database


@pytest.mark.parametrize("recorder", ["writing", "stopped", "killed"])
def test_the_app_computes_a_home_whose_folder_it_cannot_write_to(places: Places, recorder: str) -> None:
    yesterday = dt.datetime.now(BERLIN).date() - ONE_DAY
    days = DateRange(yesterday - 2 * ONE_DAY, yesterday)
    database = record_days(places.home_assistant, days)
    if recorder == "killed":  # what a crash leaves: the files as they are while it writes
        crashed = places.home_assistant.with_name("crashed")
        shutil.copytree(places.home_assistant, crashed)
        database.close()
        shutil.rmtree(places.home_assistant)
        crashed.rename(places.home_assistant)
        assert (places.home_assistant / f"{FILE}-wal").stat().st_size
    elif recorder == "stopped":
        database.close()
        assert not (places.home_assistant / f"{FILE}-wal").exists()
    set_options(places, settings=[f"health.port = {free_port()}"])
    before = sorted(one.name for one in places.home_assistant.iterdir())
    with read_only(places.home_assistant):
        log = run_app(places, until="planned days done")
    assert "3 of 3 planned days done, exit code 0" in log
    assert sorted(one.name for one in places.home_assistant.iterdir()) == before
    store = open_store(SqlStoreSettings(url=f"sqlite:///{places.data / 'aggregates.db'}"), read_only=True)
    with closing(store):
        rows = store.read(TimeBasedDaily, days, {"entity_id": "light.hall"})
    assert [(row.date, row.occurrences) for row in rows] == [(day, 16) for day in days]


def run_app(places: Places, *, until: str, ends_with: int = 0, zone: str = "Europe/Berlin") -> str:
    """Start the app as its image does, wait for words in its log, and stop it as the Supervisor does."""
    code = (
        "import os, sys; from pathlib import Path; from jobs.home_assistant_app.__main__ import Places, main;"
        "data, home, settings, supervisor = sys.argv[1:];"
        "main(Places(Path(data), Path(home), Path(settings), supervisor), os.environ)"
    )
    log = places.data.with_name("log")
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, places)],
            cwd=ROOT,
            env={**os.environ, "SUPERVISOR_TOKEN": TOKEN, "TZ": zone},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        deadline = time.monotonic() + 60
        while until not in log.read_text(encoding="utf-8") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        wait_until_it_rests(process)  # what it makes for its pages after the run may take long on a busy machine
        process.send_signal(signal.SIGTERM)
        ended_with = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
    text = log.read_text(encoding="utf-8")
    assert ended_with == ends_with, text
    assert TOKEN not in text
    return text


def test_settings_that_are_wrong_end_the_app_with_the_reason_in_its_log(places: Places) -> None:
    leave_file(places, dt.timedelta())
    set_options(places, settings=["schedule.att = '03:30'"])
    log = run_app(places, until="never", ends_with=78)
    assert "schedule.att: unknown key; did you mean" in log
    assert "Traceback" not in log
    set_options(places, run_at=3)
    assert "run_at: " in run_app(places, until="never", ends_with=78)
    (places.home_assistant / FILE).unlink()
    set_options(places)
    assert "no recorder database was found" in run_app(places, until="never", ends_with=78)


def test_another_time_zone_is_refused_until_the_option_takes_it_over(places: Places) -> None:
    yesterday = dt.datetime.now(BERLIN).date() - ONE_DAY
    record_days(places.home_assistant, DateRange(yesterday - ONE_DAY, yesterday)).close()
    port = f"health.port = {free_port()}"
    set_options(places, settings=[port])
    run_app(places, until="planned days done")
    refused = run_app(places, until="never", ends_with=78, zone="Europe/Lisbon")
    assert "init --adopt zone" in refused
    set_options(places, settings=[port], adopt=["zone"])
    run_app(places, until="planned days done", zone="Europe/Lisbon")
    set_options(places, settings=[port])
    run_app(places, until="planned days done", zone="Europe/Lisbon")
