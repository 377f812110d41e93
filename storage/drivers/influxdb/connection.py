"""A connection to InfluxDB 1.x or 2.x, and the one place where its errors are translated.

Written through ``/api/v2/write`` where there is an organisation (2.x), else through ``/write`` (1.x); read through
``/query`` on both. Passing trouble (no connection, a time-out, 429, 5xx, an answer cut short) is tried three times,
after a wait that doubles, with jitter, or that the server names in ``Retry-After``. Redirects are not followed: they
would carry the token to where nobody sent it. The token appears in no message, log or repr.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import urlencode

import urllib3
from urllib3 import exceptions as trouble

from storage.drivers.influxdb.influxql import (
    CHUNK_ROWS,
    BrokenResponse,
    Query,
    QueryRefused,
    Series,
    is_missing_bucket,
    parse_response,
)
from storage.drivers.influxdb.server import Server
from storage.errors import PatternAggregatesError

MAX_TRIES: Final = 3
FIRST_WAIT_SECONDS: Final = 0.25
LONGEST_WAIT_SECONDS: Final = 30.0  # a server that asks for more is given up on
CONNECT_SECONDS: Final = 3.0
SLOW_ANSWER: Final = 6  # an answer may take this many time-outs in all, however steadily it drips

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNAUTHORISED = (401, 403)
_NOT_FOUND = 404
_WRITTEN = 204
_REFUSED_POINTS = ("partial write", "dropped=", "unable to parse")  # not the whole request
_WORST_BODY = 64 * 1024  # of an error's text, more is not looked at
_PIECE = 64 * 1024
_GZIP_FROM = 1024

T = TypeVar("T")


class ErrorTypes(NamedTuple):
    """Which error of ours stands for which trouble, and what an operator is told to do.

    Attributes:
        unavailable: For passing trouble.
        missing: For a bucket that is not there.
        other: For everything else.
        missing_hint: What to do about a bucket that is not there.
        unauthorized_hint: What to do about a token that does not suffice.
    """

    unavailable: type[PatternAggregatesError]
    missing: type[PatternAggregatesError]
    other: type[PatternAggregatesError]
    missing_hint: str = ""
    unauthorized_hint: str = ""


class Response(NamedTuple):
    """What a server said, in full."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def message(self) -> str:
        """The message of an error, in one line."""
        text = self.body[:_WORST_BODY].decode("utf-8", "replace")
        try:
            told = json.loads(text)
            text = str(told.get("message") or told.get("error") or text)
        except (ValueError, AttributeError):
            pass
        return " ".join((text or self.headers.get("X-Influxdb-Error", "")).split())[:500] or f"status {self.status}"

    def json(self) -> dict[str, Any]:
        """The body, parsed; empty where it is no JSON object."""
        try:
            parsed = json.loads(self.body)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


class TransientError(Exception):
    """Trouble that may be over at the next try."""

    def __init__(self, words: str, wait_seconds: float | None = None) -> None:
        super().__init__(words)
        self.wait_seconds = wait_seconds


