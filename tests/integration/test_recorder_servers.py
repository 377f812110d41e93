"""The recorder on MariaDB and PostgreSQL: the same log as from SQLite, one snapshot a read, helpful errors."""

from __future__ import annotations

import datetime as dt
import gzip
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from jobs.activity.entities import EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow, midnight
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from storage.dates import ONE_DAY, DateRange
from storage.errors import SettingsError, SourceUnavailable
from tests.support.mariadb import MariaDb
from tests.support.postgresql import Cluster, new_database
from tests.support.recorder import RecorderDatabase, StateRow
from tests.support.recorder_servers import copy_recorder

BERLIN: Final = ZoneInfo("Europe/Berlin")
WINDOW: Final = DayWindow(dt.date(2026, 3, 10), BERLIN)
DATA: Final = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SHARED: Final = DATA / "ha-recorder-53"
NEEDS_DATA: Final = pytest.mark.skipif(not SHARED.is_dir(), reason=f"not here: the recordings in {DATA}")

NewUrl = Callable[[], sa.URL]


@pytest.fixture(params=["mariadb", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> NewUrl:
    """Makes an empty database on one of the servers."""
    server: MariaDb | Cluster = request.getfixturevalue(request.param)
    return server.new_database if isinstance(server, MariaDb) else lambda: new_database(server.url)


def at(hours: float) -> int:
    return midnight(WINDOW.day, BERLIN) + round(hours * HOUR)


def home(path: Path, *more_texts: str) -> Path:
    """Three days with everything that is read in another way on a server: odd texts, NULL, contexts, restarts."""
    with RecorderDatabase(path) as recorder:
        recorder.run(at(-40), at(-3))
        recorder.run(at(-2.99), at(15), closed_incorrect=True)
        recorder.run(at(15.5), None)
        recorder.describe("sensor.heartbeat", {"unit_of_measurement": "°C"})
        recorder.describe("binary_sensor.hall", {"device_class": "motion"})
        instants = [i for i in range(at(-40), at(30), 7 * MINUTE) if not at(14.9) < i < at(15.5)]
        recorder.write(StateRow(instant, "sensor.heartbeat", "20.5") for instant in instants)
        texts = ("on", "off", "on", None, "unavailable", "off", "a\tb", *more_texts, "a\x1fb", "Küche 🏠", "", "on")
        for number, entity_id in enumerate(("light.lamp", "binary_sensor.hall", "input_select.mode", "sensor.free")):
            recorder.write(
                StateRow(at(-30) + n * 83 * MINUTE + number * 1_234_567 + n, entity_id, texts[n % len(texts)], n % 3)
                for n in range(40)
            )
        recorder.write([StateRow(at(9), "automation.evening", "on")])
        watts = {"unit_of_measurement": "W"}
        for described, changes in (
            (watts, ((-2.5, "40"), (8, "12"))),
            ({"device_class": "enum"}, ((9.1, "Idle"), (10.1, "run"), (11.1, "Idle"))),
            (watts, ((12, "12"), (13, "n/a"), (29, "40"))),
        ):
            recorder.describe("sensor.washer", described)
            recorder.write(StateRow(at(hour), "sensor.washer", state) for hour, state in changes)
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
    """Everything of a log that can be compared; states by their text."""
    names = [entity.entity_id for entity in log.entities]
    events, intervals = log.events, log.intervals
    return {
        "entities": log.entities,
        "known": log.known.tolist(),
        "samples": log.samples,
        "notices": log.notices,
        "events": [
            (instant, names[entity], log.states[state], cause)
            for instant, entity, state, cause in zip(
                *(column.tolist() for column in (events.at, events.entity, events.state, events.cause)), strict=True
            )
        ],
        "intervals": [
            *(column.tolist() for column in (intervals.start, intervals.end)),
            *(column.tolist() for column in (intervals.start_known, intervals.end_known)),
            [names[entity] for entity in intervals.entity],
            [log.states[state] for state in intervals.state],
        ],
        "episodes": [getattr(log.episodes, column.name).tolist() for column in fields(log.episodes)],
        "keys": dict(log.keys),
    }


@pytest.mark.parametrize("day", [-1, 0, 1])
@pytest.mark.parametrize(
    "more_texts",
    [(), ("a\x1eb",), ("ü" * 255,)],
    ids=["", "with the separator of rows in a state", "with the longest state of letters of two bytes"],
)
def test_a_day_is_the_same_as_from_sqlite(
    tmp_path: Path, new_url: NewUrl, day: int, more_texts: tuple[str, ...]
) -> None:
    path = home(tmp_path / "home-assistant_v2.db", *more_texts)
    window = DayWindow(WINDOW.day + dt.timedelta(days=day), BERLIN)
    expected = facts(read(f"sqlite:///{path}", window))
    assert facts(read(copy_recorder(path, new_url()), window)) == expected
    assert expected["samples"]


@pytest.mark.parametrize(
    "numbering",
    ["state_id + 3000000000", "state_id * 3", "1 + state_id * 7919 % 10007", "state_id + (state_id % 2) * 100000"],
    ids=["large", "every third", "in no order", "two ranges"],
)
def test_a_day_is_the_same_as_from_sqlite_however_its_rows_are_numbered(
    tmp_path: Path, new_url: NewUrl, numbering: str
) -> None:
    path = home(tmp_path / "home-assistant_v2.db")
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE states SET state_id = -({numbering})")  # noqa: S608 - of this test
        connection.execute("UPDATE states SET state_id = -state_id")
    connection.close()
    assert facts(read(copy_recorder(path, new_url()))) == facts(read(f"sqlite:///{path}"))


@pytest.mark.parametrize("metadata_id", [2**62, -7, 2**31 - 1], ids=["huge", "negative", "large"])
def test_a_day_is_the_same_as_from_sqlite_however_large_the_numbers_of_entities(
    tmp_path: Path, new_url: NewUrl, metadata_id: int
) -> None:
    """The number of a row and of its entity are read as one number, unless they do not fit into one."""
    path = home(tmp_path / "home-assistant_v2.db")
    with sqlite3.connect(path) as connection:
        for table in ("states", "states_meta"):
            connection.execute(f"UPDATE {table} SET metadata_id = ? WHERE metadata_id = 2", (metadata_id,))  # noqa: S608 - of this test
    connection.close()
    expected = facts(read(f"sqlite:///{path}"))
    assert facts(read(copy_recorder(path, new_url()))) == expected
    assert expected["events"] == facts(read(f"sqlite:///{home(tmp_path / 'usual.db')}"))["events"]


@pytest.mark.parametrize("more_texts", [(), ("a\x1eb",)], ids=["", "with the separator of rows in a state"])
def test_rows_come_as_one_text_a_column_unless_a_state_holds_the_separator(
    tmp_path: Path, mariadb: MariaDb, more_texts: tuple[str, ...]
) -> None:
    url = copy_recorder(home(tmp_path / "home-assistant_v2.db", *more_texts), mariadb.new_database())
    source = HomeAssistantDatabase(url.render_as_string(hide_password=False), BERLIN, EntityRules())
    statements: list[str] = []
    sa.event.listen(source._engine, "after_cursor_execute", lambda *of: statements.append(of[2]))  # noqa: SLF001 - counts
    source.read(WINDOW)
    source.close()
    row_by_row = [
        one
        for one in statements
        if "END AS state," in one and "ORDER BY states.last_updated_ts, " in one and "LIMIT" not in one
    ]
    reads = 2  # the washer turns out to be activity in the midst of the day
    assert len(row_by_row) == reads * len(more_texts)


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


@NEEDS_DATA
@pytest.mark.parametrize(
    ("file", "storage", "zone"),
    [
        ("ha-recorder-a/home-assistant_v2.db.gz", "ha-recorder-a/storage", "Europe/Madrid"),
        ("ha-recorder-53/ha-2026.11.0-schema53.db.gz", "ha-recorder-53/storage", "Europe/Berlin"),
    ],
    ids=["ha-recorder-a", "ha-recorder-53"],
)
def test_each_day_of_a_real_home_is_the_same_as_from_sqlite(
    tmp_path: Path, new_url: NewUrl, file: str, storage: str, zone: str
) -> None:
    path = tmp_path / "home-assistant_v2.db"
    path.write_bytes(gzip.decompress((DATA / file).read_bytes()))
    url = copy_recorder(path, new_url()).render_as_string(hide_password=False)
    sources = [
        HomeAssistantDatabase(one, ZoneInfo(zone), EntityRules(), DATA / storage) for one in (f"sqlite:///{path}", url)
    ]
    spans = [source.span() for source in sources]
    assert spans[0] is not None
    assert spans[0] == spans[1]
    for day in DateRange(spans[0].first - ONE_DAY, spans[0].last + ONE_DAY):
        window = DayWindow(day, ZoneInfo(zone))
        from_sqlite, from_server = (facts(source.read(window)) for source in sources)
        assert from_server == from_sqlite
        assert len({source.fingerprint(window) for source in sources}) == 1
    for source in sources:
        source.close()
