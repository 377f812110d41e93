"""The HTTP server, with clients that are slow, many, or send what is not a valid request."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus

import pytest

from jobs.daemon.http import MAX_CLIENTS, MAX_CONNECTION_SECONDS, Response, http_server

ROUTES = {"/healthz": lambda: Response(HTTPStatus.OK, "fine\n", "text/plain")}


@pytest.fixture
def port() -> Iterator[int]:
    with http_server("127.0.0.1", 0, ROUTES) as port:
        yield port


def ask(port: int, request: bytes = b"GET /healthz HTTP/1.0\r\n\r\n") -> bytes:
    """All that comes back; nothing if the connection is cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
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
        while answered is None and time.monotonic() - began < MAX_CONNECTION_SECONDS + 10:
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