class Connection:
    """A pool of connections to one server. Safe to use from several threads.

    Args:
        server: Where it is.
        errors: What its trouble is raised as.
        name: What it is called in messages.
        sleep: Waits; tests pass their own.

    Raises:
        SettingsError: ``ca_file`` cannot be read.
    """

    def __init__(
        self,
        server: Server,
        errors: ErrorTypes,
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server
        self._errors = errors
        self._name = f"{name} at {server.url}"
        self.max_tries = MAX_TRIES
        self._sleep = sleep
        self._here = threading.local()
        self._base = server.url.rstrip("/")
        self._headers = server.headers()
        self._timeout = urllib3.Timeout(
            connect=min(CONNECT_SECONDS, server.timeout_seconds), read=server.timeout_seconds
        )
        self._pool = server.pool()

    def close(self) -> None:
        """Give back connections. Safe to repeat."""
        self._pool.clear()

    def write(self, bucket: str, body: str, precision: str = "s") -> str:
        """Write lines.

        Args:
            bucket: Bucket or database.
            body: The lines.
            precision: The unit of their times: ``s``, ``ms``, ``us`` or ``ns``.

        Returns:
            What the server says of points that it refused; empty if it took all.

        Raises:
            PatternAggregatesError: As ``errors`` says; nothing was written, or it is not known.
        """
        if self.server.is_v2:
            path = f"/api/v2/write?{urlencode({'org': self.server.org, 'bucket': bucket, 'precision': precision})}"
        else:
            path = f"/write?{urlencode({**_database(bucket), 'precision': precision.replace('us', 'u')})}"
        reply = self.request("POST", path, body.encode(), {"Content-Type": "text/plain; charset=utf-8"})
        if reply.status == _WRITTEN:
            return ""
        if reply.status < 300:  # noqa: PLR2004 - a yes, but not InfluxDB's: a portal or proxy, and the rows are nowhere
            raise self._errors.unavailable(f"{self._name}: what answers a write with {reply.status} is no InfluxDB")
        if any(sign in reply.message() for sign in _REFUSED_POINTS):
            return self.server.redact(reply.message())
        raise self.error_for(reply)

    def execute(self, query: Query, collect: Callable[[Iterator[Series]], T]) -> T:
        """Ask a query and collect its answer while it streams in.

        Args:
            query: The query.
            collect: Given the series as they come; called anew if the answer broke off and is asked for again.

        Raises:
            PatternAggregatesError: As ``errors`` says.
        """
        form = {
            **_database(query.bucket),
            "q": query.text,
            "params": json.dumps(query.values),
            "epoch": query.precision,
            **({"chunked": "true", "chunk_size": str(CHUNK_ROWS)} if query.streamed else {}),
        }
        body = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}

        def attempt() -> T:
            with self._opened("POST", "/query", body, headers) as response:
                if response.status != 200:  # noqa: PLR2004 - the one status that carries an answer
                    raise self.error_for(self._reply(response))
                try:
                    return collect(parse_response(self._pieces(response)))
                except BrokenResponse as error:
                    raise TransientError(str(error)) from error
                except QueryRefused as error:
                    if is_missing_bucket(str(error)):
                        raise self._missing_bucket(str(error)) from error
                    raise self.error(self.server.redact(str(error))) from error

        return self._tried(attempt, self.max_tries)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> Response:
        """One call of the server's API; any status that is not passing trouble is given back."""

        def attempt() -> Response:
            with self._opened(method, path, body, headers or {}, timeout_seconds) as response:
                return self._reply(response)

        return self._tried(attempt, self.max_tries)

    def send_json(self, method: str, path: str, document: object) -> Response:
        """``request`` with a JSON body."""
        return self.request(method, path, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def error_for(self, reply: Response) -> PatternAggregatesError:
        """The error of ours for a reply that is no success."""
        words, hint = self.server.redact(reply.message()), ""
        if reply.status in _UNAUTHORISED:
            words = f"the token is refused ({reply.status}: {words})"
            hint = self._errors.unauthorized_hint
        elif 300 <= reply.status < 400:  # noqa: PLR2004 - redirects
            where = self.server.redact(reply.headers.get("Location", "elsewhere"))
            words = f"redirects to {where}; redirects are not followed"
        if reply.status == _NOT_FOUND:
            return self._missing_bucket(words)
        return self._errors.other(f"{self._name}: {words}", hint=hint)

    def _missing_bucket(self, words: str) -> PatternAggregatesError:
        told = self.server.redact(words)
        return self._errors.missing(f"{self._name}: {told}", hint=self._errors.missing_hint)

    @property
    def missing_error(self) -> type[PatternAggregatesError]:
        """The class of errors which say that there is no such bucket."""
        return self._errors.missing

    def error(self, words: str, hint: str = "") -> PatternAggregatesError:
        """An error of ours about what this server is or has."""
        return self._errors.other(f"{self._name}: {words}", hint=hint)

    @property
    def attempts(self) -> int:
        """How often this thread's newest request since ``reset_attempts`` was tried."""
        return getattr(self._here, "attempts", 0)

    def reset_attempts(self) -> None:
        """Count this thread's attempts anew."""
        self._here.attempts = 0

    def _tried(self, attempt: Callable[[], T], tries: int) -> T:
        for number in range(1, tries + 1):
            self._here.attempts = number
            try:
                return attempt()
            except TransientError as error:
                wait = FIRST_WAIT_SECONDS * 2 ** (number - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
                asked = error.wait_seconds
                if number == tries or (asked is not None and asked > LONGEST_WAIT_SECONDS):
                    later = f"; it asks to wait {asked:.0f} s" if asked is not None else ""
                    raise self._errors.unavailable(
                        f"{self._name} cannot be used now: {error}{later} (tried {number} times)",
                        hint="See that the server runs and answers at this address, then run again.",
                    ) from error.__cause__
                self._sleep(wait if asked is None else asked + wait)
        raise AssertionError("there is at least one try")

    def _opened(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float | None = None
    ) -> _Response:
        sent = {**self._headers, **headers}
        if self.server.compress and len(body) >= _GZIP_FROM:
            body = gzip.compress(body, 1)
            sent["Content-Encoding"] = "gzip"
        timeout = self._timeout if timeout_seconds is None else urllib3.Timeout(total=timeout_seconds)
        try:
            response = self._pool.request(
                method,
                self._base + path,
                body=body,
                headers=sent,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except trouble.SSLError as error:
            raise self._errors.other(
                f"{self._name}: the certificate is not trusted, or it is no TLS: {_words(error)}",
                hint="Name the certificate authority with ca_file, or correct http and https in the address.",
            ) from error
        except (trouble.HTTPError, OSError) as error:
            raise TransientError(_words(error)) from error
        opened = _Response(response)
        if response.status in _PASSING:
            with opened:
                reply = self._reply(opened)
            if is_missing_bucket(reply.message()):  # 1.x says of a policy that is not there: 500
                raise self._missing_bucket(reply.message())
            words = self.server.redact(reply.message())
            raise TransientError(f"{words} ({reply.status})"[:500], _retry_after(response.headers.get("Retry-After")))
        return opened

    def _reply(self, response: _Response) -> Response:
        return Response(response.status, response.headers, b"".join(self._pieces(response)))

    def _pieces(self, response: _Response) -> Iterator[bytes]:
        patience = SLOW_ANSWER * self.server.timeout_seconds
        until = time.monotonic() + patience
        try:
            while piece := response.read():
                yield piece
                if time.monotonic() > until:
                    raise TransientError(f"the answer was not complete after {patience:g} s")
        except (trouble.HTTPError, OSError) as error:
            raise TransientError(f"the answer broke off: {_words(error)}") from error


class _Response:
    """A response that gives its connection back to the pool when all was read, and drops it otherwise."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._complete = False
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if not self._complete:
            self._response.close()
        self._response.release_conn()

    def read(self) -> bytes:
        piece = self._response.read1(_PIECE, decode_content=True)
        self._complete = not piece
        return piece


def _database(bucket: str) -> dict[str, str]:
    database, _, policy = bucket.partition("/")
    return {key: value for key, value in (("db", database), ("rp", policy)) if value}


def _words(error: BaseException) -> str:
    """What went wrong on the way, without urllib3's reprs of its own objects."""
    cause = error.__cause__ or error.__context__
    if isinstance(error, trouble.NameResolutionError):
        return "its name is not known"
    if isinstance(error, trouble.NewConnectionError):
        return (cause.strerror if isinstance(cause, OSError) else None) or "no connection"
    if isinstance(error, trouble.ConnectTimeoutError):
        return "no connection in time"
    if isinstance(error, trouble.TimeoutError):
        return "no answer in time"
    if isinstance(error, trouble.ProxyError):
        return f"the proxy does not help: {_words(error.original_error)}"
    return str(error).strip() or type(error).__name__


def _retry_after(text: str | None) -> float | None:
    """``Retry-After`` in seconds; None where it is missing or unreadable."""
    if not text:
        return None
    try:
        return max(0.0, float(int(text)))
    except ValueError:
        pass
    at = http_date(text)
    return None if at is None else max(0.0, (at - dt.datetime.now(dt.UTC)).total_seconds())


def http_date(text: str) -> dt.datetime | None:
    """The instant in a header such as ``Date``; None where it is unreadable."""
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or dt.UTC)
