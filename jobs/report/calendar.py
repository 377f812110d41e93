"""What was unusual, and on which days: a calendar, and one sentence for each thing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from jobs.names import Names
from jobs.report.stored_rows import StoredRows
from jobs.sentences.days import DayWord, word_of_day
from jobs.sentences.groups import Story, stories
from storage.dates import ONE_DAY, DateRange, Day
from storage.query import AnomalyDaily, DetectorRunDaily, Severity

ANOMALY: Final = "anomaly"  # the detector
MAX_ITEMS: Final = 60  # beyond them, only counted

NOT_COMPUTED: Final = "not computed"

_SEVERITIES: Final = tuple(Severity)
_NOT_JUDGED: Final = (DayWord.NOT_JUDGED, NOT_COMPUTED)


class DayCell(NamedTuple):
    """A day of the calendar.

    Attributes:
        day: The day.
        month: Its month where it is the first day of it, or of the report; else empty.
        label: What it was like, in one word, or "not computed"; empty outside of the report.
        unusual: How many things were unusual, without muted ones.
        item: The number of the first of these among the items, from 1; 0 if none is shown.
    """

    day: Day
    month: str
    label: str
    unusual: int
    item: int


class Item(NamedTuple):
    """Something unusual, on one day or on several days in a row.

    Attributes:
        days: These days.
        sentence: What happened, as of the last of them.
        severity: The highest of these days.
    """

    days: DateRange
    sentence: str
    severity: Severity


class Unusual(NamedTuple):
    """What was unusual.

    Attributes:
        weeks: The calendar: weeks from Monday to Sunday.
        items: What was unusual, the newest first, of one day the most severe first.
        muted: The same that is muted.
        left_out: How many more there were.
    """

    weeks: list[list[DayCell]]
    items: list[Item]
    muted: list[Item]
    left_out: int

    @property
    def days(self) -> Counter[str]:
        """How many days were like that, by label."""
        return Counter(cell.label for week in self.weeks for cell in week if cell.label)

    @property
    def is_judged(self) -> bool:
        """Whether at least one day was judged."""
        return any(label not in _NOT_JUDGED for label in self.days)


def find_unusual(rows: StoredRows, names: Names, zone: ZoneInfo) -> Unusual:
    """Return the calendar and what was unusual."""
    anomalies: defaultdict[Day, list[AnomalyDaily]] = defaultdict(list)
    for row in rows.of(AnomalyDaily):
        anomalies[row.date].append(row)
    runs = rows.runs(ANOMALY)
    by_day = {day: stories(anomalies[day], zone, rows, names) for day in sorted(anomalies)}
    counts = {day: sum(not story.is_muted for story in found) for day, found in by_day.items()}
    computed = {run.date for run in rows.of(DetectorRunDaily)}
    labels = {
        day: str(word_of_day(anomalies[day], runs.get(day))) if day in computed else NOT_COMPUTED for day in rows.days
    }
    monday, sunday = DateRange.week_of(rows.days.first).first, DateRange.week_of(rows.days.last).last
    found = [story for of_day in by_day.values() for story in of_day]
    items, muted = (_items(story for story in found if story.is_muted is state) for state in (False, True))
    item_of = {day: number for number, item in reversed([*enumerate(items[:MAX_ITEMS], 1)]) for day in item.days}
    months = {day: f"{day:%B}" for day in rows.days if day.day == 1 or day == rows.days.first}
    cells = [
        DayCell(day, months.get(day, ""), labels.get(day, ""), counts.get(day, 0), item_of.get(day, 0))
        for day in DateRange(monday, sunday)
    ]
    weeks = [cells[at : at + 7] for at in range(0, len(cells), 7)]
    left_out = max(0, len(items) - MAX_ITEMS) + max(0, len(muted) - MAX_ITEMS)
    return Unusual(weeks, items[:MAX_ITEMS], muted[:MAX_ITEMS], left_out)


def _items(found: Iterable[Story]) -> list[Item]:
    """Return stories as items; the same story on the next day, such as a silence that goes on, is not a new one."""
    items: list[Item] = []
    latest: dict[frozenset[tuple[str, str]], int] = {}
    for story in found:
        day = story.rows[0].date
        about = frozenset((row.entity_id, row.anomaly_type) for row in story.rows)
        at = latest.get(about)
        if at is not None and day - items[at].days.last == ONE_DAY:
            severity = max(items[at].severity, story.severity, key=_SEVERITIES.index)
            items[at] = Item(DateRange(items[at].days.first, day), story.sentence, severity)
        else:
            latest[about] = len(items)
            items.append(Item(DateRange(day, day), story.sentence, story.severity))
    return sorted(items, key=lambda item: (-item.days.last.toordinal(), -_SEVERITIES.index(item.severity)))


def stretches(days: Iterable[Day]) -> list[DateRange]:
    """Return days as ranges without gaps, ascending."""
    found: list[DateRange] = []
    for day in sorted(set(days)):
        if found and day - found[-1].last == ONE_DAY:
            found[-1] = DateRange(found[-1].first, day)
        else:
            found.append(DateRange(day, day))
    return found
