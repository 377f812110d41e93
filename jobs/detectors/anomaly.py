"""Which entities behaved unlike their own past: one row for each entity and type of anomaly.

A day is compared with the 28 days before it, never with itself, by the stored rows of ``time_based``, ``duration`` and
``active_time``. Only complete days count (known to at least 95 %), and it takes 14 of them. An entity's baseline begins
with its first row; from then on, a complete day without a row is a day of 0 bouts. On some days the whole home is quiet
(under half of the usual entities are active). They say nothing about a single entity: they are left out of the
baseline, and no ``count_low`` is reported on them.

* ``count_high``: more bouts than expected. The expected count is the mean (Σ + ½) / n of the days of the same type
  (weekday or weekend; of all days where fewer than 4 are of the same type), times how busy the day is by the other
  entities. Outliers are left out of the mean: days further than 5 · max(1.48 · MAD, √median, 1) from the median, unless
  these are more than 15 %. The p-value is the negative binomial upper tail with the variance of a new observation,
  (mean + mean² / size) · (1 + 1 / n), averaged over the sizes that fit this entity and the home's others
  (``jobs.statistics.dispersion``).
* ``count_low``, on a day with bouts: fewer bouts than expected, by the lower tail; but p is never smaller than the
  share of baseline days that were as low, (r + ½) / (n + 1) for r of n days.
* ``count_low``, on a silent day: how likely the silence is that has lasted until this day. One part is the chance that
  all bouts fell on the other days and none on the silent ones, by type of day and averaged over the same sizes; from
  the second silent day on, it is multiplied by s for each day where silent days have followed silent days s times as
  often as expected. The other part covers what no size explains: (r + ½) / (n + 1), with r the silent days beyond the
  expected ones, times the share of silent days that were followed by another (or this rate, if larger) for each further
  day. So a single silent day proves nothing. The baseline ends where the silence begins. A silence that was already as
  unusual three days earlier is the new normal and is not reported any more. What is on all day is not silent, so it is
  not tested.
* ``long_duration``: the longest episode that ended on the day is longer than chance explains. The tail of the lengths
  is learnt from the longest episode of each baseline day, and from the home's other entities
  (``jobs.statistics.long_tails``); p is the chance that the longest of the day's n episodes is at least as long.
* ``still_active``: the same for an episode that goes on when the day ends, by its length so far. One that was already
  as unusual three days earlier is the new normal: it is not reported any more, nor is its end.
* ``unusual_hour``: the entity acted, with two changes or more, in an hour in which, and beside which, it never did on a
  baseline day, and in which the home is quiet: its entities act there less than a tenth as often as in a mean hour
  (which needs 10 uses in the baseline; entities that act at all hours, such as a refrigerator, do not count). One
  entity with 28 quiet nights proves nothing, but a home does: each baseline day is judged in the same way by the other
  days. It must have been so on at most 2 days for an entity of the same class (device class, else domain) and on at
  most 4 for any entity; on at most 1 if the entity has acted two hours before or after that hour. Hours in which more
  than 4 entities act, a quarter of those of a mean hour, or 4 more of all than usual are not quiet on that day, nor are
  those beside them, nor those beside an hour of the waking day in which 3 act: somebody is up. For the same reason,
  nothing is reported where more than 5 acted in such hours.
  The adjusted p is (k + ½) / (n + 1), with k of n days.

An episode is reported only if it lasts 20 minutes or more and is at least 1.5 times as long as the longest of the
baseline. Entities need 7 days with a finished episode and 10 episodes. How long persons stay at home is not
judged, so ``person`` and ``device_tracker`` are left out.

Tests of counts that could be rejected at all are corrected together, at a false discovery rate of 3 % (Benjamini and
Hochberg). The silence of an entity that was active the day before cannot be rejected, so it does not count. For the
two types of lengths, the adjusted p is how many entities of this home are as surprising on a day by chance: the larger
of what the model says (p times the tests) and of what the baseline days show, each judged by the other days
(``jobs.statistics.home_rates``). So a home in which lengths are wilder than the model thinks has no more false alarms.
Up to two earlier anomalies in the baseline do not count in this.
At most 0.25 false alarms a week are accepted for each of the two.

``anomaly_score`` is min(1, -log10(adjusted p) / 12), ``severity`` follows the adjusted p (``Severity``),
``baseline_deviation`` is the number of standard deviations of a new observation from the expected value (of lengths:
on the logarithmic scale), and ``occurrences`` the day's bouts (of lengths: episodes). A day that cannot be compared
gives ``NotJudged`` with a reason; what is stored for it stays.

A worked example: a lamp with 8 bouts a day for four weeks, and then 30.

>>> from storage.backends.memory import MemoryStore
>>> from storage.dates import DateRange
>>> last, rows = DateRange.parse("2026-03-02", "2026-03-30").last, []
>>> for day in DateRange.ending(last, 29):
...     bouts = 30 if day == last else 8
...     rows.append(DetectorRunDaily(date=day, detector="time_based", version=1, rows=1, events=2 * bouts,
...         known_seconds=86400, day_seconds=86400, reason="", computed_at="2026-04-01T00:00:00Z"))
...     rows.append(TimeBasedDaily(date=day, entity_id="light.lamp", domain="light", peak_hours=[], frequency=0.5,
...         hourly_distribution=[2 * bouts] + [0] * 23, confidence=0, occurrences=2 * bouts, bouts=bouts))
>>> counts = Anomaly(types=("count_high", "count_low"))
>>> (row,), reason = counts.judge(last, MemoryStore(rows))
>>> row.anomaly_type, row.occurrences, round(row.baseline_deviation, 1), str(row.severity), round(row.anomaly_score, 2)
('count_high', 30, 7.4, 'high', 0.61)
>>> reason
'1 entity compared with 28 complete days; 1 test; 1 anomaly'
>>> Anomaly().judge(DateRange.ending(last, 20).first, MemoryStore(rows)).reason
'not judged: the baseline has 9 of the 14 complete days that are needed'
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, NamedTuple

import numpy as np
from pydantic import Field

from jobs.detector import Evidence, Finding, NotJudged, detector, left_out
from jobs.detectors._absences import MAX_AWAY_DAYS, MIN_ABSENCE_DAYS, Absences, find_absences
from jobs.detectors._baseline import Baseline
from jobs.detectors._deviations import UNITS, Deviations, Surprises, corrected, count_high, count_low, with_enough_days
from jobs.detectors._groups import home_activity, silent_since, with_context
from jobs.detectors._judged_absence import absence_evidence, judge_absence
from jobs.detectors._long_episodes import LongEpisodes, episodes_of
from jobs.detectors._severity import score_of, severity_of
from jobs.detectors._stored_days import rows_by_week
from jobs.detectors._unusual_hours import unusual_hour
from jobs.household import NO_HOUSEHOLD, AnomalyType, Household
from storage.dates import DateRange, Day
from storage.models import (
    ActiveTimeDaily,
    AnomalyDaily,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    TimeBasedDaily,
)
from storage.plurals import counted
from storage.store import AggregateReader

_NOT_COMPUTED: Final = "time_based has not computed this day"
_NEEDED_BY: Final[Mapping[AnomalyType, str]] = {"long_duration": "duration", "still_active": "active_time"}
_NEEDED: Final = tuple(_NEEDED_BY.values())


class _ComparedDays(NamedTuple):
    """The days that a day is compared with, and that day itself.

    Attributes:
        days: From the first of them to the judged day.
        runs: The runs of the detectors whose rows are read, on these days.
        known: The share of each day that is known.
        complete: The days on which somebody was home and enough is known, ascending.
    """

    days: DateRange
    runs: Sequence[DetectorRunDaily]
    known: Mapping[Day, float]
    complete: list[Day]


@detector
@dataclass(frozen=True)
class Anomaly:
    """The ``anomaly`` detector.

    Attributes:
        types: The types of anomaly to look for.
        baseline_days: How many days back the baseline reaches.
        min_days: How many complete days it needs, of the home and of each entity.
        min_known_share: The share of a day that must be known for the day to be complete.
        false_discovery_rate: The share of the anomalies of the types of counts that may be due to chance.
        max_false_alarms_a_week: How many anomalies of each type of lengths are expected by chance at most.
    """

    name: ClassVar = "anomaly"
    version: ClassVar = 3
    model: ClassVar = AnomalyDaily

    types: tuple[AnomalyType, ...] = ("count_high", "count_low", "long_duration", "still_active", "unusual_hour")
    baseline_days: Annotated[int, Field(ge=7, le=366)] = 28
    min_days: Annotated[int, Field(ge=5, le=366)] = 14
    min_known_share: Annotated[float, Field(gt=0, le=1)] = 0.95
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.03
    max_false_alarms_a_week: Annotated[float, Field(gt=0, le=7)] = 0.25

    @property
    def household_days(self) -> int:
        """How far back the baseline reaches at most, the judged day included."""
        return self.baseline_days + 1 + MAX_AWAY_DAYS

    def judge(self, day: Day, history: AggregateReader, household: Household = NO_HOUSEHOLD) -> Finding:
        """Return the day's anomalies; see the module's docstring."""
        absences = self._absences(day, history, household)
        if day in absences.sources:
            run = history.read(DetectorRunDaily, DateRange(day, day), {"detector": "time_based"})
            return (
                judge_absence(day, absences, history, household)
                if run
                else NotJudged([], f"not judged: {_NOT_COMPUTED}")
            )
        if (away := absences.days_before(day)) >= MIN_ABSENCE_DAYS:
            return Finding([], f"not judged: the day of the return, after {away} days on which nobody was home")
        days, runs, known, complete = self._compared_days(day, absences, history)
        if problem := self._why_not_judged(day, known, complete):
            # With days away in the baseline, what is stored may have been judged without knowing of them: it has to go.
            return (Finding if absences.days else NotJudged)([], f"not judged: {problem}")
        baseline = Baseline(complete, rows_by_week(history, TimeBasedDaily, absences.looked_at))
        deviations = list(self._deviations(baseline, self.types, _in_use(history, day)))
        results, tests = corrected(deviations, self.false_discovery_rate)
        rows = [
            _row(day, baseline.ids[tested.entity[index]], tested, index, float(result.p[index]))
            for tested, result in zip(deviations, results, strict=True)
            for index in np.flatnonzero(result.reported).tolist()
        ]
        surprises: list[Surprises] = list(self._surprises(baseline, history, days, self.types))
        rows += [
            _row_of_surprise(day, baseline.ids[one.entity[index]], one, index)
            for one in surprises
            for index in np.flatnonzero(one.reported).tolist()
        ]
        rows.sort(key=lambda row: row.key())
        rows = with_context(
            rows,
            household,
            activity=home_activity(baseline, self.min_days),
            areas=_areas(history, days) if len(rows) > 1 else {},
            silent=silent_since(baseline, rows),
        )
        entities = with_enough_days(baseline.counted, self.min_days)
        tests += sum(len(one.entity) for one in surprises)
        reason = self._reason(baseline, len(complete) - 1, len(entities), tests, len(rows))
        notes = left_out(len(absences.days), "day on which nobody was home", "days on which nobody was home")
        silent = sum(result.left_out for result in results)
        notes += left_out(silent, "known silence", "known silences")
        computed = {run.detector for run in runs if run.date == day}
        return Finding(rows, "; ".join([reason, *notes, *_notes(surprises, computed)]))

    def _absences(self, day: Day, history: AggregateReader, household: Household) -> Absences:
        """Return the days on which nobody was home."""
        return find_absences(history, DateRange.ending(day, self.baseline_days + 1), household)

    def _compared_days(self, day: Day, absences: Absences, history: AggregateReader) -> _ComparedDays:
        """Return the days of the baseline and the judged day, and what is known of them."""
        home = absences.newest_others(DateRange.ending(day, self.household_days), self.baseline_days + 1)
        days = DateRange(home[0], day)
        runs = history.read(DetectorRunDaily, days, {"detector": ["time_based", *_NEEDED]})
        known = _known_shares(runs)
        return _ComparedDays(days, runs, known, [date for date in home if known.get(date, 0.0) >= self.min_known_share])

    def _why_not_judged(self, day: Day, known: Mapping[Day, float], complete: Sequence[Day]) -> str:
        """Return what keeps a day from being judged; empty if nothing does."""
        if day not in known:
            return _NOT_COMPUTED
        if known[day] < self.min_known_share:
            return f"only {known[day]:.0%} of the day is known, and {self.min_known_share:.0%} is needed"
        if len(complete) - 1 < self.min_days:
            return f"the baseline has {len(complete) - 1} of the {self.min_days} complete days that are needed"
        return ""

    def _reason(self, baseline: Baseline, days: int, entities: int, tests: int, anomalies: int) -> str:
        """Return what was compared and found, in words."""
        notes = [
            f"{counted(entities, 'entity', 'entities')} compared with {counted(days, 'complete day')}",
            counted(tests, "test"),
            counted(anomalies, "anomaly", "anomalies") if anomalies else "no anomaly",
        ]
        new, history = len(baseline.ids) - entities, f"with fewer than {self.min_days} days of history"
        notes += left_out(new, f"entity {history}", f"entities {history}")
        quiet, home = int(np.count_nonzero(baseline.quiet[:-1])), "on which the whole home was quiet"
        notes += left_out(quiet, f"baseline day {home}", f"baseline days {home}")
        if baseline.quiet[-1]:
            notes.append("the whole home was quiet, so low activity of single entities is not reported")
        return "; ".join(notes)

    def explain_by_history(
        self, row: AnomalyDaily, history: AggregateReader, household: Household = NO_HOUSEHOLD
    ) -> Evidence:
        """Return the entity's bouts on each day of its baseline, how the day was used, what was expected, and p."""
        absences = self._absences(row.date, history, household)
        if row.anomaly_type == "activity_while_away":
            return absence_evidence(row, absences, history)
        days, _, _, complete = self._compared_days(row.date, absences, history)
        baseline = Baseline(complete or [row.date], rows_by_week(history, TimeBasedDaily, absences.looked_at))
        if row.date not in complete or baseline.code_of(row.entity_id) < 0:
            return Evidence(("day",), [], ("the rows that this anomaly was computed from are no longer stored",))
        lines: list[tuple[str | int | float, ...]] = [
            (f"{day:%a} {day}", *(baseline.use_of(day, row) if day in complete else ("", _why_dropped(day, absences))))
            for day in days
            if day != row.date
        ]
        note = f"{row.occurrences} on {row.date}, {row.baseline_deviation:+.1f} standard deviations from the expected"
        every: list[Deviations | Surprises] = [
            *self._deviations(baseline, (row.anomaly_type,), _in_use(history, row.date))
        ]
        every += [*self._surprises(baseline, history, days, (row.anomaly_type,))]
        for tested in every:
            for index in np.flatnonzero(tested.entity == baseline.code_of(row.entity_id)).tolist():
                note += (
                    f" {tested.expected[index]:.3g} {UNITS[tested.kind]}; p = {tested.p[index]:.2g} before correction"
                )
        return Evidence(("day", "bouts", ""), lines, (note,))

    def _deviations(self, baseline: Baseline, types: Sequence[str], in_use: Collection[str]) -> Iterator[Deviations]:
        """Yield the tests of the types that are about counts; ``in_use`` as in ``count_low``."""
        if "count_high" in types:
            yield count_high(baseline, self.min_days)
        if "count_low" in types:
            yield count_low(baseline, self.min_days, in_use)

    def _surprises(
        self, baseline: Baseline, history: AggregateReader, days: DateRange, types: Sequence[str]
    ) -> Iterator[Surprises]:
        """Yield the tests of the other types."""
        max_a_day = self.max_false_alarms_a_week / 7
        if {"long_duration", "still_active"} & set(types):
            durations, active = rows_by_week(history, DurationDaily, days), rows_by_week(history, ActiveTimeDaily, days)
            lengths = LongEpisodes(episodes_of(baseline, self.min_days, durations, active), max_a_day)
            if "long_duration" in types:
                yield lengths.long_duration()
            if "still_active" in types:
                yield lengths.still_active()
        if "unusual_hour" in types:
            yield unusual_hour(baseline, self.min_days)


