"""A connection to an MQTT broker: what is published is acknowledged within a time, or an error says why not.

MQTT 5 is used because its acknowledgements say whether the broker accepts a message, and whether anybody listens. A
connection that is lost is never opened again by itself: the library would send again what may have arrived.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from jobs.publish.mqtt.device import Message
from jobs.publish.publisher import PublishError
from jobs.publish.settings import MqttSettings

_log = logging.getLogger(__name__)

KEEPALIVE_SECONDS: Final = 30
NO_SUBSCRIBER: Final = 16  # a reason of MQTT 5: accepted, but nobody listens

_LOST: Final = (MQTTErrorCode.MQTT_ERR_NO_CONN, MQTTErrorCode.MQTT_ERR_CONN_LOST)

MAX_UNREAD: Final = 100  # acknowledgements that nobody waits for; their numbers are used again after 65,535 messages

OnMessage = Callable[[str, bytes], object]


class Connection:
    """An open connection.

    Args:
        settings: The broker.
        client_id: Which client this is; no other may have the same name at the same time.
        will: What the broker publishes when the connection is lost; None for nothing.
        on_message: Called, in a thread of the connection, with each message of a subscription.
        on_lost: Called, in a thread of the connection, when the broker ends it.

    Raises:
        PublishError: The broker cannot be reached, or refuses the connection.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        will: Message | None = None,
        on_message: OnMessage | None = None,
        on_lost: Callable[[], object] | None = None,
    ) -> None:
        self._name = f"MQTT broker {settings.host}:{settings.port}"
        self._timeout_seconds = settings.timeout_seconds
        self._on_message = on_message
        self._on_lost = on_lost
        self._answered = threading.Condition()
        self._refusal: ReasonCode | None = None
        self._is_connected = False
        self._is_over = False
        self._acknowledged: dict[int, ReasonCode] = {}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, reconnect_on_failure=False
        )
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._published
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._received
        self._client.connect_timeout = settings.timeout_seconds
        if will is not None:
            self._client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        self._open(settings)

    @property
    def is_open(self) -> bool:
        """Whether the broker can be reached, as far as is known."""
        return self._is_connected and not self._is_over

    def subscribe(self, *topics: str) -> None:
        """Subscribe to some topics.

        Raises:
            PublishError: The broker does not allow it, or does not answer.
        """
        error, number = self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])
        self._wait_for(error, number, f"subscribing to {', '.join(topics)}")

    def publish(self, message: Message) -> bool:
        """Publish a message, and wait until the broker has it.

        Returns:
            Whether anybody listens, as far as the broker says so.

        Raises:
            PublishError: The broker does not accept it, or does not answer.
        """
        sent = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        return self._wait_for(sent.rc, sent.mid, f"publishing on {message.topic}").value != NO_SUBSCRIBER

    def send(self, message: Message) -> None:
        """Publish a message without waiting; for calls from the connection's own thread."""
        self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)

    def close(self) -> None:
        """End the connection as agreed, so that the broker publishes no will."""
        with self._answered:
            self._is_over = True
        self._client.disconnect()
        self._client.loop_stop()

    def _open(self, settings: MqttSettings) -> None:
        hint = "Correct [mqtt]; nothing is lost: what waits is published after the next run."
        try:
            if settings.username:
                self._client.username_pw_set(settings.username, settings.password.get_secret_value() or None)
            if settings.tls:
                context = ssl.create_default_context(cafile=settings.ca_file or None)
                if not settings.verify:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                self._client.tls_set_context(context)
            self._client.connect(settings.host, settings.port, keepalive=KEEPALIVE_SECONDS, clean_start=True)
        except (OSError, ValueError) as error:
            raise PublishError(f"{self._name} cannot be reached: {error}", hint=hint) from error
        self._client.loop_start()
        with self._answered:
            self._answered.wait_for(self._has_answered, self._timeout_seconds)
        if self._is_connected:
            return
        why = f"refuses the connection: {self._refusal}" if self._refusal else "does not answer"
        self.close()
        raise PublishError(f"{self._name} {why}", hint=hint)

    def _has_answered(self) -> bool:
        return self._is_connected or self._is_over or self._refusal is not None

    def _wait_for(self, error: MQTTErrorCode, number: int | None, what: str) -> ReasonCode:
        """Wait for the acknowledgement of a call and return it."""
        if error in _LOST:  # the library's thread may not have noticed yet
            raise PublishError(f"{self._name} has ended the connection ({what})")
        if error != MQTTErrorCode.MQTT_ERR_SUCCESS or number is None:
            raise PublishError(f"{self._name}: {paho.error_string(error)} ({what})")
        with self._answered:
            self._answered.wait_for(lambda: number in self._acknowledged or self._is_over, self._timeout_seconds)
            reason = self._acknowledged.pop(number, None)
        if reason is None:
            why = "has ended the connection" if self._is_over else f"does not answer within {self._timeout_seconds:g} s"
            raise PublishError(f"{self._name} {why} ({what})")
        if reason.is_failure:
            raise PublishError(f"{self._name} refuses {what}: {reason}", hint="Check the user's rights there.")
        return reason

    # Called by the library in a thread of its own:

    def _connected(
        self, _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        with self._answered:
            self._is_connected = not reason.is_failure
            self._refusal = reason if reason.is_failure else None
            self._answered.notify_all()

    def _disconnected(
        self, _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        with self._answered:
            was_open, self._is_over = self.is_open, True
            self._answered.notify_all()
        if was_open:
            _log.info("%s has ended the connection: %s", self._name, reason)
            if self._on_lost is not None:
                self._on_lost()

    def _published(
        self, _client: paho.Client, _data: object, number: int, reason: ReasonCode, _properties: Properties
    ) -> None:
        self._acknowledge(number, reason)

    def _subscribed(
        self, _client: paho.Client, _data: object, number: int, reasons: list[ReasonCode], _properties: Properties
    ) -> None:
        self._acknowledge(number, next((one for one in reasons if one.is_failure), reasons[0]))

    def _acknowledge(self, number: int, reason: ReasonCode) -> None:
        with self._answered:
            self._acknowledged[number] = reason
            if len(self._acknowledged) > MAX_UNREAD:
                del self._acknowledged[next(iter(self._acknowledged))]
            self._answered.notify_all()

    def _received(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if self._on_message is None:
            return
        try:
            self._on_message(message.topic, bytes(message.payload))
        except Exception:  # noqa: BLE001 - an exception would end the library's thread, and with it the connection
            _log.exception("a message on %s could not be handled", message.topic)
