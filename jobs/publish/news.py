"""The news: a day in one word, and what was unusual on it as stories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from jobs.household import Household
from jobs.names import NO_NAMES, Names
from jobs.sentences.days import DayWord, word_of_day
from jobs.sentences.groups import Story, stories
from storage.dates import DateRange, Day
from storage.ledger.announcements import AnomalyKey
from storage.models import AnomalyDaily, DetectorRunDaily
from storage.store import AggregateReader

JUDGE = "anomaly"  # the detector that finds what is unusual
WHILE_AWAY = "activity_while_away"


@dataclass(frozen=True)
class DayNews:
    """The news of a day.

    Attributes:
        day: The day.
        word: What it was like.
        stories: What was unusual, without what is muted, the most severe first.
    """

    day: Day
    word: DayWord
    stories: tuple[Story, ...]


@dataclass(frozen=True)
class News:
    """The news after a run.

    Attributes:
        newest: The newest day that was judged; None if none was yet.
        waiting: Days with the stories that wait, the oldest first.
        may_send: Whether a message may be sent: none was sent today.
        is_first: Whether nothing was delivered over this channel so far.
    """

    newest: DayNews | None
    waiting: tuple[DayNews, ...] = ()
    may_send: bool = True
    is_first: bool = False

    @property
    def waiting_stories(self) -> list[Story]:
        """The stories that wait, those of the oldest day first."""
        return [story for day in self.waiting for story in day.stories]


def keys_of(story: Story) -> list[AnomalyKey]:
    """Return the identities of a story's rows."""
    return [AnomalyKey(row.date, row.entity_id, row.anomaly_type) for row in story.rows]


def rows_to_announce(rows: Iterable[AnomalyDaily], household: Household) -> list[AnomalyDaily]:
    """Return the rows that are not muted, nor explained by a day away.

    A stored row is marked as muted only when its day is judged again. So what people have muted or entered as a day
    away since then is left out here.
    """
    return [
        row
        for row in rows
        if row.muted is None
        and household.mute_of(row.entity_id, row.anomaly_type, row.date) is None
        and (row.anomaly_type == WHILE_AWAY or not _is_entered_as_away(row.date, household))
    ]


def _is_entered_as_away(day: Day, household: Household) -> bool:
    away = household.away_on(day)
    return away is not None and away.origin == "entered"


def read_news(
    day: Day, reader: AggregateReader, household: Household, zone: ZoneInfo, names: Names = NO_NAMES
) -> DayNews:
    """Return the news of a day.

    Args:
        day: The day.
        reader: Stored rows; also those that say what is usual.
        household: What is muted, and when nobody is home.
        zone: The zone of the home.
        names: How entities are called.
    """
    only = DateRange(day, day)
    rows = rows_to_announce(reader.read(AnomalyDaily, only), household)
    runs = reader.read(DetectorRunDaily, only, {"detector": JUDGE})
    return DayNews(day, word_of_day(rows, runs[0] if runs else None), tuple(stories(rows, zone, reader, names)))
