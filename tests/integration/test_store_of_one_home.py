"""A SQL store that was made before homes had names: its rows are those of the home without one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.errors import StoreError
from storage.identity import HomeIdentity, Place
from storage.models import DailyAggregate, DetectorRunDaily, Tag, TimeBasedDaily
from tests.support.earlier_version import DIALECTS, METERS, OLD_HOME, RUNS, TABLES_OF_ONE_HOME, TIME_BASED
from tests.support.postgresql import Cluster, new_database, postgresql
from tests.support.rows import DAY, batch, finding, time_based

__all__ = ["postgresql"]

TODAY: Final = DateRange(DAY, DAY)
NEXT: Final = DAY + dt.timedelta(days=1)
HOME: Final = HomeIdentity("Europe/Berlin", Place("csv_files /x.csv")).with_new_id()
ROWS: Final = [time_based("light.a"), time_based("light.b")]


class PluginDaily(DailyAggregate):
    """What a plug-in stores today."""

    measurement: ClassVar[str] = "plugin_daily"
    meter: Tag
    energy: float


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of two lamps and a meter, and what is known of their home."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'aggregates.db'}"
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        made = new_database(cluster.url).render_as_string()
    day = DAY.isoformat()
    with connected(made) as connection:
        for statement in TABLES_OF_ONE_HOME:
            connection.execute(sa.text(statement.format(**DIALECTS[connection.dialect.name])))
        connection.execute(TIME_BASED, [{"date": day, "entity_id": row.entity_id} for row in ROWS])
        connection.execute(RUNS, {"date": day})
        connection.execute(METERS, {"date": day})
        connection.execute(OLD_HOME, {"home": HOME.to_json()})
    return made


def schema(url: str) -> dict[str, tuple[list[str], list[str], list[list[str | None]]]]:
    """The columns, the key and the indexes of every table."""
    with connected(url) as connection:
        inspector = sa.inspect(connection)
        return {
            name: (
                [column["name"] for column in inspector.get_columns(name)],
                inspector.get_pk_constraint(name)["constrained_columns"],
                [index["column_names"] for index in inspector.get_indexes(name)],
            )
            for name in inspector.get_table_names()
        }


def rows_of(url: str, table: str) -> list[tuple[Any, ...]]:
    with connected(url) as connection:
        return sorted(map(tuple, connection.execute(sa.select(sa.text("*")).select_from(sa.table(table)))))


def test_a_reader_finds_the_home_without_a_name_and_changes_nothing(url: str) -> None:
    before = schema(url)
    with closing(SqlStore(url, read_only=True)) as reader:
        assert reader.read(TimeBasedDaily, TODAY) == ROWS
        assert reader.for_home(None).read(TimeBasedDaily, TODAY) == ROWS
        assert reader.for_home("north").read(TimeBasedDaily, TODAY) == []
        (one,) = reader.for_home(None).summarize(TimeBasedDaily, TODAY, {"occurrences": "sum"}, by=["home"])
        assert (one["home"], one["occurrences"], one.rows) == ("", 24, 2)
        assert len(reader.for_home(None).read(TimeBasedDaily, TODAY, {"home": ["", "north"]})) == len(ROWS)
        assert reader.homes() == [""]
        assert reader.read_home() == HOME
        assert reader.for_home("north").read_home() is None
    assert schema(url) == before


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.read(TimeBasedDaily, TODAY),
        lambda store: store.prepare(),
        lambda store: store.expire(dt.date(2020, 1, 1)),
        lambda store: store.for_home("north").replace_day(batch(finding(TimeBasedDaily, [], home="north"))),
    ],
    ids=["read", "prepare", "expire", "replace_day"],
)
def test_a_writer_adds_the_home_to_every_key_once_whatever_it_does_first(
    url: str, use: Callable[[SqlStore], object]
) -> None:
    with closing(SqlStore(url)) as store:
        use(store)
    after = schema(url)
    for name in ("time_based_daily", "detector_run_daily", "plugin_daily"):
        columns, key, indexes = after[name]
        assert "home" in columns
        assert key[:2] == ["home", "date"]
        assert indexes
        assert all(index[0] == "home" for index in indexes)
    with closing(SqlStore(url)) as store:
        assert not [change for change in store.prepare() if change.startswith("added")]
        assert store.read(TimeBasedDaily, TODAY) == ROWS
        assert [run.detector for run in store.read(DetectorRunDaily, TODAY)] == ["time_based"]
        assert store.read_home() == HOME


def test_a_table_of_a_plug_in_keeps_what_its_present_model_does_not_know(url: str) -> None:
    with closing(SqlStore(url)) as store:
        store.prepare()
        assert store.read(PluginDaily, TODAY) == [PluginDaily(date=DAY, meter="main", energy=1.5)]
        north = PluginDaily(date=DAY, home="north", meter="main", energy=2.5)
        store.for_home("north").replace_day(batch(finding(PluginDaily, [north], home="north")))
        assert store.for_home(None).read(PluginDaily, TODAY) == [
            PluginDaily(date=DAY, meter="main", energy=1.5),
            north,
        ]
    assert ["kept" in row for row in rows_of(url, "plugin_daily")] == [True, False]


def test_what_was_known_of_the_home_stays_known_beside_that_of_others(url: str) -> None:
    other = HomeIdentity("UTC", Place("csv_files /y.csv")).with_new_id()
    with closing(SqlStore(url)) as store:
        assert store.for_home("north").write_home(other) == other
        assert store.read_home() == HOME
        assert store.for_home("north").read_home() == other


def test_a_reader_that_is_open_meanwhile_goes_on_reading(url: str) -> None:
    with closing(SqlStore(url, read_only=True)) as reader, closing(SqlStore(url)) as writer:
        assert reader.read(TimeBasedDaily, TODAY) == ROWS
        writer.prepare()
        assert reader.read(TimeBasedDaily, TODAY) == ROWS
        assert reader.read_home() == HOME


def test_writers_that_open_the_store_together_change_it_once(url: str) -> None:
    stores = [SqlStore(url) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as pool:
        found = list(pool.map(lambda store: store.read(TimeBasedDaily, TODAY), stores))
    for store in stores:
        store.close()
    assert found == [ROWS] * 4


def test_a_change_that_fails_midway_leaves_the_store_as_it_was_and_is_done_the_next_time(url: str) -> None:
    with connected(url) as connection:
        connection.execute(sa.text("CREATE TABLE plugin_daily_without_home (x TEXT)"))
        connection.execute(sa.text("CREATE VIEW in_use AS SELECT meter, date FROM plugin_daily"))
        if connection.dialect.name == "postgresql":  # another program's table needs the key
            connection.execute(
                sa.text(
                    "CREATE TABLE other (date VARCHAR(10), meter VARCHAR(255), "
                    "FOREIGN KEY (date, meter) REFERENCES plugin_daily)"
                )
            )
    before = schema(url)
    with closing(SqlStore(url)) as store:
        with pytest.raises(StoreError):
            store.prepare()
        assert schema(url) == before
        with connected(url) as connection:
            connection.execute(sa.text("DROP VIEW in_use"))
            connection.execute(sa.text("DROP TABLE plugin_daily_without_home"))
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("DROP TABLE other"))
        assert "added column plugin_daily.home" in store.prepare()
        assert store.read(TimeBasedDaily, TODAY) == ROWS
