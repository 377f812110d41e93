"""Everything that is published around a run: pings of the monitor, then the news over each channel.

Nothing of it makes a run fail or slow: all of it together has a limited time, and whatever goes wrong is a warning in
the log and in the report of the run. What was not delivered waits in the ledger, and ``status`` shows it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final, NamedTuple

from filelock import FileLock, Timeout

from jobs.household import Household
from jobs.isolation import describe
from jobs.outcome import Outcome
from jobs.publish.channels import ClosablePublisher, open_device, open_publishers
from jobs.publish.news import JUDGE, DayNews, News, keys_of, read_news
from jobs.publish.outbox import KEPT_DAYS, find_new
from jobs.publish.pings import RunPings
from jobs.publish.publisher import PingTimeout, Publisher, PublishTimeout
from jobs.run_report import RunReport
from jobs.sentences.groups import Story
from jobs.time_limit import TimeLimit
from jobs.wiring import Home
from storage.clean_text import clean, remember_secrets
from storage.dates import ONE_DAY, DateRange, Day
from storage.errors import HouseholdError, PatternAggregatesError
from storage.ledger.announcements import Announced, Announcements
from storage.ledger.entry import Entry, Status
from storage.ledger.ledger import Ledger
from storage.renamed import RenamedReader

_log = logging.getLogger(__name__)

MAX_SECONDS: Final = 60.0  # for everything that is published after a run
MAX_WAIT_SECONDS: Final = 30.0  # for another process that publishes for this home
MAX_SHARE: Final = 0.6  # of it for one channel, so that one that hangs leaves time for the others
PING: Final = "ping"


class Problem(NamedTuple):
    """What could not be published.

    Attributes:
        channel: Over which channel.
        text: Why.
    """

    channel: str
    text: str

    @property
    def is_retried(self) -> bool:
        """Whether it makes sense to try again before the next run: a ping would come too late."""
        return self.channel != PING


class Publishing:
    """Publishes what a home's settings name.

    Args:
        home: The home.
        on_request: Called, in another thread, when something should be published before the next run; see
            ``MqttPublisher``. With it, the connection to the broker stays open.
        publishers: Those to use in place of those that the settings name.
        max_seconds: How long everything after a run may take.
    """

    def __init__(
        self,
        home: Home,
        *,
        on_request: Callable[[], object] | None = None,
        publishers: Sequence[ClosablePublisher] | None = None,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self._home = home
        self._max_seconds = max_seconds
        self._on_request = on_request
        self._pings: RunPings | None = None
        self._publishers = publishers
        settings = home.settings
        self.is_on = bool(publishers or settings.mqtt.host or settings.messages.ntfy_url or settings.messages.apprise)
        secret = (settings.ping.url, settings.messages.ntfy_url, settings.messages.proxy, settings.ping.proxy)
        for address in (*secret, *settings.messages.apprise):  # whoever knows one of them may use it
            remember_secrets({"token": address})

    def begin_run(self) -> list[Problem]:
        """Tell the monitor that a run begins."""
        settings = self._home.settings.ping
        self._pings = RunPings(settings) if settings.url else None
        return self._ping(lambda pings: pings.start())

    def end_run(self, report: RunReport) -> list[Problem]:
        """Publish what a run has found, and tell the monitor how it has ended.

        What could not be published becomes a notice of the report; the outcome of the run stays what it is.
        """
        failure = _failure(report)
        problems = self._ping(lambda pings: pings.fail(failure) if failure else pings.succeed(_summary(report)))
        problems += self.deliver()
        report.notices += [f"not published: {one.channel}: {one.text}" for one in problems]
        return problems

    def fail_run(self, error: BaseException) -> list[Problem]:
        """Tell the monitor that an error has ended the run."""
        reason = str(error) if isinstance(error, PatternAggregatesError) else describe(error)
        return self._ping(lambda pings: pings.fail(reason or type(error).__name__))

    def deliver(self) -> list[Problem]:
        """Publish the newest day as it is now, and what waits, over each channel; errors are logged, not raised."""
        if not self.is_on:
            return []
        try:
            problems = self._deliver(TimeLimit(self._max_seconds))
        except PatternAggregatesError as error:
            problems = [Problem("news", _in_words(error))]
        except Exception as error:  # noqa: BLE001 - whatever it is, the night's work is done and stays so
            _log.exception("publishing failed")
            problems = [Problem("news", describe(error))]
        return _logged(problems)

    def remove(self) -> list[str]:
        """Remove the device from Home Assistant, and forget what was announced there.

        Returns:
            What was done, in words.

        Raises:
            PublishError: The broker cannot be reached.
        """
        with self._alone(), self._home.open_ledger() as ledger:
            publisher = open_device(self._home, ledger, self._on_request)
            if publisher is None:
                return []
            publisher.remove()
            ledger.announcements(publisher.channel).forget()
        return [f"removed the device from Home Assistant (MQTT broker {self._home.settings.mqtt.host})"]

    def close(self) -> None:
        """Close what is open."""
        for publisher in self._publishers or ():
            publisher.close()
        self._publishers = None

    def _ping(self, ping: Callable[[RunPings], object]) -> list[Problem]:
        pings = self._pings
        if pings is None:
            return []
        try:
            limit = TimeLimit(self._max_seconds)
            limit.run(partial(ping, pings), "the ping of the monitor", error=PingTimeout)
        except PatternAggregatesError as error:
            return _logged([Problem(PING, _in_words(error))])
        except Exception as error:  # noqa: BLE001 - as above: a ping never fails a run
            _log.exception("the ping failed")
            return _logged([Problem(PING, describe(error))])
        return []

    def _deliver(self, limit: TimeLimit) -> list[Problem]:
        with self._alone():
            return self._deliver_alone(limit)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep all other processes from publishing for this home: two would both announce what waits."""
        path = self._home.files_beside
        if path is None:
            with self._home.open_ledger() as ledger, ledger.alone("publishing", MAX_WAIT_SECONDS):
                yield
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".publishing.lock"), mode=0o600)
        try:
            acquired = lock.acquire(timeout=MAX_WAIT_SECONDS)
        except Timeout as error:
            raise PublishTimeout(f"another process has been publishing for {MAX_WAIT_SECONDS:.0f} s") from error
        with acquired:
            yield

    def _deliver_alone(self, limit: TimeLimit) -> list[Problem]:
        home = self._home
        problems = []
        with home.open_ledger() as ledger, closing(home.open_reader()) as store:
            days = DateRange(home.yesterday() - KEPT_DAYS * ONE_DAY, home.yesterday())
            entries = ledger.entries(days)
            household = self._household(ledger)
            names = replace(home).names  # read anew: a home keeps those that it has read first
            reader = RenamedReader(store, ledger.renames())
            news_of = cache(partial(read_news, reader=reader, household=household, zone=home.zone, names=names))
            for publisher in self._opened(ledger):
                announcements = ledger.announcements(publisher.channel)
                work = partial(self._deliver_over, publisher, announcements, entries, news_of)
                try:
                    limit.run(work, f"publishing over {publisher.channel}", share=MAX_SHARE, error=PublishTimeout)
                except PatternAggregatesError as error:
                    text = clean(_in_words(error))
                except Exception as error:  # noqa: BLE001 - whatever it is, the other channels get their turn
                    _log.exception("publishing over %s failed", publisher.channel)
                    text = clean(describe(error))
                else:
                    continue
                announcements.note_error(text)
                problems.append(Problem(publisher.channel, text))
        return problems

    def _deliver_over(
        self,
        publisher: Publisher,
        announcements: Announcements,
        entries: dict[tuple[dt.date, str], Entry],
        news_of: Callable[[Day], DayNews],
    ) -> None:
        def stories_of(day: Day) -> list[Story]:
            return [story for story in news_of(day).stories if publisher.accepts(story)]

        def delivered(stories: Any) -> None:  # noqa: ANN401 - an iterable of stories
            announcements.mark((key for story in stories for key in keys_of(story)), Announced.DELIVERED)

        find_new(announcements, entries, stories_of, self._home.yesterday())
        newest = max(
            (day for (day, name), one in entries.items() if name == JUDGE and one.status is Status.WRITTEN),
            default=None,
        )
        today, state = self._home.today(), announcements.state()
        news = News(
            news_of(newest) if newest is not None else None,
            _waiting(announcements, publisher, news_of),
            may_send=state.sent_on != today,
            is_first=not state.delivered_at,
        )
        announcements.note_delivery(today if publisher.deliver(news, delivered) else None)

    def _household(self, ledger: Ledger) -> Household:
        """Return what people have entered; without it, nothing is muted that is not stored as muted."""
        try:
            return self._home.household_file.read().with_present_names(ledger.renames())
        except HouseholdError as error:
            _log.warning("%s", error)
            return Household()

    def _opened(self, ledger: Ledger) -> Sequence[ClosablePublisher]:
        """Return the publishers; they are opened once."""
        if self._publishers is None:
            self._publishers = open_publishers(self._home, ledger, self._on_request)
        return self._publishers


