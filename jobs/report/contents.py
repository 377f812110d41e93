"""Everything that the report of a range of days shows."""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

from jobs.names import Names
from jobs.report.calendar import NOT_COMPUTED, Unusual, find_unusual
from jobs.report.changes import Changes, find_changes
from jobs.report.gaps import Gap, find_gaps, span_in_words
from jobs.report.relations import Relations, find_relations
from jobs.report.rhythm import Rhythms, find_rhythms
from jobs.report.stored_rows import StoredRows
from jobs.report.usage import Usage, find_usage
from jobs.report.weeks import Weeks, find_weeks
from jobs.sentences.days import DayWord
from jobs.sentences.wording import length, listed
from storage.dates import DateRange
from storage.models import Severity
from storage.plurals import counted
from storage.query import AggregateQuery


class Glance(NamedTuple):
    """One line of the summary, and the section that has more of it."""

    text: str
    section: str


class Contents(NamedTuple):
    """What the report shows, section by section."""

    title: str
    glances: list[Glance]
    unusual: Unusual
    rhythms: Rhythms
    usage: list[Usage]
    relations: Relations
    changes: Changes
    weeks: Weeks
    gaps: list[Gap]


def find_contents(aggregates: AggregateQuery, rows: StoredRows, names: Names, zone: ZoneInfo) -> Contents:
    """Return what the report of some days shows.

    Args:
        aggregates: The stored aggregates.
        rows: The rows of these days.
        names: What people call entities and areas.
        zone: The zone of the home.

    Raises:
        StoreUnavailable: The store cannot be reached now.
        StoreCorrupt: A row does not satisfy its model.
    """
    names = rows.named(names)
    unusual = find_unusual(rows, names, zone)
    usage = find_usage(rows, names)
    changes = find_changes(rows, names)
    gaps = find_gaps(aggregates, rows)
    return Contents(
        title=period_in_words(rows.days),
        glances=[
            *_days(unusual, gaps),
            *_most_severe(unusual),
            *_changed(changes),
            *_wasted(usage),
            *_missing(gaps, unusual),
        ],
        unusual=unusual,
        rhythms=find_rhythms(rows, names),
        usage=usage,
        relations=find_relations(rows, names),
        changes=changes,
        weeks=find_weeks(rows, names),
        gaps=gaps,
    )


def period_in_words(days: DateRange) -> str:
    """Return a range of days in words, with the year.

    >>> period_in_words(DateRange.parse("2026-11-02", "2026-11-29")), period_in_words(DateRange.parse("2026-11-02"))
    ('2 to 29 November 2026', '2 November 2026')
    """
    if days.first.year != days.last.year:
        return f"{days.first:%-d %B %Y} to {days.last:%-d %B %Y}"
    return f"{span_in_words(days)} {days.last.year}"


def _days(unusual: Unusual, gaps: list[Gap]) -> list[Glance]:
    days = unusual.days
    total = days.total()
    if not unusual.is_judged:
        which = "The day was not judged" if total == 1 else f"None of the {total} days was judged"
        why = next((f": {gap.why}" for gap in reversed(gaps) if gap.is_judgement and gap.why), "")
        return [Glance(f"{which}, so what was unusual is not known{why}.", "gaps")]
    if len(days) == 1:
        which = "The day was" if total == 1 else f"All {total} days were"
        return [Glance(f"{which} {next(iter(days))}.", "unusual")]
    (first, number), *rest = ((label, days[label]) for label in (*DayWord, NOT_COMPUTED) if label in days)
    named = [f"{number} {'was' if number == 1 else 'were'} {first}", *(f"{some} {label}" for label, some in rest)]
    return [Glance(f"Of {total} days, {listed(named, most=len(named))}.", "unusual")]


def _most_severe(unusual: Unusual) -> list[Glance]:
    if not unusual.items:
        return []
    worst = max(unusual.items, key=lambda item: tuple(Severity).index(item.severity))
    return [Glance(f"Most unusual, {span_in_words(worst.days)}: {worst.sentence}.", "unusual")]


def _changed(changes: Changes) -> list[Glance]:
    if changes.not_tested:
        return []
    if not changes.found:
        return [Glance("Nothing changed for certain against the four weeks before.", "changes")]
    first = changes.found[0]
    more = len(changes.found) - 1 + changes.left_out
    also = f", and {counted(more, 'other device')} changed too" if more else ""
    now = f"{first.after}, " if first.factor else ""
    return [Glance(f"Changed: {first.name} {first.sentence} ({now}{first.before} before){also}.", "changes")]


def _wasted(usage: list[Usage]) -> list[Glance]:
    wasted = [one for one in usage if one.is_waste]
    if not wasted:
        return []
    worst = max(wasted, key=lambda one: one.wasted_seconds or 0.0)
    text = f"{worst.name} was {worst.state} for {length(worst.wasted_seconds or 0.0)} a day with nobody around."
    return [Glance(text, "usage")]


def _missing(gaps: list[Gap], unusual: Unusual) -> list[Glance]:
    """Return the gap of the most days; that no day at all was judged is the first line already."""
    others = [gap for gap in gaps if unusual.is_judged or not gap.is_judgement]
    if not others:
        return []
    worst = max(others, key=lambda gap: gap.day_count)
    return [Glance(f"{worst.what}: {worst.days}.", "gaps")]
