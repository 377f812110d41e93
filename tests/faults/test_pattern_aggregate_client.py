"""The client's promises without a server, or with one that misbehaves: one request, no exception, bounded time."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
import time
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from storage.backends.influxdb.call_guard import DEGRADED_AFTER
from storage.errors import StoreError, StoreUnavailable, UsageError
from storage.pattern_aggregate_client import PatternAggregateClient
from tests.support.influxdb import free_port
from tests.support.raw_server import Answer, raw_server
from tests.support.rows import time_based

DAY = dt.datetime(2025, 1, 15, 21, 30)  # noqa: DTZ001 - as the story's callers write it
LIGHT: dict[str, Any] = {
    "date": DAY,
    "entity_id": "light.living_room",
    "domain": "light",
    "hourly_distribution": [0] * 24,
    "peak_hours": [19, 20, 21],
    "frequency": 0.85,
    "confidence": 0.92,
    "occurrences": 12,
}
NOTHING = b'{"results":[{"statement_id":0}]}\n'


def client_of(url: str, **more: Any) -> PatternAggregateClient:
    return PatternAggregateClient(url=url, token="test-token", org="test-org", **more)  # noqa: S106 - opens nothing


def test_a_write_is_one_request_with_the_row_as_the_story_shapes_it(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v2/write").respond_with_data(status=204)
    with client_of(httpserver.url_for("")) as client:
        assert client.write_time_based_daily(**LIGHT) is True
        assert client.last_error is None
    ((request, _),) = httpserver.log
    assert request.method == "POST"
    assert request.args.to_dict() == {"org": "test-org", "bucket": "pattern_aggregates_daily", "precision": "s"}
    assert request.headers["Authorization"] == "Token test-token"
    assert request.data.decode() == (
        "time_based_daily,date=2025-01-15,domain=light,entity_id=light.living_room "
        'hourly_distribution="[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",peak_hours="[19,20,21]",'
        "frequency=0.85,confidence=0.92,occurrences=12i 1736899200"
    )


def test_a_query_is_one_request_in_which_the_filter_is_a_bound_value(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_data(NOTHING)
    with client_of(httpserver.url_for("")) as client:
        assert client.query_time_based_daily(start_date=DAY, end_date=DAY, entity_id='light."x') == []
        assert client.last_error is None
    ((request, _),) = httpserver.log
    assert request.form["db"] == "pattern_aggregates_daily"
    assert "light." not in request.form["q"]
    assert json.loads(request.form["params"]) == {"v0": "", "v1": 'light."x', "v2": "2025-01-15"}
    assert "time >= 1736812800s AND time < 1737072000s" in request.form["q"]


@pytest.mark.parametrize(
    "change",
    [
        {"frequency": 1.5},
        {"hourly_distribution": [0] * 23},
        {"hourly_distribution": None},
        {"entity_id": "two\nlines"},
        {"entity_id": ""},
        {"occurrences": -1},
        {"confidence": float("nan")},
        {"date": "not a day"},
        {"date": None},
        {"peak_hours": object()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_arguments_that_the_model_refuses_are_never_sent(
    httpserver: HTTPServer, caplog: pytest.LogCaptureFixture, change: dict[str, Any]
) -> None:
    with client_of(httpserver.url_for("")) as client:
        assert client.write_time_based_daily(**{**LIGHT, **change}) is False
        assert isinstance(client.last_error, UsageError)
    assert httpserver.log == []
    assert "writing time_based_daily" in caplog.text


@pytest.mark.parametrize("points", [[object()], [None], 5, [time_based(), {}]])
def test_a_batch_of_something_else_is_refused_whole(httpserver: HTTPServer, points: Any) -> None:
    with client_of(httpserver.url_for("")) as client:
        assert client.write_batch(points) is False
        assert client.last_error is not None
    assert httpserver.log == []


def test_invalid_queries_differ_from_empty_results(httpserver: HTTPServer) -> None:
    with client_of(httpserver.url_for("")) as client:
        assert client.query_time_based_daily(DAY, DAY - dt.timedelta(days=1)) == []
        assert "before it begins" in str(client.last_error)
        assert client.sum("time_based_daily", "occurences", DAY) == []
        assert "occurrences" in (client.last_error.hint if client.last_error else "")
        assert client.mean("time_based_daily", "peak_hours", DAY) == []
        assert isinstance(client.last_error, UsageError)
    assert httpserver.log == []


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("not to be shown")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda client: client.query_daily("no_such_daily", DAY), "'no_such_daily' is not a valid measurement"),
        (lambda client: client.query_daily(None, DAY), "None is not a valid measurement"),
        (lambda client: client.query_time_based_daily(None), "None is not a valid day"),
        (lambda client: client.query_time_based_daily(DAY, DAY, entity_id=5), "entity_id=5 is not a valid filter"),
        (lambda client: client.query_time_based_daily(DAY, DAY, entity_id=[None]), "is not a valid filter"),
        (
            lambda client: client.sum("time_based_daily", "occurrences", DAY, DAY, by="date"),
            "by='date' is a text, not a list",
        ),
        (lambda client: client.query_time_based_daily(Unshowable()), "cannot be shown"),
        (lambda client: client.write_time_based_daily(**{**LIGHT, "date": Unshowable()}), "cannot be shown"),
        (lambda client: client.write_time_based_daily(**{**LIGHT, "domain": Unshowable()}), "domain"),
        (lambda client: client.write_batch("time_based_daily,date=2026-02-31 f=1"), "'2026-02-31' is not a valid day"),
        (lambda client: client.write_batch(None), "NoneType"),
        (
            lambda client: client.write_batch("duration_daily,date=2026-03-02 episodes=2.5"),
            "episodes=2.5 is not a valid integer",
        ),
    ],
)
def test_no_argument_makes_a_call_raise(httpserver: HTTPServer, call: Any, message: str) -> None:
    with client_of(httpserver.url_for("")) as client:
        assert not call(client)
        assert message in str(client.last_error)
    assert httpserver.log == []


def test_a_measurement_may_be_named(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_data(NOTHING)
    with client_of(httpserver.url_for("")) as client:
        assert client.query_daily("anomaly_daily", DAY, DAY) == []
        assert client.last_error is None
    assert "anomaly_daily" in httpserver.log[0][0].form["q"]


def test_a_point_that_can_be_no_row_is_written_with_a_warning(
    httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    httpserver.expect_request("/api/v2/write").respond_with_data(status=204)
    with client_of(httpserver.url_for("")) as client:
        assert client.write_batch("time_based_daily,entity_id=light.x occurrences=1i 5")
    assert "a point without its tag date, domain is written, but no query returns it" in caplog.text


def test_a_failure_is_logged_with_its_context_and_kept_until_the_next_call(
    httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    httpserver.expect_ordered_request("/api/v2/write").respond_with_json({"message": "no such field"}, status=400)
    httpserver.expect_ordered_request("/api/v2/write").respond_with_data(status=204)
    with client_of(httpserver.url_for("")) as client:
        assert client.write_time_based_daily(**LIGHT) is False
        assert isinstance(client.last_error, StoreError)
        (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
        for part in ("time_based_daily", "light.living_room", "2025-01-15", "1 attempt", "no such field"):
            assert part in record.getMessage()
        assert client.write_time_based_daily(**LIGHT) is True
        assert client.last_error is None


def test_a_partly_refused_batch_is_a_failure(httpserver: HTTPServer) -> None:
    body = {"code": "unprocessable entity", "message": "partial write: points beyond retention policy dropped=1"}
    httpserver.expect_request("/api/v2/write").respond_with_json(body, status=422)
    with client_of(httpserver.url_for("")) as client:
        assert client.write_batch([time_based()]) is False
        assert "dropped=1" in str(client.last_error)


def test_each_thread_has_its_own_last_error(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v2/write").respond_with_data(status=204)
    with client_of(httpserver.url_for("")) as client:
        other = threading.Thread(target=client.write_batch, args=([None],))
        other.start()
        other.join()
        assert client.write_batch([time_based()]) is True
        assert client.last_error is None


def test_a_dead_server_costs_a_bounded_time_and_less_after_some_failures() -> None:
    with raw_server(Answer(pause_seconds=30, pieces=[b" "])) as silent:
        with client_of(silent.url, timeout_seconds=0.3) as client:
            costs = []
            for _ in range(DEGRADED_AFTER + 2):
                began = time.monotonic()
                assert client.write_time_based_daily(**LIGHT) is False
                assert isinstance(client.last_error, StoreUnavailable)
                costs.append(time.monotonic() - began)
        asked = [request.split(b" ", 2)[1] for request in silent.requests]
    assert max(costs) < 25  # on a busy machine; an answer alone would take 30
    assert asked[-2:] == [b"/ping", b"/ping"]
    assert len(asked) == 3 * DEGRADED_AFTER + 2


def test_a_server_that_comes_back_is_used_again_at_once() -> None:
    port = free_port()
    with client_of(f"http://127.0.0.1:{port}") as client:
        for _ in range(DEGRADED_AFTER + 1):
            assert client.query_time_based_daily(DAY, DAY) == []
            assert isinstance(client.last_error, StoreUnavailable)
        server = HTTPServer(host="127.0.0.1", port=port)
        server.start()
        try:
            server.expect_request("/ping").respond_with_data(status=204)
            server.expect_request("/query").respond_with_data(NOTHING)
            for _ in range(2):
                assert client.query_time_based_daily(DAY, DAY) == []
                assert client.last_error is None
            assert [request.path for request, _ in server.log] == ["/ping", "/query", "/query"]
        finally:
            server.stop()


def test_wrong_arguments_do_not_make_a_dead_server_look_alive() -> None:
    with client_of(f"http://127.0.0.1:{free_port()}") as client:
        for _ in range(DEGRADED_AFTER):
            client.write_time_based_daily(**LIGHT)
        client.query_time_based_daily(DAY, DAY - dt.timedelta(days=1))
        client.write_time_based_daily(**LIGHT)
        assert "tried 1 times" in str(client.last_error)


def test_calls_that_ask_nothing_do_not_make_a_dead_server_look_alive() -> None:
    with client_of(f"http://127.0.0.1:{free_port()}", timeout_seconds=0.2) as client:
        for _ in range(2):
            assert client.write_time_based_daily(**LIGHT) is False
        assert client.write_batch([]) is True
        assert client.write_batch([time_based(day=dt.date(1500, 1, 1))]) is False
        assert "InfluxDB stores days from" in str(client.last_error)
        assert client.write_time_based_daily(**LIGHT) is False
        assert "tried 3 times" in str(client.last_error)
        assert client.write_time_based_daily(**LIGHT) is False
        assert "tried 1 times" in str(client.last_error)


def test_an_error_of_our_own_is_reported_with_no_attempts(caplog: pytest.LogCaptureFixture) -> None:
    with client_of(f"http://127.0.0.1:{free_port()}", timeout_seconds=0.2) as client:
        assert client.write_time_based_daily(**LIGHT) is False
        assert client.write_batch([time_based(day=dt.date(1500, 1, 1))]) is False
    assert "failed after 0 attempts" in caplog.messages[-1]


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_server_without_users_needs_no_token_and_no_organisation(httpserver: HTTPServer, nothing: str | None) -> None:
    httpserver.expect_request("/write").respond_with_data(status=204)
    with PatternAggregateClient(httpserver.url_for(""), nothing, nothing) as client:
        assert client.write_time_based_daily(**LIGHT) is True
        assert client.org == ""
    ((request, _),) = httpserver.log
    assert "Authorization" not in request.headers


def test_a_closed_client_can_be_closed_again(httpserver: HTTPServer) -> None:
    client = client_of(httpserver.url_for(""))
    client.close()
    client.close()
    assert "test-token" not in repr(client) + str(vars(client))
