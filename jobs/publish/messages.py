"""Messages to people: at most one a day, with the new findings of at least some severity."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit, urlunsplit

from jobs.publish.http_client import get, post
from jobs.publish.news import DayNews, News
from jobs.publish.publisher import Delivered, PublishError
from jobs.publish.settings import MessagesSettings
from jobs.sentences import wording
from jobs.sentences.groups import Story
from storage.clean_text import printable
from storage.models import Severity
from storage.plurals import counted

MAX_LINES: Final = 10  # findings in one message
MAX_CHARACTERS: Final = 3_500  # of one message: ntfy takes 4,096 bytes, of which few characters need more than one
MAX_BYTES: Final = 3_900

_SEVERITIES: Final = tuple(Severity)
_PRIORITIES: Final = {Severity.LOW: 2, Severity.MEDIUM: 3, Severity.HIGH: 4, Severity.CRITICAL: 5}


class Text(NamedTuple):
    """A message.

    Attributes:
        title: One line.
        body: What was found, a line for each finding.
        severity: The highest of all findings.
    """

    title: str
    body: str
    severity: Severity


class Service(Protocol):
    """What takes a message to people."""

    @property
    def channel(self) -> str:
        """What the ledger remembers its deliveries by."""
        ...

    def send(self, text: Text) -> None:
        """Send a message.

        Raises:
            PublishError: It was not sent.
        """
        ...


class MessagePublisher:
    """Sends what is new as one message a day.

    Args:
        service: What takes it to people.
        min_severity: Only findings that are at least so severe.
    """

    def __init__(self, service: Service, min_severity: Severity) -> None:
        self._service = service
        self._min_severity = min_severity

    @property
    def channel(self) -> str:
        """The service's."""
        return self._service.channel

    def accepts(self, story: Story) -> bool:
        """Return whether a story is severe enough, and not muted."""
        return not story.is_muted and _SEVERITIES.index(story.severity) >= _SEVERITIES.index(self._min_severity)

    def deliver(self, news: News, delivered: Delivered) -> bool:
        """Send all stories that wait as one message, unless one was sent today: then they wait until tomorrow."""
        if not news.may_send or not news.waiting_stories:
            return False
        self._service.send(text_of(news.waiting))
        delivered(news.waiting_stories)
        return True

    def close(self) -> None:
        """Do nothing: no connection stays open."""


def text_of(days: tuple[DayNews, ...]) -> Text:
    """Return the message for some days with stories, the newest day first.

    Args:
        days: At least one day with at least one story, the oldest first.
    """
    found = [(day, story) for day in reversed(days) for story in day.stories]
    lines, heading = [], None
    for day, story in found[:MAX_LINES]:
        if len(days) > 1 and day.day != heading:
            heading = day.day
            lines.append(f"{wording.day(day.day)}:")
        lines.append(f"• {printable(story.sentence)}")
    body = "\n".join(lines)
    left_out = len(found) - MAX_LINES
    if left_out > 0:
        body = f"{_shortened(body)}\nand {counted(left_out, 'more finding')}"
    when = wording.day(days[-1].day) if len(days) == 1 else f"{counted(len(days), 'day')} up to {days[-1].day}"
    severity = max((story.severity for _, story in found), key=_SEVERITIES.index)
    return Text(f"{counted(len(found), 'unusual finding')}: {when}", _shortened(body), severity)


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARACTERS and len(text.encode()) <= MAX_BYTES:
        return text
    return text.encode()[: MAX_BYTES - 3].decode(errors="ignore")[: MAX_CHARACTERS - 1] + "…"


class Ntfy:
    """A topic of ntfy.

    Args:
        settings: Its address and token.
    """

    channel = "ntfy"

    def __init__(self, settings: MessagesSettings) -> None:
        self._settings = settings

    @property
    def has_login(self) -> bool:
        """Whether the settings name a token, or a user and a password."""
        return bool(self._settings.ntfy_token.get_secret_value()) or "@" in urlsplit(self._settings.ntfy_url).netloc

    def check(self) -> None:
        """Check that the server answers, and knows the login; it checks one with every request, also for its health.

        Raises:
            PublishError: It does not.
        """
        base, _ = self._place()
        get(
            f"{base.rstrip('/')}/v1/health",
            headers=self._login(),
            timeout_seconds=self._settings.timeout_seconds,
            proxy=self._settings.proxy,
            what="ntfy",
        )

    def send(self, text: Text) -> None:
        """Send a message; see ``Service.send``."""
        base, topic = self._place()
        document = {
            "topic": topic,
            "title": text.title,
            "message": text.body,
            "priority": _PRIORITIES[text.severity],
            "tags": ["house"],
        }
        post(
            base,
            json.dumps(document, ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json"} | self._login(),
            timeout_seconds=self._settings.timeout_seconds,
            proxy=self._settings.proxy,
            what="ntfy",
        )

    def _place(self) -> tuple[str, str]:
        """Return the address of the server, and the topic."""
        parts = urlsplit(self._settings.ntfy_url)
        base, _, topic = parts.path.strip("/").rpartition("/")
        return urlunsplit(parts._replace(path=f"/{base}", query="", fragment="")), topic

    def _login(self) -> dict[str, str]:
        token = self._settings.ntfy_token.get_secret_value()
        return {"Authorization": f"Bearer {token}"} if token else {}


class AppriseServices:
    """Any services that Apprise knows; they are one channel.

    Args:
        addresses: Their addresses.
    """

    channel = "apprise"

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses

    def check(self) -> None:
        """Check that Apprise is installed and knows each address.

        Raises:
            PublishError: It does not.
        """
        self._sender()

    def send(self, text: Text) -> None:
        """Send a message; see ``Service.send``."""
        if not self._sender().notify(title=text.title, body=text.body, body_format="text"):
            raise PublishError(
                "Apprise could not send the message to each service of messages.apprise",
                hint="`apprise --verbose ADDRESS` shows why; those that did get it get it again.",
            )

    def _sender(self) -> Any:  # noqa: ANN401 - a class that is only imported where it is used
        try:
            import apprise  # noqa: PLC0415 - an extra, which is slow to import
        except ImportError as error:
            raise PublishError(
                "messages.apprise needs the extra `apprise`", hint="Run: pip install 'pattern-aggregates[apprise]'"
            ) from error
        apprise.logger.disabled = True  # what it logs holds topics, and more of which whoever knows it may use it
        sender = apprise.Apprise()
        for number, address in enumerate(self._addresses, 1):
            if not sender.add(address):
                raise PublishError(
                    f"address {number} of messages.apprise is not valid", hint="Apprise's wiki lists them."
                )
        return sender
