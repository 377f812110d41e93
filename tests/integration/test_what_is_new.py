"""Which findings are new to a channel: each is announced once, and what goes on is not announced every morning."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from jobs.household import Away, Mute
from jobs.household_file import with_away, with_mute
from jobs.publish.news import News
from jobs.publish.outbox import MAX_NEWS_DAYS
from jobs.publish.publisher import Delivered, PublishError
from jobs.publish.publishing import Publishing
from jobs.sentences.groups import Story
from storage.dates import ONE_DAY
from tests.support.published_home import YESTERDAY, PublishedHome, anomaly

BEFORE = YESTERDAY - ONE_DAY


class Noting:
    """A publisher that notes what it is given, and can fail after some stories."""

    channel = "noted"

    def __init__(self) -> None:
        self.told: list[tuple[dt.date, str]] = []
        self.fails_after: int | None = None

    def accepts(self, story: Story) -> bool:
        return not story.is_muted

    def deliver(self, news: News, delivered: Delivered) -> bool:
        for number, story in enumerate(news.waiting_stories):
            if number == self.fails_after:
                raise PublishError("down")
            self.told.append((story.rows[0].date, "+".join(sorted(row.entity_id for row in story.rows))))
            delivered([story])
        return False

    def close(self) -> None:
        """Nothing is open."""


class Told:
    """A home, and what is told of it."""

    def __init__(self, folder: Path) -> None:
        self.made = PublishedHome(folder)
        self.publisher = Noting()

    def deliver(self) -> list[tuple[dt.date, str]]:
        """Deliver, and return what was told by that."""
        before = len(self.publisher.told)
        with closing(Publishing(self.made.home, publishers=[self.publisher])) as publishing:
            publishing.deliver()
        return self.publisher.told[before:]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    one = Told(tmp_path)
    one.made.write(day=BEFORE)
    assert one.deliver() == []  # from here on, the channel is not new
    return one


def test_a_finding_is_announced_once(told: Told) -> None:
    told.made.write(anomaly())
    assert told.deliver() == [(YESTERDAY, "light.hall")]
    assert told.deliver() == []


def test_a_day_that_is_judged_again_tells_only_what_is_new(told: Told) -> None:
    told.made.write(anomaly())
    told.deliver()
    told.made.write(anomaly(), anomaly("light.porch"))
    assert told.deliver() == [(YESTERDAY, "light.porch")]
    told.made.write(anomaly())
    assert told.deliver() == []


def test_a_finding_that_joins_a_group_which_was_announced_is_not_announced(told: Told) -> None:
    told.made.write(anomaly())
    told.deliver()
    told.made.write(anomaly(), anomaly("light.porch", group="light.hall"))
    assert told.deliver() == []


def test_a_group_is_one_story_and_is_announced_if_one_of_it_is_new(told: Told) -> None:
    told.made.write(anomaly("sensor.a", "count_low", day=BEFORE), day=BEFORE)
    assert told.deliver() == [(BEFORE, "sensor.a")]
    told.made.write(
        anomaly("sensor.a", "count_low", group="sensor.a"), anomaly("sensor.b", "count_low", group="sensor.a")
    )
    assert told.deliver() == [(YESTERDAY, "sensor.a+sensor.b")]


def test_an_error_that_nobody_expects_over_one_channel_is_noted_and_leaves_the_others_their_turn(told: Told) -> None:
    class Broken(Noting):
        channel = "broken"

        def deliver(self, news: News, delivered: Delivered) -> bool:
            raise ValueError("password=hunter2-word \x1b[2J")

    told.made.write(anomaly())
    with closing(Publishing(told.made.home, publishers=[Broken(), told.publisher])) as publishing:
        (problem,) = publishing.deliver()
    assert told.publisher.told == [(YESTERDAY, "light.hall")]
    assert problem == ("broken", r"ValueError: password=*** \x1b[2J")
    with told.made.home.open_ledger(read_only=True) as ledger:
        assert ledger.channels()["broken"].error == problem.text


@pytest.mark.parametrize(
    ("anomaly_type", "is_announced_again"),
    [("count_low", False), ("still_active", False), ("count_high", True), ("unusual_hour", True)],
)
def test_what_lasts_is_announced_on_its_first_day_and_what_happens_again_is_announced_again(
    told: Told, anomaly_type: str, is_announced_again: bool
) -> None:
    told.made.write(anomaly(anomaly_type=anomaly_type, day=BEFORE), day=BEFORE)
    assert len(told.deliver()) == 1
    told.made.write(anomaly(anomaly_type=anomaly_type))
    assert len(told.deliver()) == is_announced_again
    told.made.now += dt.timedelta(days=1)
    told.made.write(anomaly(anomaly_type=anomaly_type, day=YESTERDAY + ONE_DAY), day=YESTERDAY + ONE_DAY)
    assert len(told.deliver()) == is_announced_again


def test_what_was_not_delivered_waits_and_the_rest_is_not_announced_again(told: Told) -> None:
    told.made.write(*(anomaly(f"light.{name}") for name in "abc"))
    told.publisher.fails_after = 1
    assert told.deliver() == [(YESTERDAY, "light.a")]
    assert told.made.waiting("noted") == ["light.b", "light.c"]
    told.publisher.fails_after = None
    assert told.deliver() == [(YESTERDAY, "light.b"), (YESTERDAY, "light.c")]


def test_what_waits_is_announced_however_late_but_not_if_it_is_no_longer_found(told: Told) -> None:
    told.made.write(anomaly("light.a"), anomaly("light.b"))
    told.publisher.fails_after = 0
    told.deliver()
    told.made.write(anomaly("light.b"))
    told.made.now += dt.timedelta(days=40)
    told.publisher.fails_after = None
    told.deliver()
    assert told.publisher.told == [(YESTERDAY, "light.b")]


@pytest.mark.parametrize(("age", "is_announced"), [(MAX_NEWS_DAYS - 1, True), (MAX_NEWS_DAYS, False)])
def test_a_day_that_is_long_over_is_not_announced(told: Told, age: int, is_announced: bool) -> None:
    day = YESTERDAY - age * ONE_DAY
    told.made.write(anomaly(day=day), day=day)
    assert len(told.deliver()) == is_announced


def test_a_new_channel_tells_of_the_newest_day_only(tmp_path: Path) -> None:
    told = Told(tmp_path)
    told.made.write(anomaly("light.a", day=BEFORE), anomaly("sensor.a", "count_low", day=BEFORE), day=BEFORE)
    told.made.write(anomaly("light.b"), anomaly("sensor.a", "count_low"))
    assert told.deliver() == [(YESTERDAY, "light.b")]


def _mute(told: Told) -> None:
    told.made.home.household_file.change(partial(with_mute, mute=Mute("light.hall", None, BEFORE)))


def _away(told: Told) -> None:
    told.made.home.household_file.change(partial(with_away, away=Away(YESTERDAY, YESTERDAY)))


@pytest.mark.parametrize("enter", [_mute, _away])
def test_what_was_muted_or_entered_as_away_since_the_day_was_judged_is_not_announced(
    told: Told, enter: Callable[[Told], None]
) -> None:
    told.made.write(anomaly())
    enter(told)
    assert told.deliver() == []


def test_movement_while_away_is_announced(told: Told) -> None:
    told.made.write(anomaly("binary_sensor.door", "activity_while_away", hours=[3]))
    _away(told)
    assert told.deliver() == [(YESTERDAY, "binary_sensor.door")]


def test_a_muted_finding_is_announced_once_it_is_no_longer_muted(told: Told) -> None:
    told.made.write(anomaly(muted="guests"))
    assert told.deliver() == []
    told.made.write(anomaly())
    assert told.deliver() == [(YESTERDAY, "light.hall")]


def test_a_renamed_entity_is_not_announced_again(told: Told) -> None:
    told.made.write(anomaly())
    told.deliver()
    with told.made.home.open_ledger() as ledger:
        ledger.record_names({"light.hall": "key"})
        ledger.record_names({"light.entrance": "key"})
    told.made.write(anomaly("light.entrance"))
    assert told.deliver() == []