@contextmanager
def published(home: Home) -> Iterator[Publishing]:
    """Publish what a single run finds: the monitor hears of its beginning and of an error that ends it.

    The caller gives the run's report to ``end_run``.
    """
    publishing = Publishing(home)
    publishing.begin_run()
    try:
        yield publishing
    except BaseException as error:  # also an interrupt: the ping says why the run ended, and the error goes on
        publishing.fail_run(error)
        raise
    finally:
        publishing.close()


def _waiting(
    announcements: Announcements, publisher: Publisher, news_of: Callable[[Day], DayNews]
) -> tuple[DayNews, ...]:
    """Return the days with the stories that wait; what is no longer found, or is muted by now, is given up."""
    waiting = announcements.waiting()
    days = []
    for day in sorted({key.day for key in waiting}):
        news = news_of(day)
        found = [story for story in news.stories if publisher.accepts(story) and waiting & set(keys_of(story))]
        if found:
            days.append(replace(news, stories=tuple(found)))
        waiting -= {key for story in found for key in keys_of(story)}
    announcements.mark(waiting, Announced.KNOWN)
    return tuple(days)


def _failure(report: RunReport) -> str:
    """Return why a run has failed; empty if it has done everything."""
    if report.outcome is Outcome.DONE:
        return ""
    days = [
        f"{day.day}: {text}"
        for day in report.days
        for text in (day.error, *(f"{name}: {one.error}" for name, one in day.detectors.items() if one.error))
        if text
    ]
    return "\n".join([*report.notices, *days]) or "some day or detector failed"


def _summary(report: RunReport) -> str:
    lines = [f"{day.day}: {day.status}, {sum(one.rows for one in day.detectors.values())} rows" for day in report.days]
    return "\n".join([*lines, *report.notices]) or "nothing was due"


def _in_words(error: PatternAggregatesError) -> str:
    return f"{error}. {error.hint}" if error.hint else str(error)


def _logged(problems: list[Problem]) -> list[Problem]:
    for channel, text in problems:
        _log.warning("not published: %s: %s", channel, text)
    return problems
