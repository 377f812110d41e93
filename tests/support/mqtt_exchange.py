"""Record what is exchanged with a real broker that is killed in the middle: ``python -m tests.support.mqtt_exchange``.

It prints what a program hears that listens to everything, for docs/mqtt.md. The home, its day and its findings are
invented; the job's code and the broker are real.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from jobs.publish.away_switch import AwaySwitch
from jobs.publish.mqtt.connection import OnMessage
from jobs.publish.mqtt.device import Device, Message
from jobs.publish.mqtt.publisher import Broker, MqttPublisher, broker_opener
from jobs.publish.publishing import Publishing
from tests.support.mosquitto import Listener, Mosquitto, listening, mosquitto
from tests.support.published_home import PublishedHome, anomaly

MAX_SHOWN = 230  # characters of a payload


class Unsteady:
    """A real connection whose broker is killed before so many messages have been published."""

    def __init__(self, real: Broker, broker: Mosquitto, messages: int) -> None:
        self._real = real
        self._broker = broker
        self._left = messages
        self.subscribe = real.subscribe
        self.send = real.send
        self.close = real.close

    @property
    def is_open(self) -> bool:
        return self._real.is_open

    def publish(self, message: Message) -> bool:
        if not self._left:
            self._broker.kill()
        self._left -= 1
        return self._real.publish(message)


def unsteady_publisher(made: PublishedHome, broker: Mosquitto, messages: int) -> MqttPublisher:
    """Return a publisher whose broker is killed before so many messages have been published."""
    steady = broker_opener(made.home.settings.mqtt, made.id)

    def unsteady(will: Message | None, on_message: OnMessage, on_lost: Callable[[], object] | None) -> Broker:
        return Unsteady(steady(will, on_message, on_lost), broker, messages)

    device = Device(made.id, "homeassistant", made.home.zone, "0.2.0")
    return MqttPublisher(device, unsteady, AwaySwitch(made.home.household_file, made.home.today))


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _show(listener: Listener, home_id: str) -> None:
    """Print what was heard, with the home's random id shortened."""
    for one in listener.heard:
        payload = one.payload.decode()
        if one.topic.endswith("/config") and payload:
            config = json.loads(payload)
            payload = f"{len(one.payload)} bytes: a device with {', '.join(config['cmps'])}"
        payload = payload if len(payload) <= MAX_SHOWN else payload[:MAX_SHOWN] + " …"
        _print(f"  {one.topic}  {payload or '(empty)'}".replace(home_id, "HOME"))


def main() -> None:
    """Record the exchange."""
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as broker:
        made = PublishedHome(Path(name) / "home", mqtt={"host": "127.0.0.1", "port": broker.port})
        made.write(anomaly("binary_sensor.back_door", "still_active", duration_seconds=30_600.0), anomaly("light.hall"))
        _print("the broker is killed after the description of the device, before its states:")
        with listening(broker.port) as listener:
            publisher = unsteady_publisher(made, broker, 1)
            with closing(Publishing(made.home, publishers=[publisher])) as publishing:
                problems = publishing.deliver()
            _show(listener, made.id)
        for problem in problems:
            text = f"  not published: {problem.channel}: {problem.text}"
            _print(text.replace(str(broker.port), "1883").replace(made.id, "HOME"))
        waiting = ", ".join(made.waiting())
        _print(f"the ledger: waiting {waiting}")
        broker.start()
        _print("the broker runs again, and has forgotten everything; the next run:")
        with listening(broker.port) as listener, closing(Publishing(made.home)) as publishing:
            publishing.deliver()
            _show(listener, made.id)
        _print(f"the ledger: waiting {', '.join(made.waiting()) or 'nothing'}")
        _print("one more run, on the same day:")
        with listening(broker.port, f"pattern_aggregates/{made.id}/finding") as listener:
            with closing(Publishing(made.home)) as publishing:
                publishing.deliver()
            _print(f"  findings heard: {len(listener.heard)}")
        _print("the switch in Home Assistant is turned on:")
        with closing(Publishing(made.home, on_request=lambda: None)) as publishing:
            publishing.deliver()
            with listening(broker.port, f"pattern_aggregates/{made.id}/away/#") as listener:
                before = len(listener.heard)
                listener.publish(f"pattern_aggregates/{made.id}/away/set", "ON", retain=True)
                listener.wait_until(lambda: len(listener.heard) >= before + 3)
                _show(listener, made.id)
        away = made.home.household_file.read().away
        _print(f"days away from {away[0].first} on: {away[0].note}")


if __name__ == "__main__":
    main()
