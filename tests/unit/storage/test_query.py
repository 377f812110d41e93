"""What other programs rely on: three answers kept apart, and types that hold."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

import storage.errors
import storage.query
from jobs.settings import Settings
from storage.backends.sql import SqlStore
from storage.described_home import DEFAULT_TIME_ZONE
from storage.errors import SettingsError, StoreCorrupt, StoreUnavailable
from storage.models import AnomalyDaily, DailyAggregate
from storage.query import (
    AGGREGATES,
    AggregateQuery,
    BoutTimesDaily,
    CoOccurrenceDaily,
    DateRange,
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
        aggregates.summarize(TimeBasedDaily, DAY, NEXT, fields={"occurrences": "sum"})
    with pytest.raises(DaysMissing):
        aggregates.daily(DurationDaily, DAY, DAY)
    assert aggregates.daily(TimeBasedDaily, DAY, NEXT, allow_missing=True) == []


def test_many_missing_days_are_counted_and_a_few_are_named(aggregates: AggregateQuery) -> None:
    with pytest.raises(DaysMissing, match=r"31 of the days asked for: 2026-01-01, .* and 26 more"):
        aggregates.daily(TimeBasedDaily, "2026-01-01", "2026-01-31")


def test_summaries_are_grouped_in_the_store(store: SqlStore, aggregates: AggregateQuery) -> None:
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b", confidence=0.25)))
    found = aggregates.summarize(
        TimeBasedDaily,
        DAY,
        by=["entity_id"],
        fields={"occurrences": "sum", "confidence": ["mean", "max"]},
        domain="light",
        entity_id=["light.a", "light.b", "light.c"],
    )
    assert [(one["entity_id"], one["occurrences"], one["confidence_mean"], one["confidence_max"]) for one in found] == [
        ("light.a", 12, 0.75, 0.75),
        ("light.b", 12, 0.25, 0.25),
    ]
    assert aggregates.summarize(TimeBasedDaily, DAY, fields={"occurrences": "sum"}, domain="switch") == []


def test_a_summary_without_functions_counts_the_rows(store: SqlStore, aggregates: AggregateQuery) -> None:
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b")))
    assert [one.rows for one in aggregates.summarize(TimeBasedDaily, DAY)] == [2]


def test_the_mean_of_durations_is_over_all_episodes(store: SqlStore, aggregates: AggregateQuery) -> None:
    for day, mean, episodes in ((DAY, 60.0, 9), (NEXT, 90.0, 1)):
        store.replace_day(
            batch(finding(DurationDaily, [duration("light.a", day, avg_duration_seconds=mean, episodes=episodes)], day))
        )
    (one,) = aggregates.summarize(DurationDaily, DAY, NEXT, fields={"avg_duration_seconds": "mean"})
    assert one["avg_duration_seconds"] == pytest.approx(63)


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (DateRange(DAY, NEXT), None, [DAY, NEXT]),
        (DAY, None, [DAY]),
        ("2026-03-02", None, [DAY]),
        ("yesterday", None, [NEXT]),
        ("-2d", None, [DAY, NEXT]),
        ("-2d", "yesterday", [DAY, NEXT]),
        ("-2d", "-2d", [DAY]),
        (DAY, "yesterday", [DAY, NEXT]),
    ],
)
def test_every_call_takes_days_in_the_same_forms(
    store: SqlStore, first: str | dt.date | DateRange, last: str | None, expected: list[dt.date]
) -> None:
    for day in (DAY, NEXT):
        store.replace_day(time_based_batch(time_based("light.a", day), day=day))
    aggregates = AggregateQuery(store, today=lambda: NEXT + dt.timedelta(days=1))
    assert [row.date for row in aggregates.daily(TimeBasedDaily, first, last)] == expected
    summaries = aggregates.summarize(TimeBasedDaily, first, last, by=["date"], fields={"bouts": "sum"})
    assert [one["date"] for one in summaries] == expected
    assert [row.date for row in aggregates.involving("light.a", first, last)] == expected
    assert sorted({one.day for one in aggregates.completeness(first, last)}) == expected
    assert aggregates.frame(TimeBasedDaily, first, last).column("date").to_pylist() == expected


@pytest.mark.parametrize(("first", "last"), [("yesterday", DAY), (DAY, "-1d"), ("today", None)])
def test_relative_days_are_refused_where_the_time_zone_is_not_known(
    aggregates: AggregateQuery, first: str, last: str | None
) -> None:
    for call in (
        lambda: aggregates.daily(TimeBasedDaily, first, last),
        lambda: aggregates.summarize(TimeBasedDaily, first, last),
        lambda: aggregates.involving("light.a", first, last),
        lambda: aggregates.completeness(first, last),
        lambda: aggregates.frame(TimeBasedDaily, first, last),
    ):
        with pytest.raises(UsageError, match="needs the home's time zone") as caught:
            call()
        assert "time_zone" in caught.value.hint


@pytest.mark.parametrize(
    ("zone", "yesterday"), [("UTC", DAY), ("Europe/Berlin", NEXT), ("America/New_York", DAY), (None, DAY)]
)
def test_yesterday_is_that_of_the_home(
    store: SqlStore, url: str, tmp_path: Path, zone: str | None, yesterday: dt.date
) -> None:
    def clock() -> dt.datetime:
        return dt.datetime(2026, 3, 3, 23, 30, tzinfo=dt.UTC)

    for day in (DAY - dt.timedelta(days=1), DAY, NEXT):
        store.replace_day(time_based_batch(time_based("light.a", day), day=day))
    home = f'[home]\ntime_zone = "{zone}"\n' if zone else ""
    (tmp_path / "config.toml").write_text(f'{home}[store]\nurl = "{url}"\n')
    with open_query(config=tmp_path / "config.toml", clock=clock) as by_settings:
        assert [row.date for row in by_settings.daily(TimeBasedDaily, "yesterday")] == [yesterday]
    with open_query(url=url, time_zone=zone or "UTC", clock=clock) as by_argument:
        assert [row.date for row in by_argument.daily(TimeBasedDaily, "yesterday")] == [yesterday]


def test_a_time_zone_that_does_not_exist_is_refused(store: SqlStore, url: str, tmp_path: Path) -> None:
    for zone in ("Europe/Atlantis", "", "../etc/passwd", "Europe"):
        (tmp_path / "config.toml").write_text(f'[home]\ntime_zone = "{zone}"\n[store]\nurl = "{url}"\n')
        with pytest.raises(SettingsError, match="not a known time zone"):
            open_query(config=tmp_path / "config.toml")
    with pytest.raises(SettingsError, match="not a known time zone"):
        open_query(url=url, time_zone="Europe/Atlantis")


def test_the_time_zone_is_by_default_that_of_the_job() -> None:
    assert Settings().home.time_zone == DEFAULT_TIME_ZONE


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
    assert len(found) == 2 * len(AGGREGATES)


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
        BoutTimesDaily(date=DAY, entity_id="light.a", starts=[60]),
    ]
    models = {type(row) for row in rows}
    store.replace_day(batch(*(finding(one, [row for row in rows if type(row) is one]) for one in models)))
    found = aggregates.involving("light.a", DAY, DAY)
    assert {type(row) for row in found} == models
    assert len(found) == 7
    both = aggregates.involving(["light.a", "light.ab"], DAY, DAY)
    assert len(both) == 8


@pytest.mark.parametrize(
    "call",
    [
        lambda q: q.daily(TimeBasedDaily, "2026-03-03", "2026-03-02"),
        lambda q: q.daily(TimeBasedDaily, "20260302", "2026-03-02"),
        lambda q: q.daily(TimeBasedDaily, "2026-02-30", "2026-03-02"),
        lambda q: q.daily(TimeBasedDaily, 20260302),
        lambda q: q.daily(TimeBasedDaily, None),
        lambda q: q.daily(TimeBasedDaily, (DAY, NEXT)),
        lambda q: q.daily(TimeBasedDaily, DateRange(DAY, NEXT), NEXT),
        lambda q: q.daily(TimeBasedDaily, DAY, DateRange(DAY, NEXT)),
        lambda q: q.daily(TimeBasedDaily, DAY, DAY, entity="x"),
        lambda q: q.daily(TimeBasedDaily, DAY, DAY, entity_id=5),
        lambda q: q.summarize(TimeBasedDaily, DAY, DAY, fields={"occurences": "sum"}),
        lambda q: q.summarize(TimeBasedDaily, DAY, DAY, occurrences="sum"),
        lambda q: q.summarize(TimeBasedDaily, DAY, DAY, where={"domain": "light"}),
        lambda q: q.involving("light.a", "2026-W54"),
        lambda q: q.completeness("tomorrow"),
        lambda q: q.frame(TimeBasedDaily, "never"),
    ],
)
def test_an_invalid_call_is_refused_with_a_hint(aggregates: AggregateQuery, call: object) -> None:
    with pytest.raises(UsageError) as caught:
        call(aggregates)  # type: ignore[operator]
    assert caught.value.hint


def test_functions_given_as_keywords_are_answered_with_the_form_to_use(aggregates: AggregateQuery) -> None:
    with pytest.raises(UsageError, match="occurrences is a field of time_based_daily, not a tag") as caught:
        aggregates.summarize(TimeBasedDaily, DAY, occurrences="sum")
    assert 'fields={"occurrences": "sum"}' in caught.value.hint


def test_a_store_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="does not exist"):
        open_query(url=f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_a_database_is_reported_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database, whatever its name may say" * 100)
    with open_query(url=f"sqlite:///{tmp_path / 'a.db'}") as broken, pytest.raises(StoreCorrupt):
        broken.daily(TimeBasedDaily, DAY, DAY)


def test_an_invalid_url_is_refused() -> None:
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
    assert list(document) == [name for name in TimeBasedDaily.model_fields if name != "home"]
    (named,) = json.loads(to_json([time_based(home="north")]))
    assert list(named) == list(TimeBasedDaily.model_fields)
    assert (document["date"], document["entity_id"], document["peak_hours"]) == (
        "2026-03-02",
        "light.küche",
        [19, 20, 21],
    )


def test_importing_the_query_module_loads_no_driver_and_no_scheduler() -> None:
    code = (
        "import sys, storage.query\n"
        "heavy = ('sqlalchemy', 'apscheduler', 'influxdb_client', 'jobs', 'numpy', 'pyarrow')\n"
        "print([module for module in heavy if module in sys.modules])"
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
    summary = tmp_path / "summary.py"
    summary.write_text(
        "from storage.query import DateRange, DurationDaily, Fields, Function, Summary, Where, open_query\n\n\n"
        "def means(days: DateRange, function: Function, entities: list[str]) -> list[Summary]:\n"
        "    fields: Fields = {'episodes': 'sum', 'avg_duration_seconds': ['mean', function]}\n"
        "    with open_query(time_zone='Europe/Berlin') as aggregates:\n"
        "        aggregates.summarize(DurationDaily, '-7d', by=['entity_id'], fields={'episodes': function})\n"
        "        return aggregates.summarize(DurationDaily, days, fields=fields, entity_id=entities)\n"
    )
    wrong.write_text(
        "from storage.query import TimeBasedDaily, open_query\n\n"
        "with open_query() as aggregates:\n"
        "    names: list[int] = [row.entity_id for row in aggregates.daily(TimeBasedDaily, 'a', 'b')]\n"
        "    aggregates.summarize(TimeBasedDaily, 'a', 'b', fields={'occurrences': 'median'})\n"
    )

    def mypy(*files: Path) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            str(tmp_path / "cache"),
            *files,
        ]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    accepted, refused = mypy(consumer, summary), mypy(wrong)
    assert accepted.returncode == 0, accepted.stdout
    assert "List comprehension has incompatible type" in refused.stdout
    assert "Found 2 errors" in refused.stdout


def example_in(text: str) -> str:
    """The indented code after the first ``::`` of a docstring."""
    lines = text.partition("::\n")[2].splitlines()
    code = list(takewhile(lambda line: not line or line.startswith("    "), lines))
    return textwrap.dedent("\n".join(code))


def test_the_example_of_the_module_runs_as_it_stands(
    store: SqlStore, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text(f'[home]\ntime_zone = "Europe/Berlin"\n[store]\nurl = "{url}"\n')
    monkeypatch.setenv("PATTERN_AGGREGATES_CONFIG", str(tmp_path / "config.toml"))
    today = dt.datetime.now(dt.UTC).date()
    for day in DateRange(today - dt.timedelta(days=9), today + dt.timedelta(days=1)):
        rows = [duration("light.kitchen", day), duration("light.hall", day, max_duration_seconds=600.0)]
        store.replace_day(
            batch(finding(TimeBasedDaily, [time_based("light.kitchen", day)], day), finding(DurationDaily, rows, day))
        )
    found: dict[str, Any] = {}
    exec(example_in(storage.query.__doc__ or ""), found)  # noqa: S102 - our own docstring
    assert [row.entity_id for row in found["rows"]] == ["light.kitchen"] * 7
    assert [(one["entity_id"], one["episodes"], one.rows) for one in found["weekly"]] == [
        ("light.hall", 14, 7),
        ("light.kitchen", 14, 7),
    ]
    assert found["longest"]["avg_duration_seconds_mean"] == 60.0


def test_the_module_exports_exactly_what_its_readers_are_promised() -> None:
    assert sorted(storage.query.__all__) == [
        *(
            "AGGREGATES",
            "ALL_HOMES",
            "ActiveTimeDaily",
            "AggregateQuery",
            "AggregateReader",
            "AggregateStore",
            "AllHomes",
            "AnomalyDaily",
        ),
        *(
            "BoutTimesDaily",
            "CoOccurrenceDaily",
            "Completeness",
            "DailyAggregate",
            "DateRange",
            "Day",
            "DaysMissing",
            "DetectorRunDaily",
        ),
        *(
            "DriftWeekly",
            "DurationDaily",
            "Fields",
            "Function",
            "HabitMonthly",
            "HabitWeekly",
            "HomeChoice",
            "HomeMismatch",
        ),
        *("PatternAggregatesError", "ROLLUPS", "RoomBasedDaily", "RoutineMonthly", "RoutineWeekly", "SequenceDaily"),
        *("SettingsError", "Severity", "State", "StoreCorrupt", "StoreError", "StoreMissing", "StoreUnavailable"),
        *("Summary", "TimeBasedDaily", "UsageError", "Where", "open_query", "to_json"),
    ]
