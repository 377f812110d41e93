"""What other programs rely on: three answers kept apart, and types that hold."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.backends.sql import SqlStore
from storage.errors import SettingsError, StoreCorrupt, StoreUnavailable
from storage.models import AnomalyDaily, DailyAggregate
from storage.query import (
    AggregateQuery,
    CoOccurrenceDaily,
    DaysMissing,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    State,
    StoreMissing,
    TimeBasedDaily,
    UsageError,
    open_query,
    to_json,
)
from tests.support.rows import DAY, batch, duration, finding, time_based, time_based_batch

NEXT = DAY + dt.timedelta(days=1)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'aggregates.db'}"


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    opened = SqlStore(url)
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture
def aggregates(store: SqlStore, url: str) -> Iterator[AggregateQuery]:
    with open_query(url=url) as opened:
        yield opened


def test_rows_are_found_by_range_and_tag(store: SqlStore, aggregates: AggregateQuery) -> None:
    for day in (DAY, NEXT):
        store.replace_day(time_based_batch(time_based("light.a", day), time_based("light.b", day), day=day))
    rows = aggregates.daily(TimeBasedDaily, "2026-03-02", NEXT, entity_id="light.b")
    assert [(row.date, row.entity_id) for row in rows] == [(DAY, "light.b"), (NEXT, "light.b")]
    assert len(aggregates.daily(TimeBasedDaily, DAY, DAY, entity_id=["light.a", "light.b"], domain="light")) == 2


def test_nothing_found_is_empty_and_not_computed_is_an_error(store: SqlStore, aggregates: AggregateQuery) -> None:
    store.replace_day(time_based_batch())
    assert aggregates.daily(TimeBasedDaily, DAY, DAY) == []
    with pytest.raises(DaysMissing) as caught:
        aggregates.daily(TimeBasedDaily, DAY, NEXT)
    assert (caught.value.detector, caught.value.days) == ("time_based", (NEXT,))
    with pytest.raises(DaysMissing):
        aggregates.summarize(TimeBasedDaily, DAY, NEXT, occurrences="sum")
    with pytest.raises(DaysMissing):
        aggregates.daily(DurationDaily, DAY, DAY)
    assert aggregates.daily(TimeBasedDaily, DAY, NEXT, allow_missing=True) == []


def test_many_missing_days_are_counted_and_a_few_are_named(aggregates: AggregateQuery) -> None:
    with pytest.raises(DaysMissing, match=r"31 of the days asked for: 2026-01-01, .* and 26 more"):
        aggregates.daily(TimeBasedDaily, "2026-01-01", "2026-01-31")


def test_summaries_are_grouped_in_the_store(store: SqlStore, aggregates: AggregateQuery) -> None:
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b", confidence=0.25)))
    found = aggregates.summarize(
        TimeBasedDaily, DAY, DAY, by=["entity_id"], where={"domain": "light"}, occurrences="sum", confidence="mean"
    )
    assert [(one["entity_id"], one["occurrences"], one["confidence"]) for one in found] == [
        ("light.a", 12, 0.75),
        ("light.b", 12, 0.25),
    ]


def test_completeness_tells_written_empty_and_missing_apart(store: SqlStore, aggregates: AggregateQuery) -> None:
    store.replace_day(
        batch(
            finding(TimeBasedDaily, [time_based()], known_seconds=43_200.0),
            finding(DurationDaily, [], reason="no finished episode"),
        )
    )
    found = {(one.day, one.detector): one for one in aggregates.completeness(DAY, NEXT)}
    assert found[DAY, "time_based"].state is State.WRITTEN
    assert (found[DAY, "time_based"].rows, found[DAY, "time_based"].known_share) == (1, 0.5)
    assert (found[DAY, "duration"].state, found[DAY, "duration"].reason) == (State.EMPTY, "no finished episode")
    assert found[DAY, "anomaly"].state is State.MISSING
    assert found[NEXT, "time_based"].state is State.MISSING
    assert len(found) == 12


def test_everything_that_involves_an_entity_is_found(store: SqlStore, aggregates: AggregateQuery) -> None:
    rows: list[DailyAggregate] = [
        time_based("light.a"),
        time_based("light.b"),
        duration("light.a"),
        CoOccurrenceDaily(
            date=DAY,
            device_pair="light.a|light.z",
            co_occurrence_count=3,
            time_window_seconds=300,
            confidence=0.5,
            typical_hours=[],
        ),
        CoOccurrenceDaily(
            date=DAY,
            device_pair="fan.z|light.ab",
            co_occurrence_count=3,
            time_window_seconds=300,
            confidence=0.5,
            typical_hours=[],
        ),
        SequenceDaily(
            date=DAY,
            sequence_id="1",
            sequence=["switch.x:on", "light.a:12:30"],
            frequency=3,
            avg_duration_seconds=1.0,
            confidence=0.5,
        ),
        RoomBasedDaily(
            date=DAY,
            area_id="hall",
            activity_level=1.0,
            device_usage={"light.a": 1},
            transition_patterns=[],
            peak_activity_hours=[],
        ),
        AnomalyDaily(
            date=DAY,
            entity_id="light.a",
            anomaly_type="count_low",
            anomaly_score=0.1,
            baseline_deviation=-2.0,
            occurrences=0,
            severity="low",
        ),
    ]
    models = {type(row) for row in rows}
    store.replace_day(batch(*(finding(one, [row for row in rows if type(row) is one]) for one in models)))
    found = aggregates.involving("light.a", DAY, DAY)
    assert {type(row) for row in found} == models
    assert len(found) == 6
    both = aggregates.involving(["light.a", "light.ab"], DAY, DAY)
    assert len(both) == 7


@pytest.mark.parametrize(
    "call",
    [
        lambda q: q.daily(TimeBasedDaily, "2026-03-03", "2026-03-02"),
        lambda q: q.daily(TimeBasedDaily, "yesterday", "2026-03-02"),
        lambda q: q.daily(TimeBasedDaily, "20260302", "2026-03-02"),
        lambda q: q.daily(TimeBasedDaily, "2026-02-30", "2026-03-02"),
        lambda q: q.daily(TimeBasedDaily, DAY, DAY, entity="x"),
        lambda q: q.summarize(TimeBasedDaily, DAY, DAY, occurences="sum"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused_with_a_hint(aggregates: AggregateQuery, call: object) -> None:
    with pytest.raises(UsageError) as caught:
        call(aggregates)  # type: ignore[operator]
    assert caught.value.hint


def test_a_store_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="there is no store"):
        open_query(url=f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database, whatever its name may say" * 100)
    with open_query(url=f"sqlite:///{tmp_path / 'a.db'}") as broken, pytest.raises(StoreCorrupt):
        broken.daily(TimeBasedDaily, DAY, DAY)


def test_a_url_that_is_none_is_refused() -> None:
    for url in ("nonsense", "sqlite://", "nosuchdialect://x/y"):
        with pytest.raises(SettingsError, match=r"store\.url"):
            open_query(url=url)


def test_a_server_that_is_not_there_is_unreachable_or_its_driver_is_missing() -> None:
    with pytest.raises((StoreUnavailable, SettingsError)):
        open_query(url="postgresql+psycopg://nobody@127.0.0.1:9/none").daily(TimeBasedDaily, DAY, DAY)


def test_the_jobs_settings_are_used_without_an_argument(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.replace_day(time_based_batch(time_based()))
    (tmp_path / "config.toml").write_text(
        '[store]\nurl = "sqlite:///aggregates.db"\n[source]\nkind = "of_no_interest"\n'
    )
    with open_query(config=tmp_path / "config.toml") as named:
        assert len(named.daily(TimeBasedDaily, DAY, DAY)) == 1
    monkeypatch.setenv("PATTERN_AGGREGATES_CONFIG", str(tmp_path / "config.toml"))
    with open_query() as found:
        assert len(found.daily(TimeBasedDaily, DAY, DAY)) == 1


def test_rows_as_json_have_exactly_the_models_fields() -> None:
    (document,) = json.loads(to_json([time_based("light.küche")]))
    assert list(document) == list(TimeBasedDaily.model_fields)
    assert (document["date"], document["entity_id"], document["peak_hours"]) == (
        "2026-03-02",
        "light.küche",
        [19, 20, 21],
    )


def test_importing_the_query_module_loads_no_driver_and_no_scheduler() -> None:
    code = (
        "import sys, storage.query\n"
        "print([m for m in ('sqlalchemy', 'apscheduler', 'influxdb_client', 'jobs', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_consumers_code_passes_strict_type_checks_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    consumer = tmp_path / "consumer.py"
    consumer.write_text(
        "from storage.query import DurationDaily, TimeBasedDaily, open_query\n\n\n"
        "def busiest(day: str) -> dict[str, int]:\n"
        "    with open_query() as aggregates:\n"
        "        rows = aggregates.daily(TimeBasedDaily, day, day)\n"
        "        longest: list[DurationDaily] = aggregates.daily(DurationDaily, day, day, entity_id=['light.a'])\n"
        "        assert longest\n"
        "        return {row.entity_id: row.occurrences for row in rows}\n"
    )
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from storage.query import TimeBasedDaily, open_query\n\n"
        "with open_query() as aggregates:\n"
        "    names: list[int] = [row.entity_id for row in aggregates.daily(TimeBasedDaily, 'a', 'b')]\n"
        "    aggregates.summarize(TimeBasedDaily, 'a', 'b', occurrences='median')\n"
    )

    def mypy(file: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(file)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    accepted, refused = mypy(consumer), mypy(wrong)
    assert accepted.returncode == 0, accepted.stdout
    assert "List comprehension has incompatible type" in refused.stdout
    assert "Found 2 errors" in refused.stdout
