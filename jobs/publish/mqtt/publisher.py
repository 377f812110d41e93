"""Publish the news as a device in Home Assistant, and take the switch for days away from there."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from jobs.publish.mqtt.connection import Connection, OnMessage
from jobs.publish.mqtt.device import OFF, ON, ONLINE, Device, Message
from jobs.publish.news import News
from jobs.publish.publisher import Delivered, PublishError
from jobs.publish.settings import MqttSettings
from jobs.sentences.groups import Story
from storage.errors import HouseholdError, PatternAggregatesError
from storage.plurals import counted

_log = logging.getLogger(__name__)

CHANNEL: Final = "mqtt"
NEW_DEVICE_SECONDS: Final = 5.0  # for Home Assistant to make the entities of a device that is new to it
MAX_LISTENER_SECONDS: Final = 3.0  # to wait for anybody who listens to findings
LISTENER_CHECK_SECONDS: Final = 0.2


class Broker(Protocol):
    """What the publisher needs of a connection; see ``Connection``."""

    @property
    def is_open(self) -> bool:
        """Whether the broker can be reached."""
        ...

    def subscribe(self, *topics: str) -> None:
        """Subscribe to topics."""
        ...

    def publish(self, message: Message) -> bool:
        """Publish a message; returns whether anybody listens."""
        ...

    def send(self, message: Message) -> None:
        """Publish a message without waiting."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


OpenBroker = Callable[[Message | None, OnMessage, Callable[[], object] | None], Broker]
"""Opens a connection: with a will, what is called with each message, and what is called when it is lost."""


class SwitchedAway(Protocol):
    """The days away that the switch enters."""

    def is_on(self) -> bool:
        """Return whether nobody is home today."""
        ...

    def turn(self, *, on: bool) -> None:
        """Enter days away from today on, or end them."""
        ...


def broker_opener(settings: MqttSettings, home_id: str) -> OpenBroker:
    """Return what opens connections to the broker of the settings."""

    def open_broker(will: Message | None, on_message: OnMessage, on_lost: Callable[[], object] | None) -> Connection:
        client_id = f"pa-{home_id[:8]}-{secrets.token_hex(4)}"  # at most 23 characters are allowed everywhere
        return Connection(settings, client_id, will=will, on_message=on_message, on_lost=on_lost)

    return open_broker


