"""The influxdb-client library as this project uses it: opened from a ``Server``, its exceptions sorted into four kinds.

The library owns connection pool, TLS, proxy, gzip, authentication, and the APIs for writing, buckets, organisations and
Flux. InfluxQL, which it does not offer, goes through its ``call_api`` and is streamed.
"""

from __future__ import annotations

import gzip
import io
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import influxdb_client
import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.flux_csv_parser import FluxCsvParserException, FluxQueryException
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.query_api import QueryApi
from influxdb_client.client.write_api import SYNCHRONOUS, WriteApi
from influxdb_client.rest import ApiException
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as HttpTimeoutError

from storage.drivers.influxdb.influxql import database_parameters
from storage.drivers.influxdb.response import ClientError, RefusedError, Response, TransientError, UntrustedError
from storage.drivers.influxdb.server import Server
from storage.drivers.influxdb.slow_heads import bound_heads
from storage.errors import SettingsError
from storage.regular_file import open_regular

__all__ = ["Client", "InfluxDBClient", "QueryApi", "WriteApi"]

MAX_POOLED: Final = 16  # idle connections that are kept; more threads open further ones for the moment
MAX_CONNECT_SECONDS: Final = 3.0

MAX_BODY_BYTES: Final = 16 * 2**20  # of a response that is read as a whole; rows are streamed
MAX_BODY_TIMEOUTS: Final = 2  # so many time-outs such a body may take, however steadily it arrives

_CHUNK_BYTES = 64 * 1024
_SUCCESS = range(200, 300)

T = TypeVar("T")


