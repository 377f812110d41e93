"""A few pages over HTTP for whoever watches: GET only, nothing to send, nothing to choose."""

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

from storage.errors import SettingsError

_log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 5  # how long a client may take, from first to last
MOST_CLIENTS: Final = 16  # at once; whoever else comes is turned away


class Page(NamedTuple):
    """What is answered."""

    status: HTTPStatus
    body: str
    content_type: str = "application/json"


Pages = Mapping[str, Callable[[], Page]]
Request = socket.socket | tuple[bytes, socket.socket]  # as socketserver has it; here a connection


@contextmanager
def serving(host: str, port: int, pages: Pages) -> Iterator[int]:
    """Answer requests in threads of their own for as long as the context lasts.

    Args:
        host: Where to listen.
        port: Likewise; 0 takes a free one.
        pages: What makes each page, by path; called from other threads.

    Yields:
        The port.

    Raises:
        SettingsError: Nobody can listen there.
    """
    try:
        server = _server(host, port, pages)
    except OSError as error:
        raise SettingsError(
            f"health: cannot listen on {host} port {port}: {error.strerror}",
            hint="Set another health.port; 0 turns it off.",
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="endpoint", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(host: str, port: int, pages: Pages) -> ThreadingHTTPServer:
    came: dict[Request, float] = {}

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        request_queue_size = 4 * MOST_CLIENTS  # else many that come at once wait for seconds to be turned away

        def server_bind(self) -> None:
            TCPServer.server_bind(self)  # HTTPServer's asks a name server for a name that nobody needs

        def process_request(self, request: Request, client_address: object) -> None:
            if len(came) >= MOST_CLIENTS:
                self.shutdown_request(request)
                return
            came[request] = time.monotonic()
            super().process_request(request, client_address)

        def shutdown_request(self, request: Request) -> None:
            came.pop(request, None)
            super().shutdown_request(request)

        def service_actions(self) -> None:  # twice a second
            for request, at in list(came.items()):
                if time.monotonic() - at > PATIENCE_SECONDS and isinstance(request, socket.socket):
                    with suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)

        def handle_error(self, request: Request, client_address: object) -> None:  # noqa: ARG002 - socketserver's
            _log.debug("%s left", client_address, exc_info=True)

    return Server((host, port), _handler(pages))


def _handler(pages: Pages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_SECONDS
        server_version, sys_version = "pattern-aggregates", ""

        def do_GET(self) -> None:
            page = self._page()
            body = page.body.encode()
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def _page(self) -> Page:
            make = pages.get(self.path.partition("?")[0])
            if make is None:
                return Page(HTTPStatus.NOT_FOUND, "There are " + ", ".join(pages) + ".\n", "text/plain")
            try:
                return make()
            except Exception:  # noqa: BLE001 - whoever asks is told, whatever it is
                _log.exception("%s could not be made", self.path)
                return Page(HTTPStatus.INTERNAL_SERVER_ERROR, "The log says why.\n", "text/plain")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            _log.debug(format, *args)

    return Handler
