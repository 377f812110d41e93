"""A home whose ledger is in PostgreSQL: every command works, and rows and "written" are one transaction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from jobs.wiring import system_clock
from storage.identity import HomeIdentity, Place
from storage.ledger import home as noted_home
from storage.ledger.ledger import Ledger
from storage.ledger.server_schema import IN_SCHEMA
from storage.models import DurationDaily
from storage.query import open_query
from tests.support.home import CSV_CONFIG, Home
from tests.support.postgresql import Cluster, new_database

DAY = "2026-03-02"
FILES = 'url = "sqlite:///aggregates.db"', 'path = "ledger.db"'


@pytest.fixture
def database(postgresql: Cluster) -> sa.URL:
    return new_database(postgresql.url)


def home_of(folder: Path, database: sa.URL, *, name: str = "", with_rows: bool = False) -> Home:
    """Return a home with its ledger, and perhaps its rows, in a database."""
    folder.mkdir(exist_ok=True)
    url = f'url = "{database.render_as_string(hide_password=False)}"'
    config = CSV_CONFIG.replace(FILES[1], url)
    config = config.replace(FILES[0], url) if with_rows else config
    return Home(folder, config.replace("[home]", f'[home]\nname = "{name}"'))


def test_a_home_is_computed_and_nothing_of_its_ledger_is_in_a_file(tmp_path: Path, database: sa.URL) -> None:
    home = home_of(tmp_path, database)
    assert "made ledger postgresql" in home.call("init").stdout
    assert home.call("backfill", DAY, DAY).exit_code == 0
    cells = home.json("status", DAY, DAY, "--json")[0]["detectors"]
    assert cells["duration"]["status"] == "written"
    assert home.call("doctor").exit_code in (0, 1)
    assert {one.name for one in tmp_path.iterdir()} <= {
        "config.toml", "events.csv", "aggregates.db", "aggregates.db-wal", "aggregates.db-shm"
    }  # fmt: skip
    assert open_query(config=home.config).daily(DurationDaily, DAY, DAY)


def test_a_store_of_another_home_is_refused_by_the_ledger_in_the_database(tmp_path: Path, database: sa.URL) -> None:
    first, second = home_of(tmp_path / "first", database), home_of(tmp_path / "second", database)
    assert first.call("backfill", DAY, DAY).exit_code == 0
    refused = second.call("backfill", DAY, DAY)
    assert refused.exit_code == 78
    assert "belongs to" in refused.output


def test_days_away_and_mutes_of_each_home_are_kept_in_the_database(tmp_path: Path, database: sa.URL) -> None:
    north = home_of(tmp_path / "north", database, name="north")
    south = home_of(tmp_path / "south", database, name="south")
    assert north.call("backfill", DAY, DAY).exit_code == 0
    assert north.call("away", DAY, DAY, "--note", "at the sea").exit_code == 0
    muted = north.call("mute", "light.kitchen", "--from", DAY)
    assert muted.exit_code == 0, muted.output
    assert "at the sea" in north.call("away", "--list").output
    assert "light.kitchen" in north.call("mute", "--list").output
    assert "at the sea" not in south.call("away", "--list").output
    assert "light.kitchen" not in south.call("mute", "--list").output


def test_two_homes_with_rows_and_ledger_in_one_database_keep_apart(tmp_path: Path, database: sa.URL) -> None:
    homes = [home_of(tmp_path / name, database, name=name, with_rows=True) for name in ("north", "south")]
    for home in homes:
        assert home.call("backfill", DAY, DAY).exit_code == 0
    for home in homes:
        assert home.json("status", DAY, DAY, "--json")[0]["detectors"]["duration"]["status"] == "written"
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        entries = connection.execute(
            sa.text("SELECT home, count(*) FROM pattern_aggregates_ledger.entry GROUP BY 1 ORDER BY 1")
        ).all()
        runs = connection.execute(sa.text("SELECT home, count(*) FROM detector_run_daily GROUP BY 1 ORDER BY 1")).all()
    engine.dispose()
    assert [home for home, _ in entries] == [home for home, _ in runs] == ["north", "south"]


def test_a_file_and_a_database_at_once_are_refused(tmp_path: Path, database: sa.URL) -> None:
    home = home_of(tmp_path, database)
    home.config.write_text(home.config.read_text().replace("[ledger]", '[ledger]\npath = "ledger.db"'))
    refused = home.call("status")
    assert refused.exit_code == 78
    assert "path and url exclude each other" in refused.output


def test_a_database_that_does_not_answer_is_reported_and_retried(tmp_path: Path, database: sa.URL) -> None:
    home = home_of(tmp_path, database.set(port=1))
    refused = home.call("backfill", DAY, DAY)
    assert refused.exit_code == 75
    assert "secret" not in refused.output


def test_homes_with_one_ledger_file_have_days_away_of_their_own(tmp_path: Path) -> None:
    north, south = (
        Home(tmp_path, CSV_CONFIG.replace("[home]", f'[home]\nname = "{name}"')) for name in ("north", "south")
    )
    assert south.call("away", DAY, DAY, "--note", "at the sea").exit_code == 0
    south.config.write_text(CSV_CONFIG.replace("[home]", '[home]\nname = "north"'))
    assert "at the sea" not in north.call("away", "--list").output
    south.config.write_text(CSV_CONFIG.replace("[home]", '[home]\nname = "south"'))
    assert "at the sea" in south.call("away", "--list").output


def test_two_runs_that_are_the_first_of_a_home_agree_on_its_identity(database: sa.URL) -> None:
    """The second one comes while the first has noted its identity and not yet committed."""
    first, second = (HomeIdentity("Europe/Berlin", Place("csv_files events")).with_new_id() for _ in range(2))
    engine = sa.create_engine(database).execution_options(**IN_SCHEMA)
    with Ledger(database, home="north", clock=system_clock) as ledger, ThreadPoolExecutor() as pool:
        with engine.begin() as connection:
            noted_home.write_missing(connection, "north", first, Place("store"))
            later = pool.submit(ledger.write_home, second, Place("store"))
            with pytest.raises(TimeoutError):
                later.result(timeout=0.5)
        assert later.result(timeout=30) == first
        noted = ledger.read_home()
    engine.dispose()
    assert noted is not None
    assert noted.identity == first