class Client:
    """An ``InfluxDBClient`` for one server. Thread-safe.

    Args:
        server: Where it is.

    Attributes:
        library: The library's client.
        write_api: Its synchronous write API.
        query_api: Its Flux query API.

    Raises:
        SettingsError: ``ca_file`` cannot be read.
    """

    def __init__(self, server: Server) -> None:
        connect_seconds = min(MAX_CONNECT_SECONDS, server.timeout_seconds)
        token = server.token.get_secret_value()
        self._server = server
        open_client: Any = influxdb_client.InfluxDBClient  # type: ignore[attr-defined] # as callers' tests replace it
        self.library: InfluxDBClient = open_client(
            url=server.url,
            token=token,
            org=server.org,
            timeout=(round(connect_seconds * 1000), round(server.timeout_seconds * 1000)),
            enable_gzip=server.compress,
            auth_basic=bool(token) and ":" in token and not server.is_v2,
            verify_ssl=server.verify,
            ssl_context=_tls_context(server),
            connection_pool_maxsize=MAX_POOLED,
            **_proxy_options(server),
        )
        self._api: Any = self.library.api_client  # it has no types
        self._api.user_agent = "pattern-aggregates"
        rest: Any = self._api.rest_client
        bound_heads(rest.pool_manager)
        self._pool = rest.pool_manager = _StatusPool(rest.pool_manager, MAX_BODY_TIMEOUTS * server.timeout_seconds)
        self.write_api: WriteApi = self.library.write_api(write_options=SYNCHRONOUS)
        self.query_api: QueryApi = self.library.query_api()

    def close(self) -> None:
        """Close all connections. Safe to repeat; a later call opens new ones."""
        self._pool.clear()

    def call(self, function: Callable[[Any], T]) -> T:
        """Return what one of the library's calls returns; its exceptions are sorted."""
        with sorted_errors():
            return function(self.library)

    def write(self, bucket: str, lines: str, precision: str) -> int | None:
        """Write lines of line protocol.

        Returns:
            The status of the response; None where no request went out over this client's own pool.
        """
        self._pool.forget_status()
        with sorted_errors():
            self._write(bucket, lines, precision)
        return self._pool.status

    def _write(self, bucket: str, lines: str, precision: str) -> None:
        if self._server.is_v2:
            unit: Any = precision  # the library's WritePrecision is a set of texts
            self.write_api.write(bucket=bucket, org=self._server.org, record=lines, write_precision=unit)
        else:  # InfluxDB 1.6 and 1.7 have no /api/v2/write
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            body = lines.encode()
            if self._server.compress:
                headers["Content-Encoding"], body = "gzip", gzip.compress(body, 1)
            parameters = {**database_parameters(bucket), "precision": precision.replace("us", "u")}
            self._call("POST", "/write", query_params=list(parameters.items()), header_params=headers, body=body)

    def stream(self, path: str, form: Mapping[str, str]) -> Generator[bytes]:
        """Send a form and return the body of the response in chunks, which must be read to the end or closed."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self._server.compress:
            headers["Accept-Encoding"] = "gzip"
        with sorted_errors():
            response = self._call(
                "POST", path, post_params=list(form.items()), header_params=headers, _preload_content=False
            )
        return _chunks(response)

    def get(self, path: str, parameters: Mapping[str, str] = {}, timeout_seconds: float | None = None) -> Response:
        """Return the response to a GET request."""
        with sorted_errors():
            response = self._call(
                "GET",
                path,
                query_params=list(parameters.items()),
                _preload_content=False,
                _request_timeout=None if timeout_seconds is None else round(timeout_seconds * 1000),
            )
        max_seconds = MAX_BODY_TIMEOUTS * (timeout_seconds or self._server.timeout_seconds)
        return Response(response.status, response.headers, _bounded(_chunks(response), max_seconds))

    def _call(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - the library has no types here
        defaults: dict[str, Any] = {"auth_settings": [], "response_type": None, "_return_http_data_only": True}
        return self._api.call_api(path, method, **{**defaults, **options})


class _StatusPool:
    """The library's connection pool, which also keeps the status of this thread's last response.

    The library reports every status from 200 to 299 as success. InfluxDB answers a write with 204 and nothing else, so
    any other one comes from a captive portal or a proxy.
    """

    def __init__(self, pool: urllib3.PoolManager, max_body_seconds: float) -> None:
        self._pool = pool
        self._max_body_seconds = max_body_seconds
        self._thread = threading.local()

    def request(self, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401 - urllib3's
        preload = options.pop("preload_content", True)
        # A redirect would take the token along. The library reads bodies, and those of errors always, as a whole.
        response = self._pool.request(method, url, redirect=False, preload_content=False, **options)
        self._thread.status = response.status
        if not preload and response.status in _SUCCESS:
            return response
        body = io.BytesIO(_bounded(_chunks(response), self._max_body_seconds))
        headers = {name: value for name, value in response.headers.items() if name.lower() != "content-encoding"}
        return urllib3.HTTPResponse(
            body, headers, response.status, reason=response.reason, request_method=method, request_url=url
        )

    def clear(self) -> None:
        self._pool.clear()

    def forget_status(self) -> None:
        self._thread.status = None

    @property
    def status(self) -> int | None:
        return getattr(self._thread, "status", None)


@contextmanager
def sorted_errors() -> Iterator[None]:
    """Raise the exceptions of influxdb-client and urllib3 as one of the four kinds in ``response``."""
    try:
        yield
    except ApiException as error:
        raise _sorted(error) from error
    except FluxQueryException as error:
        raise RefusedError(Response(400, {}, str(error.message).encode())) from error
    except SSLError as error:
        raise UntrustedError(_words(error)) from error
    except (HTTPError, OSError) as error:
        raise TransientError(_words(error)) from error
    except (InfluxDBError, FluxCsvParserException, Warning, ValueError, TypeError, AttributeError) as error:
        # the library reads a body of another shape than it expects with the last three
        raise ClientError(f"{type(error).__name__}: {error}") from error


def _sorted(error: ApiException) -> Exception:
    if not error.status:  # the library's way to say that TLS failed
        return UntrustedError(" ".join(str(error.reason).split()))
    body = error.body or b""
    response = Response(error.status, error.headers or {}, body.encode() if isinstance(body, str) else body)
    return RefusedError(response)


def _chunks(response: urllib3.BaseHTTPResponse) -> Generator[bytes]:
    complete = False
    try:
        while not complete:
            with sorted_errors():
                chunk = response.read1(_CHUNK_BYTES, decode_content=True)
            complete = not chunk
            if chunk:
                yield chunk
    finally:
        if not complete:  # the rest of the body would be taken for the next response
            response.close()
        response.release_conn()


def _bounded(chunks: Generator[bytes], max_seconds: float) -> bytes:
    """Return a whole body.

    Raises:
        TransientError: It is longer than ``MAX_BODY_BYTES``, or not complete in time.
    """
    body = bytearray()
    until = time.monotonic() + max_seconds
    with closing(chunks):
        for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise TransientError(f"the response is longer than {MAX_BODY_BYTES // 2**20} MB")
            if time.monotonic() > until:
                raise TransientError(f"the response was not complete after {max_seconds:g} s")
    return bytes(body)


def _tls_context(server: Server) -> ssl.SSLContext | None:
    if not server.url.lower().startswith("https:"):
        return None
    try:
        if server.ca_file is not None:
            open_regular(server.ca_file).close()
        context = ssl.create_default_context(cafile=server.ca_file)
    except OSError as error:
        raise SettingsError(f"{server.section}.ca_file: {server.ca_file} holds no certificates: {error}") from error
    if not server.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        urllib3.disable_warnings(InsecureRequestWarning)  # the settings ask for it
    return context


def _proxy_options(server: Server) -> dict[str, Any]:
    if not server.proxy:
        return {}
    address, credentials = urlsplit(server.proxy), None
    if address.username is not None:
        credentials = f"{unquote(address.username)}:{unquote(address.password or '')}"
        address = address._replace(netloc=address.netloc.rpartition("@")[2])
    headers = urllib3.make_headers(proxy_basic_auth=credentials) if credentials else None
    return {"proxy": address.geturl(), "proxy_headers": headers}


def _words(error: BaseException) -> str:
    """Return what went wrong on the way to the server, without urllib3's reprs of its own objects."""
    cause = error.__cause__ or error.__context__
    if isinstance(error, NameResolutionError):
        return "its name is not known"
    if isinstance(error, NewConnectionError):
        return (cause.strerror if isinstance(cause, OSError) else None) or "no connection"
    if isinstance(error, ConnectTimeoutError):
        return "no connection in time"
    if isinstance(error, HttpTimeoutError):
        return "no answer in time"
    if isinstance(error, ProxyError):
        return f"the proxy does not help: {_words(error.original_error)}"
    return str(error).strip() or type(error).__name__
