"""A program that is killed while it brings a store of an earlier version up to date: old or new, never between."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.models import TimeBasedDaily
from tests.support.earlier_version import DIALECTS, METERS, RUNS, TABLES_OF_ONE_HOME, TIME_BASED
from tests.support.postgresql import Cluster, new_database, postgresql
from tests.support.rows import DAY

__all__ = ["postgresql"]

KILLS: Final = 4
ROWS: Final = 8_000  # enough for the change to take a while
TABLES: Final = ("time_based_daily", "detector_run_daily", "plugin_daily")


@pytest.fixture(params=["sqlite", "postgresql"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], str]:
    """Make a store of an earlier version; returns its URL."""

    def make(number: int) -> str:
        if request.param == "sqlite":
            made = f"sqlite:///{tmp_path / f'{number}.db'}"
        else:
            cluster: Cluster = request.getfixturevalue("postgresql")
            made = new_database(cluster.url).render_as_string()
        engine = sa.create_engine(made)
        with engine.begin() as connection:
            for statement in TABLES_OF_ONE_HOME:
                connection.execute(sa.text(statement.format(**DIALECTS[connection.dialect.name])))
            day = {"date": DAY.isoformat()}
            connection.execute(TIME_BASED, [{**day, "entity_id": f"light.{row:05}"} for row in range(ROWS)])
            connection.execute(RUNS, day)
            connection.execute(METERS, day)
        engine.dispose()
        return made

    return make


def update(url: str) -> None:
    with closing(SqlStore(url)) as store:
        store.prepare()


def columns(url: str) -> dict[str, list[str]]:
    engine = sa.create_engine(url)
    try:
        inspector = sa.inspect(engine)
        return {name: [column["name"] for column in inspector.get_columns(name)] for name in TABLES}
    finally:
        engine.dispose()


def test_the_store_is_old_or_new_after_a_kill_and_the_next_program_completes_it(
    new_store: Callable[[int], str],
) -> None:
    context: Any = multiprocessing.get_context("fork")
    url = new_store(0)
    began = time.monotonic()
    update(url)
    whole_seconds = time.monotonic() - began
    states: list[bool] = []
    for number in range(1, KILLS + 1):
        url = new_store(number)
        process = context.Process(target=update, args=(url,))
        process.start()
        process.join(whole_seconds * (number - 1) / KILLS)
        process.kill()
        process.join()
        has_home = {"home" in names for names in columns(url).values()}
        assert len(has_home) == 1
        states += has_home
        with closing(SqlStore(url, read_only=True)) as reader:
            assert len(reader.read(TimeBasedDaily, DateRange(DAY, DAY))) == ROWS
        update(url)
        assert all("home" in names for names in columns(url).values())
        with closing(SqlStore(url)) as store:
            assert len(store.read(TimeBasedDaily, DateRange(DAY, DAY))) == ROWS
            assert store.homes() == [""]
    assert False in states  # else none was killed in time
