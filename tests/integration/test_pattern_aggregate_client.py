"""The client on real servers: what it writes it reads, from many threads, and through a server's death."""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from influxdb_client.client.write.point import Point

from storage.backends.influxdb.line_protocol import line
from storage.backends.influxdb.store import InfluxStore
from storage.backends.influxdb.writer import MAX_LINES_PER_REQUEST
from storage.dates import DateRange
from storage.drivers.influxdb.influxql import Query
from storage.errors import StoreError, StoreMissing, StoreUnavailable, UsageError
from storage.models import DurationDaily
from storage.pattern_aggregate_client import PatternAggregateClient
from storage.periods import rollup_bucket_of
from storage.rollup_models import DriftWeekly
from tests.support.influxdb import LiveServer, new_influxd
from tests.support.rows import DAY, duration, time_based

AT = dt.datetime(2026, 3, 2, 23, 59, tzinfo=ZoneInfo("Pacific/Auckland"))
HOSTILE = ['say "hi"', "back\\slash", "a,b", "a=b", "a b", "$x", "küche 💡", "' OR 1=1 --", ".*"]


@pytest.fixture
def client(influxdb: LiveServer) -> Iterator[PatternAggregateClient]:
    with PatternAggregateClient(influxdb.url, influxdb.token, influxdb.org, influxdb.new_bucket()) as opened:
        yield opened


def write_light(client: PatternAggregateClient, entity_id: str = "light.living_room", **changes: Any) -> bool:
    values: dict[str, Any] = {
        "date": AT,
        "domain": "light",
        "hourly_distribution": [1, 2, 3] + [0] * 21,
        "peak_hours": [0, 1, 2],
        "frequency": 0.75,
        "confidence": 0.85,
        "occurrences": 10,
        **changes,
    }
    return client.write_time_based_daily(entity_id=entity_id, **values)


def test_a_written_row_is_read_as_a_dict_with_its_lists(client: PatternAggregateClient) -> None:
    assert write_light(client)
    assert client.query_time_based_daily(start_date=AT - dt.timedelta(days=1), entity_id="light.living_room") == [
        {
            "time": dt.datetime(2026, 3, 2, tzinfo=dt.UTC),
            "measurement": "time_based_daily",
            "date": "2026-03-02",
            "entity_id": "light.living_room",
            "domain": "light",
            "hourly_distribution": [1, 2, 3] + [0] * 21,
            "peak_hours": [0, 1, 2],
            "frequency": 0.75,
            "confidence": 0.85,
            "occurrences": 10,
            "bouts": None,
            "device_class": None,
        }
    ]
    assert client.last_error is None


def test_whole_floats_come_back_as_floats(client: PatternAggregateClient) -> None:
    assert write_light(client, frequency=1.0, confidence=0.0)
    (row,) = client.query_time_based_daily(AT, AT)
    assert (type(row["frequency"]), type(row["confidence"]), type(row["occurrences"])) == (float, float, int)


def test_points_of_others_that_say_another_date_or_none_are_no_rows_of_a_day(client: PatternAggregateClient) -> None:
    assert write_light(client)
    noon = int(dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC).timestamp())
    assert client.write_batch(f"time_based_daily,entity_id=light.undated,domain=light occurrences=1i {noon}")
    assert [row["entity_id"] for row in client.query_time_based_daily(AT, AT)] == ["light.living_room"]


