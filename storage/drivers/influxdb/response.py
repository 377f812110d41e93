"""A response of an InfluxDB server, and the four kinds of failed requests, which ``connection`` translates."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

MAX_MESSAGE_CHARACTERS: Final = 500

_MAX_BODY_BYTES = 64 * 1024  # of an error's body; the rest is ignored


class Response(NamedTuple):
    """A complete response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def message(self) -> str:
        """Return the server's error message in one line."""
        text = self.body[:_MAX_BODY_BYTES].decode("utf-8", "replace")
        try:
            document = json.loads(text)
            text = str(document.get("message") or document.get("error") or text)
        except (ValueError, AttributeError):
            pass
        text = " ".join((text or self.headers.get("X-Influxdb-Error", "")).split())
        return text[:MAX_MESSAGE_CHARACTERS] or f"status {self.status}"

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; empty where it is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def retry_after_seconds(self) -> float | None:
        """Return how long the server asks to wait; None where ``Retry-After`` is missing or unreadable."""
        text = self.headers.get("Retry-After")
        if not text:
            return None
        try:
            return max(0.0, float(int(text)))
        except ValueError:
            pass
        at = http_date(text)
        return None if at is None else max(0.0, (at - dt.datetime.now(dt.UTC)).total_seconds())


def http_date(text: str) -> dt.datetime | None:
    """Return the instant in a header such as ``Date``; None where it is unreadable."""
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at.replace(tzinfo=at.tzinfo or dt.UTC)


class TransientError(Exception):
    """The request may succeed when it is tried again."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class RefusedError(Exception):
    """The server answered that it will not do this."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.message())
        self.response = response


class UntrustedError(Exception):
    """The server could not be trusted with the token: its certificate is not valid, or it does not speak TLS."""


class ClientError(Exception):
    """The library could not make the request or read the response."""
