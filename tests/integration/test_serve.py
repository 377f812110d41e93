"""The daemon as a process: its health pages, and how it stops."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from jobs.daemon.http import Response, http_server
from jobs.signals import MAX_STOP_SECONDS
from storage.errors import SettingsError
from tests.support.daemon import CONFIG, get, serve, wait_for, wait_until_it_rests
from tests.support.home import Home
from tests.support.influxdb import free_port

Start = Callable[[int], "subprocess.Popen[str]"]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    started = []

    def serve_days(days: int) -> subprocess.Popen[str]:
        started.append(serve(tmp_path, port, days))
        return started[-1]

    yield serve_days
    for process in started:
        process.kill()
        process.communicate()


def wait_until_somebody_waits(queue: Path) -> None:
    """Wait until a process waits for the lock of a ledger: whoever does holds the file of its queue."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with FileLock(queue, timeout=0):
                pass
        except Timeout:
            return
        time.sleep(0.05)
    raise AssertionError("nobody waits for the lock")


def test_a_daemon_catches_up_answers_about_its_health_and_stops_on_sigterm(
    start: Start, port: int, tmp_path: Path
) -> None:
    process = start(3)
    wait_for(port, "/readyz", lambda status, _body: status == HTTPStatus.OK)
    fresh = json.loads(wait_for(port, "/healthz", lambda status, _body: status == HTTPStatus.OK))
    assert fresh["status"] == "fresh"
    counted = wait_for(port, "/metrics", lambda _status, body: 'runs_total{exit_code="0"} 1.0' in body)
    assert counted.splitlines()[2].startswith("pattern_aggregates_last_success_timestamp_seconds ")
    wait_until_it_rests(process)  # what it makes for its pages after the run may take long on a busy machine
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["text"] for line in lines][-1] == "stopped"
    assert all({"run", "day"} <= set(line) for line in lines if " rows in " in line["text"])
    checked = Home(tmp_path, (tmp_path / "config.toml").read_text(), None).call("health")
    assert (checked.exit_code, checked.stdout.split(":")[0]) == (0, "fresh")


def test_a_stop_amid_a_backlog_comes_between_two_days_and_keeps_what_is_done(start: Start, port: int) -> None:
    process = start(85)
    wait_for(port, "/metrics", lambda _status, body: bool(re.search(r'days_total\{status="written"\} [1-9]', body)))
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "what is left of the plan is due at the next run" in log


def test_a_second_signal_ends_it_at_once_even_where_it_waits_for_another_run(
    start: Start, port: int, tmp_path: Path
) -> None:
    with FileLock(tmp_path / "ledger.db.lock"):
        process = start(1)
        wait_for(port, "/readyz", lambda status, _body: status == HTTPStatus.OK)
        wait_until_somebody_waits(tmp_path / "ledger.db.turn")
        process.send_signal(signal.SIGTERM)
        wait_for(port, "/readyz", lambda status, _body: status == HTTPStatus.SERVICE_UNAVAILABLE)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=MAX_STOP_SECONDS - 1)  # less than the first signal alone would give it
    assert process.returncode == 130


def test_a_port_that_is_taken_is_a_mistake_in_the_settings(start: Start, port: int) -> None:
    with http_server("127.0.0.1", port, {}):
        process = start(1)
        _, message = process.communicate(timeout=60)
    assert process.returncode == 78
    assert "health.port" in message


def test_the_health_command_says_why_not(tmp_path: Path, port: int) -> None:
    checked = Home(tmp_path, CONFIG.format(first="2026-01-01", port=port), None).call("health")
    assert checked.exit_code == 1
    assert checked.stdout.startswith("stale: ")


def test_only_known_pages_are_answered_and_a_page_that_fails_costs_only_itself() -> None:
    pages = {"/good": lambda: Response(HTTPStatus.OK, "é"), "/bad": lambda: Response(HTTPStatus(1 // 0), "")}
    with http_server("127.0.0.1", 0, pages) as port:
        assert get(port, "/bad")[0] == HTTPStatus.INTERNAL_SERVER_ERROR
        assert get(port, "/good?x=1") == (HTTPStatus.OK, "é")
        assert get(port, "/../etc/passwd")[0] == HTTPStatus.NOT_FOUND
        with pytest.raises(SettingsError, match="cannot listen"), http_server("127.0.0.1", port, pages):
            pass


@pytest.mark.slow
def test_a_store_that_is_emptied_between_the_nights_is_noticed_by_health_and_metrics(
    start: Start, port: int, tmp_path: Path
) -> None:
    start(3)
    wait_for(port, "/metrics", lambda _status, body: 'runs_total{exit_code="0"} 1.0' in body)
    assert "pattern_aggregates_days_lost 0.0" in get(port, "/metrics")[1]
    with closing(sqlite3.connect(tmp_path / "aggregates.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM detector_run_daily")
    lost = json.loads(wait_for(port, "/healthz", lambda status, _body: status == HTTPStatus.SERVICE_UNAVAILABLE))
    assert lost["status"] == "failing"
    assert "--redo lost" in lost["reason"]
    wait_for(port, "/metrics", lambda _status, body: "pattern_aggregates_days_lost 3.0" in body)
