"""Which entities behaved unlike their own past: one row per entity and type of anomaly.

A day is judged by rows of ``time_based`` (and ``duration``) of the 28 days before it, never by itself, and only by
complete ones (known to at least 95 %); it needs 14 of them. An entity's baseline begins with its first row; from then
on a complete day without a row is one of 0 bouts. Days on which the home as a whole was quiet (under half of the
entities that usually act) tell nothing of a single one: they are no baseline, and on them no ``count_low`` is sought.

* ``count_high``: the day's bouts, against days of the same type (weekday, weekend) if there are at least 4, without
  those beyond 5 · max(1.48 · MAD, √median, 1) of the median, unless these are more than 15 %. Expected is the mean
  (Σ + ½) / n of its type, times how busy the day is by the other entities. Negative binomial upper tail with the
  variance of a new observation, (mean + mean² / size) · (1 + 1 / n), over the sizes that the entity's days of both
  types and the home's other entities speak for (``jobs.statistics.dispersion``).
* ``count_low``: for a day with bouts the lower tail, but no less than how rarely the baseline was as low,
  (r + ½) / (n + 1) for r of n days. For a run of silent days, how likely it is that all bouts fell on the other days
  and none on these, by type of day, over the same sizes, and times s per day from the second day on if silent days
  followed silent days s times as often as expected; plus what no size explains: (r + ½) / (n + 1) with r the silent
  days beyond those expected, from the second day on no less than how often a silent day was followed by another. So
  a single silent day proves nothing. The baseline then ends before the run: a silence is reported for about two weeks
  and then is the new normal.
* ``unusual_hour`` (off by default): hours with activity in which, and beside which, no baseline day had any; how many
  such hours, against how many each baseline day had compared with the others.
* ``long_duration`` (off by default): the logarithm of the longest episode, against those before by Student's t.

All tests of a day that could be rejected whatever it brought (not the silence of an entity that acted the day before)
are kept at a false discovery rate of 3 % together (Benjamini and Hochberg). ``anomaly_score`` is
min(1, -log10(adjusted p) / 12), ``severity`` follows adjusted p (``Severity``), ``baseline_deviation`` counts standard
deviations of a new observation from its expected value, ``occurrences`` the day's bouts (for ``long_duration``, its
finished episodes). A day that cannot be judged is ``NotJudged``, with a reason: what is stored of it stays.

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
>>> (row,), reason = Anomaly().judge(last, MemoryStore(rows))
>>> row.anomaly_type, row.occurrences, round(row.baseline_deviation, 1), str(row.severity), round(row.anomaly_score, 2)
('count_high', 30, 7.4, 'high', 0.61)
>>> Anomaly().judge(DateRange.ending(last, 20).first, MemoryStore(rows)).reason
'the baseline has 9 of the 14 complete days that it needs'
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

import numpy as np
from pydantic import Field

from jobs.activity.events import Flags
from jobs.registry import Evidence, Finding, NotJudged, detector, left_out
from jobs.statistics import dispersion
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.corrections import adjusted, can_be_rejected
from jobs.statistics.tails import negative_binomial_tail, student_tail
from storage.dates import DateRange, Day
from storage.models import HOURS, AnomalyDaily, DetectorRunDaily, DurationDaily, Severity, TimeBasedDaily
from storage.store import AggregateReader

Kind = Literal["count_high", "count_low", "long_duration", "unusual_hour"]

_SATURDAY: Final = 5
_OF_TYPE: Final = 4  # days of the same type from which on they are the baseline
_QUIET_HOME: Final = 0.5  # of the share of entities that usually acts
_USUAL: Final = 0.8  # the quantile of days: weeks of absence are not what is usual
_LEAST_SPREAD: Final = 0.3  # of the logarithm of a duration: a third longer or shorter is nothing
_LEAST_WEIGHT: Final = 1e-300
_UNITS: Final = {"count_high": "bouts", "count_low": "bouts", "long_duration": "s", "unusual_hour": "unusual hours"}
_SCORE_DIGITS: Final = 12
_SEVERITIES: Final = ((1e-9, Severity.CRITICAL), (1e-6, Severity.HIGH), (1e-4, Severity.MEDIUM), (1.0, Severity.LOW))


@detector
@dataclass(frozen=True)
class Anomaly:
    """The ``anomaly`` detector.

    Attributes:
        types: Which types of anomaly to look for.
        baseline_days: How many days back the baseline reaches.
        min_days: How many complete days it needs, of the home and of each entity.
        min_known_share: The share of a day that must be known.
        false_discovery_rate: The share of the anomalies that chance may produce.
    """

    name: ClassVar = "anomaly"
    version: ClassVar = 2
    model: ClassVar = AnomalyDaily

    types: tuple[Kind, ...] = ("count_high", "count_low")
    baseline_days: Annotated[int, Field(ge=7, le=366)] = 28
    min_days: Annotated[int, Field(ge=5, le=366)] = 14
    min_known_share: Annotated[float, Field(gt=0, le=1)] = 0.95
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.03

    def judge(self, day: Day, history: AggregateReader) -> Finding:
        """See the module's docstring."""
        days = DateRange.ending(day, self.baseline_days + 1)
        runs = {run.date: run for run in history.read(DetectorRunDaily, days, {"detector": "time_based"})}
        if day not in runs:
            return NotJudged([], "time_based has not judged this day")
        known = {date: run.known_seconds / max(run.day_seconds, 1.0) for date, run in runs.items()}
        if known[day] < self.min_known_share:
            return NotJudged([], f"only {known[day]:.0%} of the day is known: an outage is no anomaly of a device")
        complete = [date for date in days if known.get(date, 0.0) >= self.min_known_share]
        if len(complete) - 1 < self.min_days:
            return NotJudged(
                [], f"the baseline has {len(complete) - 1} of the {self.min_days} complete days that it needs"
            )
        rate = self.false_discovery_rate
        past = _Past(complete, history.read(TimeBasedDaily, days))
        durations = history.read(DurationDaily, days) if "long_duration" in self.types else []
        tests = list(self._tests(past, durations, self.types))
        p = np.concatenate([test.p for test in tests]) if tests else np.empty(0)
        possible = (
            can_be_rejected(np.concatenate([test.least for test in tests]), rate) if tests else np.empty(0, np.bool_)
        )
        significance = np.ones(len(p))
        significance[possible] = adjusted(p[possible])
        entity = np.concatenate([test.entity for test in tests]) if tests else np.empty(0, np.int64)
        rows, offset = [], 0
        for test in tests:
            of_test = significance[offset : offset + len(test.p)]
            offset += len(test.p)
            found = np.flatnonzero(of_test <= rate).tolist()
            rows += [_row(day, past.ids[test.entity[index]], test, index, float(of_test[index])) for index in found]
        rows.sort(key=lambda row: row.key())
        notes = [
            f"{len(np.unique(entity))} entities judged by {len(complete) - 1} complete days, "
            f"{np.count_nonzero(possible)} tests, " + (f"{len(rows)} anomalies" if rows else "no anomaly")
        ]
        notes += left_out(len(past.ids) - len(np.unique(entity)), f"entities with under {self.min_days} days")
        notes += left_out(int(np.count_nonzero(past.quiet[:-1])), "baseline days on which the whole home was quiet")
        if past.quiet[-1]:
            notes.append("the whole home was quiet, so that no entity is reported for acting little")
        return Finding(rows, "; ".join(notes))

    def explain_by_history(self, row: AnomalyDaily, history: AggregateReader) -> Evidence:
        """The entity's bouts on each day of its baseline, which days were dropped, what was expected, and p."""
        days = DateRange.ending(row.date, self.baseline_days + 1)
        runs = history.read(DetectorRunDaily, days, {"detector": "time_based"})
        complete = [run.date for run in runs if run.known_seconds / max(run.day_seconds, 1.0) >= self.min_known_share]
        past = _Past(complete or [row.date], history.read(TimeBasedDaily, days))
        if row.date not in complete or past.code_of(row.entity_id) < 0:
            return Evidence(("day",), [], ("what it was judged by is no longer stored",))
        lines: list[tuple[str | int | float, ...]] = [
            (f"{day:%a} {day}", *(past.used(day, row) if day in complete else ("", "dropped: not complete")))
            for day in days
            if day != row.date
        ]
        note = f"{row.occurrences} on {row.date}, {row.baseline_deviation:+.1f} standard deviations from the expected"
        for test in self._tests(past, history.read(DurationDaily, days), (row.anomaly_type,)):
            for index in np.flatnonzero(test.entity == past.code_of(row.entity_id)).tolist():
                note += f" {test.expected[index]:.3g} {_UNITS[test.kind]}; p = {test.p[index]:.2g} before correction"
        return Evidence(("day", "bouts", ""), lines, (note,))

    def _tests(self, past: _Past, durations: Sequence[DurationDaily], types: Sequence[str]) -> Iterator[_Test]:
        """The tests of some types."""
        if "count_high" in types:
            yield past.count_high(self.min_days)
        if "count_low" in types:
            yield past.count_low(self.min_days)
        if "unusual_hour" in types:
            yield past.unusual_hour(self.min_days)
        if "long_duration" in types:
            yield past.long_duration(self.min_days, durations)


