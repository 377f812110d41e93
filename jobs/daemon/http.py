"""A small HTTP server for monitors: it answers GET requests for a few fixed paths, and takes no input."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Final, NamedTuple

from storage.clean_text import printable
from storage.errors import SettingsError

_log = logging.getLogger(__name__)

MAX_CONNECTION_SECONDS: Final = 5  # a connection that lasts longer is closed
MAX_CLIENTS: Final = 16  # at the same time; further ones are closed at once


class Response(NamedTuple):
    """An answer to a request."""

    status: HTTPStatus
    body: str
    content_type: str = "application/json"


Routes = Mapping[str, Callable[[], Response]]
_Connection = socket.socket | tuple[bytes, socket.socket]  # socketserver's type; here always a socket


@contextmanager
def http_server(host: str, port: int, routes: Routes) -> Iterator[int]:
    """Answer requests, in threads of their own, for as long as the context lasts.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        routes: What makes the response, by path; called from other threads.

    Yields:
        The port.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    try:
        server = _server(host, port, routes)
    except OSError as error:
        raise SettingsError(
            f"health: cannot listen on {host} port {port}: {error.strerror}",
            hint="Set another health.port; 0 turns it off.",
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(host: str, port: int, routes: Routes) -> ThreadingHTTPServer:
    opened_at: dict[_Connection, float] = {}

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        request_queue_size = 4 * MAX_CLIENTS  # a shorter queue makes a burst of clients wait for seconds

        def server_bind(self) -> None:
            TCPServer.server_bind(self)  # HTTPServer would look its own name up in DNS

        def process_request(self, request: _Connection, client_address: object) -> None:
            if len(opened_at) >= MAX_CLIENTS:
                self.shutdown_request(request)
                return
            opened_at[request] = time.monotonic()
            super().process_request(request, client_address)

        def shutdown_request(self, request: _Connection) -> None:
            opened_at.pop(request, None)
            super().shutdown_request(request)

        def service_actions(self) -> None:  # called twice a second
            for request, at in list(opened_at.items()):
                if time.monotonic() - at > MAX_CONNECTION_SECONDS and isinstance(request, socket.socket):
                    with suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)

        def handle_error(self, request: _Connection, client_address: object) -> None:  # noqa: ARG002 - socketserver's
            _log.debug("%s closed the connection", client_address, exc_info=True)

    return Server((host, port), _handler(routes))


def _handler(routes: Routes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = MAX_CONNECTION_SECONDS
        server_version, sys_version = "pattern-aggregates", ""

        def do_GET(self) -> None:
            response = self._response()
            body = printable(response.body, keep="\n").encode()
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def _response(self) -> Response:
            route = routes.get(self.path.partition("?")[0])
            if route is None:
                return Response(HTTPStatus.NOT_FOUND, "Try " + ", ".join(routes) + ".\n", "text/plain")
            try:
                return route()
            except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer and the log says why
                _log.exception("%s failed", self.path)
                return Response(HTTPStatus.INTERNAL_SERVER_ERROR, "See the log.\n", "text/plain")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            _log.debug(format, *args)

    return Handler
