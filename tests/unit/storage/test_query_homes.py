"""Queries of a store with several homes: rows of two homes are never mixed unless that is asked for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.backends.memory import MemoryStore
from storage.backends.sql import SqlStore
from storage.errors import DaysMissing, SettingsError, UsageError
from storage.overlay import OverlaidReader
from storage.query import ALL_HOMES, AggregateQuery, State, TimeBasedDaily, open_query
from storage.store import AggregateStore
from tests.support.rows import DAY, batch, finding, time_based

NEXT = DAY + dt.timedelta(days=1)


def write(store: AggregateStore, home: str, *entities: str, day: dt.date = DAY) -> None:
    rows = [time_based(entity, day, home=home) for entity in entities]
    store.for_home(home).replace_day(batch(finding(TimeBasedDaily, rows, day, home=home)))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AggregateStore]:
    """Two homes with a name, one of which has computed a second day."""
    made: AggregateStore = (
        MemoryStore() if request.param == "memory" else SqlStore(f"sqlite:///{tmp_path / 'aggregates.db'}")
    )
    write(made, "north", "light.a", "light.b")
    write(made, "south", "light.a")
    write(made, "south", "light.c", day=NEXT)
    yield made
    made.close()


def test_a_query_without_a_name_is_refused_where_all_homes_have_one(store: AggregateStore) -> None:
    query = AggregateQuery(store)
    for call in (
        lambda: query.daily(TimeBasedDaily, DAY),
        lambda: query.daily(TimeBasedDaily, DAY, allow_missing=True),
        lambda: query.summarize(TimeBasedDaily, DAY, allow_missing=True),
        lambda: query.completeness(DAY),
        lambda: query.involving("light.a", DAY),
        lambda: query.daily(TimeBasedDaily, DAY, home="", allow_missing=True),
    ):
        with pytest.raises(UsageError, match="no home without a name") as caught:
            call()
        assert "'north', 'south'" in caught.value.hint


def test_a_query_without_a_name_answers_for_the_home_without_one(store: AggregateStore) -> None:
    write(store, "", "light.x")
    query = AggregateQuery(store)
    assert [row.entity_id for row in query.daily(TimeBasedDaily, DAY)] == ["light.x"]
    assert query.involving("light.a", DAY) == []
    (one,) = query.summarize(TimeBasedDaily, DAY)
    assert one.rows == 1


def test_a_name_that_the_store_does_not_hold_is_refused_with_the_nearest(store: AggregateStore) -> None:
    with pytest.raises(UsageError, match="no home 'nort'") as caught:
        AggregateQuery(store).daily(TimeBasedDaily, DAY, home="nort", allow_missing=True)
    assert "Did you mean 'north'?" in caught.value.hint
    with pytest.raises(UsageError, match="no home 'east'"):
        AggregateQuery(store.for_home("east")).completeness(DAY)
    with pytest.raises(UsageError, match="no home 'east'"):
        AggregateQuery(store).daily(TimeBasedDaily, NEXT, home=["east"], allow_missing=True)


def test_one_home_several_and_all_can_be_named(store: AggregateStore) -> None:
    query = AggregateQuery(store)
    assert [row.entity_id for row in query.daily(TimeBasedDaily, DAY, home="north")] == ["light.a", "light.b"]
    both = query.daily(TimeBasedDaily, DAY, home=["south", "north"], entity_id="light.a")
    assert [row.home for row in both] == ["north", "south"]
    assert query.daily(TimeBasedDaily, DAY, home=ALL_HOMES, entity_id="light.a") == both
    assert query.daily(TimeBasedDaily, DAY, home=[]) == []
    assert [row.home for row in query.involving(["light.a"], DAY, NEXT, home=ALL_HOMES)] == ["north", "south"]
    everything = AggregateQuery(store.for_home(None))
    assert everything.daily(TimeBasedDaily, DAY, entity_id="light.a") == both


def test_a_summary_keeps_homes_apart_where_they_are_grouped_by(store: AggregateStore) -> None:
    query = AggregateQuery(store)
    groups = query.summarize(
        TimeBasedDaily, DAY, NEXT, by=["home"], fields={"occurrences": "sum"}, home=ALL_HOMES, allow_missing=True
    )
    assert [(one["home"], one["occurrences"]) for one in groups] == [("north", 24), ("south", 24)]
    (together,) = query.summarize(TimeBasedDaily, DAY, home=ALL_HOMES)
    assert together.rows == 3


def test_days_that_one_of_the_homes_has_not_computed_are_missing(store: AggregateStore) -> None:
    query = AggregateQuery(store)
    assert len(query.daily(TimeBasedDaily, DAY, NEXT, home="south")) == 2
    for homes in (["north", "south"], ALL_HOMES, "north"):
        with pytest.raises(DaysMissing, match="of home 'north'") as caught:
            query.daily(TimeBasedDaily, DAY, NEXT, home=homes)
        assert (caught.value.days, caught.value.homes) == ((NEXT,), ("north",))
    assert len(query.daily(TimeBasedDaily, DAY, NEXT, home=ALL_HOMES, allow_missing=True)) == 4


def test_completeness_is_listed_for_each_home(store: AggregateStore) -> None:
    found = AggregateQuery(store).completeness(NEXT, home=ALL_HOMES)
    of_time_based = [(one.home, one.state) for one in found if one.detector == "time_based"]
    assert of_time_based == [("north", State.MISSING), ("south", State.WRITTEN)]
    assert {one.home for one in AggregateQuery(store).completeness(NEXT, home="south")} == {"south"}


def test_a_reader_that_knows_no_homes_is_asked_for_them_like_for_a_tag(store: AggregateStore) -> None:
    query = AggregateQuery(OverlaidReader(store.for_home(None), []))
    assert [row.home for row in query.daily(TimeBasedDaily, DAY, home=["south"])] == ["south"]


def test_a_frame_has_the_name_of_the_home_only_where_homes_have_names(store: AggregateStore) -> None:
    pytest.importorskip("pyarrow")
    write(store, "", "light.x")
    query = AggregateQuery(store)
    assert "home" not in query.frame(TimeBasedDaily, DAY).column_names
    assert query.frame(TimeBasedDaily, DAY, home="north").column("home").to_pylist() == ["north", "north"]
    named = AggregateQuery(store.for_home("south")).frame(TimeBasedDaily, DAY)
    assert named.column("home").to_pylist() == ["south"]


def test_the_settings_name_the_home_and_an_argument_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'aggregates.db'}"
    with closing(SqlStore(url)) as made:
        write(made, "north", "light.a")
        write(made, "south", "light.c")
        write(made, "", "light.x")
    config = tmp_path / "home.toml"
    config.write_text(f'[home]\nname = "north"\n[store]\nurl = "{url}"\n')
    for home, expected in (
        (None, ["light.a"]),
        ("south", ["light.c"]),
        ("", ["light.x"]),
        (ALL_HOMES, ["light.x", "light.a", "light.c"]),
    ):
        with open_query(config=config, home=home) as query:
            assert [row.entity_id for row in query.daily(TimeBasedDaily, DAY)] == expected
    with open_query(url) as query:
        assert [row.entity_id for row in query.daily(TimeBasedDaily, DAY)] == ["light.x"]
    with open_query(url, home="south") as query:
        assert [row.entity_id for row in query.daily(TimeBasedDaily, DAY)] == ["light.c"]
    with pytest.raises(SettingsError, match="not a valid name of a home"):
        open_query(url, home="a\nb")
