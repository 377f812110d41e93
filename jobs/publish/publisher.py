"""The contract of a publisher: it is given the news, and reports each story once people have been told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from jobs.publish.news import News
from jobs.sentences.groups import Story
from storage.errors import PatternAggregatesError

Delivered = Callable[[Iterable[Story]], None]
"""Called with stories as soon as they are delivered, so that nothing is announced twice after a failure."""


class PublishError(PatternAggregatesError):
    """Something could not be published; it waits, and is tried again after the next run."""

    retryable = True


class PublishTimeout(PublishError):
    """Publishing has taken all of its time."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        del hint  # the one of a day's limit, which a setting sets
        super().__init__(message, hint="What waits is published after the next run.")


class PingTimeout(PublishError):
    """A ping has taken all of its time."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        del hint  # as above
        super().__init__(message, hint="It is not sent again; the monitor may report this run as missing.")


class Publisher(Protocol):
    """Tells people, or programs of theirs, what was found."""

    @property
    def channel(self) -> str:
        """What the ledger remembers its deliveries by: one word."""
        ...

    def accepts(self, story: Story) -> bool:
        """Return whether a story is announced here at all."""
        ...

    def deliver(self, news: News, delivered: Delivered) -> bool:
        """Deliver the news. Called again with the same news, it changes nothing that was delivered.

        Args:
            news: The newest day as it is now, and the stories that wait.
            delivered: Called with the stories that have been delivered.

        Returns:
            Whether a message was sent, of which there is at most one a day.

        Raises:
            PublishError: Something is not delivered.
        """
        ...
