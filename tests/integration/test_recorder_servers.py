"""The recorder on MariaDB and PostgreSQL: the same log as from SQLite, one snapshot a read, helpful errors."""

from __future__ import annotations

import datetime as dt
import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from jobs.activity.entities import EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow, midnight
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from storage.errors import SettingsError, SourceUnavailable
from tests.support.mariadb import MariaDb
from tests.support.postgresql import Cluster, new_database
from tests.support.recorder import RecorderDatabase, StateRow
from tests.support.recorder_servers import copy_recorder

BERLIN: Final = ZoneInfo("Europe/Berlin")
WINDOW: Final = DayWindow(dt.date(2026, 3, 10), BERLIN)
SHARED: Final = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ha-recorder-53"
NEEDS_DATA: Final = pytest.mark.skipif(not SHARED.is_dir(), reason=f"not here: the recordings in {SHARED}")

NewUrl = Callable[[], sa.URL]


@pytest.fixture(params=["mariadb", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> NewUrl:
    """Makes an empty database on one of the servers."""
    server: MariaDb | Cluster = request.getfixturevalue(request.param)
    return server.new_database if isinstance(server, MariaDb) else lambda: new_database(server.url)


def at(hours: float) -> int:
    return midnight(WINDOW.day, BERLIN) + round(hours * HOUR)


def home(path: Path) -> Path:
    """Three days with everything that is read in another way on a server: odd texts, NULL, contexts, restarts."""
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-40), at(-3))
        recorder.run(at(-2.99), at(15), closed_incorrect=True)
        recorder.run(at(15.5), None)
        recorder.describe("sensor.heartbeat", {"unit_of_measurement": "°C"})
        recorder.describe("binary_sensor.hall", {"device_class": "motion"})
        instants = [i for i in range(at(-40), at(30), 7 * MINUTE) if not at(14.9) < i < at(15.5)]
        recorder.write(StateRow(instant, "sensor.heartbeat", "20.5") for instant in instants)
        texts = ("on", "off", "on", None, "unavailable", "off", "a\tb", "a\x1eb", "a\x1fb", "Küche 🏠", "", "on")
        for number, entity_id in enumerate(("light.lamp", "binary_sensor.hall", "input_select.mode", "sensor.free")):
            recorder.write(
                StateRow(at(-30) + n * 83 * MINUTE + number * 1_234_567 + n, entity_id, texts[n % len(texts)], n % 3)
                for n in range(40)
            )
        recorder.write([StateRow(at(9), "automation.evening", "on")])
        recorder.connection.execute("UPDATE states SET context_id_bin = x'0102' WHERE state_id % 5 = 0")
        recorder.connection.execute(
            "UPDATE states SET context_id_bin = x'0102', context_parent_id_bin = NULL WHERE metadata_id = "
            "(SELECT metadata_id FROM states_meta WHERE entity_id = 'automation.evening')"
        )
        recorder.connection.execute("INSERT INTO states (state, last_updated_ts) VALUES ('x', ?)", (at(8) / SECOND,))
        recorder.connection.commit()
    return path


def read(url: sa.URL | str, window: DayWindow = WINDOW) -> DayLog:
    source = HomeAssistantDatabase(
        url if isinstance(url, str) else url.render_as_string(hide_password=False), BERLIN, EntityRules()
    )
    try:
        return source.read(window)
    finally:
        source.close()


def facts(log: DayLog) -> dict[str, object]:
    """Everything of a log that can be compared; states by their text, in which separators of rows become spaces."""
    names = [entity.entity_id for entity in log.entities]
    events, intervals = log.events, log.intervals
    return {
        "entities": log.entities,
        "known": log.known.tolist(),
        "samples": log.samples,
        "notices": log.notices,
        "events": [
            (instant, names[entity], log.states[state].replace("\x1e", " "), cause)
            for instant, entity, state, cause in zip(
                *(column.tolist() for column in (events.at, events.entity, events.state, events.cause)), strict=True
            )
        ],
        "intervals": [intervals.start.tolist(), intervals.end.tolist(), intervals.start_known.tolist()],
    }


@pytest.mark.parametrize("day", [-1, 0, 1])
def test_a_day_is_the_same_as_from_sqlite(tmp_path: Path, new_url: NewUrl, day: int) -> None:
    path = home(tmp_path / "home-assistant_v2.db")
    window = DayWindow(WINDOW.day + dt.timedelta(days=day), BERLIN)
    expected = facts(read(f"sqlite:///{path}", window))
    assert facts(read(copy_recorder(path, new_url()), window)) == expected
    assert expected["samples"]


def test_a_purge_while_a_day_is_read_changes_nothing_in_it(tmp_path: Path, new_url: NewUrl) -> None:
    url = copy_recorder(home(tmp_path / "home-assistant_v2.db"), new_url())
    source = HomeAssistantDatabase(url.render_as_string(hide_password=False), BERLIN, EntityRules())
    expected = facts(source.read(WINDOW))  # looks at the schema, too, which is no part of a snapshot
    other = sa.create_engine(url)
    purged: list[int] = []

    def purge(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "recorder_runs" in statement and not purged:
            with other.begin() as connection:
                purged.append(connection.execute(sa.text("DELETE FROM states")).rowcount)

    sa.event.listen(source._engine, "after_cursor_execute", purge)  # noqa: SLF001 - between two of its statements
    assert facts(source.read(WINDOW)) == expected
    assert purged[0] > 0
    assert source.read(WINDOW).samples == 0
    source.close()
    other.dispose()


def test_a_wrong_password_is_a_matter_of_settings(mariadb: MariaDb) -> None:
    mariadb.execute("CREATE OR REPLACE USER 'ha'@'127.0.0.1' IDENTIFIED BY 'right'")
    url = mariadb.new_database().set(username="ha", password="wrong")  # noqa: S106 - of a test's own server
    with pytest.raises(SettingsError, match="refuse") as caught:
        read(url)
    assert "wrong" not in str(caught.value).replace("wrong password", "")
    assert caught.value.hint


def test_a_server_that_does_not_answer_is_unavailable(mariadb: MariaDb) -> None:
    with pytest.raises(SourceUnavailable):
        read(mariadb.url.set(port=1, database="nothing"))


@NEEDS_DATA
def test_what_home_assistant_itself_wrote_into_the_servers_reads_alike(
    mariadb: MariaDb, postgresql: Cluster, tmp_path: Path
) -> None:
    """The same script was recorded by two runs of Home Assistant, seconds apart."""
    first, second = mariadb.new_database(), new_database(postgresql.url)
    mariadb.execute(
        gzip.decompress((SHARED / "ha-2026.11.0-mariadb10.11.sql.gz").read_bytes()).decode(), first.database
    )
    dump = tmp_path / "dump.sql"
    dump.write_bytes(gzip.decompress((SHARED / "ha-2026.11.0-postgresql15.sql.gz").read_bytes()))
    psql = ["psql", "-h", "127.0.0.1", "-p", str(second.port), "-U", str(second.username), "-q", "-f", str(dump)]
    subprocess.run([*psql, str(second.database)], check=True, capture_output=True)
    for day in (26, 27):
        window = DayWindow(dt.date(2026, 10, day), BERLIN)
        logs = [read(url, window) for url in (first, second)]
        changes = [
            [
                (log.entities[entity].entity_id, log.states[state])
                for entity, state in zip(log.events.entity, log.events.state, strict=True)
            ]
            for log in logs
        ]
        assert len(changes[0]) > 20
        assert sorted(changes[0]) == sorted(changes[1])
        assert logs[0].samples == logs[1].samples
