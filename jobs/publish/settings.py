"""The settings of what is published: ``[mqtt]``, ``[messages]`` and ``[ping]``. Each is off until it is given."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from storage.models import Severity
from storage.settings_check import Section

_TOPIC: Final = re.compile(r"[^\s/+#\x00][^\s+#\x00]*")

Timeout = Annotated[float, Field(gt=0, le=60)]


def _topic(text: str) -> str:
    if not _TOPIC.fullmatch(text) or text.endswith("/"):
        raise ValueError("not a valid MQTT topic: it has no spaces, no + and #, and no / at either end")
    return text


def _web_address(text: str) -> str:
    """Check an address without repeating it: whoever knows it may use it."""
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_valid = False
    if text and not is_valid:
        raise ValueError("not a valid address: it begins with https:// or http://")
    return text


def _ntfy_address(text: str) -> str:
    if _web_address(text) and not urlsplit(text).path.strip("/"):
        raise ValueError("has no topic: write it like https://ntfy.sh/my-secret-topic")
    return text


Secret = Field(repr=False)  # whoever knows the address may use it


class MqttSettings(Section):
    """``[mqtt]``: the broker over which Home Assistant gets a device.

    Attributes:
        host: The broker; empty turns MQTT off.
        ca_file: The certificate authority to trust; empty for those of the system.
        verify: Whether the broker's certificate is checked.
        discovery_prefix: Where Home Assistant looks for devices.
        timeout_seconds: How long the broker may take for each answer.
    """

    host: str = ""
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    username: str = ""
    password: SecretStr = SecretStr("")
    tls: bool = False
    ca_file: str = ""
    verify: bool = True
    discovery_prefix: Annotated[str, AfterValidator(_topic)] = "homeassistant"
    timeout_seconds: Timeout = 10.0


class MessagesSettings(Section):
    """``[messages]``: at most one message a day with what was newly found.

    Attributes:
        min_severity: Only findings that are at least so severe.
        ntfy_url: The address of a topic of ntfy; empty turns it off.
        ntfy_token: For a topic that needs one.
        apprise: Addresses of Apprise, for other services.
        proxy: The URL of an HTTP proxy for ntfy; empty for that of the environment, if there is one.
        timeout_seconds: How long a service may take to answer.
    """

    min_severity: Severity = Severity.MEDIUM
    ntfy_url: Annotated[str, AfterValidator(_ntfy_address), Secret] = ""
    ntfy_token: SecretStr = SecretStr("")
    apprise: Annotated[tuple[str, ...], Secret] = ()
    proxy: Annotated[str, AfterValidator(_web_address), Secret] = ""
    timeout_seconds: Timeout = 10.0


class PingSettings(Section):
    """``[ping]``: a monitor such as Healthchecks, which notices a run that fails or does not happen.

    Attributes:
        url: The address of the check; empty turns pings off.
        proxy: As in ``[messages]``.
        timeout_seconds: How long the monitor may take to answer.
    """

    url: Annotated[str, AfterValidator(_web_address), Secret] = ""
    proxy: Annotated[str, AfterValidator(_web_address), Secret] = ""
    timeout_seconds: Timeout = 10.0
