"""How regular the days of a period were: the rows of ``routine_weekly`` and ``routine_monthly``, and their evidence.

Only complete days count (known to at least 95 %): a day that is half known is missing, never half as active. On a
complete day without a row an entity has no activity. There is a row for each entity that was active in the period, for
each area with such entities (the area of the newest ``room_based`` row that names the entity), and for the home.
``jobs.rollups._rhythm`` has the measures, ``jobs.rollups._changes`` the tests of ``change``.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

import numpy as np
from pydantic import Field

from jobs.detector import Evidence, Finding, NotJudged, left_out
from jobs.rollups._changes import MIN_DAYS, Change, changes
from jobs.rollups._days import HOURS, Usage, areas_of_entities, complete_days, usage_of_entities
from jobs.rollups._rhythm import (
    Estimate,
    follows,
    interdaily_stability,
    intradaily_variability,
    regularity_index,
    relative_amplitude,
)
from jobs.statistics.arrays import Floats
from storage.periods import Cadence, period_around, period_before
from storage.plurals import counted
from storage.query import (
    AggregateQuery,
    AggregateReader,
    DailyAggregate,
    DateRange,
    RoomBasedDaily,
    RoutineMonthly,
    RoutineWeekly,
    TimeBasedDaily,
)

STABILITY_DAYS: Final = 28
_DIGITS: Final = 4  # of everything that is stored

Row = RoutineWeekly | RoutineMonthly
R = TypeVar("R", RoutineWeekly, RoutineMonthly)
Scope = Literal["entity", "area", "home"]


@dataclass(frozen=True)
class RoutineOfPeriod:
    """What ``routine_weekly`` and ``routine_monthly`` share.

    Attributes:
        min_known_share: The share of a day that must be known for the day to be complete.
        min_days: How many complete days stability (of 28) and regularity (of the period) need; for regularity all of
            them but one must follow another one, as in a week.
        max_entities: For how many entities there are rows at most: those with the most activity.
        false_discovery_rate: The share of the changes that may be due to chance.
    """

    cadence: ClassVar[Cadence]
    model: ClassVar[type[RoutineWeekly | RoutineMonthly]]
    reads: ClassVar[tuple[type[DailyAggregate], ...]] = (TimeBasedDaily, RoomBasedDaily)

    min_known_share: Annotated[float, Field(gt=0, le=1)] = 0.95
    min_days: Annotated[int, Field(ge=7, le=28)] = 7
    max_entities: Annotated[int, Field(ge=1, le=10_000)] = 500
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        """Return the routine of the period that ends with a day."""
        aggregates = AggregateQuery(history)
        period = period_around(self.cadence, day)
        before = period_before(self.cadence, period)
        longest = DateRange(min(before.first, DateRange.ending(day, STABILITY_DAYS).first), day)
        days = complete_days(aggregates, TimeBasedDaily, longest, self.min_known_share)
        if not any(one in period for one in days):
            return NotJudged([], f"not judged: none of the {len(period)} days is complete")
        usage = usage_of_entities(aggregates, days)
        active = usage.of(period).events.sum(axis=(1, 2))
        usage, cut = self._most_active(usage, active)
        areas = areas_of_entities(aggregates, longest)
        subjects, scopes, homeless = _with_areas_and_home(usage, areas)
        rows = list(self._rows(subjects, scopes, period, before, day))
        stable_days, known_days = (
            len(subjects.of(DateRange.ending(day, STABILITY_DAYS)).days),
            len(subjects.of(period).days),
        )
        reason = [f"{counted(len(usage.names), 'entity', 'entities')} on {known_days} complete days of {len(period)}"]
        if stable_days < self.min_days:
            reason.append(f"stability not judged: {stable_days} complete days of 28, {self.min_days} are needed")
        if too_few := self._too_few_for_regularity(subjects.of(period).days):
            reason.append(f"regularity not judged: {too_few}")
        if rows and rows[0].change is None:
            reason.append(f"change not tested: fewer than {MIN_DAYS} days to compare in both periods")
        else:
            changed = sum(row.change != "none" for row in rows)
            reason.append(f"{len(rows)} compared with the period before, {changed or 'none'} changed")
        reason += left_out(cut, "less active entity", "less active entities")
        reason += [f"{counted(homeless, 'entity', 'entities')} without an area"] if homeless else []
        return Finding(rows, "; ".join(reason))

    def _too_few_for_regularity(self, days: Sequence[dt.date]) -> str:
        """Return why the regularity over some complete days is not judged; empty if it is."""
        if len(days) < self.min_days:
            return f"{len(days)} complete days, {self.min_days} are needed"
        pairs = int(np.count_nonzero(follows(days)))
        if pairs < self.min_days - 1:
            return f"{pairs or 'none'} of the complete days follow another one, {self.min_days - 1} are needed"
        return ""

    def _most_active(self, usage: Usage, active: Floats) -> tuple[Usage, int]:
        """Return the entities that were active in the period, at most so many, and how many are left out."""
        order = np.argsort(-active, kind="stable")
        chosen = np.sort(order[: min(self.max_entities, np.count_nonzero(active))])
        return usage.only(chosen.tolist()), int(np.count_nonzero(active)) - len(chosen)

    def _rows(
        self, subjects: Usage, scopes: list[Scope], period: DateRange, before: DateRange, day: dt.date
    ) -> Iterator[Row]:
        now, earlier = subjects.of(period), subjects.of(before)
        compared = subjects.of(DateRange(before.first, day))
        is_now = np.array([one in period for one in compared.days], np.bool_)
        changed = changes(compared, is_now, self.false_discovery_rate)
        profile = now.events.mean(axis=1)
        amplitude = relative_amplitude(profile)
        variability = intradaily_variability(now.events, now.days)
        stable = subjects.of(DateRange.ending(day, STABILITY_DAYS))
        stability = interdaily_stability(stable.events) if len(stable.days) >= self.min_days else None
        regularity = None if self._too_few_for_regularity(now.days) else regularity_index(now.events, now.days)
        for place, name in enumerate(subjects.names):
            yield self.model(
                date=day,
                scope=scopes[place],
                subject=name,
                hourly_profile=[round(mean, _DIGITS) for mean in profile[place].tolist()],
                active_days=int(np.count_nonzero(now.events[place].sum(axis=1))),
                known_days=len(now.days),
                **_fields("interdaily_stability", stability, place),
                **_fields("regularity_index", regularity, place),
                intradaily_variability=_number(variability[place]),
                relative_amplitude=_number(amplitude.value[place]),
                l5_onset_hour=int(amplitude.least_active_onset[place]),
                m10_onset_hour=int(amplitude.most_active_onset[place]),
                change=changed[place],
                bouts_per_day=_number(now.bouts[place].mean()),
                bouts_per_day_before=_number(earlier.bouts[place].mean()) if earlier.days else None,
            )

    def explain_by_history(self, row: Row, history: AggregateReader) -> Evidence:
        """Return the mean day of the period and of the one before, and what the measures mean."""
        last = period_before(self.cadence, period_around(self.cadence, row.date)).last
        aggregates = AggregateQuery(history)
        earlier = aggregates.daily(type(row), last, allow_missing=True, scope=row.scope, subject=row.subject)
        before = earlier[0].hourly_profile if earlier else [""] * HOURS
        lines: list[tuple[str | int | float, ...]] = [
            (hour, row.hourly_profile[hour], before[hour]) for hour in range(HOURS)
        ]
        return Evidence(("hour", "events a day", "events a day before"), lines, tuple(_notes(row)))


def _with_areas_and_home(usage: Usage, areas: Mapping[str, str]) -> tuple[Usage, list[Scope], int]:
    """Return entities, their areas and the home as subjects, the scope of each, and how many have no area."""
    members: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(usage.names):
        if name in areas:
            members[areas[name]].append(place)
    names = sorted(members)
    homeless = len(usage.names) - sum(map(len, members.values())) if areas else 0
    everybody = [list(range(len(usage.names)))] if usage.names else []
    sums = usage.summed([*names, *(["home"] if everybody else [])], [*(members[name] for name in names), *everybody])
    counts: dict[Scope, int] = {"entity": len(usage.names), "area": len(names), "home": len(everybody)}
    scopes = [scope for scope, count in counts.items() for _ in range(count)]
    joined = Usage(
        usage.days,
        [*usage.names, *sums.names],
        np.concatenate((usage.events, sums.events)),
        np.concatenate((usage.bouts, sums.bouts)),
    )
    return joined, scopes, homeless


def _fields(name: str, found: Estimate | None, place: int) -> dict[str, Any]:
    if found is None or np.isnan(found.value[place]):
        return {}
    suffixes = ("", "_low", "_high")
    return {f"{name}{suffix}": _number(values[place]) for suffix, values in zip(suffixes, found, strict=True)}


def _number(value: float | np.floating[Any]) -> float | None:
    return None if np.isnan(value) else round(float(value), _DIGITS)


_CHANGES: Final[Mapping[Change, str]] = {
    "more": "more active than in the period before",
    "less": "less active than in the period before",
    "other_hours": "active at other hours than in the period before",
    "none": "no change against the period before beyond chance",
}


def _notes(row: Row) -> Iterator[str]:
    yield f"active on {row.active_days} of {counted(row.known_days, 'complete day')}"
    if row.interdaily_stability is not None:
        yield (
            f"interdaily stability {row.interdaily_stability:.2f} ({row.interdaily_stability_low:.2f} to "
            f"{row.interdaily_stability_high:.2f}): 0 is noise, 1 the same every day"
        )
    if row.regularity_index is not None:
        yield (
            f"regularity index {row.regularity_index:.0f} ({row.regularity_index_low:.0f} to "
            f"{row.regularity_index_high:.0f}): 100 is the same hours every day, 0 half of them"
        )
    if row.relative_amplitude is not None:
        yield (
            f"relative amplitude {row.relative_amplitude:.2f}: the busiest ten hours begin at {row.m10_onset_hour}:00, "
            f"the quietest five at {row.l5_onset_hour}:00"
        )
    if row.change is not None:
        yield _CHANGES[row.change]
