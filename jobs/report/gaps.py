"""What is missing from the report or was not judged, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from jobs.report.calendar import ANOMALY, stretches
from jobs.report.stored_rows import StoredRows
from jobs.sentences.days import NOT_JUDGED
from jobs.sentences.wording import length, listed
from storage.dates import DateRange, Day
from storage.plurals import counted
from storage.query import AggregateQuery, DetectorRunDaily, State

MIN_UNKNOWN_SECONDS: Final = 5 * 60  # of a day, to be listed

_MAX_DETECTORS_NAMED: Final = 7
_MAX_STRETCHES: Final = 4


class Gap(NamedTuple):
    """Something that is missing.

    Attributes:
        days: On which days, in words.
        day_count: How many days these are.
        what: What is missing.
        why: The reason; empty if none is known here.
        is_judgement: Whether these days were computed, but not judged.
    """

    days: str
    day_count: int
    what: str
    why: str
    is_judgement: bool = False


def find_gaps(aggregates: AggregateQuery, rows: StoredRows) -> list[Gap]:
    """Return what is missing: days that were not computed, detectors without a result, days that were not judged."""
    return [*_not_computed(aggregates, rows), *_not_judged(rows), *_not_known(rows)]


def _not_computed(aggregates: AggregateQuery, rows: StoredRows) -> list[Gap]:
    missing: defaultdict[Day, set[str]] = defaultdict(set)
    for one in aggregates.completeness(rows.days):
        if one.state is State.MISSING and one.detector in rows.detectors:
            missing[one.day].add(one.detector)
    by_detectors: defaultdict[tuple[str, ...], list[Day]] = defaultdict(list)
    for day, of_day in missing.items():
        by_detectors[tuple(sorted(of_day))].append(day)
    gaps = []
    for detectors, days in sorted(by_detectors.items(), key=lambda item: (-len(item[0]), item[1])):
        everything = len(detectors) == len(set(rows.detectors))
        what = "Nothing was computed" if everything else f"No result of {listed(detectors, most=_MAX_DETECTORS_NAMED)}"
        first, last = min(days), max(days)
        gaps.append(Gap(in_words(days), len(days), what, f"`pattern-aggregates status {first} {last}` shows why"))
    return gaps


def _not_judged(rows: StoredRows) -> list[Gap]:
    by_reason: defaultdict[str, list[DetectorRunDaily]] = defaultdict(list)
    for run in rows.runs(ANOMALY).values():
        if run.reason.startswith(NOT_JUDGED):
            by_reason["".join(letter for letter in run.reason if not letter.isdigit())].append(run)
    return [
        Gap(
            in_words(run.date for run in runs),
            len(runs),
            "Not judged whether anything was unusual",
            runs[-1].reason.removeprefix(NOT_JUDGED).lstrip(": "),
            is_judgement=True,
        )
        for runs in by_reason.values()
    ]


def _not_known(rows: StoredRows) -> list[Gap]:
    unknown: dict[Day, float] = {}
    for run in rows.of(DetectorRunDaily):
        seconds = run.day_seconds - run.known_seconds
        if seconds >= MIN_UNKNOWN_SECONDS and run.detector in rows.detectors and run.detector != ANOMALY:
            unknown[run.date] = max(unknown.get(run.date, 0.0), seconds)
    if not unknown:
        return []
    total = counted(len(unknown), "day")
    most = max(unknown, key=lambda day: (unknown[day], day))
    why = "nothing was recorded then, so what happened is not known and counts as neither use nor silence"
    what = f"{length(unknown[most])} were not recorded"
    if len(unknown) > 1:
        all_days = length(sum(unknown.values()))
        what = f"{all_days} of {total} were not recorded, {length(unknown[most])} of them on {most:%-d %B}"
    return [Gap(in_words(unknown), len(unknown), what, why)]


def in_words(days: Iterable[Day]) -> str:
    """Return days in words, such as "3 to 5 November and 9 November"; many stretches are only counted."""
    found = stretches(days)
    if len(found) > _MAX_STRETCHES:
        total = sum(map(len, found))
        return f"{counted(total, 'day')} between {found[0].first:%-d %B} and {found[-1].last:%-d %B}"
    return listed([span_in_words(one) for one in found], most=_MAX_STRETCHES)


def span_in_words(days: DateRange) -> str:
    """Return a range of days in words, without the year."""
    first, last = days.first, days.last
    if first == last:
        return f"{first:%-d %B}"
    return f"{first:%-d} to {last:%-d %B}" if first.month == last.month else f"{first:%-d %B} to {last:%-d %B}"
