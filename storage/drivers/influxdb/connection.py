"""A connection to InfluxDB 1.x or 2.x, with retries; the one place where its errors are translated into ours.

Written through ``/api/v2/write`` where there is an organisation (2.x), else through ``/write`` (1.x); read through
``/query`` on both. Transient errors (no connection, a time-out, 429, 5xx, an incomplete response) are tried three
times, after a wait that doubles, with jitter, or that the server names in ``Retry-After``. Redirects are not followed:
they would carry the token to another server. The token appears in no message, log or repr.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from storage.drivers.influxdb.influxql import (
    CHUNK_ROWS,
    BrokenResponse,
    Query,
    QueryRefused,
    Series,
    database_parameters,
    is_missing_bucket,
    parse_response,
)
from storage.drivers.influxdb.response import ClientError, RefusedError, Response, TransientError, UntrustedError
from storage.drivers.influxdb.server import Server
from storage.errors import PatternAggregatesError, SettingsError

if TYPE_CHECKING:
    from storage.drivers.influxdb.client import Client, InfluxDBClient, QueryApi, WriteApi

MAX_TRIES: Final = 3
FIRST_WAIT_SECONDS: Final = 0.25
MAX_WAIT_SECONDS: Final = 30.0  # if a server asks for a longer wait, the request is given up
MAX_RESPONSE_BYTES: Final = 2**29  # a day of two million points takes a fifth of it
MAX_TIMEOUTS_PER_RESPONSE: Final = 6  # a response may take this many time-outs in all, however steadily it arrives

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNAUTHORIZED = (401, 403)
_NOT_FOUND = 404
_WRITTEN = 204
_REDIRECTS = range(300, 400)
_PARTIAL_WRITE = ("partial write", "dropped=", "unable to parse")  # some points were refused, not the request

T = TypeVar("T")


class ErrorClasses(NamedTuple):
    """Which errors of ours a connection raises, and their hints.

    Attributes:
        unavailable: For transient errors.
        missing: For a bucket that does not exist.
        other: For everything else.
        missing_hint: What to do about a bucket that does not exist.
        unauthorized_hint: What to do about a token without the rights that are needed.
    """

    unavailable: type[PatternAggregatesError]
    missing: type[PatternAggregatesError]
    other: type[PatternAggregatesError]
    missing_hint: str = ""
    unauthorized_hint: str = ""


class Connection:
    """A connection to one server. Thread-safe.

    Args:
        server: Where it is.
        errors: Which errors to raise.
        name: What it is called in messages.
        sleep: Waits; tests pass their own.
        open_client: Opens the library's client; tests pass their own.

    Attributes:
        server: Where it is.
        max_tries: How often a request is tried while its errors are transient.

    Raises:
        SettingsError: ``ca_file`` cannot be read, or influxdb-client is not installed.
    """

    def __init__(
        self,
        server: Server,
        errors: ErrorClasses,
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        open_client: Callable[[Server], Client] | None = None,
    ) -> None:
        self.server = server
        self.max_tries = MAX_TRIES
        self._errors = errors
        self._name = f"{name} at {server.url}"
        self._sleep = sleep
        self._thread = threading.local()
        self._client = (open_client or _client_type())(server)

    @property
    def client(self) -> InfluxDBClient:
        """The library's client that this connection stands on."""
        return self._client.library

    @property
    def write_api(self) -> WriteApi:
        """The library's write API; ``write`` goes through it on 2.x."""
        return self._client.write_api

    @property
    def query_api(self) -> QueryApi:
        """The library's Flux query API."""
        return self._client.query_api

    @property
    def missing_error(self) -> type[PatternAggregatesError]:
        """The type of the error that is raised for a bucket that does not exist."""
        return self._errors.missing

    @property
    def attempts(self) -> int:
        """How often this thread's last request since ``reset_attempts`` was tried."""
        return getattr(self._thread, "attempts", 0)

    def reset_attempts(self) -> None:
        """Set this thread's ``attempts`` to 0."""
        self._thread.attempts = 0

    def close(self) -> None:
        """Close all connections. Safe to repeat."""
        self._client.close()

    def write(self, bucket: str, lines: str, precision: str = "s") -> str:
        """Write lines of line protocol.

        Args:
            bucket: Bucket or database.
            lines: The lines.
            precision: The unit of their times: ``s``, ``ms``, ``us`` or ``ns``.

        Returns:
            The server's message about points that it refused; empty if it accepted all.

        Raises:
            PatternAggregatesError: As ``errors`` says; nothing was written, or that is not known.
        """

        def attempt() -> str:
            status = self._client.write(bucket, lines, precision)
            if status not in (None, _WRITTEN):
                raise self._errors.unavailable(f"{self._name} answers a write with {status}: this is not an InfluxDB")
            return ""

        def partly_written(response: Response) -> str:
            if any(sign in response.message() for sign in _PARTIAL_WRITE):
                return self.server.redact(response.message())
            raise self.error_for(response)

        return self._try(attempt, partly_written)

    def execute(self, query: Query, collect: Callable[[Iterator[Series]], T]) -> T:
        """Run an InfluxQL query and return what ``collect`` makes of its result.

        Args:
            query: The query.
            collect: Given the series while they arrive; called again if the response was incomplete and is requested
                again.

        Raises:
            PatternAggregatesError: As ``errors`` says.
        """
        form = {
            **database_parameters(query.bucket),
            "q": query.text,
            "params": json.dumps(query.values),
            "epoch": query.precision,
            **({"chunked": "true", "chunk_size": str(CHUNK_ROWS)} if query.streamed else {}),
        }

        def attempt() -> T:
            with closing(self._client.stream("/query", form)) as chunks:
                try:
                    return collect(parse_response(self._in_time(chunks)))
                except BrokenResponse as error:
                    raise TransientError(str(error)) from error
                except QueryRefused as error:
                    raise self._refused_query(str(error)) from error

        return self._try(attempt)

    def call(self, function: Callable[[Any], T], refused: Callable[[Response], T] | None = None) -> T:
        """Return the result of one of the library's own calls.

        Args:
            function: Makes the call; given the library's ``InfluxDBClient``, most of which has no types.
            refused: Given a response that is not a success: returns the result or raises; raises by default.

        Raises:
            PatternAggregatesError: As ``errors`` says.
        """
        return self._try(lambda: self._client.call(function), refused)

    def get(
        self, path: str, parameters: Mapping[str, str] | None = None, *, timeout_seconds: float | None = None
    ) -> Response:
        """Return the response to a GET request, also one that is not a success.

        Raises:
            PatternAggregatesError: As ``errors`` says, for transient errors.
        """
        return self._try(lambda: self._client.get(path, parameters or {}, timeout_seconds), lambda response: response)

    def error_for(self, response: Response) -> PatternAggregatesError:
        """Return the error of ours for a response that is not a success."""
        message, hint = response.message(), ""
        if response.status == _NOT_FOUND or is_missing_bucket(message):  # 1.x: 500 for a policy that does not exist
            return self._missing_bucket(message)
        if response.status in _UNAUTHORIZED:
            message = f"the token is refused ({response.status}: {message})"
            hint = self._errors.unauthorized_hint
        elif response.status in _REDIRECTS:
            target = response.headers.get("Location", "another address")
            message = f"redirects to {target}; redirects are not followed"
        return self.error(message, hint)

    def error(self, message: str, hint: str = "") -> PatternAggregatesError:
        """Return an error of ours about what this server is or has."""
        return self._errors.other(f"{self._name}: {self.server.redact(message)}", hint=hint)

    def _missing_bucket(self, message: str) -> PatternAggregatesError:
        return self._errors.missing(f"{self._name}: {self.server.redact(message)}", hint=self._errors.missing_hint)

    def _refused_query(self, message: str) -> PatternAggregatesError:
        return self._missing_bucket(message) if is_missing_bucket(message) else self.error(message)

    def _try(self, attempt: Callable[[], T], refused: Callable[[Response], T] | None = None) -> T:
        number = 1
        while True:
            self._thread.attempts = number
            try:
                return self._attempt(attempt, refused)
            except TransientError as error:
                wait = FIRST_WAIT_SECONDS * 2 ** (number - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                requested = error.wait_seconds
                if number >= self.max_tries or (requested is not None and requested > MAX_WAIT_SECONDS):
                    raise self._unavailable(error, number) from error.__cause__
                self._sleep(wait if requested is None else requested + wait)
            number += 1

    def _attempt(self, attempt: Callable[[], T], refused: Callable[[Response], T] | None) -> T:
        try:
            return attempt()
        except RefusedError as error:
            response = error.response
            if response.status in _TRANSIENT and not is_missing_bucket(response.message()):
                message = self.server.redact(f"{response.message()} ({response.status})")
                raise TransientError(message, response.retry_after_seconds()) from error
            try:
                if refused is not None:
                    return refused(response)
            except PatternAggregatesError as ours:
                raise ours from error
            raise self.error_for(response) from error
        except UntrustedError as error:
            raise self.error(
                f"the certificate is not trusted, or the server does not speak TLS: {error}",
                "Name the certificate authority with ca_file, or correct http and https in the address.",
            ) from error
        except ClientError as error:
            raise self.error(f"the response was not understood: {error}") from error

    def _unavailable(self, error: TransientError, tries: int) -> PatternAggregatesError:
        later = f"; it asks to wait {error.wait_seconds:.0f} s" if error.wait_seconds is not None else ""
        return self._errors.unavailable(
            f"{self._name} cannot be used now: {self.server.redact(str(error))}{later} (tried {tries} times)",
            hint="See that the server runs and answers at this address, then run again.",
        )

    def _in_time(self, chunks: Generator[bytes]) -> Iterator[bytes]:
        limit_seconds = MAX_TIMEOUTS_PER_RESPONSE * self.server.timeout_seconds
        until = time.monotonic() + limit_seconds
        size = 0
        for chunk in chunks:
            yield chunk
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                raise TransientError(f"the response is longer than {MAX_RESPONSE_BYTES // 2**20} MB")
            if time.monotonic() > until:
                raise TransientError(f"the response was not complete after {limit_seconds:g} s")


def _client_type() -> type[Client]:
    """Import influxdb-client only where a connection is opened: that takes longer than most commands do.

    Raises:
        SettingsError: It is not installed.
    """
    try:
        from storage.drivers.influxdb.client import Client  # noqa: PLC0415 - the docstring says why
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"InfluxDB needs the package {error.name}, which is not installed",
            hint="Install it with: pip install influxdb-client",
        ) from error
    return Client
