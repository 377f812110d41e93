"""The job over a store in PostgreSQL: the same rows as in SQLite, and nothing lost while the server is away."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.dates import ALL_DAYS
from storage.errors import StoreError
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily, TimeBasedDaily
from tests.support.home import CSV_CONFIG, Home
from tests.support.postgresql import Cluster, new_database, running
from tests.support.rows import time_based, time_based_batch

SIMULATED = CSV_CONFIG.replace('kind = "csv_files"\npath = "events.csv"', 'kind = "simulated_home"')
DAYS = ("-7d", "yesterday")


def home_of(folder: Path, store: sa.URL | None) -> Home:
    folder.mkdir()
    address = "sqlite:///aggregates.db" if store is None else store.render_as_string()
    return Home(folder, SIMULATED.replace("sqlite:///aggregates.db", address), events=None)


@pytest.mark.slow
def test_a_home_gives_the_rows_in_postgresql_that_it_gives_in_sqlite(tmp_path: Path, postgresql: Cluster) -> None:
    ours, reference = home_of(tmp_path / "a", new_database(postgresql.url)), home_of(tmp_path / "b", None)
    for home in (ours, reference):
        assert home.call("init").exit_code == 0
        assert {day["status"] for day in home.json("backfill", *DAYS, "--json")["days"]} == {"written"}
        assert home.json("backfill", *DAYS, "--json")["days"] == []
    models: tuple[type[DailyAggregate], ...] = (*AGGREGATES, DetectorRunDaily)
    for model in models:
        rows, expected = (
            [
                {name: value for name, value in row.items() if name not in ("computed_at", "seconds")}
                for row in home.json("query", model.measurement, *DAYS, "--format", "json")
            ]
            for home in (ours, reference)
        )
        assert rows == expected
        assert rows or model.measurement == "anomaly_daily"
    checks = {check["about"]: check["verdict"] for check in ours.json("doctor", "--json")["checks"]}
    assert checks["store"] == "ok"


def test_a_server_that_is_away_leaves_the_days_staged(tmp_path: Path) -> None:
    with running() as cluster:
        home = home_of(tmp_path / "home", new_database(cluster.url))
        assert home.call("init").exit_code == 0
        cluster.stop()
        report = home.json("backfill", "-2d", "yesterday", "--json", exit_code=75)
        assert {day["status"] for day in report["days"]} == {"staged"}
        assert home.call("query", "time_based", "-2d", "yesterday").exit_code == 75
        cluster.start()
        report = home.json("backfill", "-2d", "yesterday", "--json")
        assert {day["status"] for day in report["days"]} == {"written"}


def test_a_password_in_the_address_is_shown_nowhere(tmp_path: Path, postgresql: Cluster) -> None:
    home = home_of(tmp_path / "home", None)
    address = postgresql.url.render_as_string().replace("tester@", "nobody-here:hush-hush@")
    home.config.write_text(home.config.read_text().replace("sqlite:///aggregates.db", address))
    for command in (("init",), ("doctor",), ("query", "time_based", *DAYS)):
        result = home.call(*command)
        assert result.exit_code != 0
        assert "hush-hush" not in result.output
        assert "nobody-here" in result.output


def test_a_database_that_is_not_there_is_told(tmp_path: Path, postgresql: Cluster) -> None:
    home = home_of(tmp_path / "home", postgresql.url.set(database="no_such_database"))
    result = home.call("query", "time_based", *DAYS)
    assert result.exit_code == 75
    assert "no_such_database" in result.output


def test_rows_that_a_trigger_discards_are_not_taken_for_written(postgresql: Cluster) -> None:
    url = new_database(postgresql.url)
    with closing(SqlStore(url.render_as_string(hide_password=False))) as store:
        store.replace_day(time_based_batch(time_based("light.kitchen")))
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(
                sa.text("CREATE FUNCTION discard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
            )
            connection.execute(
                sa.text("CREATE TRIGGER t BEFORE INSERT ON time_based_daily FOR EACH ROW EXECUTE FUNCTION discard()")
            )
        engine.dispose()
        with pytest.raises(StoreError, match="does not keep 1 of the 2 rows of time_based_daily"):
            store.replace_day(time_based_batch(time_based("light.kitchen"), time_based("light.hall")))
        assert [row.entity_id for row in store.read(TimeBasedDaily, ALL_DAYS)] == ["light.kitchen"]
