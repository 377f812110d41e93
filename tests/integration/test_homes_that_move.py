"""A home whose recorder or store moves to another technology stays the same home, if that can be known."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobs.home_identity import home_in_settings
from jobs.settings import Settings
from storage.backends.influxdb.store import InfluxStore
from storage.backends.sql import SqlStore
from storage.batch import DayBatch, DetectorDay
from storage.dates import DateRange
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.rollup_models import BoutTimesDaily
from storage.store import AggregateStore
from tests.support.home import CSV_CONFIG, Home
from tests.support.influxdb import VERSIONS, LiveServer, server_of
from tests.support.postgresql import Cluster, new_database

DAY = "2026-03-02"
DAYS = DateRange.parse(DAY)
SQLITE, MARIADB = "sqlite:////config/home-assistant_v2.db", "mysql+pymysql://ha:secret@db.local/homeassistant"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with CSV files of three days, of which nothing is computed yet."""
    return Home(tmp_path)


def described(url: str, registry: Path | None) -> Settings:
    source = {"kind": "home_assistant_db", "url": url, **({"registry_dir": str(registry)} if registry else {})}
    return Settings.model_validate({"home": {"time_zone": "Europe/Berlin"}, "source": source})


def test_a_recorder_that_moves_to_another_database_is_known_by_its_instance(tmp_path: Path) -> None:
    registry = tmp_path / ".storage"
    registry.mkdir()
    (registry / "core.uuid").write_text(json.dumps({"version": 1, "key": "core.uuid", "data": {"uuid": "abc"}}))
    before, after = (home_in_settings(described(url, registry), tmp_path) for url in (SQLITE, MARIADB))
    assert before.has_same_source(after)
    assert "secret" not in str(after)
    assert str(after) == "(Europe/Berlin, home_assistant_db mysql://db.local/homeassistant)"
    without = [home_in_settings(described(url, None), tmp_path) for url in (SQLITE, MARIADB)]
    assert not without[0].has_same_source(without[1])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"data": {"uuid": 5}}', '{"data": null}'])
def test_an_instance_that_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "core.uuid").write_text(text)
    assert home_in_settings(described(SQLITE, tmp_path), tmp_path).instance == ""


def copy_day(one: AggregateStore, other: AggregateStore) -> None:
    """Copy the rows of a day as somebody might who moves a store."""
    findings = []
    for run in one.read(DetectorRunDaily, DAYS):
        models: tuple[type[DailyAggregate], ...] = (*AGGREGATES, BoutTimesDaily)
        (model,) = (model for model in models if model.measurement == f"{run.detector}_daily")
        findings.append(DetectorDay(run, model, tuple(one.read(model, DAYS))))
    other.replace_day(DayBatch(dt.date.fromisoformat(DAY), tuple(findings)))


@pytest.fixture(params=[*VERSIONS, "postgresql"])
def moved(request: pytest.FixtureRequest, home: Home) -> Iterator[tuple[Home, AggregateStore]]:
    """A home whose day is computed, its settings then naming a new store, and that store, still empty."""
    assert home.call("backfill", DAY).exit_code == 0
    store: AggregateStore
    if request.param == "postgresql":
        server: Cluster = request.getfixturevalue("postgresql")
        url = new_database(server.url).render_as_string()
        section, store = f'[store]\nurl = "{url}"\nretention_days = 0\n', SqlStore(url)
    else:
        influx: LiveServer = server_of(request)
        bucket = influx.new_bucket()
        section = f'[store]\nkind = "influxdb"\nurl = "{influx.url}"\norg = "{influx.org}"\ntoken = "{influx.token}"\n'
        section += f'bucket = "{bucket}"\nretention_days = 0\n'
        store = InfluxStore(influx.server(), bucket)
    home.config.write_text(CSV_CONFIG.partition("[store]")[0] + section + '[ledger]\npath = "ledger.db"\n')
    yield home, store
    store.close()


def test_a_store_whose_rows_were_copied_is_the_home_s_own(moved: tuple[Home, AggregateStore]) -> None:
    home, store = moved
    with closing(SqlStore(f"sqlite:///{home.folder / 'aggregates.db'}", read_only=True)) as before:
        identity = before.read_home()
        copy_day(before, store)
    for words in (("status", DAY), ("query", "time_based_daily", DAY), ("run", "--day", DAY)):
        result = home.call(*words)
        assert result.exit_code == 0, result.output
    stored = store.read_home()
    assert stored is not None
    assert stored == identity


def test_an_empty_store_is_refused_until_it_is_adopted(moved: tuple[Home, AggregateStore]) -> None:
    home, store = moved
    for words in (("run",), ("status",), ("health",), ("doctor",), ("init",)):
        result = home.call(*words)
        assert result.exit_code == 78, result.output
        assert "init --adopt store" in " ".join(result.output.split())
    assert home.call("init", "--adopt", "store").exit_code == 0
    assert home.call("backfill", DAY).exit_code == 0
    assert len(store.read(DetectorRunDaily, DAYS)) == 8
    second = Home(home.folder, home.config.read_text().replace('"ledger.db"', '"other.db"'))
    second.config.write_text(second.config.read_text().replace('"events.csv"', '"others.csv"'))
    (home.folder / "others.csv").write_text((home.folder / "events.csv").read_text())
    for others in (["run"], ["backfill", DAY], ["status"], ["init"]):
        refused = second.call(*others)
        assert refused.exit_code == 78, refused.output
        assert "others.csv" in refused.output