def test_every_kind_is_written_and_found_by_each_of_its_tags(client: PatternAggregateClient) -> None:
    assert write_light(client)
    assert client.write_co_occurrence_daily(AT, "light.a|light.b", 5, 300, 0.5, [7])
    assert client.write_sequence_daily(AT, "s1", ["a.b:on", "c.d:on"], 3, 2.5, 0.25)
    assert client.write_room_based_daily(AT, "kitchen", 0.5, {"light.a": 3}, [{"to": "hall", "count": 2}], [19])
    assert client.write_duration_daily(AT, "light.a", 60, 30, 90, 900, None)
    assert client.write_anomaly_daily(AT, "light.a", "count_high", 0.5, -2, 9, "high")
    (pair,) = client.query_co_occurrence_daily(AT, AT, device_pair="light.a|light.b")
    assert pair["typical_hours"] == [7]
    (chain,) = client.query_sequence_daily(AT, AT, sequence_id="s1")
    assert chain["sequence"] == ["a.b:on", "c.d:on"]
    (room,) = client.query_room_based_daily(AT, AT, area_id="kitchen")
    assert (room["device_usage"], room["transition_patterns"]) == ({"light.a": 3}, [{"to": "hall", "count": 2}])
    (lasting,) = client.query_duration_daily(AT, AT, entity_id="light.a")
    assert (lasting["avg_duration_seconds"], lasting["efficiency_score"]) == (60.0, None)
    (odd,) = client.query_anomaly_daily(AT, AT, entity_id="light.a", anomaly_type="count_high")
    assert (odd["severity"], odd["baseline_deviation"]) == ("high", -2.0)
    for found in (
        client.query_time_based_daily(AT, AT, entity_id="light.a"),
        client.query_time_based_daily(AT, AT, domain="switch"),
        client.query_co_occurrence_daily(AT, AT, device_pair="light.a"),
        client.query_sequence_daily(AT, AT, sequence_id="s2"),
        client.query_room_based_daily(AT, AT, area_id="hall"),
        client.query_duration_daily(AT, AT, entity_id="light.b"),
        client.query_anomaly_daily(AT, AT, anomaly_type="count_low"),
    ):
        assert found == []
        assert client.last_error is None


def test_the_day_is_the_date_as_written_and_ranges_include_both_ends(client: PatternAggregateClient) -> None:
    evening = dt.datetime(2026, 3, 1, 23, 59)  # noqa: DTZ001 - as the story's callers write it
    for date in (evening, dt.date(2026, 3, 2), "2026-03-03", AT + dt.timedelta(days=2)):
        assert write_light(client, date=date)
    days = [row["date"] for row in client.query_time_based_daily(evening + dt.timedelta(days=1), dt.date(2026, 3, 3))]
    assert days == ["2026-03-02", "2026-03-03"]
    assert len(client.query_time_based_daily("2026-03-01")) == 4


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_find_themselves_alone(client: PatternAggregateClient, value: str) -> None:
    assert client.write_batch([time_based(one, domain=one) for one in [*HOSTILE, "plain"]])
    assert [row["entity_id"] for row in client.query_time_based_daily(DAY, DAY, entity_id=value)] == [value]
    assert [row["domain"] for row in client.query_time_based_daily(DAY, DAY, domain=value)] == [value]


def test_a_batch_takes_points_models_and_lines(client: PatternAggregateClient) -> None:
    make: Any = Point
    point = make("duration_daily").tag("date", "2026-03-02").tag("entity_id", 'light."a" b\\ c')
    for name in ("avg_duration_seconds", "min_duration_seconds", "max_duration_seconds", "duration_variance"):
        point.field(name, 1.5)
    point.time(dt.datetime(2026, 3, 2, 13, 45, 12, 345678, dt.UTC), "ns")
    text = "# a comment\nduration_daily,date=2026-03-02,entity_id=light.b avg_duration_seconds=1,min_duration_seconds=1"
    text += ",max_duration_seconds=1,duration_variance=0\n"
    assert client.write_batch([point, duration("light.c"), text])
    rows = client.query_duration_daily(DAY, DAY)
    assert [row["entity_id"] for row in rows] == ['light."a" b\\ c', "light.b", "light.c"]
    assert {row["time"] for row in rows} == {dt.datetime(2026, 3, 2, tzinfo=dt.UTC)}
    assert client.write_batch(point)
    assert client.write_batch([])


