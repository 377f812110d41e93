"""What changed against the four weeks before: tested, with the number of tests corrected for.

A device may be used more or less often, or be on for longer or shorter. Its days are compared with those before by a
rank-sum test, weekdays with weekdays and weekends with weekends, at a false discovery rate of 5 % over all tests of the
report. Only whole weeks are compared, so that weekends weigh the same on both sides, and only days that are known at
least to 95 %.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from jobs.names import Names
from jobs.report.stored_rows import COMPARED_DAYS, StoredRows
from jobs.sentences.wording import active_state, length
from jobs.statistics.arrays import Floats
from jobs.statistics.corrections import adjusted
from jobs.statistics.rank_sums import rank_sum_p
from storage.dates import ONE_DAY, DateRange, Day
from storage.plurals import counted
from storage.query import ActiveTimeDaily, DetectorRunDaily, TimeBasedDaily

FALSE_DISCOVERY_RATE: Final = 0.05
MIN_DAYS: Final = 7  # of the report
MIN_DAYS_BEFORE: Final = 14
MIN_KNOWN_SHARE: Final = 0.95
MIN_RATIO: Final = 1.25  # a smaller change is not shown, however certain it is
MAX_CHANGES: Final = 30

_WEEK: Final = 7
_WEEKEND: Final = (5, 6)


class Change(NamedTuple):
    """A change of one device.

    Attributes:
        id: Its entity id.
        name: Its name.
        sentence: What changed, without the name.
        before: Before, in words.
        after: Now, in words.
        factor: Now as a multiple of before; infinite if there was nothing before.
    """

    id: str
    name: str
    sentence: str
    before: str
    after: str
    factor: float


class Changes(NamedTuple):
    """What changed, the greatest change first, or why that was not tested.

    Attributes:
        found: The changes.
        tests: How many tests were made.
        not_tested: Why nothing was tested; empty if it was.
        appeared: Devices that have their first row in the report, with the day.
        left_out: How many more changes there are.
    """

    found: list[Change]
    tests: int
    not_tested: str
    appeared: list[tuple[str, str, Day]]
    left_out: int


class _Tested(NamedTuple):
    entity_id: str
    is_time: bool
    before: float
    after: float
    p: float


def find_changes(rows: StoredRows, names: Names) -> Changes:
    """Return what changed against the days before."""
    weeks = len(rows.days) // _WEEK
    if not weeks:
        return _not_tested(f"the report has {counted(len(rows.days), 'day')}, and at least {MIN_DAYS} are compared")
    after = DateRange.ending(rows.days.last, weeks * _WEEK)
    tested: list[_Tested] = []
    first_rows: dict[str, Day] = {}
    for row in rows.of(TimeBasedDaily, DateRange(rows.before.first - COMPARED_DAYS * ONE_DAY, rows.days.last)):
        first_rows.setdefault(row.entity_id, row.date)
    problems = []
    for detector, is_time in (("time_based", False), ("active_time", True)):
        known_after = _known_days(rows.runs(detector, after).values())
        known_before = _known_days(rows.runs(detector, rows.before).values())
        if len(known_after) < MIN_DAYS or len(known_before) < MIN_DAYS_BEFORE:
            problems.append(
                f"{len(known_before)} of the {COMPARED_DAYS} days before and {len(known_after)} of {len(after)} days "
                f"are known; {MIN_DAYS_BEFORE} and {MIN_DAYS} are needed"
            )
            continue
        values = _active_seconds(rows) if is_time else _bouts(rows)
        for entity_id, of_day in values.items():
            since = first_rows.get(entity_id, min(of_day))
            days = [day for day in known_before if day >= since]
            if len(days) >= MIN_DAYS_BEFORE:
                tested.append(_compare(entity_id, of_day, days, known_after, is_time=is_time))
    appeared = _appeared(rows, names, first_rows)
    if problems and not tested:
        return Changes([], 0, problems[0], appeared, 0)
    found = _significant(tested, rows.classes(), names)
    return Changes(found[:MAX_CHANGES], len(tested), "", appeared, max(0, len(found) - MAX_CHANGES))


def _not_tested(why: str) -> Changes:
    return Changes([], 0, why, [], 0)


def _known_days(runs: Iterable[DetectorRunDaily]) -> list[Day]:
    return sorted(run.date for run in runs if run.known_seconds >= MIN_KNOWN_SHARE * run.day_seconds)


def _bouts(rows: StoredRows) -> dict[str, dict[Day, float]]:
    values: defaultdict[str, dict[Day, float]] = defaultdict(dict)
    for row in rows.of(TimeBasedDaily, DateRange(rows.before.first, rows.days.last)):
        values[row.entity_id][row.date] = row.occurrences if row.bouts is None else row.bouts
    return values


def _active_seconds(rows: StoredRows) -> dict[str, dict[Day, float]]:
    values: defaultdict[str, dict[Day, float]] = defaultdict(dict)
    for row in rows.of(ActiveTimeDaily, DateRange(rows.before.first, rows.days.last)):
        values[row.entity_id][row.date] = row.active_seconds
    return values


def _compare(
    entity_id: str, of_day: Mapping[Day, float], before: Sequence[Day], after: Sequence[Day], *, is_time: bool
) -> _Tested:
    def values(days: Sequence[Day]) -> Floats:
        return np.array([of_day.get(day, 0.0) for day in days], np.float64)

    strata = [
        tuple(values([day for day in days if (day.weekday() in _WEEKEND) is is_weekend]) for days in (before, after))
        for is_weekend in (False, True)
    ]
    p = rank_sum_p((earlier, later) for earlier, later in strata)
    return _Tested(entity_id, is_time, float(values(before).mean()), float(values(after).mean()), p)


def _significant(tested: Sequence[_Tested], classes: Mapping[str, str], names: Names) -> list[Change]:
    """Return the changes that chance does not explain; of a device, how often it is used comes before how long."""
    if not tested:
        return []
    corrected = adjusted(np.array([one.p for one in tested]))
    found: dict[str, Change] = {}
    for one, p in zip(tested, corrected.tolist(), strict=True):
        factor = one.after / one.before if one.before else float("inf")
        if p <= FALSE_DISCOVERY_RATE and not 1 / MIN_RATIO < factor < MIN_RATIO and one.entity_id not in found:
            found[one.entity_id] = _change(one, factor, classes.get(one.entity_id), names)
    return sorted(found.values(), key=lambda one: (-_size(one.factor), one.id))


def _size(factor: float) -> float:
    return factor if factor >= 1 else 1 / factor if factor else float("inf")


def _change(one: _Tested, factor: float, device_class: str | None, names: Names) -> Change:
    if one.is_time:
        more, less = f"is {active_state(one.entity_id, device_class)} for longer", "for a shorter time"
        sentence = more if factor > 1 else more.replace("for longer", less)
        words = (f"{length(one.before)} a day", f"{length(one.after)} a day")
    else:
        sentence = (
            "is no longer used" if not one.after else "is used more often" if factor > 1 else "is used less often"
        )
        words = (f"{_number(one.before)} times a day", f"{_number(one.after)} times a day")
    return Change(one.entity_id, names.entity(one.entity_id), sentence, *words, factor)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")  # noqa: PLR2004 - as people round


def _appeared(rows: StoredRows, names: Names, first_rows: Mapping[str, Day]) -> list[tuple[str, str, Day]]:
    """Return devices that were first used in the report, if the days before it are known."""
    if len(_known_days(rows.runs("time_based", rows.before).values())) < MIN_DAYS_BEFORE:
        return []
    found = [(names.entity(one), one, day) for one, day in first_rows.items() if day in rows.days]
    return sorted(found, key=lambda one: (one[2], one[1]))
