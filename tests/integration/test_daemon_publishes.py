"""The daemon as a process with a broker and a monitor: it publishes each night, obeys the switch, and outlives both."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.support.daemon import CONFIG, serve, wait_for, wait_until_it_rests
from tests.support.influxdb import free_port
from tests.support.mosquitto import Listener, Mosquitto, listening, mosquitto

MORE = """
[mqtt]
host = "127.0.0.1"
port = {broker}
timeout_seconds = 5
[ping]
url = "{url}ping/uuid"
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with mosquitto(folder) as running:
        yield running


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with listening(broker.port) as one:
        yield one


@pytest.fixture
def pinged(httpserver: HTTPServer) -> list[str]:
    found: list[str] = []

    def answer(request: Request) -> Response:
        found.append(request.path)
        return Response("OK")

    for path in ("/ping/uuid/start", "/ping/uuid", "/ping/uuid/fail"):
        httpserver.expect_request(path).respond_with_handler(answer)
    return found


@pytest.fixture
def daemon(
    tmp_path: Path, broker: Mosquitto, listener: Listener, httpserver: HTTPServer, pinged: list[str]
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A daemon of a home of three days, whose first run has ended."""
    del listener, pinged  # they are there before it
    more = MORE.format(broker=broker.port, url=httpserver.url_for("/"))
    port = free_port()
    process = serve(tmp_path, port, 3, CONFIG + more)
    wait_for(port, "/healthz", lambda status, _body: status == HTTPStatus.OK)
    wait_for(port, "/metrics", lambda _status, body: 'runs_total{exit_code="0"} 1.0' in body)
    yield port, process
    process.kill()
    process.communicate()


def test_a_night_is_published_the_switch_is_obeyed_and_a_stop_makes_the_entities_unavailable(
    daemon: tuple[int, subprocess.Popen[str]], listener: Listener, pinged: list[str], tmp_path: Path
) -> None:
    port, process = daemon
    listener.wait_until(lambda: listener.on("/away"), seconds=30)
    assert [one.payload for one in listener.on("/status")] == [b"online"]
    assert json.loads(listener.on("/day")[-1].payload)["word"] == "not judged"  # three days are too few
    listener.wait_until(lambda: pinged == ["/ping/uuid/start", "/ping/uuid"])
    topic = listener.on("/away")[0].topic
    listener.publish(f"{topic}/set", "ON", retain=True)
    listener.wait_until(lambda: [one.payload for one in listener.on("/away")] == [b"OFF", b"ON"])
    assert "switched on in Home Assistant" in (tmp_path / "ledger.household.json").read_text(encoding="utf-8")
    wait_for(port, "/metrics", lambda _status, body: 'findings_waiting{channel="mqtt"} 0.0' in body)
    listener.publish("homeassistant/status", "online")
    listener.wait_until(lambda: len(listener.on("/config")) == 2, seconds=30)
    wait_until_it_rests(process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    listener.wait_until(lambda: listener.on("/status")[-1].payload == b"offline")


@pytest.mark.slow  # the daemon waits a minute before it tries again
def test_a_daemon_outlives_its_broker_and_publishes_again_when_it_is_back(
    daemon: tuple[int, subprocess.Popen[str]], listener: Listener, broker: Mosquitto
) -> None:
    port, process = daemon
    listener.wait_until(lambda: listener.on("/away"), seconds=30)
    broker.kill()
    wait_for(port, "/metrics", lambda _status, body: 'publish_errors_total{channel="mqtt"} 1.0' in body)
    assert process.poll() is None
    wait_for(port, "/healthz", lambda status, _body: status == HTTPStatus.OK)
    broker.start()
    with listening(broker.port) as again:
        again.wait_until(lambda: again.on("/config") and again.on("/day"), seconds=120)
