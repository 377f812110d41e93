"""The HTTP server, with clients that are slow, many, or send what is not a valid request."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http import HTTPStatus

import pytest

from jobs.daemon.http import (
    MAX_CLIENTS,
    MAX_CONNECTION_SECONDS,
    MAX_FORM_BYTES,
    MAX_FORM_FIELDS,
    Response,
    http_server,
)

ROUTES = {"/healthz": lambda: Response(HTTPStatus.OK, "fine\n", "text/plain")}


@pytest.fixture
def port() -> Iterator[int]:
    with http_server("127.0.0.1", 0, ROUTES) as port:
        yield port


def ask(port: int, request: bytes = b"GET /healthz HTTP/1.0\r\n\r\n", *, source: str = "127.0.0.1") -> bytes:
    """All that comes back; nothing if the connection is cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0)) as client:
        try:
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))
        except ConnectionError:
            return b""


def status(answer: bytes) -> bytes:
    return answer.partition(b"\r\n")[0].partition(b" ")[2][:3]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.0\r\n\r\n", b"414"),
        (b"GET /healthz HTTP/1.0\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET /healthz HTTP/1.0\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431"),
        (b"POST /healthz HTTP/1.0\r\nContent-Length: 9\r\n\r\n", b"501"),
        (b"GET /../../etc/passwd HTTP/1.0\r\n\r\n", b"404"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    ],
)
def test_requests_that_are_not_valid_are_refused(port: int, request_: bytes, expected: bytes) -> None:
    answer = ask(port, request_)
    assert expected in answer or (answer == b"" and len(request_) > 1000)  # reset amid what was not read
    assert status(ask(port)) == b"200"


def test_clients_that_never_finish_are_bounded_in_number_and_cut_off_in_time(port: int) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(100)]
        began, most, answered = time.monotonic(), 0, None
        while answered is None and time.monotonic() - began < MAX_CONNECTION_SECONDS + 60:
            for client in clients:
                try:
                    client.sendall(b"G")  # a byte now and then keeps any pause short
                except ConnectionError:
                    continue
            most = max(most, threading.active_count() - before)
            time.sleep(0.25)
            answered = True if status(ask(port)) == b"200" else None
    assert answered
    assert time.monotonic() - began > MAX_CONNECTION_SECONDS - 1  # until then they held every place
    assert most <= MAX_CLIENTS + 1


def test_a_client_that_breaks_off_leaves_no_trace_on_standard_error(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /healthz")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert status(ask(port)) == b"200"
    assert capfd.readouterr().err == ""


FORM = b"POST /away HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def form(body: bytes, *, head: bytes = FORM, length: int | None = None) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


@pytest.fixture
def form_port() -> Iterator[int]:
    def take(fields: Mapping[str, str]) -> Response:
        return Response(HTTPStatus.SEE_OTHER, repr(dict(fields)), "text/plain", location="./")

    with http_server("127.0.0.1", 0, ROUTES, forms={"/away": take}) as port:
        yield port


def test_a_form_is_read_and_the_way_back_is_relative(form_port: int) -> None:
    answer = ask(form_port, form(b"first=2026-08-01&note=Oma%20%26%20Opa&empty="))
    assert status(answer) == b"303"
    assert b"\r\nLocation: ./\r\n" in answer
    assert answer.endswith(b"{'first': '2026-08-01', 'note': 'Oma & Opa', 'empty': ''}")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (form(b"x=" + b"y" * (MAX_FORM_BYTES - 2)), b"303"),
        (form(b"x=" + b"y" * (MAX_FORM_BYTES - 1)), b"413"),
        (form(b"&".join([b"x=1"] * MAX_FORM_FIELDS)), b"303"),
        (form(b"&".join([b"x=1"] * (MAX_FORM_FIELDS + 1))), b"400"),
        (form(b"x=%ff"), b"400"),
        (form(b"x=1", length=-1), b"400"),
        (FORM + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nx=1", b"413"),
        (form(b"x=1", head=b"POST /away HTTP/1.0\r\n"), b"400"),
        (form(b"x=1", head=b"POST /away HTTP/1.0\r\nContent-Type: text/plain\r\n"), b"400"),
        (form(b"x=1", head=FORM.replace(b"/away", b"/healthz")), b"501"),
        (form(b"x=1", head=FORM + b"Sec-Fetch-Site: same-origin\r\n"), b"303"),
        (form(b"x=1", head=FORM + b"Sec-Fetch-Site: cross-site\r\n"), b"403"),
        (form(b"x=1", head=FORM + b"Sec-Fetch-Site: same-site\r\n"), b"403"),
    ],
)
def test_a_form_that_is_too_large_not_valid_or_of_another_site_is_refused(
    form_port: int, request_: bytes, expected: bytes
) -> None:
    assert status(ask(form_port, request_)) == expected