def test_times_of_points_without_a_date_are_kept_in_their_own_unit(
    influxdb: LiveServer, client: PatternAggregateClient
) -> None:
    at = 1_772_452_800_123
    units = {"s": at // 1000, "ms": at, "us": at * 1000 + 456, "ns": at * 10**6 + 456_789}
    points = [
        Point("others").tag("unit", unit).field("value", 1.5).time(time, unit)  # type: ignore[no-untyped-call]
        for unit, time in units.items()
    ]
    assert client.write_batch(points), client.last_error
    question = Query(client.bucket, 'SELECT "unit", "value" FROM "others"', precision="ns")
    connection = influxdb.connection()
    found = connection.execute(question, lambda parts: {row[1]: row[0] for part in parts for row in part.values})
    connection.close()
    digits = {"s": 9, "ms": 6, "us": 3, "ns": 0}
    assert found == {unit: time * 10 ** digits[unit] for unit, time in units.items()}


def test_a_text_of_lines_may_end_them_as_windows_does_and_break_within_a_field(client: PatternAggregateClient) -> None:
    head = f"sequence_daily,date={DAY},sequence_id="
    fields = 'sequence="[]",frequency=1i,avg_duration_seconds=1.0,confidence=1.0'
    text = f'# a comment\r\n{head}a\\ "b {fields} \r\n\r\n  {head}c note="two\nlines, # no comment",{fields} 1\n'
    assert client.write_batch(text), client.last_error
    rows = client.query_sequence_daily(start_date=DAY, end_date=DAY)
    assert [row["sequence_id"] for row in rows] == ['a "b', "c"]


def test_a_line_that_cannot_be_read_keeps_no_later_request_from_being_sent(client: PatternAggregateClient) -> None:
    good = [time_based(f"light.l{place:05}") for place in range(2 * MAX_LINES_PER_REQUEST)]
    assert client.write_batch(["no line at all", *good]) is False
    assert "unable to parse" in str(client.last_error)
    assert len(client.query_time_based_daily(start_date=DAY, end_date=DAY)) >= MAX_LINES_PER_REQUEST + 1


def test_a_value_given_as_none_is_gone(client: PatternAggregateClient) -> None:
    values: dict[str, Any] = {"avg_duration_seconds": 1.0, "min_duration_seconds": 1.0, "max_duration_seconds": 1.0}
    for score, entity_id in ((0.5, "light.a"), (0.25, "light.b"), (None, "light.a")):
        assert client.write_duration_daily(DAY, entity_id, **values, duration_variance=0.0, efficiency_score=score)
    rows = client.query_duration_daily(start_date=DAY, end_date=DAY)
    assert [(row["entity_id"], row["efficiency_score"]) for row in rows] == [("light.a", None), ("light.b", 0.25)]
    assert client.write_batch([duration("light.a", efficiency_score=0.75), duration("light.b", efficiency_score=None)])
    rows = client.query_duration_daily(start_date=DAY, end_date=DAY)
    assert [row["efficiency_score"] for row in rows] == [0.75, None]


def test_a_row_of_the_storys_shape_keeps_what_its_call_cannot_name(client: PatternAggregateClient) -> None:
    assert client.write_batch([time_based("light.living_room", bouts=5)])
    assert write_light(client)
    (row,) = client.query_time_based_daily(start_date=AT, end_date=AT, entity_id="light.living_room")
    assert (row["bouts"], row["occurrences"]) == (5, 10)


def test_a_value_that_goes_takes_none_with_it_that_its_call_cannot_name(client: PatternAggregateClient) -> None:
    assert client.write_batch([duration(efficiency_score=0.5, episodes=3)])
    assert client.write_duration_daily(AT, "light.kitchen", 61.0, 30.0, 90.0, 900.0, None)
    (row,) = client.query_duration_daily(AT, AT)
    assert (row["efficiency_score"], row["episodes"], row["avg_duration_seconds"]) == (None, 3, 61.0)


def test_of_several_models_with_one_key_the_last_counts(client: PatternAggregateClient) -> None:
    assert client.write_batch([duration(efficiency_score=None), duration(efficiency_score=0.5)])
    assert [row["efficiency_score"] for row in client.query_duration_daily(AT, AT)] == [0.5]
    assert client.write_batch([duration(efficiency_score=0.25), duration(efficiency_score=None)])
    assert [row["efficiency_score"] for row in client.query_duration_daily(AT, AT)] == [None]


def test_a_row_is_not_lost_if_taking_a_value_away_is_never_ended(
    client: PatternAggregateClient, influxdb: LiveServer
) -> None:
    left = line(duration(episodes=7), 1)  # beside the midnight, whose point is gone already
    with closing(influxdb.connection()) as connection:
        assert connection.write(client.bucket, left) == ""
    assert [row["episodes"] for row in client.query_duration_daily(AT, AT)] == [7]
    assert client.write_duration_daily(AT, "light.kitchen", 61.0, 30.0, 90.0, 900.0, None)
    (row,) = client.query_duration_daily(AT, AT)
    assert (row["avg_duration_seconds"], row["episodes"]) == (61.0, 7)


def test_nothing_is_taken_away_from_another_organisation(influxdb: LiveServer) -> None:
    bucket = influxdb.new_bucket()
    other = influxdb.other_organisation(bucket)
    with PatternAggregateClient(influxdb.url, influxdb.token, influxdb.org, bucket) as victim:
        assert victim.write_batch(duration(efficiency_score=0.7, episodes=3))
        with PatternAggregateClient(influxdb.url, influxdb.token, other.org, bucket) as stranger:
            assert not stranger.write_duration_daily(AT, "light.kitchen", 61.0, 30.0, 90.0, 900.0, None)
            assert "organisation" in str(stranger.last_error)
        assert [row["efficiency_score"] for row in victim.query_duration_daily(AT, AT)] == [0.7]


def test_numbers_of_points_have_the_types_that_rows_have(client: PatternAggregateClient) -> None:
    point: Any = Point("duration_daily")  # type: ignore[no-untyped-call] # influxdb-client's constructor has no types
    point.tag("date", "2026-03-02").tag("entity_id", "light.kitchen")
    for name in ("avg_duration_seconds", "min_duration_seconds", "max_duration_seconds", "duration_variance"):
        point.field(name, 60)
    assert client.write_batch(point.field("episodes", 2.0))
    assert client.write_batch(duration("light.hall", avg_duration_seconds=60.5))
    assert [row["avg_duration_seconds"] for row in client.query_duration_daily(AT, AT)] == [60.5, 60.0]


def test_a_row_written_again_is_still_one_row(client: PatternAggregateClient) -> None:
    for occurrences in (10, 11):
        assert write_light(client, occurrences=occurrences)
    assert [row["occurrences"] for row in client.query_time_based_daily(DAY, DAY)] == [11]


def test_helpers_compute_in_the_server_by_groups(client: PatternAggregateClient) -> None:
    assert client.write_batch([time_based("light.a", bouts=None), time_based("light.b", occurrences=3, confidence=0.5)])
    measurement = "time_based_daily"
    assert client.sum(measurement, "occurrences", DAY, DAY) == [{"value": 15, "rows": 2}]
    assert client.mean(measurement, "confidence", DAY, DAY, entity_id="light.b") == [{"value": 0.5, "rows": 1}]
    assert client.count(measurement, "bouts", DAY, DAY, by=["entity_id", "date"]) == [
        {"entity_id": "light.a", "date": str(DAY), "value": 0, "rows": 1},
        {"entity_id": "light.b", "date": str(DAY), "value": 1, "rows": 1},
    ]
    assert client.sum("time_based_dayly", "occurrences", DAY) == []
    assert isinstance(client.last_error, UsageError)
    assert "time_based_daily" in client.last_error.hint


def test_json_that_is_none_is_left_as_text_and_its_row_kept(
    client: PatternAggregateClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert write_light(client)
    assert client.write_batch(['time_based_daily,date=2026-03-02,domain=light,entity_id=light.z peak_hours="[1,"'])
    good, bad = client.query_time_based_daily(DAY, DAY)
    assert (good["peak_hours"], bad["peak_hours"]) == ([0, 1, 2], "[1,")
    assert "light.z" in caplog.text
    assert "peak_hours is not valid JSON" in caplog.text


def test_the_bucket_is_made_when_it_is_not_there(influxdb: LiveServer) -> None:
    name = influxdb.new_bucket() + "_new"
    with PatternAggregateClient(influxdb.url, influxdb.token, influxdb.org, name) as client:
        assert not write_light(client, date=dt.datetime.now(dt.UTC))
        assert isinstance(client.last_error, StoreMissing)
        assert client.ensure_bucket()
        assert client.ensure_bucket()
        assert write_light(client, date=dt.datetime.now(dt.UTC))
        assert not write_light(client, date=dt.date(2020, 1, 1))  # 90 days are kept
        assert "retention" in str(client.last_error)


def test_a_token_of_another_organisation_is_reported_by_ensure_bucket(influxdb: LiveServer) -> None:
    bucket = influxdb.new_bucket()
    other = influxdb.other_organisation(bucket)
    with PatternAggregateClient(influxdb.url, influxdb.token, influxdb.org, bucket, retention_days=0) as client:
        assert client.ensure_bucket()
        assert client.write_batch([time_based()])
    with PatternAggregateClient(influxdb.url, influxdb.token, other.org, bucket, retention_days=0) as client:
        assert client.ensure_bucket() is False
        assert "belongs to another organisation" in str(client.last_error)


def test_eight_writers_and_eight_readers_lose_and_double_nothing(client: PatternAggregateClient) -> None:
    first = client  # one client for all threads
    rows, rounds = 50, 8

    def write(writer: int) -> bool:
        done = [
            first.write_batch([time_based(f"light.w{writer}_{number}", occurrences=done) for number in range(rows)])
            for done in range(rounds)
        ]
        return all(done)

    def read(_reader: int) -> bool:
        for _ in range(rounds):
            ids = [row["entity_id"] for row in first.query_time_based_daily(DAY, DAY)]
            if first.last_error is not None or len(set(ids)) != len(ids):
                return False
        return True

    with ThreadPoolExecutor(16) as pool:
        outcomes = [*(pool.submit(write, one) for one in range(8)), *(pool.submit(read, one) for one in range(8))]
        assert all(outcome.result() for outcome in outcomes)
    found = first.query_time_based_daily(DAY, DAY)
    assert sorted(row["entity_id"] for row in found) == sorted(f"light.w{w}_{n}" for w in range(8) for n in range(rows))
    assert {row["occurrences"] for row in found} == {rounds - 1}


def test_a_wrong_token_is_reported_and_not_shown(influxdb_2: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    secret = "wrong-and-secret"  # noqa: S105 - it opens nothing
    with PatternAggregateClient(influxdb_2.url, secret, influxdb_2.org) as client:
        assert not write_light(client)
        assert client.query_time_based_daily(DAY) == []
        assert isinstance(client.last_error, StoreError)
        assert "token" in str(client.last_error)
        assert secret not in caplog.text + repr(client) + str(vars(client))


@pytest.mark.parametrize("major", ["1", "2"])
def test_a_server_killed_between_batches_has_each_row_once_after_it_is_back(tmp_path: Path, major: str) -> None:
    process = new_influxd(major, tmp_path)
    server = process.start()
    try:
        with PatternAggregateClient(server.url, server.token, server.org, server.new_bucket()) as client:
            batches = [[time_based(f"light.b{batch}_{number}") for number in range(20)] for batch in range(12)]
            waiting = []
            for number, batch in enumerate(batches):
                if number == 4:
                    process.stop(signal.SIGKILL)
                if number == 8:
                    process.start()
                if not client.write_batch(batch):
                    assert isinstance(client.last_error, StoreUnavailable)
                    waiting.append(batch)
            assert waiting == batches[4:8]
            assert all(client.write_batch(batch) for batch in waiting)
            found = [row["entity_id"] for row in client.query_time_based_daily(DAY, DAY)]
            assert sorted(found) == sorted(row.entity_id for batch in batches for row in batch)
    finally:
        process.stop()


def test_weeks_are_read_from_the_bucket_of_rollups_whatever_bucket_is_set(
    influxdb: LiveServer, client: PatternAggregateClient
) -> None:
    day = dt.date(2026, 3, 8)
    assert client.query_daily("drift_weekly", day, day) == []
    assert client.last_error is None  # there is no such bucket yet
    row = DriftWeekly(date=day, entity_id="light.a", changed_on=DAY, before=8.0, after=16.0, score=9.0)
    rollups = rollup_bucket_of(client.bucket)
    with PatternAggregateClient(influxdb.url, influxdb.token, influxdb.org, rollups, retention_days=0) as other:
        assert other.ensure_bucket()
        assert other.write_batch(row)
        found = other.query_daily(DriftWeekly, day, day)
    assert [one["after"] for one in found] == [16.0]
    assert client.query_daily("drift_weekly", day, day) == found
    assert client.query_daily(DriftWeekly, day, day, entity_id="light.b") == []
    assert [one["value"] for one in client.sum("drift_weekly", "after", day, day)] == [16.0]


def test_an_explicit_none_empties_the_row_of_its_own_home_and_leaves_those_of_others(influxdb: LiveServer) -> None:
    bucket = influxdb.new_bucket()
    unnamed, north = duration("light.a"), duration("light.a").model_copy(update={"home": "north"})
    emptied = north.model_copy(update={"efficiency_score": None})
    with PatternAggregateClient(influxdb.url, influxdb.token, influxdb.org, bucket) as client:
        assert client.write_batch([unnamed, north])
        assert client.write_batch([emptied])
    with closing(InfluxStore(influxdb.server(), bucket, home=None)) as store:
        assert store.read(DurationDaily, DateRange(DAY, DAY)) == [unnamed, emptied]
