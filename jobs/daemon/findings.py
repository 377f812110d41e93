"""What the newest days had that was unusual, for the daemon's page: read between the runs, beside no request."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from contextlib import closing
from typing import Final, NamedTuple

from jobs.household import Away
from jobs.names import NO_NAMES, Names
from jobs.sentences.days import DayWord, word_of_day
from jobs.sentences.groups import Story, stories
from jobs.wiring import Home
from storage.dates import ONE_DAY, DateRange
from storage.errors import PatternAggregatesError
from storage.models import AnomalyDaily, DetectorRunDaily

DAYS: Final = 7


class DayFindings(NamedTuple):
    """What was unusual on a day.

    Attributes:
        day: The day.
        word: What it was like, in one word.
        reason: What the detector reports of the day, such as why it was not judged; empty if it did not run.
        stories: What was unusual, the most severe first and muted ones last.
    """

    day: dt.date
    word: DayWord
    reason: str
    stories: tuple[Story, ...]


class Findings(NamedTuple):
    """What the newest days had that was unusual.

    Attributes:
        days: The newest days, the newest first.
        names: What people call entities.
        calendar_away: Days away of the calendar.
        problem: Why this is not known, or not all of it; empty if it is.
    """

    days: tuple[DayFindings, ...] = ()
    names: Names = NO_NAMES
    calendar_away: tuple[Away, ...] = ()
    problem: str = ""

    @property
    def muteable(self) -> list[tuple[str, str]]:
        """Each entity and type of anomaly that is not muted, in order."""
        rows = (row for day in self.days for story in day.stories for row in story.rows)
        return sorted({(row.entity_id, row.anomaly_type) for row in rows if row.muted is None})


NO_FINDINGS: Final = Findings()


def read_findings(home: Home) -> Findings:
    """Return what is stored of the newest days; whatever cannot be read is a problem, not an error.

    Args:
        home: The home; its names are those of the time at which they are first used.
    """
    days = DateRange(home.yesterday() - (DAYS - 1) * ONE_DAY, home.yesterday())
    try:
        with closing(home.open_reader()) as store:
            runs = {run.date: run for run in store.read(DetectorRunDaily, days, {"detector": "anomaly"})}
            by_day: defaultdict[dt.date, list[AnomalyDaily]] = defaultdict(list)
            for row in store.read(AnomalyDaily, days):
                by_day[row.date].append(row)
            found = [
                DayFindings(
                    day,
                    word_of_day(by_day[day], runs.get(day)),
                    runs[day].reason if day in runs else "",
                    tuple(stories(by_day[day], home.zone, store, home.names)),
                )
                for day in sorted(days, reverse=True)
            ]
        with home.open_ledger(read_only=True) as ledger:
            household = home.read_household(ledger)
    except PatternAggregatesError as error:
        return Findings(problem=f"{error}. {error.hint}".strip())
    away = tuple(one for one in household.away if one.origin == "calendar")
    return Findings(tuple(found), home.names, away, "; ".join(household.notices))
