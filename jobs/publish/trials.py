"""Try each channel as far as that is possible without telling anybody anything: for ``doctor``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from jobs.publish import pings
from jobs.publish.channels import check_broker
from jobs.publish.messages import AppriseServices, Ntfy
from jobs.publish.publishing import PING
from jobs.wiring import Home
from storage.errors import PatternAggregatesError
from storage.plurals import counted


class Trial(NamedTuple):
    """What a trial of a channel has shown.

    Attributes:
        channel: The channel.
        found: What was tried, and what was not; or why it failed.
        hint: What to do about a failure.
        is_well: Whether it has not failed.
    """

    channel: str
    found: str
    hint: str = ""
    is_well: bool = True


def try_channels(home: Home) -> Iterator[Trial]:
    """Try each channel that the settings name. No message and no ping is sent."""
    settings = home.settings
    mqtt, messages, ping = settings.mqtt, settings.messages, settings.ping
    if mqtt.host:
        found = f"the broker {mqtt.host}:{mqtt.port} accepts the connection"
        yield _tried("mqtt", lambda: check_broker(home), found)
    if messages.ntfy_url:
        login = " and accepts the login" if Ntfy(messages).has_login else ""
        found = f"the server answers{login}; whether it takes messages for the topic is not tried"
        yield _tried(Ntfy.channel, Ntfy(messages).check, found)
    if messages.apprise:
        found = f"{counted(len(messages.apprise), 'address is', 'addresses are')} valid; no service is tried"
        yield _tried(AppriseServices.channel, AppriseServices(messages.apprise).check, found)
    if ping.url:
        found = "the monitor can be reached; whether it knows the check is not tried, as each request counts as a ping"
        yield _tried(PING, lambda: pings.check_monitor(ping), found)


def _tried(channel: str, check: Callable[[], object], found: str) -> Trial:
    try:
        check()
    except PatternAggregatesError as error:
        return Trial(channel, str(error), error.hint, is_well=False)
    return Trial(channel, found)
