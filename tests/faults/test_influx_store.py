"""What the store says of servers, buckets and tokens that are not as they should be, tried on a stub."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from email.utils import format_datetime

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from storage.backends.influxdb.line_protocol import midnight_seconds
from storage.backends.influxdb.store import ERRORS, InfluxStore
from storage.backends.influxdb.writer import Writer
from storage.columns import HOME
from storage.dates import DateRange
from storage.drivers.influxdb.connection import Connection
from storage.drivers.influxdb.server import Server
from storage.errors import SettingsError, StoreCorrupt, StoreError, StoreMissing
from storage.models import TimeBasedDaily
from tests.support.influxdb import LiveServer, free_port
from tests.support.raw_server import Answer, raw_server, reply
from tests.support.rows import DAY, time_based, time_based_batch

NOTHING = b'{"results":[{"statement_id":0}]}\n'
WRITTEN = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
RULE = {"type": "expire", "everySeconds": 7_776_000, "shardGroupDurationSeconds": 604_800}
BUCKET = {"id": "b1", "name": "days", "orgID": "o1", "retentionRules": [RULE]}
ORGANISATION = {"id": "o1", "name": "home"}


@pytest.fixture
def store(httpserver: HTTPServer) -> Iterator[InfluxStore]:
    opened = InfluxStore(Server(httpserver.url_for(""), "home", SecretStr("x"), timeout_seconds=2), "days")
    yield opened
    opened.close()


def healthy(httpserver: HTTPServer, version: str = "v2.9.1") -> None:
    headers = {"X-Influxdb-Version": version} if version else {}
    httpserver.expect_request("/ping").respond_with_data(status=204, headers=headers)
    httpserver.expect_request("/api/v2/buckets", method="GET").respond_with_json({"buckets": [BUCKET]})
    httpserver.expect_request("/api/v2/dbrps").respond_with_json({"content": []})


def test_a_store_in_order_has_nothing_in_the_way(httpserver: HTTPServer, store: InfluxStore) -> None:
    healthy(httpserver)
    httpserver.expect_request("/query").respond_with_data(NOTHING)
    httpserver.expect_request("/api/v2/write").respond_with_data(status=204)
    assert store.check() == []
    assert [request.data for request, _ in httpserver.log if request.path == "/api/v2/write"] == [b""]


def test_rights_that_a_token_lacks_are_named_one_by_one(httpserver: HTTPServer, store: InfluxStore) -> None:
    healthy(httpserver)
    httpserver.expect_request("/query").respond_with_json({"message": "read:buckets/b1 is unauthorized"}, status=403)
    httpserver.expect_request("/api/v2/write").respond_with_json({"message": "insufficient"}, status=403)
    read, write = store.check()
    assert "bucket days cannot be read: " in read
    assert "bucket days cannot be written to: " in write


@pytest.mark.parametrize(("version", "message"), [("", "does not look like InfluxDB"), ("1.6.7", "leave org empty")])
def test_a_server_that_is_not_as_it_should_be_is_described(
    httpserver: HTTPServer, store: InfluxStore, version: str, message: str
) -> None:
    healthy(httpserver, version)
    httpserver.expect_request("/query").respond_with_data(NOTHING)
    httpserver.expect_request("/api/v2/write").respond_with_data(status=204)
    (problem,) = store.check()
    assert message in problem


@pytest.mark.parametrize(
    ("offset_seconds", "message"),
    [(600, "600 s ahead of this one"), (-600, "600 s behind this one"), (5, ""), (None, "")],
)
def test_a_clock_that_goes_wrong_is_reported(offset_seconds: int | None, message: str) -> None:
    date = "the day before yesterday"
    if offset_seconds is not None:
        now = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(seconds=offset_seconds + 0.5)
        date = format_datetime(now, usegmt=True)
    ping = f"HTTP/1.1 204 No Content\r\nX-Influxdb-Version: v2.9.1\r\nDate: {date}\r\nConnection: close\r\n\r\n"
    bucket = reply(json.dumps({"buckets": [BUCKET]}).encode())
    mappings = reply(json.dumps({"content": []}).encode())
    answers = (ping.encode(), bucket, mappings, *2 * [reply(NOTHING)], WRITTEN)
    with raw_server(*(Answer([answer]) for answer in answers)) as server:
        store = InfluxStore(Server(server.url, "home", timeout_seconds=2), "days")
        problems = " ".join(store.check())
        store.close()
    assert problems == "" if not message else re.search(message.replace("600", "(599|600|601)"), problems)


def test_a_2x_server_wants_an_organisation(httpserver: HTTPServer) -> None:
    healthy(httpserver)
    httpserver.expect_request("/query").respond_with_data(NOTHING)
    store = InfluxStore(Server(httpserver.url_for(""), timeout_seconds=2), "days")
    assert "name the organisation" in store.check()[0]
    store.close()


def test_a_server_that_is_not_there_is_one_problem() -> None:
    store = InfluxStore(Server(f"http://127.0.0.1:{free_port()}", "home"), "days")
    (problem,) = store.check()
    assert "cannot be used now" in problem
    store.close()


@pytest.mark.parametrize(
    ("orgs", "create", "lacking"),
    [
        ((200, {"orgs": []}), (201, {}), "read:orgs"),
        ((401, {"message": "unauthorized"}), (201, {}), "read:orgs"),
        ((200, {"orgs": [ORGANISATION]}), (403, {"message": "forbidden"}), "write:buckets"),
        ((200, {"orgs": [ORGANISATION]}), (422, {"message": "bucket with name days already exists"}), "read:buckets"),
    ],
)
def test_init_says_what_a_token_lacks(
    httpserver: HTTPServer,
    store: InfluxStore,
    orgs: tuple[int, dict[str, object]],
    create: tuple[int, dict[str, object]],
    lacking: str,
) -> None:
    httpserver.expect_request("/api/v2/buckets", method="GET").respond_with_json({"buckets": []})
    httpserver.expect_request("/api/v2/orgs").respond_with_json(orgs[1], status=orgs[0])
    httpserver.expect_request("/api/v2/buckets", method="POST").respond_with_json(create[1], status=create[0])
    with pytest.raises(StoreError, match=r"the request was to|token may not see") as caught:
        store.prepare()
    assert lacking in caught.value.hint


def test_an_organisation_that_is_not_there_is_no_missing_bucket(httpserver: HTTPServer, store: InfluxStore) -> None:
    body = {"code": "not found", "message": 'organization name "home" not found'}
    httpserver.expect_request("/api/v2/buckets").respond_with_json(body, status=404)
    with pytest.raises(StoreMissing, match="organization"):
        store.prepare()


def test_a_retention_that_may_not_be_changed_is_reported(httpserver: HTTPServer) -> None:
    healthy(httpserver)
    httpserver.expect_request("/api/v2/buckets/b1", method="GET").respond_with_json(BUCKET)
    httpserver.expect_request("/api/v2/buckets/b1", method="PATCH").respond_with_json({"message": "no"}, status=403)
    store = InfluxStore(Server(httpserver.url_for(""), "home", timeout_seconds=2), "days", retention_days=30)
    assert "keeps 90 days" in store.prepare()[0]
    with pytest.raises(StoreError, match="change bucket 'days'"):
        store.prepare(update_retention=True)
    store.close()


def test_rows_that_a_server_takes_but_does_not_give_back_are_not_called_written(
    httpserver: HTTPServer, store: InfluxStore
) -> None:
    healthy(httpserver)
    httpserver.expect_request("/api/v2/write").respond_with_data(status=204)
    httpserver.expect_request("/query").respond_with_data(NOTHING)
    with pytest.raises(StoreError, match="is not read back"):
        store.replace_day(time_based_batch(time_based()))
    bodies = [request.data for request, _ in httpserver.log if request.path == "/api/v2/write"]
    assert not any(b"detector_run_daily" in body for body in bodies)


def test_a_store_opened_for_reading_is_never_written_to(httpserver: HTTPServer) -> None:
    store = InfluxStore(Server(httpserver.url_for(""), "home"), "days", read_only=True)
    for change in (store.prepare, lambda: store.replace_day(time_based_batch(time_based()))):
        with pytest.raises(StoreError, match="reading only"):
            change()
    assert store.expire(dt.date(2026, 1, 1)) == 0
    assert httpserver.log == []
    store.close()


def test_a_token_for_one_bucket_suffices_for_all_that_the_job_does(influxdb_2: LiveServer) -> None:
    name = influxdb_2.new_bucket()
    scoped = influxdb_2.server(token=SecretStr(influxdb_2.token_for(name, "read", "write")))
    store = InfluxStore(scoped, name, retention_days=0)
    assert (store.prepare(), store.check()) == ([], [])
    store.replace_day(time_based_batch(time_based(), time_based("light.hall")))
    store.replace_day(time_based_batch(time_based()))
    day = time_based().date
    assert store.read(TimeBasedDaily, DateRange(day, day)) == [time_based()]
    other = InfluxStore(scoped, f"{name}_other")
    with pytest.raises(StoreError, match="or the token may not see it"):
        other.prepare()
    for opened in (store, other):
        opened.close()


COLUMNS = [name for name in TimeBasedDaily.model_fields if name != HOME]
ROW = json.loads(time_based().model_dump_json())
WHOLE = [json.dumps(ROW[name]) if isinstance(ROW[name], list) else ROW[name] for name in COLUMNS]
HALF = [None if name == "confidence" else value for name, value in zip(COLUMNS, WHOLE, strict=True)]


def answer(*rows: list[object]) -> Answer:
    at = midnight_seconds(DAY)
    series = {"name": "time_based_daily", "columns": ["time", *COLUMNS], "values": [[at, *row] for row in rows]}
    return Answer([reply(json.dumps({"results": [{"statement_id": 0, "series": [series]}]}).encode() + b"\n")])


def test_a_row_that_is_partly_visible_is_read_again() -> None:
    with raw_server(answer(HALF), answer(WHOLE)) as server:
        store = InfluxStore(Server(server.url, timeout_seconds=2), "days")
        assert store.read(TimeBasedDaily, DateRange(DAY, DAY)) == [time_based()]
        store.close()
    assert len(server.requests) == 2


def test_a_row_that_lacks_a_value_for_good_is_reported() -> None:
    with raw_server(answer(HALF)) as server:
        store = InfluxStore(Server(server.url, timeout_seconds=2), "days")
        with pytest.raises(StoreCorrupt, match=r"time_based_daily .*light\.kitchen.*confidence"):
            store.read(TimeBasedDaily, DateRange(DAY, DAY))
        store.close()
    assert len(server.requests) == 3  # at first, and twice with the same result


def test_a_summary_of_a_row_that_is_partly_visible_is_taken_when_it_is_complete() -> None:
    with raw_server(answer(HALF), answer(HALF), answer(WHOLE)) as server:
        store = InfluxStore(Server(server.url, timeout_seconds=2), "days")
        (summary,) = store.summarize(TimeBasedDaily, DateRange(DAY, DAY), {"confidence": "mean"})
        store.close()
    assert summary["confidence"] == time_based().confidence
    assert len(server.requests) == 3


def test_a_summary_reads_no_field_that_it_does_not_need(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_data(NOTHING)
    store = InfluxStore(Server(httpserver.url_for(""), timeout_seconds=2), "days")
    assert store.summarize(TimeBasedDaily, DateRange(DAY, DAY), {"occurrences": "sum"}, by=["entity_id"]) == []
    store.close()
    ((request, _),) = httpserver.log
    assert '"occurrences"::field' in request.form["q"]
    assert "confidence" not in request.form["q"]


@pytest.mark.parametrize(("org", "bucket"), [("home", "a/b"), ("home", "a/"), ("", "/a"), ("", "a/"), ("", "a/b/c")])
def test_a_bucket_that_influxql_would_take_for_another_one_is_refused(org: str, bucket: str) -> None:
    with pytest.raises(SettingsError, match="aggregates cannot be kept in a bucket named"):
        InfluxStore(Server("http://127.0.0.1:1", org), bucket)


def test_a_row_that_is_refused_while_it_is_written_anew_is_left_beside_its_midnight(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/api/v2/write").respond_with_data(status=204)
    httpserver.expect_ordered_request("/query").respond_with_data(NOTHING)
    refusal = {"code": "unprocessable entity", "message": "partial write: points beyond retention policy dropped=1"}
    httpserver.expect_ordered_request("/api/v2/write").respond_with_json(refusal, status=422)
    connection = Connection(Server(httpserver.url_for(""), "home", timeout_seconds=2), ERRORS, "test")
    (message,) = Writer(connection, "days", TimeBasedDaily).rewrite(DAY, [time_based()])
    connection.close()
    assert "dropped=1" in message
    assert len(httpserver.log) == 3  # no second DELETE


@pytest.mark.parametrize("days", [1, 2])
def test_influxdb_cannot_keep_less_than_it_takes_to_write_yesterday(days: int) -> None:
    with pytest.raises(SettingsError, match=r"retention_days must be 0 \(for ever\) or at least 3"):
        InfluxStore(Server("http://127.0.0.1:1", "home"), "days", retention_days=days)


def test_a_policy_that_is_not_there_is_no_server_that_is_down(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_json({"error": "retention policy not found: x"}, status=500)
    store = InfluxStore(Server(httpserver.url_for(""), timeout_seconds=2), "days")
    with pytest.raises(StoreMissing, match="retention policy not found"):
        store.read(TimeBasedDaily, DateRange(DAY, DAY))
    store.close()
    assert len(httpserver.log) == 1
