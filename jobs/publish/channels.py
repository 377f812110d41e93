"""Opens the channels that the settings name: the device in Home Assistant, a topic of ntfy, the services of Apprise."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Protocol

from jobs.publish.away_switch import AwaySwitch
from jobs.publish.messages import AppriseServices, MessagePublisher, Ntfy
from jobs.publish.publisher import Publisher, PublishError
from jobs.wiring import Home
from storage.ledger.ledger import Ledger
from storage.settings import absolute_path

OnRequest = Callable[[], object] | None
"""Called when something should be published before the next run; see ``MqttPublisher``."""


class ClosablePublisher(Publisher, Protocol):
    """A publisher that may keep a connection open."""

    def close(self) -> None:
        """Close it."""
        ...


def open_publishers(home: Home, ledger: Ledger, on_request: OnRequest) -> list[ClosablePublisher]:
    """Return a publisher for each channel that the settings of a home name.

    Args:
        home: The home.
        ledger: Its ledger, which knows its id.
        on_request: See ``OnRequest``.

    Raises:
        PublishError: A library is not installed.
    """
    messages = home.settings.messages
    device = open_device(home, ledger, on_request)
    found: list[ClosablePublisher] = [] if device is None else [device]
    if messages.ntfy_url:
        found.append(MessagePublisher(Ntfy(messages), messages.min_severity))
    if messages.apprise:
        found.append(MessagePublisher(AppriseServices(messages.apprise), messages.min_severity))
    return found


def open_device(home: Home, ledger: Ledger, on_request: OnRequest) -> Any:  # noqa: ANN401 - a class that is only imported where it is used
    """Return the publisher of the device in Home Assistant; None without a broker, or for a home without an id.

    Raises:
        PublishError: The library is not installed.
    """
    found = ledger.read_home()
    if not home.settings.mqtt.host or found is None:
        return None
    open_broker = _broker_opener(home, found.identity.id)
    from jobs.publish.mqtt.device import Device  # noqa: PLC0415 - only where it is used
    from jobs.publish.mqtt.publisher import MqttPublisher  # noqa: PLC0415 - an extra

    prefix = home.settings.mqtt.discovery_prefix
    device = Device(found.identity.id, prefix, home.zone, version("pattern-aggregates"))
    away = AwaySwitch(home.household_file, home.today)
    return MqttPublisher(device, open_broker, away, on_request=on_request)


def check_broker(home: Home) -> None:
    """Open a connection to the broker of the settings, and end it.

    Raises:
        PublishError: It cannot be reached, or refuses the connection.
    """
    _broker_opener(home, "doctor")(None, lambda _topic, _payload: None, None).close()


def _broker_opener(home: Home, client: str) -> Any:  # noqa: ANN401 - a type that is only imported where it is used
    """Return what opens connections to the broker of the settings.

    Raises:
        PublishError: The library is not installed.
    """
    settings = home.settings.mqtt
    try:
        from jobs.publish.mqtt.publisher import broker_opener  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise PublishError(
            "mqtt.host needs the extra `mqtt`", hint="Run: pip install 'pattern-aggregates[mqtt]'"
        ) from error
    if settings.ca_file:
        settings = settings.model_copy(update={"ca_file": str(absolute_path(home.base, settings.ca_file))})
    return broker_opener(settings, client)
