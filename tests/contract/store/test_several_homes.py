"""What a store with several homes promises, on every backend: each home reads and writes its own rows alone."""

from __future__ import annotations

import datetime as dt

import pytest

from storage.aggregate_query import AggregateQuery
from storage.checked_store import CheckedStore
from storage.dates import DateRange
from storage.errors import UsageError
from storage.identity import HomeIdentity, Place
from storage.models import DetectorRunDaily, TimeBasedDaily
from storage.store import AggregateStore
from tests.support.rows import DAY, batch, finding, time_based

TODAY = DateRange(DAY, DAY)
NEXT = DAY + dt.timedelta(days=1)
HOSTILE = ["north", 'o\'neill, "quoted" = x y', "küche 💡", "'; DROP TABLE time_based_daily; --", "x" * 255, "North"]


def write(store: AggregateStore, home: str, *entities: str, day: dt.date = DAY) -> None:
    rows = [time_based(entity, day, home=home) for entity in entities]
    store.for_home(home).replace_day(batch(finding(TimeBasedDaily, rows, day, home=home)))


def entities(store: AggregateStore, home: str | None, days: DateRange = TODAY) -> list[tuple[str, str]]:
    return [(row.home, row.entity_id) for row in store.for_home(home).read(TimeBasedDaily, days)]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_row_of_a_home_of_any_name_comes_back_as_it_was(store: AggregateStore, name: str) -> None:
    view, row = store.for_home(name), time_based(home=name)
    view.replace_day(batch(finding(TimeBasedDaily, [row], home=name)))
    assert view.home == name
    assert view.read(TimeBasedDaily, TODAY) == [row]
    assert view.read(DetectorRunDaily, TODAY)[0].home == name
    assert view.homes() == [name]
    assert store.read(TimeBasedDaily, TODAY) == []


def test_each_home_reads_its_own_rows_and_all_together_by_date_home_and_tags(store: AggregateStore) -> None:
    write(store, "", "light.a", "light.b")
    write(store, "south", "light.a", day=NEXT)
    write(store, "south", "light.c", "light.a")
    write(store, "north", "light.a")
    assert store.home == ""
    assert entities(store, "") == [("", "light.a"), ("", "light.b")]
    assert entities(store, "south") == [("south", "light.a"), ("south", "light.c")]
    assert entities(store, "east") == []
    both = DateRange(DAY, NEXT)
    assert entities(store, None, both) == [
        ("", "light.a"),
        ("", "light.b"),
        ("north", "light.a"),
        ("south", "light.a"),
        ("south", "light.c"),
        ("south", "light.a"),
    ]
    assert store.homes() == ["", "north", "south"]
    assert store.for_home("south").count_by_day(TimeBasedDaily, both) == {DAY: 2, NEXT: 1}
    assert store.for_home(None).count_by_day(TimeBasedDaily, both) == {DAY: 5, NEXT: 1}


def test_a_home_can_be_asked_for_and_grouped_by_like_a_tag(store: AggregateStore) -> None:
    write(store, "", "light.a")
    write(store, "north", "light.a", "light.b")
    write(store, "south", "light.a")
    everything = store.for_home(None)
    chosen = everything.read(TimeBasedDaily, TODAY, {"home": ["south", "", "missing"]})
    assert [row.home for row in chosen] == ["", "south"]
    groups = everything.summarize(TimeBasedDaily, TODAY, {"occurrences": "sum"}, by=["home"])
    assert [(one["home"], one["occurrences"], one.rows) for one in groups] == [
        ("", 12, 1),
        ("north", 24, 2),
        ("south", 12, 1),
    ]
    (one,) = store.for_home("north").summarize(TimeBasedDaily, TODAY, {}, by=["home", "date"])
    assert (one["home"], one["date"], one.rows) == ("north", DAY, 2)
    (alone,) = store.summarize(TimeBasedDaily, TODAY, {}, by=["home"])
    assert (alone["home"], alone.rows) == ("", 1)
    for home in ("north", ""):
        assert store.for_home(home).read(TimeBasedDaily, TODAY, {"home": "south"}) == []
        assert store.for_home(home).summarize(TimeBasedDaily, TODAY, {}, where={"home": "south"}) == []
        assert len(store.for_home(home).read(TimeBasedDaily, TODAY, {"home": [home, "x"]})) == (2 if home else 1)


def test_replacing_a_day_of_one_home_leaves_the_others_as_they_are(store: AggregateStore) -> None:
    for home in ("", "north", "south"):
        write(store, home, "light.a", "light.b")
    write(store, "north", "light.c")
    write(store, "")
    assert entities(store, "") == []
    assert entities(store, "north") == [("north", "light.c")]
    assert entities(store, "south") == [("south", "light.a"), ("south", "light.b")]
    assert [(run.home, run.rows) for run in store.for_home(None).read(DetectorRunDaily, TODAY)] == [
        ("", 0),
        ("north", 1),
        ("south", 2),
    ]


