"""A proxy before a real HTTP server that at random refuses requests, resets connections, loses or delays answers.

It runs in a process of its own, so that its user has no further threads and can fork.
"""

from __future__ import annotations

import http.client
import multiprocessing
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.sharedctypes import Synchronized
from typing import Any, Final
from urllib.parse import urlsplit

KINDS: Final = ("500", "reset", "lost answer", "slow")

_FORK = multiprocessing.get_context("fork")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Proxy:
    """A running proxy.

    Attributes:
        url: Its address.
        share: The share of requests that each kind of trouble hits, from 0 to 1; can be changed at any time.
    """

    def __init__(self, url: str, share: Synchronized[float], counts: dict[str, Synchronized[int]]) -> None:
        self.url = url
        self.share = share
        self._counts = counts

    def counts(self) -> dict[str, int]:
        """Return how many requests each kind of trouble has hit."""
        return {kind: count.value for kind, count in self._counts.items()}


@contextmanager
def proxy(target: str, *, seed: int, slow_seconds: float) -> Iterator[Proxy]:
    """Run a proxy before ``target`` for as long as the block lasts; at first it passes everything on.

    Args:
        target: The address of the real server.
        seed: Of its random choices.
        slow_seconds: The longest delay of a slow answer.
    """
    server = _Server(target, seed, slow_seconds)
    process = _FORK.Process(target=server.serve_forever, daemon=True)
    process.start()
    server.server_close()
    try:
        yield Proxy(f"http://127.0.0.1:{server.server_address[1]}", server.share, server.counts)
    finally:
        process.kill()
        process.join()


class _Server(ThreadingHTTPServer):
    def __init__(self, target: str, seed: int, slow_seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host, _, port = urlsplit(target).netloc.partition(":")
        self.port = int(port)
        self.slow_seconds = slow_seconds
        self.share: Synchronized[float] = _FORK.Value("d", 0.0)
        self.counts: dict[str, Synchronized[int]] = {kind: _FORK.Value("i", 0) for kind in KINDS}
        self.rng = random.Random(seed)

    def trouble(self) -> str:
        """Choose what happens to the next request; an empty text is nothing."""
        share = self.share.value
        place = self.rng.random() / share if share else len(KINDS)
        if place >= len(KINDS):
            return ""
        kind = KINDS[int(place)]
        with self.counts[kind].get_lock():
            self.counts[kind].value += 1
        return kind

    def handle_error(self, *_: object) -> None:
        """Ignore clients that are gone, for example after a timeout."""

    def shutdown_request(self, request: Any) -> None:
        """Close without the orderly shutdown that would undo a reset."""
        self.close_request(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_PATCH(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        trouble = self.server.trouble()
        if trouble == "500":
            self._answer(500, [], b'{"error":"out of sorts"}')
            return
        if trouble != "reset":
            status, headers, answer = self._ask(body)
            if trouble == "slow":
                time.sleep(self.server.rng.uniform(0, self.server.slow_seconds))
            if trouble != "lost answer":
                self._answer(status, headers, answer)
                return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        response = connection.getresponse()
        found = response.status, response.getheaders(), response.read()
        connection.close()
        return found

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if status != http.client.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
