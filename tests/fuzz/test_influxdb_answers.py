"""Whatever an InfluxDB answers: an error or the rows, and no row of another day is lost."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from storage.backends.influxdb.store import InfluxStore
from storage.dates import DateRange
from storage.models import DailyAggregate, DetectorRunDaily, TimeBasedDaily
from tests.fuzz.promises import FIRST, LAST, call, examples, new_home
from tests.support.home import CSV_CONFIG, Home
from tests.support.influxdb import LiveServer
from tests.support.mangling_proxy import Answer, Mangle, Mangling, mangling_proxy

COMMANDS = (
    ("backfill", LAST, LAST, "--redo", "all", "--json"),
    ("query", "time_based", FIRST, LAST, "--format", "json"),
    ("query", "time_based", FIRST, LAST, "--sum", "occurrences", "--by", "entity_id"),
    ("doctor", "--json"),
    ("init",),
    ("explain", "time_based", FIRST),
)
STATUSES = st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 413, 422, 429, 500, 503, 599])
BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            *(b"", b"{}", b"[]", b"null", b'{"results":[]}', b'{"results":[{}]}', b'{"results":[{"series":[{}]}]}'),
            *(
                b'{"results":[{"series":[{"name":1,"columns":1,"values":1}]}]}',
                b'{"error":1}',
                b'{"code":[]}',
                b"<html>",
            ),
            *(
                b'{"results":[{"series":[{"columns":["time"],"values":[["x"]]}]}]}',
                b"\x1f\x8b\x08",
                b"\xff\xfe",
                b"NaN",
            ),
        ]
    ),
)


@st.composite
def manglings(draw: st.DrawFn) -> Mangle:
    """Return a way to change an answer."""
    kind = draw(st.sampled_from(["cut", "bytes", "value", "status", "body", "length", "gzip", "header"]))
    at, new = draw(st.integers(0, 5000)), draw(st.binary(min_size=1, max_size=6))
    status, body = draw(STATUSES), draw(BODIES)
    value: Any = draw(st.sampled_from([None, True, "x", -1, 1e300, [], {}, "2026-03-02T00:00:00Z", 10**30]))

    def mangle(answer: Answer) -> Answer:
        place = at % (len(answer.body) + 1)
        if kind == "cut":
            answer.length, answer.body = len(answer.body), answer.body[:place]
        elif kind == "bytes":
            answer.body = answer.body[:place] + new + answer.body[place + len(new) :]
        elif kind == "value":
            answer.body = with_value(answer.body, at, value)
        elif kind == "status":
            answer.status = status
            answer.body = b"" if status in (204, 304) else answer.body
        elif kind == "body":
            answer.body = body
        elif kind == "length":
            answer.length = max(0, len(answer.body) + at % 7 - 3)
            answer.body = answer.body[: answer.length]
        elif kind == "gzip":
            answer.headers["Content-Encoding"] = "gzip"
            answer.body = answer.body if at % 2 else gzip.compress(answer.body)[:-4]
        else:
            answer.headers = {"Content-Type": "text/html", "X-Influxdb-Version": "9.9", "Retry-After": "x"}
        return answer

    return mangle


def with_value(body: bytes, at: int, value: Any) -> bytes:
    """Return a JSON answer with one value somewhere in it replaced; another answer with a piece cut out."""
    try:
        document = json.loads(body)
    except ValueError:
        return body[: at % (len(body) + 1)] + body[at % (len(body) + 1) + 3 :]
    places: list[tuple[Any, Any]] = []

    def collect(inner: Any) -> None:
        for key, of in list(inner.items() if isinstance(inner, dict) else enumerate(inner)):
            places.append((inner, key))
            if isinstance(of, dict | list):
                collect(of)

    if isinstance(document, dict | list):
        collect(document)
    if places:
        inside, key = places[at % len(places)]
        inside[key] = value
    return json.dumps(document).encode()


class Computed:
    """A home with two days in a bucket, reached through the proxy."""

    def __init__(self, home: Home, proxy: Mangling, server: LiveServer, bucket: str) -> None:
        self.home, self.proxy, self._server, self._bucket = home, proxy, server, bucket

    def rows(self, day: str) -> list[DailyAggregate]:
        """Return a day's rows as the real server has them."""
        with closing(InfluxStore(self._server.server(), self._bucket, read_only=True)) as store:
            return [
                row for model in (TimeBasedDaily, DetectorRunDaily) for row in store.read(model, DateRange.parse(day))
            ]


@pytest.fixture(scope="module")
def computed(request: pytest.FixtureRequest) -> Iterator[Computed]:
    server: LiveServer = request.getfixturevalue(request.param)
    bucket = server.new_bucket()
    with mangling_proxy(server.url) as proxy, new_home() as home:
        store = {"kind": "influxdb", "url": proxy.url, "org": server.org, "token": server.token, "bucket": bucket}
        section = "\n".join(f"{key} = {json.dumps(value)}" for key, value in store.items())
        home.config.write_text(
            CSV_CONFIG.replace('url = "sqlite:///aggregates.db"', f"{section}\ntimeout_seconds = 2"), encoding="utf-8"
        )
        assert call(home, "backfill", FIRST, LAST, "--json").exit_code == 0
        yield Computed(home, proxy, server, bucket)


@pytest.mark.parametrize("computed", ["influxdb_1", "influxdb_2"], indirect=True)
@examples(2)
@hypothesis.given(
    mangle=manglings(), number=st.integers(0, 12), all_after=st.booleans(), words=st.sampled_from(COMMANDS)
)
def test_whatever_a_server_answers_a_command_ends_as_documented(
    computed: Computed, mangle: Mangle, number: int, all_after: bool, words: tuple[str, ...]
) -> None:
    before = computed.rows(FIRST)
    computed.proxy.reset(mangle, number, all_after=all_after)
    call(computed.home, *words)
    computed.proxy.reset(lambda answer: answer, 0, all_after=False)
    assert computed.rows(FIRST) == before
    call(computed.home, "backfill", LAST, LAST, "--json")
