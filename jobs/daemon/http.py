"""A small HTTP server for monitors and people: it answers GET requests for a few fixed paths.

It takes no input, unless it is given forms: these are bounded, must come from a page of its own, and are for the one
client that the server answers then.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import ClassVar, Final, NamedTuple
from urllib.parse import parse_qsl

from jobs.daemon.host_names import is_own_name
from storage.clean_text import printable
from storage.errors import SettingsError

_log = logging.getLogger(__name__)

MAX_CONNECTION_SECONDS: Final = 5  # a connection that lasts longer is closed
MAX_CLIENTS: Final = 16  # at the same time; further ones are closed at once
MAX_FORM_BYTES: Final = 8192
MAX_FORM_FIELDS: Final = 16

_MAX_DIGITS: Final = 18  # of a number that is read: Python refuses one of thousands of digits
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_HEADERS: Final = {  # a page may only style itself and send its forms back; nothing is fetched, and no script runs
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-ancestors 'self'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Response(NamedTuple):
    """An answer to a request.

    Attributes:
        status: Its status.
        body: Its text; characters that do not print are escaped on the way out.
        content_type: The type of the body.
        location: Where to go next; relative, because a proxy may put anything before the path.
    """

    status: HTTPStatus
    body: str
    content_type: str = "application/json"
    location: str = ""


Routes = Mapping[str, Callable[[], Response]]
Forms = Mapping[str, Callable[[Mapping[str, str]], Response]]
_Connection = socket.socket | tuple[bytes, socket.socket]  # socketserver's type; here always a socket


@contextmanager
def http_server(
    host: str,
    port: int,
    routes: Routes,
    *,
    forms: Forms | None = None,
    only_client: str = "",
    names: Collection[str] = (),
) -> Iterator[int]:
    """Answer requests, in threads of their own, for as long as the context lasts.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        routes: What makes the response, by path; called from other threads.
        forms: What takes the fields of a form and makes the response, by path; likewise.
        only_client: The address of the only client that is answered, whatever name it requests; empty for any.
        names: Further names under which a request is answered, beside ``host``; see ``is_own_name``.

    Yields:
        The port.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    try:
        server = _server(host, port, _Site(routes, forms or {}, only_client, frozenset(map(str.lower, (host, *names)))))
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


class _Site(NamedTuple):
    """What is answered, and to whom; see ``http_server``."""

    routes: Routes
    forms: Forms
    only_client: str
    names: Collection[str]


def _server(host: str, port: int, site_: _Site) -> ThreadingHTTPServer:
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

    class Handler(_Handler):
        site = site_

    return Server((host, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    site: ClassVar[_Site]
    timeout = MAX_CONNECTION_SECONDS
    server_version, sys_version = "pattern-aggregates", ""

    def do_GET(self) -> None:
        route = self.site.routes.get(self.path.partition("?")[0])
        if not self._is_answered():
            self._send(_text(HTTPStatus.FORBIDDEN, "This address is answered inside Home Assistant only."))
        elif not self._is_own_name():
            self._send(_text(HTTPStatus.FORBIDDEN, "Not a known name of this page; the setting health.hosts adds it."))
        elif route is None:
            self._send(_text(HTTPStatus.NOT_FOUND, "Try " + ", ".join(self.site.routes) + "."))
        else:
            self._send(self._made(route))

    def do_POST(self) -> None:
        form = self.site.forms.get(self.path.partition("?")[0])
        if form is None:
            self._send(_text(HTTPStatus.NOT_IMPLEMENTED, "Nothing can be sent to this address."))
        elif not self._is_answered() or not self._is_own_name() or not self._is_same_site():
            self._send(_text(HTTPStatus.FORBIDDEN, "The form is not on a page of this program."))
        elif isinstance(fields := self._fields(), Response):
            self._send(fields)
        else:
            self._send(self._made(lambda: form(fields)))

    def _is_same_site(self) -> bool:
        return self.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"

    def _fields(self) -> Mapping[str, str] | Response:
        """Read the fields of a form, or return why they are refused."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != _FORM_TYPE or not (length.isascii() and length.isdigit()):
            return _text(HTTPStatus.BAD_REQUEST, "Not a valid form.")
        if len(length) > _MAX_DIGITS or int(length) > MAX_FORM_BYTES:
            return _text(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A form has at most {MAX_FORM_BYTES} bytes.")
        body = self.rfile.read(int(length))
        if len(body) != int(length):  # the client was cut off
            return _text(HTTPStatus.BAD_REQUEST, "Not the whole form.")
        try:
            text = body.decode()
            return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS))
        except ValueError:
            return _text(HTTPStatus.BAD_REQUEST, "Not a valid form.")

    def _is_answered(self) -> bool:
        """Return whether the client is one that is answered."""
        client = self.client_address[0].removeprefix("::ffff:")  # so an IPv6 socket writes an IPv4 address
        return self.site.only_client in ("", client)

    def _is_own_name(self) -> bool:
        """Return whether the request is for a name of this server; a proxy that is the only client checks it itself."""
        return bool(self.site.only_client) or is_own_name(self.headers.get("Host", ""), self.site.names)

    def _made(self, make: Callable[[], Response]) -> Response:
        try:
            return make()
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer and the log says why
            _log.exception("%s failed", self.path)
            return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "See the log.")

    def _send(self, response: Response) -> None:
        body = printable(response.body, keep="\n").encode()
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(body)))
        if response.location:
            self.send_header("Location", response.location)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        _log.debug(format, *args)


def _text(status: HTTPStatus, text: str) -> Response:
    return Response(status, text + "\n", "text/plain")
