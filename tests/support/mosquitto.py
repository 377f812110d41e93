"""A real MQTT broker for tests, which can be killed and started again, and a program that listens to it."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support.influxdb import free_port
from tests.support.skips import skip_without

READY_SECONDS = 20
CATCH_UP = "catch-up"


def find_broker() -> str | None:
    """Return the path of ``mosquitto``; Debian puts it where only root looks."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@dataclass
class Mosquitto:
    """A broker on loopback. What it retains is lost when it is killed, and kept when it is stopped.

    Attributes:
        folder: Where its files are.
        lines: Further lines of its settings.
        port: Where it answers.
    """

    folder: Path
    lines: tuple[str, ...] = ("allow_anonymous true",)
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = [f"listener {self.port} 127.0.0.1", *self.lines, "persistence true"]
        settings += [f"persistence_location {self.folder}/", "log_dest none", "user root"]
        file = self.folder / "mosquitto.conf"
        file.write_text("\n".join(settings) + "\n", encoding="utf-8")
        program = find_broker()
        if program is None:
            skip_without("Mosquitto")
        self._process = subprocess.Popen([program, "-c", file], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._process.poll() is None, f"mosquitto has ended: {self._process.returncode}"
            time.sleep(0.02)
        raise AssertionError("mosquitto does not answer")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=READY_SECONDS)
            self._process = None


@contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[Mosquitto]:
    """Run a broker for as long as the block lasts; skip the test where Mosquitto is not installed."""
    broker = Mosquitto(folder, lines) if lines else Mosquitto(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def write_password(file: Path, user: str, password: str) -> None:
    """Write a file with the password of one user."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        skip_without("Mosquitto", "mosquitto_passwd is not on PATH")
    subprocess.run([program, "-b", "-c", file, user, password], check=True)


@dataclass(frozen=True)
class Heard:
    """A message that was received."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def document(self) -> dict[str, Any]:
        """The payload as JSON."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


class Listener:
    """A program that subscribes to a broker, as Home Assistant does.

    Args:
        port: Where the broker answers, on loopback.
        topics: What it subscribes to.
    """

    def __init__(self, port: int, *topics: str) -> None:
        self._messages: list[Heard] = []
        self._subscribed = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, reconnect_on_failure=False)
        self._client.on_message = lambda _client, _data, message: self._messages.append(
            Heard(message.topic, bytes(message.payload), message.retain)
        )
        self._client.on_subscribe = self._on_subscribe
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        chosen = (*topics, CATCH_UP) if topics else ("#",)
        self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in chosen])
        self.wait_until(lambda: self._subscribed)

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    @property
    def heard(self) -> list[Heard]:
        """Every message that the broker has taken so far."""
        if self._client.is_connected():  # a broker hands messages over in order: once this one is here, all are
            number = f"{time.monotonic_ns()}".encode()
            self._client.publish(CATCH_UP, number, qos=1)
            deadline = time.monotonic() + READY_SECONDS
            while self._client.is_connected() and time.monotonic() < deadline:
                if any(one.topic == CATCH_UP and one.payload == number for one in list(self._messages)):
                    break
                time.sleep(0.002)
        return [one for one in list(self._messages) if one.topic != CATCH_UP]

    def on(self, topic: str) -> list[Heard]:
        """Return what was heard on topics that end like this."""
        return [one for one in self.heard if one.topic.endswith(topic)]

    def wait_until(self, holds: Callable[[], object], seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not true after {seconds} s; heard {[one.topic for one in self.heard]}"
            time.sleep(0.02)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_subscribe(self, *_arguments: object) -> None:
        self._subscribed = True


@contextmanager
def listening(port: int, *topics: str) -> Iterator[Listener]:
    """Listen for as long as the block lasts."""
    listener = Listener(port, *topics)
    try:
        yield listener
    finally:
        listener.close()
