"""Which entities are used more or less often since some day of the last two weeks: slow changes, week by week.

The bouts of each entity on up to 90 complete days are searched for a change of level that began 4 to 14 days ago
(``jobs.rollups._level_shift``). Days away, and days on which the whole home was quiet (under half of the usual share of
entities acted), say nothing about one entity and are left out; so are the days before its first row. It takes 21 days
before the change. A change is reported if its score is one that chance reaches in this home, with all of its entities,
at most about once a quarter (``max_false_alarms_a_quarter``). One that lasts is reported in up to two weeks that
follow each other, and is then what is usual.

Two weeks of an entity that is used eight times a day are 112 uses, give or take 11 by chance: a change by half stands
out, one by a fifth does not, whatever the method. Of what is used more regularly, smaller changes are found
(docs/rollups.md has the shares that are found, and that could be).

A worked example: a lamp that was used 8 times a day is used 16 times a day since a Monday.

>>> from storage.backends.memory import MemoryStore
>>> from storage.query import DateRange, DetectorRunDaily, TimeBasedDaily
>>> rows = []
>>> for day in DateRange.parse("2026-03-02", "2026-04-26"):
...     bouts = 16 if str(day) >= "2026-04-13" else 8
...     rows.append(DetectorRunDaily(date=day, detector="time_based", version=1, rows=1, events=bouts,
...         day_seconds=86400, known_seconds=86400, reason="", computed_at="2026-05-01T00:00:00Z"))
...     rows.append(TimeBasedDaily(date=day, entity_id="light.lamp", domain="light", peak_hours=[], frequency=0.1,
...         hourly_distribution=[0] * 20 + [bouts, 0, 0, 0], confidence=0, occurrences=bouts, bouts=bouts))
>>> (row,), reason = DriftWeekly().judge(DateRange.parse("2026-04-26").last, MemoryStore(rows))
>>> row.entity_id, str(row.changed_on), row.before, row.after
('light.lamp', '2026-04-13', 8.0, 16.0)
>>> reason
'1 entity on 56 complete days of 90 tested; 1 drift'
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy as np
from pydantic import Field

from jobs.activity.events import Flags
from jobs.detector import Evidence, Finding, NotJudged, detector, left_out
from jobs.household import NO_HOUSEHOLD, Household
from jobs.rollups._days import bouts_of, complete_days, rows_of_entities
from jobs.rollups._level_shift import MIN_DAYS_AFTER, MIN_DAYS_BEFORE, find_shifts, threshold
from jobs.statistics.arrays import Floats
from storage.periods import Cadence
from storage.plurals import counted
from storage.query import AggregateQuery, AggregateReader, DailyAggregate, DateRange, TimeBasedDaily
from storage.query import DriftWeekly as Row

_WEEKS_A_QUARTER: Final = 13
_SATURDAY: Final = 5
_QUIET_SHARE: Final = 0.5  # of the usual share of active entities, as for anomaly
_USUAL_QUANTILE: Final = 0.8
_DIGITS: Final = 4


@detector
@dataclass(frozen=True)
class DriftWeekly:
    """The ``drift_weekly`` rollup.

    Attributes:
        min_known_share: The share of a day that must be known for the day to be complete.
        max_false_alarms_a_quarter: How many drifts of the whole home are expected by chance in a quarter.
        max_rows: How many drifts are reported at most: those with the highest scores.
    """

    name: ClassVar = "drift_weekly"
    version: ClassVar = 3
    model: ClassVar = Row
    cadence: ClassVar[Cadence] = "weekly"
    history_days: ClassVar = 90
    household_days: ClassVar = 90
    reads: ClassVar[tuple[type[DailyAggregate], ...]] = (TimeBasedDaily,)

    min_known_share: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_false_alarms_a_quarter: Annotated[float, Field(gt=0, le=100)] = 0.8
    max_rows: Annotated[int, Field(ge=1, le=10_000)] = 100

    def judge(self, day: dt.date, history: AggregateReader, household: Household = NO_HOUSEHOLD) -> Finding:
        """Return the drifts of the week that ends with a day."""
        aggregates = AggregateQuery(history)
        reached = DateRange.ending(day, self.history_days)
        complete = complete_days(aggregates, TimeBasedDaily, reached, self.min_known_share)
        days = [one for one in complete if household.away_on(one) is None]
        ids, bouts = _bouts(aggregates, days)
        is_quiet = _quiet(bouts)
        days, bouts = [one for one, quiet in zip(days, is_quiet, strict=True) if not quiet], bouts[~is_quiet]
        days_ago = np.array([(day - one).days for one in days], np.int64)
        if len(days) < MIN_DAYS_BEFORE + MIN_DAYS_AFTER:
            needed = MIN_DAYS_BEFORE + MIN_DAYS_AFTER
            return NotJudged([], f"not judged: {len(days)} of the {needed} complete days that are needed")
        exists = np.cumsum(bouts, axis=0) > 0
        weekend = np.array([one.weekday() >= _SATURDAY for one in days], np.bool_)
        shifts = find_shifts(bouts, exists, weekend, days_ago)
        limit = threshold(self.max_false_alarms_a_quarter / _WEEKS_A_QUARTER, len(ids))
        found = [place for place in np.argsort(-shifts.score, kind="stable").tolist() if shifts.score[place] >= limit]
        rows = [
            Row(
                date=day,
                entity_id=ids[place],
                changed_on=days[int(shifts.first[place])],
                before=round(float(shifts.before[place]), _DIGITS),
                after=round(float(shifts.after[place]), _DIGITS),
                score=round(float(shifts.score[place]), _DIGITS),
                threshold=round(limit, _DIGITS),
            )
            for place in found[: self.max_rows]
        ]
        rows.sort(key=lambda row: row.entity_id)
        tested = f"{counted(len(ids), 'entity', 'entities')} on {len(days)} complete days of {len(reached)} tested"
        drifts = counted(len(found), "drift") if found else "no drift"
        notes = left_out(len(complete) - len(days), "day away or quiet", "days away or quiet")
        notes += left_out(len(found) - len(rows), "weaker drift", "weaker drifts")
        return Finding(rows, "; ".join((tested, drifts, *notes)))

    def explain_by_history(self, row: Row, history: AggregateReader) -> Evidence:
        """Return the mean bouts of each week, and the evidence for the change."""
        aggregates = AggregateQuery(history)
        reached = DateRange.ending(row.date, self.history_days)
        days = complete_days(aggregates, TimeBasedDaily, reached, self.min_known_share)
        ids, bouts = _bouts(aggregates, days, entity_id=row.entity_id)
        lines: list[tuple[str | int | float, ...]] = []
        for monday in sorted({DateRange.week_of(one).first for one in days}):
            places = [place for place, one in enumerate(days) if DateRange.week_of(one).first == monday]
            mean = float(bouts[places].mean()) if ids else 0.0
            lines.append((str(monday), len(places), round(mean, 2)))
        limit = (
            ""
            if row.threshold is None
            else f"; chance alone reaches {row.threshold:.1f} in this home about once a quarter"
        )
        note = f"{row.before:g} a day before {row.changed_on}, {row.after:g} since; score {row.score:.1f}{limit}"
        return Evidence(("week from", "complete days", "bouts a day"), lines, (note,))


def _bouts(
    aggregates: AggregateQuery, days: Sequence[dt.date], **tags: str | Collection[str]
) -> tuple[list[str], Floats]:
    """Return the entities, ascending, and their bouts, shape (days, entities); 0 where a day has no row."""
    fields = ("date", "entity_id", "occurrences", "bouts")
    rows = rows_of_entities(aggregates, TimeBasedDaily, days, fields, **tags)
    bouts = np.zeros((len(days), len(rows.ids)))
    bouts[rows.day, rows.entity] = bouts_of(rows)
    return rows.ids, bouts


def _quiet(bouts: Floats) -> Flags:
    """Return which days the whole home was quiet, shape (days,)."""
    if not bouts.size:
        return np.zeros(len(bouts), np.bool_)
    exists = np.maximum((np.cumsum(bouts, axis=0) > 0).sum(axis=1), 1)
    share = np.count_nonzero(bouts, axis=1) / exists
    quiet: Flags = share < _QUIET_SHARE * np.quantile(share, _USUAL_QUANTILE)
    return quiet