class MqttPublisher:
    """Publishes the news as a device in Home Assistant.

    Args:
        device: Its topics and payloads.
        open_broker: Opens a connection.
        away: The days away that the switch enters.
        on_request: Called, in another thread, when everything should be published again: Home Assistant has started,
            or the connection was lost. With it, the connection stays open and the switch is obeyed at once; without it,
            the connection lasts for one delivery.
        max_listener_seconds: How long to wait until anybody listens to findings.
    """

    channel = CHANNEL

    def __init__(
        self,
        device: Device,
        open_broker: OpenBroker,
        away: SwitchedAway,
        *,
        on_request: Callable[[], object] | None = None,
        max_listener_seconds: float = MAX_LISTENER_SECONDS,
    ) -> None:
        self._device = device
        self._open_broker = open_broker
        self._away = away
        self._on_request = on_request
        self._max_listener_seconds = max_listener_seconds
        self._broker: Broker | None = None

    def accepts(self, story: Story) -> bool:
        """Return whether a story is an event in Home Assistant: each is that is not muted."""
        return not story.is_muted

    def deliver(self, news: News, delivered: Delivered) -> bool:
        """Publish device and states, which changes nothing where they are the same, and each waiting story once.

        Args:
            news: The newest day, and the stories that wait.
            delivered: Called with each story as soon as the broker has it.

        Raises:
            PublishError: The broker cannot be reached, refuses something, or nobody listens to findings.
            HouseholdError: Whether anybody is home is not known; everything else is published.
        """
        broker = self._connected()
        try:
            unknown_away = self._publish_states(broker, news)
            if news.is_first and news.waiting_stories:
                time.sleep(NEW_DEVICE_SECONDS)  # others may listen already, so that the broker would not tell
            self._publish_events(broker, news, delivered)
        except PublishError:
            self.close()
            raise
        if self._on_request is None:
            self.close(goes_offline=False)
        if unknown_away is not None:
            raise unknown_away
        return False

    def close(self, *, goes_offline: bool = True) -> None:
        """End the connection, if there is one; its entities are then not available, unless they are to stay so."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        try:
            if goes_offline and broker.is_open and self._on_request is not None:
                broker.publish(self._device.availability(is_online=False))
        except PublishError as error:
            _log.debug("%s", error)
        finally:
            broker.close()

    def remove(self) -> None:
        """Remove the device from Home Assistant.

        Raises:
            PublishError: The broker cannot be reached or refuses it.
        """
        broker = self._open_broker(None, lambda _topic, _payload: None, None)
        try:
            for message in self._device.removal():
                broker.publish(message)
        finally:
            broker.close()

    def _connected(self) -> Broker:
        if self._broker is not None and self._broker.is_open:
            return self._broker
        self.close()
        will = self._device.availability(is_online=False) if self._on_request is not None else None
        self._broker = self._open_broker(will, self._receive, self._on_request)
        try:
            self._broker.subscribe(self._device.away_command_topic)
            if self._on_request is not None:
                self._broker.subscribe(self._device.home_assistant_topic)
                self._notice_removal(self._broker)
        except PublishError:
            self.close()
            raise
        return self._broker

    def _notice_removal(self, broker: Broker) -> None:
        """Subscribe to the description of the device, if the broker allows it; see ``_leave``."""
        try:
            broker.subscribe(self._device.config_topic)
        except PublishError as error:
            _log.info("a removal of the device will not be noticed while this program runs: %s", error)

    def _publish_states(self, broker: Broker, news: News) -> HouseholdError | None:
        """Publish device and states; returns why the switch has none."""
        broker.publish(self._device.config())
        broker.publish(self._device.availability(is_online=True))
        if news.newest is not None:
            for message in self._device.states(news.newest):
                broker.publish(message)
        try:
            is_away = self._away.is_on()
        except HouseholdError as error:
            return error
        broker.publish(self._device.away(is_on=is_away))
        return None

    def _publish_events(self, broker: Broker, news: News, delivered: Delivered) -> None:
        waiting = news.waiting_stories
        deadline = time.monotonic() + self._max_listener_seconds
        for number, story in enumerate(waiting):
            while not broker.publish(self._device.event(story)):
                if time.monotonic() >= deadline:
                    raise PublishError(
                        f"{counted(len(waiting) - number, 'finding waits', 'findings wait')}: nobody listens to "
                        f"{self._device.event_topic}",
                        hint="Is Home Assistant running, and its MQTT integration connected to this broker?",
                    )
                time.sleep(LISTENER_CHECK_SECONDS)
            delivered([story])

    def _receive(self, topic: str, payload: bytes) -> None:
        """Handle a message, in the connection's own thread."""
        if topic == self._device.home_assistant_topic:
            if payload == ONLINE and self._on_request is not None:
                self._on_request()
        elif topic == self._device.config_topic and not payload:
            threading.Thread(target=self._leave, name="removed device", daemon=True).start()  # this one may not wait
        elif topic == self._device.away_command_topic and payload:
            self._obey(payload)

    def _leave(self) -> None:
        """End the connection without a trace after somebody removed the device; the next delivery makes it again."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        _log.info("the device was removed from Home Assistant; the next delivery makes it again")
        try:
            for message in self._device.removal():
                broker.publish(message)
        except PublishError as error:
            _log.warning("the device was removed, but not all that is retained about it: %s", error)
        finally:
            broker.close()

    def _obey(self, payload: bytes) -> None:
        """Turn the switch, answer with its state, and clear the retained command, which is carried out."""
        if payload in (ON, OFF):
            try:
                self._away.turn(on=payload == ON)
            except PatternAggregatesError as error:
                _log.warning("the switch in Home Assistant could not be obeyed: %s", error)
        else:
            _log.warning("not a valid command for the switch: %r", payload[:40])
        broker = self._broker
        if broker is not None:
            broker.send(self._device.away(is_on=self._away.is_on()))
            broker.send(Message(self._device.away_command_topic, b""))
