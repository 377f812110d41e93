"""A proxy before a real HTTP server that changes one answer into whatever a test asks for."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass
class Answer:
    """An answer: what the real server says, and what a test makes of it.

    Attributes:
        status: The status code.
        headers: The headers, without those of the connection.
        body: The body.
        length: What Content-Length says; the true length by default.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    length: int | None = None


Mangle = Callable[[Answer], Answer]


@dataclass
class Mangling:
    """A running proxy.

    Attributes:
        url: Its address.
        mangle: Changes an answer.
        number: Which request gets the changed answer, counted from 0; all from there on if ``all_after`` is set.
        all_after: Whether all later ones get one too.
        count: How many requests there were.
    """

    url: str = ""
    mangle: Mangle = field(default=lambda answer: answer)
    number: int = 0
    all_after: bool = False
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self, mangle: Mangle, number: int, *, all_after: bool) -> None:
        """Begin to count anew."""
        with self.lock:
            self.mangle, self.number, self.all_after, self.count = mangle, number, all_after, 0

    def of(self, answer: Answer) -> Answer:
        """Return what is sent for an answer of the real server."""
        with self.lock:
            number, self.count = self.count, self.count + 1
        is_chosen = number >= self.number if self.all_after else number == self.number
        return self.mangle(answer) if is_chosen else answer


@contextmanager
def mangling_proxy(target: str) -> Iterator[Mangling]:
    """Run a proxy before ``target``; at first it passes everything on."""
    mangling = Mangling()
    address = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Log nothing."""

        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            response = connection.getresponse()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
            answer = mangling.of(Answer(response.status, headers, response.read()))
            connection.close()
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = answer.length is not None

        do_GET = do_POST = do_PATCH = do_DELETE = handle_request  # noqa: N815 - http.server's names

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Ignore clients that are gone."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    mangling.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield mangling
    finally:
        with suppress(OSError):
            server.shutdown()
        server.server_close()
        thread.join(timeout=5)
