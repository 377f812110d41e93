"""The newest week of the report: habits by their trend, drifts, and how regular the home and its rooms are."""

from __future__ import annotations

import datetime as dt
from typing import Final, NamedTuple

from jobs.names import Names
from jobs.report.gaps import span_in_words
from jobs.report.stored_rows import StoredRows
from jobs.sentences.rollups import sentence_of_drift, sentence_of_habit
from storage.dates import ONE_DAY, DateRange
from storage.periods import period_around
from storage.query import DetectorRunDaily, DriftWeekly, HabitWeekly, RoutineWeekly

MAX_HABITS: Final = 10  # of each trend
MAX_DRIFTS: Final = 20
MAX_ROOMS: Final = 12

_COMPARED_WEEKS: Final = 4
_ROLLUPS: Final = ("habit_weekly", "drift_weekly", "routine_weekly")
_TRENDS: Final = (
    ("new", "New"),
    ("lost", "No longer"),
    ("fading", "Less often than before"),
    ("steady", "As before"),
    (None, "With too few weeks before to compare"),
)


class Habits(NamedTuple):
    """Habits of one trend, the strongest first; ``left_out`` counts those that are not shown."""

    title: str
    sentences: list[str]
    left_out: int


class Regularity(NamedTuple):
    """How regular the home or a room was in the week, and on average in the four weeks before, where that is known."""

    name: str
    now: float
    before: float | None


class Weeks(NamedTuple):
    """What the newest week shows; ``week`` is in words, empty if none of the report's days ends a computed week."""

    week: str
    habits: list[Habits]
    drifts: list[str]
    drifts_left_out: int
    regularity: list[Regularity]
    reasons: list[str]


def find_weeks(rows: StoredRows, names: Names) -> Weeks:
    """Return what the newest week that ends within the report shows."""
    runs = [run for run in rows.of(DetectorRunDaily) if run.detector in _ROLLUPS]
    if not runs:
        return Weeks("", [], [], 0, [], [])
    sunday = max(run.date for run in runs)
    drifts = sorted(rows.of(DriftWeekly, DateRange(sunday, sunday)), key=lambda row: (-row.score, row.entity_id))
    return Weeks(
        week=span_in_words(period_around("weekly", sunday)),
        habits=_habits(rows, names, sunday),
        drifts=[sentence_of_drift(row, names) for row in drifts[:MAX_DRIFTS]],
        drifts_left_out=max(0, len(drifts) - MAX_DRIFTS),
        regularity=_regularity(rows, names, sunday),
        reasons=[run.reason for run in runs if run.date == sunday and run.reason.startswith("not judged")],
    )


def _habits(rows: StoredRows, names: Names, sunday: dt.date) -> list[Habits]:
    found = sorted(
        rows.of(HabitWeekly, DateRange(sunday, sunday)),
        key=lambda row: (-row.strength_low, -row.days_seen, row.kind, row.habit),
    )
    groups = []
    for trend, title in _TRENDS:
        sentences = [sentence_of_habit(row, names) for row in found if row.trend == trend]
        if sentences:
            groups.append(Habits(title, sentences[:MAX_HABITS], max(0, len(sentences) - MAX_HABITS)))
    return groups


def _regularity(rows: StoredRows, names: Names, sunday: dt.date) -> list[Regularity]:
    """Return the regularity of the home first, then of its rooms, the most active first."""
    before: dict[tuple[str, ...], list[float]] = {}
    for row in rows.of(RoutineWeekly, DateRange.ending(sunday - ONE_DAY, 7 * _COMPARED_WEEKS)):
        if row.scope != "entity" and row.regularity_index is not None:
            before.setdefault(row.key(), []).append(row.regularity_index)
    now = [
        row
        for row in rows.of(RoutineWeekly, DateRange(sunday, sunday))
        if row.scope != "entity" and row.regularity_index is not None
    ]
    now.sort(key=lambda row: (row.scope != "home", -(row.bouts_per_day or 0.0), row.subject))
    return [
        Regularity(
            "The home" if row.scope == "home" else names.area(row.subject),
            row.regularity_index or 0.0,
            sum(earlier) / len(earlier) if (earlier := before.get(row.key())) else None,
        )
        for row in now[:MAX_ROOMS]
    ]