def test_a_form_of_which_only_a_part_arrives_changes_nothing(form_port: int) -> None:
    with socket.create_connection(("127.0.0.1", form_port), timeout=30) as client:
        client.sendall(form(b"first=2026-08-01", length=100))
        client.shutdown(socket.SHUT_WR)
        assert status(b"".join(iter(lambda: client.recv(65536), b""))) == b"400"


def test_a_form_that_never_ends_is_cut_off(form_port: int) -> None:
    began_at = time.monotonic()
    assert ask(form_port, form(b"x=1", length=100)) == b""
    assert time.monotonic() - began_at < MAX_CONNECTION_SECONDS + 20  # on a busy machine


def test_where_one_client_is_named_nobody_else_is_answered() -> None:
    forms = {"/away": lambda _fields: Response(HTTPStatus.OK, "")}
    with http_server("127.0.0.1", 0, ROUTES, forms=forms, only_client="127.0.0.2") as port:
        for request in (b"GET /healthz HTTP/1.0\r\n\r\n", b"GET /missing HTTP/1.0\r\n\r\n", form(b"x=1")):
            answer = ask(port, request)
            assert status(answer) == b"403"
            assert b"healthz" not in answer
        assert status(ask(port, source="127.0.0.2")) == b"200"
        assert status(ask(port, form(b"x=1"), source="127.0.0.2")) == b"200"


def request_for(host: str, path: str = "/healthz") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example.com",
        "rebound.example.com:8080",
        "localhost.example.com",
        "localhost.",
        "127.0.0.1.nip.io",
        "[::1",
    ],
)
def test_a_request_under_a_name_that_anyone_could_own_is_refused(port: int, host: str) -> None:
    for path in ("/healthz", "/missing"):
        answer = ask(port, request_for(host, path))
        assert status(answer) == b"403"
        assert b"health.hosts" in answer
        assert b"healthz" not in answer


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:8080", "[::1]:8080", "192.168.1.10", "daemon:8080", "nas.local", "home.internal"]
)
def test_health_checks_and_prometheus_reach_the_pages_as_before(port: int, host: str) -> None:
    assert status(ask(port, request_for(host))) == b"200"


def test_a_named_host_is_answered_in_any_case_and_a_form_under_another_one_is_not() -> None:
    forms = {"/away": lambda _fields: Response(HTTPStatus.OK, "")}
    with http_server("127.0.0.1", 0, ROUTES, forms=forms, names=("Home.Example.org",)) as port:
        assert status(ask(port, request_for("home.EXAMPLE.org:443"))) == b"200"
        assert status(ask(port, request_for("example.org"))) == b"403"
        assert status(ask(port, form(b"x=1", head=FORM + b"Host: home.example.org\r\n"))) == b"200"
        assert status(ask(port, form(b"x=1", head=FORM + b"Host: example.org\r\n"))) == b"403"


def test_a_proxy_that_is_the_only_client_is_answered_under_any_name() -> None:
    with http_server("127.0.0.1", 0, ROUTES, only_client="127.0.0.1") as port:
        assert status(ask(port, request_for("my-home.duckdns.org"))) == b"200"


def test_every_answer_forbids_scripts_and_whatever_is_not_its_own(port: int) -> None:
    answer = ask(port)
    assert b"\r\nContent-Security-Policy: default-src 'none';" in answer
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer
