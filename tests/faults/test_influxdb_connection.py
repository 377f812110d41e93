"""What the connection makes of refusals, overload, broken answers and a network that fails."""

from __future__ import annotations

import datetime as dt
import gzip
import logging
import ssl
import subprocess
import time
from base64 import b64encode
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from storage.backends.influxdb.store import ERRORS
from storage.drivers.influxdb.connection import FIRST_WAIT_SECONDS, Connection, ErrorClasses
from storage.drivers.influxdb.influxql import Query
from storage.drivers.influxdb.server import Server
from storage.errors import (
    PatternAggregatesError,
    SettingsError,
    SourceError,
    SourceMismatch,
    SourceUnavailable,
    StoreError,
    StoreMissing,
    StoreUnavailable,
)
from tests.support.influxdb import free_port
from tests.support.raw_server import Answer, raw_server, reply

TOKEN = "do-not-tell-anybody"  # noqa: S105 - that is what the tests are about
ROWS = b'{"results":[{"statement_id":0,"series":[{"name":"m","columns":["time","a"],"values":[[1,2],[3,4]]}]}]}\n'
PART = ROWS.replace(b'"statement_id":0', b'"statement_id":0,"partial":true')


class Waits(list[float]):
    """Stands in for sleep and remembers."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def connection(url: str, waits: Waits | None = None, **more: object) -> Connection:
    values = {"url": url, "org": "home", "token": SecretStr(TOKEN), "timeout_seconds": 2.0, **more}
    return Connection(Server(**values), ERRORS, "store", sleep=waits if waits is not None else Waits())  # type: ignore[arg-type] # whatever a test asks for


def rows(opened: Connection) -> list[list[int]]:
    found = opened.execute(Query("b", "SELECT"), lambda series: [values for part in series for values in part.values])
    opened.close()
    return found


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_temporary_error_is_tried_three_times_with_growing_waits(httpserver: HTTPServer, status: int) -> None:
    httpserver.expect_request("/api/v2/write").respond_with_json({"message": "busy now"}, status=status)
    waits = Waits()
    with pytest.raises(StoreUnavailable, match=rf"busy now \({status}\).*tried 3 times") as caught:
        connection(httpserver.url_for(""), waits).write("b", "m f=1i 0")
    assert caught.value.retryable
    assert len(httpserver.log) == 3
    for number, wait in enumerate(waits):
        assert 0.5 <= wait / (FIRST_WAIT_SECONDS * 2**number) <= 1.5
    assert len(waits) == 2


def test_a_server_that_recovers_is_written_to_without_an_error(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/api/v2/write").respond_with_data(status=503)
    httpserver.expect_ordered_request("/api/v2/write", query_string="org=home&bucket=b&precision=s").respond_with_data(
        status=204
    )
    assert connection(httpserver.url_for("")).write("b", "m f=1i 0") == ""
    httpserver.check()


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 8),
        (dt.timedelta(seconds=20), 10, 21),
        (dt.timedelta(hours=-1), 0, 1),
        ("soon", 0, 1),
        ("-5", 0, 1),
    ],
)
def test_the_wait_that_a_server_asks_for_is_kept(
    httpserver: HTTPServer, header: str | dt.timedelta, least: float, most: float
) -> None:
    if isinstance(header, dt.timedelta):
        header = format_datetime(dt.datetime.now(dt.UTC) + header, usegmt=True)
    httpserver.expect_ordered_request("/query").respond_with_data(status=429, headers={"Retry-After": header})
    httpserver.expect_ordered_request("/query").respond_with_data(ROWS)
    waits = Waits()
    assert rows(connection(httpserver.url_for(""), waits)) == [[1, 2], [3, 4]]
    assert least <= waits[0] <= most


def test_a_server_that_asks_for_too_long_a_wait_is_given_up_at_once(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/query").respond_with_data(status=503, headers={"Retry-After": "3600"})
    waits = Waits()
    with pytest.raises(StoreUnavailable, match="asks to wait 3600 s"):
        rows(connection(httpserver.url_for(""), waits))
    assert (waits, len(httpserver.log)) == ([], 1)


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [(400, StoreError, ""), (401, StoreError, "token"), (403, StoreError, "token"), (404, StoreMissing, "init")],
)
def test_a_refusal_raises_at_once_with_a_hint(
    httpserver: HTTPServer, status: int, kind: type[StoreError], hint: str
) -> None:
    httpserver.expect_request("/api/v2/write").respond_with_json({"code": "x", "message": "because"}, status=status)
    with pytest.raises(kind, match="because") as caught:
        connection(httpserver.url_for("")).write("b", "m f=1i 0")
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, '{"code":"unprocessable entity","message":"partial write: points beyond retention policy dropped=3"}'),
        (400, '{"error":"partial write: field type conflict: input field \\"x\\" dropped=1"}'),
    ],
)
def test_a_partial_refusal_is_given_back_in_the_servers_words(httpserver: HTTPServer, status: int, body: str) -> None:
    httpserver.expect_request("/api/v2/write").respond_with_data(body, status=status)
    assert "dropped=" in connection(httpserver.url_for("")).write("b", "m f=1i 0")


def test_a_redirect_is_not_followed_as_it_would_carry_the_token_away(httpserver: HTTPServer) -> None:
    elsewhere = httpserver.url_for("/elsewhere")
    httpserver.expect_request("/query").respond_with_data(status=307, headers={"Location": elsewhere})
    with pytest.raises(StoreError, match=r"redirects to http.*/elsewhere"):
        rows(connection(httpserver.url_for("")))
    assert [request.path for request, _ in httpserver.log] == ["/query"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"results":[{"statement_id":0,"error":"database not found: b"}]}\n', StoreMissing),
        (b'{"results":[{"statement_id":0,"error":"retention policy not found: x"}]}\n', StoreMissing),
        (b'{"results":[{"statement_id":0,"error":"max-select-series limit exceeded"}]}\n', StoreError),
        (b'{"error":"timeout"}\n', StoreError),
        (PART + b'{"results":[{"statement_id":0,"error":"engine is closed"}]}\n', StoreError),
    ],
)
def test_an_error_in_an_answer_of_status_200_is_seen(httpserver: HTTPServer, body: bytes, kind: type) -> None:
    httpserver.expect_request("/query").respond_with_data(body)
    with pytest.raises(StoreError) as caught:
        rows(connection(httpserver.url_for("")))
    assert type(caught.value) is kind
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"<html>please log in</html>",
        b'"text"\n',
        ROWS[:-20],
        PART,
        PART + ROWS[:10],
        b'{"results":[]}\n',
    ],
    ids=["empty", "blank", "html", "text", "cut", "only a part", "cut in the second part", "no result"],
)
def test_a_broken_answer_is_requested_again_and_then_reported(httpserver: HTTPServer, body: bytes) -> None:
    httpserver.expect_request("/query").respond_with_data(body)
    with pytest.raises(StoreUnavailable, match="response"):
        rows(connection(httpserver.url_for("")))
    assert len(httpserver.log) == 3


def test_rows_that_came_before_an_answer_broke_off_are_not_there_twice(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/query").respond_with_data(PART)
    httpserver.expect_ordered_request("/query").respond_with_data(PART + ROWS)
    assert rows(connection(httpserver.url_for(""))) == [[1, 2], [3, 4], [1, 2], [3, 4]]


@pytest.mark.parametrize(
    "broken",
    [
        Answer(),
        Answer(reset=True),
        Answer([b"HTTP/1.1 200 OK\r\n"], reset=True),
        Answer([b"this is no HTTP\r\n\r\n"]),
        Answer([reply(ROWS, length=len(ROWS) + 100)]),
        Answer([b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"re']),
        Answer([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n"]),
        Answer([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\nplain"]),
        Answer([reply(b"")], pause_seconds=1.0),
    ],
    ids=["closed", "reset", "reset in the head", "no HTTP", "short", "cut chunk", "bad chunk", "no gzip", "silence"],
)
def test_a_connection_that_fails_is_tried_again(broken: Answer) -> None:
    with raw_server(broken, Answer([reply(ROWS)])) as server:
        assert rows(connection(server.url, timeout_seconds=0.5)) == [[1, 2], [3, 4]]
        assert len(server.requests) == 2
    with raw_server(broken) as server:
        with pytest.raises(StoreUnavailable, match="tried 3 times"):
            rows(connection(server.url, timeout_seconds=0.5))
        assert len(server.requests) == 3


def test_an_answer_that_drips_for_ever_is_cut_off() -> None:
    drip = [b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", *([b" "] * 10_000)]
    began = time.monotonic()
    with raw_server(Answer(drip, pause_seconds=0.02)) as server, pytest.raises(StoreUnavailable, match="not complete"):
        rows(connection(server.url, timeout_seconds=0.2))
    assert time.monotonic() - began < 60  # on a busy machine; the whole answer would take 200


def test_nobody_at_the_address_is_named_plainly() -> None:
    port = free_port()
    waits = Waits()
    with pytest.raises(StoreUnavailable, match=rf"store at http://127.0.0.1:{port} .*refused") as caught:
        connection(f"http://127.0.0.1:{port}", waits).write("b", "m f=1i 0")
    assert len(waits) == 2
    assert "urllib3" not in str(caught.value)


def test_a_name_that_nobody_knows_is_named_plainly() -> None:
    with pytest.raises(StoreUnavailable, match="its name is not known"):
        connection("http://no-such-host.invalid:8086").write("b", "m f=1i 0")


def test_the_caller_says_which_errors_it_wants(httpserver: HTTPServer) -> None:
    errors = ErrorClasses(SourceUnavailable, SourceMismatch, SourceError)
    httpserver.expect_request("/query").respond_with_data(b'{"results":[{"error":"database not found: b"}]}')
    opened = Connection(Server(httpserver.url_for("")), errors, "source", sleep=Waits())
    with pytest.raises(SourceMismatch):
        rows(opened)
    httpserver.clear()
    httpserver.expect_request("/query").respond_with_data(status=503)
    with pytest.raises(SourceUnavailable):
        rows(opened)


@pytest.mark.parametrize(
    ("org", "token", "sent"),
    [
        ("home", "abc", "Token abc"),
        ("home", "a:b", "Token a:b"),
        ("", "user:pass:word", "Basic dXNlcjpwYXNzOndvcmQ="),
        ("-", "user:pass:word", "Basic dXNlcjpwYXNzOndvcmQ="),
        ("", "", None),
    ],
)
def test_a_token_goes_as_the_version_wants_it(httpserver: HTTPServer, org: str, token: str, sent: str | None) -> None:
    path = "/api/v2/write" if org == "home" else "/write"
    httpserver.expect_request(path).respond_with_data(status=204)
    connection(httpserver.url_for(""), org=org, token=SecretStr(token)).write("b", "m f=1i 0")
    request, _ = httpserver.log[0]
    assert request.headers.get("Authorization") == sent


def test_a_policy_of_1x_is_named_apart(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/write", query_string="db=home&rp=raw&precision=s").respond_with_data(status=204)
    connection(httpserver.url_for(""), org="").write("home/raw", "m f=1i 0")
    httpserver.check()


def test_a_path_before_the_servers_own_is_kept(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/influx/query").respond_with_data(ROWS)
    assert len(rows(connection(httpserver.url_for("/influx/")))) == 2


def test_bodies_go_gzipped_where_that_is_wanted(httpserver: HTTPServer) -> None:
    body = "\n".join(f"m f={number}i 0" for number in range(500))

    def answer(request: Request) -> Response:
        if request.path == "/api/v2/write":
            assert gzip.decompress(request.data).decode() == body
            return Response(status=204)
        assert request.headers["Accept-Encoding"] == "gzip"
        return Response(gzip.compress(ROWS), headers={"Content-Encoding": "gzip"})

    httpserver.expect_request("/api/v2/write").respond_with_handler(answer)
    httpserver.expect_request("/query").respond_with_handler(answer)
    opened = connection(httpserver.url_for(""), compress=True)
    assert opened.write("b", body) == ""
    assert rows(opened) == [[1, 2], [3, 4]]
    httpserver.check()


def test_requests_go_through_a_proxy_where_one_is_named() -> None:
    with raw_server(Answer([reply(ROWS)])) as proxy:
        found = rows(connection("http://influx.example:8086", proxy=proxy.url))
        assert found == [[1, 2], [3, 4]]
        assert proxy.requests[0].startswith(b"POST http://influx.example:8086/query ")


def test_a_proxy_is_reported_the_name_and_password_in_its_address() -> None:
    with raw_server(Answer([reply(ROWS)])) as proxy:
        address = proxy.url.replace("http://", "http://resident:p%40ss@")
        assert rows(connection("http://influx.example:8086", proxy=address)) == [[1, 2], [3, 4]]
        (asked,) = proxy.requests
        assert f"proxy-authorization: basic {b64encode(b'resident:p@ss').decode().lower()}" in asked.decode().lower()


@pytest.mark.parametrize("proxy", ["squid:3128", "http://", "ftp://user:secret@squid", "http://[squid"])
def test_a_proxy_address_that_is_none_is_refused_without_its_secrets(proxy: str) -> None:
    with pytest.raises(SettingsError, match=r"store\.proxy") as caught:
        connection("http://influx.example:8086", proxy=proxy)
    assert "secret" not in str(caught.value)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that only its own authority, itself, vouches for; its key lies in the same file."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=DNS:localhost"
    try:
        made = subprocess.run([*command.split(), "-keyout", "-"], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("not here: openssl, to make a certificate with")
    file.write_bytes(made.stdout)
    return file


def test_a_server_with_a_certificate_of_our_own_authority_is_trusted_and_no_other(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = HTTPServer(ssl_context=context)
    server.start()
    try:
        server.expect_request("/query").respond_with_data(ROWS)
        url = server.url_for("")
        with pytest.raises(StoreError, match="certificate is not trusted") as caught:
            rows(connection(url))
        assert not caught.value.retryable
        assert "ca_file" in caught.value.hint
        assert len(rows(connection(url, ca_file=certificate))) == 2
        assert len(rows(connection(url, verify=False))) == 2
    finally:
        server.stop()


@pytest.mark.parametrize("file", ["missing.pem", "empty.pem"])
def test_a_certificate_file_that_is_none_is_a_matter_of_settings(tmp_path: Path, file: str) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(SettingsError, match=r"store\.ca_file"):
        connection("https://127.0.0.1:1", ca_file=tmp_path / file)


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8086", "ftp://host", "http://", "http://h:port", f"http://u:{TOKEN}@host", "http://h/?q=1"],
)
def test_an_address_that_is_none_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(SettingsError, match=r"store\.url") as caught:
        connection(url)
    assert TOKEN not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("bad", [f"{TOKEN}\n", f"{TOKEN}\r\nX: y", f"{TOKEN}é", "\x00"])
def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(bad: str) -> None:
    with pytest.raises(SettingsError, match=r"store\.token") as caught:
        connection("http://127.0.0.1:1", token=SecretStr(bad))
    assert TOKEN not in str(caught.value)


def test_the_token_is_shown_nowhere(httpserver: HTTPServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    httpserver.expect_request("/query").respond_with_data(status=401)
    opened = connection(httpserver.url_for(""))
    shown = [repr(opened), repr(opened.server), str(opened.server)]
    for url in (httpserver.url_for(""), f"http://127.0.0.1:{free_port()}"):
        with pytest.raises(PatternAggregatesError) as caught:
            rows(connection(url))
        error: BaseException | None = caught.value
        while error is not None:
            shown += [str(error), repr(error), str(error.args)]
            error = error.__cause__ or error.__context__
    assert TOKEN not in " ".join([*shown, caplog.text])


def test_a_portal_that_says_yes_to_everything_has_kept_nothing(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v2/write").respond_with_data("<html>please log in</html>", status=200)
    with pytest.raises(StoreUnavailable, match="not an InfluxDB"):
        connection(httpserver.url_for("")).write("b", "m f=1i 0")


@pytest.mark.parametrize("headers", [{}, {"Location": f"http://elsewhere/?t={TOKEN}"}])
def test_a_token_that_a_server_repeats_is_not_shown(httpserver: HTTPServer, headers: dict[str, str]) -> None:
    status = 307 if headers else 401
    httpserver.expect_request("/api/v2/write").respond_with_data(f"bad token {TOKEN}", status=status, headers=headers)
    with pytest.raises(StoreError) as caught:
        connection(httpserver.url_for("")).write("b", "m f=1i 0")
    assert TOKEN not in f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert "***" in str(caught.value)


@pytest.mark.parametrize("body", [b'{"results":null}', b'{"results":["x"]}', b"[]"])
def test_an_answer_of_another_shape_is_not_a_response(httpserver: HTTPServer, body: bytes) -> None:
    httpserver.expect_request("/query").respond_with_data(body)
    with pytest.raises(StoreUnavailable, match="not a response of InfluxDB"):
        rows(connection(httpserver.url_for("")))