def _notes(surprises: Sequence[Surprises], computed: Collection[str]) -> Iterator[str]:
    """Yield what could not be judged and what was reported on earlier days, in words."""
    for one in surprises:
        needed = _NEEDED_BY.get(one.kind)
        if needed is not None and needed not in computed:
            yield f"{one.kind} not judged: {needed} has not computed this day"
        if one.note:
            yield one.note
        yield from left_out(
            one.left_out,
            "episode that has been unusually long for days",
            "episodes that have been unusually long for days",
        )


def _in_use(history: AggregateReader, day: Day) -> set[str]:
    """Return the entities that were in an active state on a day."""
    rows = history.read(ActiveTimeDaily, DateRange(day, day))
    return {row.entity_id for row in rows if row.active_seconds > 0}


def _known_shares(runs: Sequence[DetectorRunDaily]) -> dict[Day, float]:
    """Return the share of each day that is known."""
    return {run.date: run.known_seconds / max(run.day_seconds, 1.0) for run in runs if run.detector == "time_based"}


def _why_dropped(day: Day, absences: Absences) -> str:
    return "dropped: nobody was home" if day in absences.sources else "dropped: not complete"


def _areas(history: AggregateReader, days: DateRange) -> dict[str, str]:
    """Return the newest area of each entity, from the days' rows of rooms."""
    rows = sorted(history.read(RoomBasedDaily, days), key=lambda row: row.date)
    return {entity_id: row.area_id for row in rows for entity_id in row.device_usage}


def _row(day: Day, entity_id: str, tested: Deviations, index: int, p: float) -> AnomalyDaily:
    """Return the aggregate of one rejected test, with its adjusted p."""
    return AnomalyDaily(
        date=day,
        entity_id=entity_id,
        anomaly_type=tested.kind,
        anomaly_score=score_of(p),
        baseline_deviation=float(tested.deviation[index]),
        occurrences=int(tested.occurrences[index]),
        severity=severity_of(p),
    )


def _row_of_surprise(day: Day, entity_id: str, one: Surprises, index: int) -> AnomalyDaily:
    """Return the aggregate of one surprise; its adjusted p is how many are as surprising on a day by chance."""
    p = min(float(one.a_day[index]), 1.0)
    has_length = len(one.duration_seconds) > 0
    return AnomalyDaily(
        date=day,
        entity_id=entity_id,
        anomaly_type=one.kind,
        anomaly_score=score_of(p),
        baseline_deviation=float(one.deviation[index]),
        occurrences=int(one.occurrences[index]),
        severity=severity_of(p),
        duration_seconds=float(one.duration_seconds[index]) if has_length else None,
        longest_before_seconds=float(one.longest_before_seconds[index]) if has_length else None,
        hours=one.hours[index] if one.hours else None,
    )
