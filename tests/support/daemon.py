"""Run a daemon in a process of its own and read its HTTP pages."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.home import Home

CONFIG = """
[home]
time_zone = "Europe/Berlin"
[source]
kind = "simulated_home"
events_per_day = 500
first_day = {first}
[store]
url = "sqlite:///aggregates.db"
[ledger]
path = "ledger.db"
[health]
port = {port}
"""


def serve(folder: Path, port: int, days: int, config: str = CONFIG) -> subprocess.Popen[str]:
    """Start a daemon for a simulated home of that many days."""
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days)
    return Home(folder, config.format(first=first, port=port), None).process("serve")


def get(port: int, path: str) -> tuple[int, str]:
    """Return status and body of a page; the status is 0 if nothing listens there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, ""


def wait_for(port: int, path: str, holds: Callable[[int, str], bool]) -> str:
    """Wait until a page's status and body satisfy ``holds``, and return the body."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status, body = get(port, path)
        if holds(status, body):
            return body
        time.sleep(0.05)
    raise AssertionError(f"{path} answers {status} {body}")


def wait_until_it_rests(process: subprocess.Popen[str]) -> None:
    """Wait until no thread of a process has had anything to do for half a second, or the process has ended.

    A thread that waits for a processor of a busy machine does not rest.
    """
    deadline = time.monotonic() + 60
    rests = 0
    while rests < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        rests = 0 if _has_work(process.pid) else rests + 1


def _has_work(process: int) -> bool:
    states = []
    for thread in Path(f"/proc/{process}/task").glob("*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            states.append(thread.read_text(encoding="utf-8").rpartition(") ")[2][:1])
    return any(state in {"R", "D"} for state in states)
