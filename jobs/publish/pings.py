"""Pings of a monitor such as Healthchecks: a run has started, succeeded or failed.

The monitor notices what the program itself cannot: that no run has happened. Start and end of a run carry the same
random id. A ping that fails is a warning.
"""

from __future__ import annotations

import uuid
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from jobs.publish.http_client import connect, post
from jobs.publish.publisher import PublishError
from jobs.publish.settings import PingSettings
from storage.clean_text import clean_lines

MAX_BODY_BYTES: Final = 100_000
MONITOR: Final = "the monitor of [ping]"
MAX_TRIES: Final = 2  # a ping that is lost would be a false alarm


def check_monitor(settings: PingSettings) -> None:
    """Check that the monitor can be reached, without a request, as it would take any for a ping.

    Raises:
        PublishError: It cannot.
    """
    connect(settings.url, timeout_seconds=settings.timeout_seconds, proxy=settings.proxy, what=MONITOR)


class RunPings:
    """The pings of one run.

    Args:
        settings: The monitor.
    """

    def __init__(self, settings: PingSettings) -> None:
        self._settings = settings
        self._run_id = str(uuid.uuid4())

    def start(self) -> None:
        """Report that a run has started.

        Raises:
            PublishError: The monitor cannot be reached or does not accept it; likewise below.
        """
        self._ping("/start", "")

    def succeed(self, text: str) -> None:
        """Report that a run has done everything, with a text about it."""
        self._ping("", text)

    def fail(self, reason: str) -> None:
        """Report that a run has failed, with the reason."""
        self._ping("/fail", reason)

    def _ping(self, kind: str, text: str) -> None:
        parts = urlsplit(self._settings.url)
        query = "&".join(filter(None, (parts.query, f"rid={self._run_id}")))
        url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + kind, query=query, fragment=""))
        body = clean_lines(text).encode()[:MAX_BODY_BYTES]
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        for number in range(1, MAX_TRIES + 1):
            try:
                post(
                    url,
                    body,
                    headers=headers,
                    timeout_seconds=self._settings.timeout_seconds,
                    proxy=self._settings.proxy,
                    what=MONITOR,
                )
            except PublishError:
                if number == MAX_TRIES:
                    raise
            else:
                return