def test_a_batch_of_another_home_is_refused_and_writes_nothing(store: AggregateStore) -> None:
    mine, other = (batch(finding(TimeBasedDaily, [time_based(home=home)], home=home)) for home in ("", "north"))
    with pytest.raises(UsageError, match="of home 'north'"):
        store.replace_day(other)
    with pytest.raises(UsageError, match="of home ''"):
        store.for_home("north").replace_day(mine)
    with pytest.raises(UsageError, match="all homes can only be read"):
        store.for_home(None).replace_day(mine)
    assert entities(store, None) == []


def test_what_is_known_of_a_home_is_kept_apart_for_each(store: AggregateStore) -> None:
    known = {home: HomeIdentity("UTC", Place(f"csv_files /{home}.csv")).with_new_id() for home in ("", "o'x, y=z")}
    for home, identity in known.items():
        assert store.for_home(home).read_home() is None
        assert store.for_home(home).write_home(identity) == identity
    for home, identity in known.items():
        assert store.for_home(home).read_home() == identity
        write(store, home, "light.a")
        assert store.for_home(home).read_home() == identity
    moved = HomeIdentity("Asia/Tokyo", Place("elsewhere")).with_new_id()
    assert store.write_home(moved, replace=True) == moved
    assert store.for_home("o'x, y=z").read_home() == known["o'x, y=z"]
    with pytest.raises(UsageError, match="all homes"):
        store.for_home(None).read_home()
    with pytest.raises(UsageError, match="all homes"):
        store.for_home(None).write_home(moved)
    assert store.homes() == ["", "o'x, y=z"]


def test_the_retention_of_all_homes_deletes_old_days_of_each_and_nothing_else(store: AggregateStore) -> None:
    homes = ["", "north", "south"]
    for home in homes:
        write(store, home, "light.a")
        write(store, home, "light.a", day=NEXT)
    changes = store.for_home("north").expire_all(NEXT, NEXT)
    both, expected = DateRange(DAY, NEXT), [(home, "light.a") for home in homes]
    if changes:  # else the store deletes old days by itself
        assert entities(store, None, both) == expected
        assert [run.date for run in store.for_home(None).read(DetectorRunDaily, both)] == 3 * [NEXT]
        assert store.expire_all(NEXT, NEXT) == []
    else:
        assert entities(store, None, both) == 2 * expected


def test_closing_the_view_of_a_home_leaves_the_store_open(store: AggregateStore) -> None:
    write(store, "north", "light.a")
    store.for_home("north").close()
    assert entities(store, "north") == [("north", "light.a")]


def test_a_checked_store_is_checked_once_for_all_homes(store: AggregateStore) -> None:
    checks: list[None] = []
    checked = CheckedStore(store, lambda: checks.append(None))
    write(checked, "north", "light.a")
    assert checked.for_home("north").homes() == ["north"]
    assert entities(checked, "north") == [("north", "light.a")]
    assert len(checks) == 1


def test_queries_of_one_home_answer_for_that_home(store: AggregateStore) -> None:
    write(store, "north", "light.a")
    write(store, "south", "light.b")
    north = AggregateQuery(store.for_home("north"))
    assert [row.home for row in north.daily(TimeBasedDaily, DAY)] == ["north"]
    assert [row.home for row in north.involving("light.b", DAY)] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_home_that_is_forgotten_leaves_nothing_and_the_others_keep_everything(
    store: AggregateStore, name: str
) -> None:
    identity = HomeIdentity("UTC", Place("csv_files /x.csv")).with_new_id()
    for home in ("", "other", name):
        store.for_home(home).write_home(identity)
        write(store, home, "light.a", "light.b")
        write(store, home, "light.a", day=NEXT)
    before = store.for_home("other").count_rows()
    assert store.for_home(name).count_rows() >= 5
    store.for_home(name).forget()
    store.for_home(name).forget()
    assert store.for_home(name).count_rows() == 0
    assert store.for_home(name).read_home() is None
    assert entities(store, name, DateRange(DAY, NEXT)) == []
    assert store.homes() == ["", "other"]
    assert store.for_home("other").count_rows() == before
    assert store.for_home("other").read_home() == identity
    assert len(entities(store, None, DateRange(DAY, NEXT))) == 6
    write(store, name, "light.c")
    assert entities(store, name) == [(name, "light.c")]


def test_a_home_without_a_name_is_never_forgotten(store: AggregateStore) -> None:
    write(store, "", "light.a")
    for view in (store, store.for_home(None)):
        with pytest.raises(UsageError):
            view.forget()
    assert entities(store, "") == [("", "light.a")]
