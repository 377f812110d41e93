"""A SQL store that version 0.1.0 made: a writer brings it up to date in place, a reader reads it as it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
import sqlalchemy as sa

from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.errors import StoreError
from storage.models import CoOccurrenceDaily, DailyAggregate, SequenceDaily, Tag
from tests.support.earlier_version import CHAINS, DIALECTS, FORMER, PAIRS, PRESENT, TABLES
from tests.support.postgresql import Cluster, new_database, postgresql
from tests.support.rows import DAY, batch, finding, time_based, time_based_batch

__all__ = ["postgresql"]

TODAY: Final = DateRange(DAY, DAY)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store as version 0.1.0 made it, with a pair and a chain for each former value."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'aggregates.db'}"
    else:
        cluster: Cluster = request.getfixturevalue("postgresql")
        made = new_database(cluster.url).render_as_string()
    rows = [{"date": DAY.isoformat(), "key": f"{place}", "wired": wired} for place, wired in enumerate(FORMER)]
    execute(made, lambda connection: [connection.execute(statement, rows) for statement in (PAIRS, CHAINS)], *TABLES)
    return made


def execute(url: str, call: Callable[[sa.Connection], Any] = lambda _: None, *statements: str) -> Any:
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement.format(**DIALECTS[connection.dialect.name])))
            return call(connection)
    finally:
        engine.dispose()


def content(url: str) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """The columns and rows of every table, as they lie in the database."""

    def look(connection: sa.Connection) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
        inspector = sa.inspect(connection)
        return {
            name: (
                [column["name"] for column in inspector.get_columns(name)],
                sorted(map(tuple, connection.execute(sa.select(sa.text("*")).select_from(sa.table(name)))), key=repr),
            )
            for name in sorted(inspector.get_table_names())
        }

    found: dict[str, tuple[list[str], list[tuple[Any, ...]]]] = execute(url, look)
    return found


def links(store: SqlStore) -> list[list[str | None]]:
    pairs, chains = store.read(CoOccurrenceDaily, TODAY), store.read(SequenceDaily, TODAY)
    return [[row.linked_by for row in pairs], [row.linked_by for row in chains]]


def test_a_reader_finds_the_present_names_and_changes_nothing(url: str) -> None:
    before = content(url)
    with closing(SqlStore(url, read_only=True)) as store:
        assert links(store) == [PRESENT, PRESENT]
        (one,) = store.summarize(CoOccurrenceDaily, TODAY, {"linked_by": "count", "first_share": "mean"})
    assert (one["linked_by"], one["first_share"], one.rows) == (3, 1.0, 4)
    assert content(url) == before


def test_a_writer_renames_the_columns_and_their_values_once(url: str) -> None:
    with closing(SqlStore(url)) as store:
        changes = store.prepare()
        assert [change for change in changes if change.startswith("renamed")] == [
            "renamed column co_occurrence_daily.wired to linked_by",
            "renamed column sequence_daily.wired to linked_by",
        ]
        assert store.prepare() == []
        assert links(store) == [PRESENT, PRESENT]
    after = content(url)
    columns, rows = after["co_occurrence_daily"]
    assert "wired" not in columns
    assert sorted(str(row[columns.index("linked_by")]) for row in rows) == sorted(map(str, PRESENT))
    with closing(SqlStore(url)) as again:
        assert links(again) == [PRESENT, PRESENT]
        assert again.prepare() == []
    assert content(url) == after


@pytest.mark.parametrize(
    "use",
    [
        links,
        lambda store: store.replace_day(time_based_batch(time_based())),
        lambda store: store.expire(dt.date(2020, 1, 1)),
    ],
    ids=["read", "replace_day", "expire"],
)
def test_a_writer_brings_the_store_up_to_date_whatever_it_does_first(
    url: str, use: Callable[[SqlStore], object]
) -> None:
    with closing(SqlStore(url)) as store:
        use(store)
    for name in ("co_occurrence_daily", "sequence_daily"):
        assert "wired" not in content(url)[name][0]


def test_a_reader_that_is_open_meanwhile_goes_on_reading(url: str) -> None:
    with closing(SqlStore(url, read_only=True)) as reader, closing(SqlStore(url)) as writer:
        assert links(reader) == [PRESENT, PRESENT]
        writer.prepare()
        assert links(reader) == [PRESENT, PRESENT]


def test_a_day_written_anew_replaces_rows_of_the_earlier_version(url: str) -> None:
    with closing(SqlStore(url)) as store:
        (pair, *_), chains = store.read(CoOccurrenceDaily, TODAY), store.read(SequenceDaily, TODAY)
        unlinked = pair.model_copy(update={"linked_by": None})
        store.replace_day(batch(finding(CoOccurrenceDaily, [unlinked])))
        assert store.read(CoOccurrenceDaily, TODAY) == [unlinked]
        assert store.read(SequenceDaily, TODAY) == chains


def test_a_table_that_already_has_both_columns_keeps_the_values_of_both(url: str) -> None:
    execute(
        url,
        lambda _: None,
        "ALTER TABLE co_occurrence_daily ADD COLUMN linked_by TEXT",
        "UPDATE co_occurrence_daily SET linked_by = 'automation' WHERE wired = 'device'",
    )
    expected = ["automation", "automation", "simultaneous", None]
    with closing(SqlStore(url, read_only=True)) as reader:
        assert links(reader)[0] == expected
    with closing(SqlStore(url)) as writer:
        assert links(writer)[0] == expected
    assert "wired" not in content(url)["co_occurrence_daily"][0]


def test_a_change_that_fails_midway_leaves_the_store_as_it_was_and_is_done_the_next_time(url: str) -> None:
    refusing = TABLES[1].replace("wired TEXT,", "wired TEXT CHECK (wired <> 'same_device'),")
    execute(url, lambda _: None, "DROP TABLE sequence_daily", refusing)
    row = {"date": DAY.isoformat(), "key": "0", "wired": "device"}
    execute(url, lambda connection: connection.execute(CHAINS, [row]))
    before = content(url)
    with closing(SqlStore(url)) as store:
        with pytest.raises(StoreError, match=r"(?i)check constraint"):
            store.read(CoOccurrenceDaily, TODAY)
        assert content(url) == before
        execute(url, lambda _: None, "DELETE FROM sequence_daily")
        assert links(store) == [PRESENT, []]
        assert len([change for change in store.prepare() if change.startswith("renamed")]) == 2


def test_writers_that_open_the_store_together_change_it_once(url: str) -> None:
    stores = [SqlStore(url) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as pool:
        found = list(pool.map(links, stores))
    for store in stores:
        store.close()
    assert found == [[PRESENT, PRESENT]] * 4


class PlainDaily(DailyAggregate):
    """What a plug-in stored at first."""

    measurement: ClassVar[str] = "plugin_daily"
    meter: Tag
    energy: float


class RicherDaily(DailyAggregate):
    """What its next version stores."""

    measurement: ClassVar[str] = "plugin_daily"
    meter: Tag
    energy: float
    peak: float | None = None


def test_a_reader_takes_a_column_that_the_table_lacks_as_absent(url: str) -> None:
    with closing(SqlStore(url)) as writer:
        writer.replace_day(batch(finding(PlainDaily, [PlainDaily(date=DAY, meter="main", energy=1.5)])))
    before = content(url)
    with closing(SqlStore(url, read_only=True)) as reader:
        assert reader.read(RicherDaily, TODAY) == [RicherDaily(date=DAY, meter="main", energy=1.5)]
        (one,) = reader.summarize(RicherDaily, TODAY, {"peak": ["count", "max"], "energy": "sum"})
    assert one.values == {"peak_count": 0, "peak_max": None, "energy": 1.5}
    assert content(url) == before