class _Test(NamedTuple):
    """The tests of one type, one per entity.

    Attributes:
        kind: The type of anomaly.
        entity: Which entities were tested, shape (n,).
        p: p-values, shape (n,).
        least: The smallest p that the judged day could have given, whatever happened on it, shape (n,).
        expected: The expected value, shape (n,).
        deviation: Signed standard deviations from it, shape (n,).
        occurrences: Bouts or episodes of the judged day, shape (n,).
    """

    kind: Kind
    entity: Integers
    p: Floats
    least: Floats
    expected: Floats
    deviation: Floats
    occurrences: Integers


class _Usual(NamedTuple):
    """What is usual, by column.

    Attributes:
        by_day: The mean of each day's type, shape (days, columns); the judged day's is the last.
        used: Which days it is learnt from, and the judged one, shape (days, columns).
        days: How many days the judged day's mean comes from.
        weights: Of the sizes, shape (sizes, columns): see ``jobs.statistics.dispersion``.
    """

    by_day: Floats
    used: Flags
    days: Floats
    weights: Floats


class _Past:
    """The counts of all entities on the complete days, the judged day last.

    Attributes:
        ids: The entities, ascending.
        quiet: On which days the home as a whole was quiet.
    """

    def __init__(self, days: Sequence[Day], rows: Sequence[TimeBasedDaily]) -> None:
        self.ids = sorted({row.entity_id for row in rows})
        self._days = {day: index for index, day in enumerate(days)}
        self._code = {entity_id: code for code, entity_id in enumerate(self.ids)}
        shape = len(days), len(self.ids)
        ordinals = np.array([day.toordinal() for day in days])
        first = np.full(len(self.ids), days[-1].toordinal() + 1)
        self._bouts = np.zeros(shape)
        self._active = np.zeros((*shape, HOURS), np.bool_)
        for row in rows:
            code = self._code[row.entity_id]
            first[code] = min(first[code], row.date.toordinal())
            if row.date in self._days:
                place = self._days[row.date], code
                self._bouts[place] = row.occurrences if row.bouts is None else row.bouts
                self._active[place] = np.array(row.hourly_distribution) > 0
        self._weekend = np.array([day.weekday() >= _SATURDAY for day in days], np.bool_)
        known = np.maximum((ordinals[:, None] >= first).sum(axis=1), 1)  # a home that grows was not quiet before
        acting = np.count_nonzero(self._bouts, axis=1) / known
        self.quiet: Flags = acting < _QUIET_HOME * np.quantile(acting, _USUAL)
        self._counted = (ordinals[:, None] >= first[None, :]) & ~self.quiet[:, None]
        self._counted[-1] = False

    def code_of(self, entity_id: str) -> int:
        """The place of an entity; -1 of one without rows."""
        return self._code.get(entity_id, -1)

    def used(self, day: Day, row: AnomalyDaily) -> tuple[int, str]:
        """An anomaly's entity's bouts on a day, and what they are to the test."""
        place, code = self._days[day], self._code[row.entity_id]
        bouts = int(self._bouts[place, code])
        if self.quiet[place]:
            return bouts, "dropped: the whole home was quiet"
        if not self._counted[place, code]:
            return bouts, "dropped: before its first row"
        if row.anomaly_type == "count_low" and not self._bouts[place:, code].any():
            return bouts, "silent, as the judged day"
        basis = self._same_type(self._counted)
        if not basis[place, code]:
            return bouts, "for the spread only: another type of day"
        if not dispersion.within_reach(self._bouts, basis)[place, code]:
            return bouts, "dropped: an anomaly itself"
        return bouts, "used"

    def _today(self, entity: Integers) -> Integers:
        """The judged day's bouts."""
        bouts: Integers = self._bouts[-1, entity].astype(np.int64)
        return bouts

    def _enough(self, counted: Flags, least: int) -> Integers:
        """The entities whose baseline has enough days."""
        return np.flatnonzero(counted.sum(axis=0) >= least)

    def _same_type(self, counted: Flags) -> Flags:
        """Days of the judged day's type where there are some, else all."""
        same = counted & (self._weekend == self._weekend[-1])[:, None]
        return np.where(same.sum(axis=0) >= _OF_TYPE, same, counted)

    def _usual(self, counted: Flags, entity: Integers) -> _Usual:
        """What is usual of some entities by the counted days: of the judged day's type, and of the other one."""
        bouts, basis = self._bouts[:, entity], self._same_type(counted)
        same, other = dispersion.within_reach(bouts, basis), dispersion.within_reach(bouts, counted & ~basis)
        of_same, of_other = dispersion.moments(bouts, same), dispersion.moments(bouts, other)
        by_day, used = np.where(other, of_other.mean, of_same.mean), same | other
        used[-1] = True
        weights = dispersion.learn(bouts, (same, other))
        return _Usual(by_day, used, np.maximum(of_same.days, 1).astype(np.float64), weights)

    def count_high(self, least: int) -> _Test:
        """More bouts than expected."""
        entity = self._enough(self._counted, least)
        bouts, usual = self._bouts[:, entity], self._usual(self._counted[:, entity], entity)
        spread = dispersion.variance(usual.by_day, usual.weights)
        expected = usual.by_day[-1] * dispersion.busyness(bouts, usual.by_day, spread, usual.used)
        p = dispersion.upper_tail(bouts[-1], expected, usual.days, usual.weights)
        deviation = _deviation(bouts[-1], expected, usual)
        return _Test("count_high", entity, p, np.zeros(len(p)), expected, deviation, self._today(entity))

    def count_low(self, least: int) -> _Test:
        """Fewer bouts than expected, or a run of silent days."""
        silent = (self._bouts == 0) | self.quiet[:, None]
        run = np.ones(silent.shape, np.bool_)  # the judged day, were it silent, and the silent ones before it
        run[:-1] = np.logical_and.accumulate(silent[-2::-1])[::-1]
        counted = self._counted & ~run
        entity = self._enough(counted, least) if not self.quiet[-1] else np.empty(0, np.int64)
        run, counted, bouts = run[:, entity], counted[:, entity], self._bouts[:, entity]
        usual = self._usual(counted, entity)
        today, expected = bouts[-1], usual.by_day[-1]
        basis = self._same_type(counted)
        rarity = ((basis & (bouts <= today)).sum(axis=0) + 0.5) / (basis.sum(axis=0) + 1)
        lower = 1 - dispersion.upper_tail(today + 1, expected, usual.days, usual.weights)
        silence = self._silence(run & ~self.quiet[:, None], counted, bouts, usual.weights)
        p = np.where(today > 0, np.maximum(lower, rarity), silence)
        deviation = _deviation(today, expected, usual)
        return _Test("count_low", entity, p, silence, expected, deviation, self._today(entity))

    def _silence(self, run: Flags, counted: Flags, bouts: Floats, weights: Floats) -> Floats:
        """How likely it is that nothing happened on a run of days, shape (columns,)."""
        by_size, never = np.log(np.maximum(weights, _LEAST_WEIGHT)), np.empty(bouts.shape)
        for weekend in (False, True):
            of_type = self._weekend == weekend
            past = dispersion.moments(bouts[of_type], counted[of_type])
            days, total = np.maximum(past.days, 1), np.where(counted, bouts, 0)[of_type].sum(axis=0)
            by_size += dispersion.silence(total, days, run[of_type].sum(axis=0))
            never[of_type] = dispersion.no_count(past.mean, weights)
        silent, later = counted & (bouts == 0), run.sum(axis=0) - 1
        pairs = silent[:-1] & counted[1:]
        again = (pairs & silent[1:]).sum(axis=0)
        in_runs = np.maximum((again + 1) / (np.where(pairs, never[1:], 0).sum(axis=0) + 1), 1)
        explained = np.minimum(np.exp(by_size).sum(axis=0) * in_runs**later, 1)
        beyond = np.maximum(silent.sum(axis=0) - np.where(counted, never, 0).sum(axis=0), 0)
        unexplained = (beyond + 0.5) / (counted.sum(axis=0) + 1)
        repeated = np.maximum((again + unexplained) / (pairs.sum(axis=0) + 1), unexplained)
        p: Floats = np.minimum(explained + unexplained * repeated**later, 1)
        return p

    def unusual_hour(self, least: int) -> _Test:
        """Hours with activity in which, and beside which, there never was any."""
        entity = self._enough(self._counted, least)
        active = self._active[:, entity]
        around = active | np.roll(active, 1, axis=2) | np.roll(active, -1, axis=2)
        counted = self._counted[:, entity]
        days = (around & counted[:, :, None]).sum(axis=0)
        new = (active & (days - (around & counted[:, :, None]) == 0)).sum(axis=2).astype(np.float64)
        past = dispersion.moments(new, counted)
        n = past.days.astype(np.float64)
        variance = past.squares / (n - 1) * (1 + 1 / n) * (n - 1) / (n - 3)
        p = negative_binomial_tail(new[-1], past.mean, variance)
        deviation = (new[-1] - past.mean) / np.sqrt(np.maximum(variance, past.mean))
        return _Test("unusual_hour", entity, p, np.zeros(len(p)), past.mean, deviation, self._today(entity))

    def long_duration(self, least: int, rows: Sequence[DurationDaily]) -> _Test:
        """A longest episode beyond those of other days."""
        longest = np.full(self._bouts.shape, np.nan)
        episodes = np.zeros(len(self.ids), np.int64)
        for row in rows:
            day, code = self._days.get(row.date), self._code.get(row.entity_id)
            if day is None or code is None:
                continue
            longest[day, code] = math.log(max(row.max_duration_seconds, 1.0))
            if day == len(longest) - 1:
                episodes[code] = row.episodes or 1
        counted = self._counted & ~np.isnan(longest)
        entity = np.flatnonzero((counted.sum(axis=0) >= least) & ~np.isnan(longest[-1]))
        days = counted[:, entity].sum(axis=0)
        values = np.where(counted, longest, 0.0)[:, entity]
        mean = values.sum(axis=0) / days
        variance = (np.where(counted[:, entity], values - mean, 0.0) ** 2).sum(axis=0) / (days - 1)
        spread = np.maximum(np.sqrt(variance), _LEAST_SPREAD) * np.sqrt(1 + 1 / days)
        deviation = (longest[-1, entity] - mean) / spread
        p = student_tail(deviation, days - 1.0)
        return _Test("long_duration", entity, p, np.zeros(len(p)), np.exp(mean), deviation, episodes[entity])


def _deviation(count: Floats, expected: Floats, usual: _Usual) -> Floats:
    """From what is expected, in standard deviations of a new observation."""
    spread = dispersion.variance(expected, usual.weights) * (1 + 1 / usual.days)
    deviation: Floats = (count - expected) / np.sqrt(spread)
    return deviation


def _row(day: Day, entity_id: str, test: _Test, index: int, p: float) -> AnomalyDaily:
    """The aggregate of one test that was rejected, with its adjusted p."""
    return AnomalyDaily(
        date=day,
        entity_id=entity_id,
        anomaly_type=test.kind,
        anomaly_score=min(1.0, -math.log10(max(p, 10.0**-_SCORE_DIGITS)) / _SCORE_DIGITS),
        baseline_deviation=float(test.deviation[index]),
        occurrences=int(test.occurrences[index]),
        severity=next(severity for limit, severity in _SEVERITIES if p < limit),
    )
