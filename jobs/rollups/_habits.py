"""What goes together again and again: the rows of ``habit_weekly`` and ``habit_monthly``, and their evidence.

Habits are proved over many days (28 for a week, 62 for a month), so that what happens twice a day, or with lags of up
to five minutes, is found as well (``jobs.rollups._pooled_pairs``). Then the days of the period are counted: a pair is
seen on a day if a bout of each is within five minutes of the other; it is possible if both acted. A chain is a stored
``sequence`` that was found on three days or more; it is possible where all of its entities acted. ``strength`` is the
share of the possible days, with its Wilson interval.

``trend`` compares the period with the days before it (hypergeometric, one-sided, 1 % each): more often is ``new`` if
the days before do not beat chance, less often is ``lost`` if the period does not, else ``fading``; everything else is
``steady``. Pairs of one device, and pairs that act within a second of each other four times in five, are left out.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import comb, exp, sqrt
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from jobs.detector import Evidence, Finding, NotJudged, left_out
from jobs.rollups._days import RowsOfEntities, complete_days, rows_of_entities
from jobs.rollups._pooled_pairs import MIN_DAYS, Bouts, FoundPairs, find_pairs
from storage.periods import Cadence, period_around
from storage.plurals import counted
from storage.query import (
    AggregateQuery,
    AggregateReader,
    BoutTimesDaily,
    DailyAggregate,
    DateRange,
    HabitMonthly,
    HabitWeekly,
    SequenceDaily,
)

WINDOW_SECONDS: Final = 300
_MIN_POOLED_DAYS: Final = 7
_SATURDAY: Final = 5
_MIN_TYPICAL_SHARE: Final = 0.25
_MIN_SIMULTANEOUS_SHARE: Final = 0.8
_TREND_P: Final = 0.01
_Z95: Final = 1.96
_HOUR_SECONDS: Final = 3600
_MAX_HOUR: Final = 23
_DIGITS: Final = 4
_TAG_LENGTH: Final = 255

Row = HabitWeekly | HabitMonthly
Trend = Literal["new", "steady", "fading", "lost"]


@dataclass(frozen=True)
class HabitsOfPeriod:
    """What ``habit_weekly`` and ``habit_monthly`` share.

    Attributes:
        min_known_share: The share of a day that must be known for the day to be complete.
        false_discovery_rate: The share of the pairs that may be due to chance.
        max_entities: How many entities are compared with each other at most: those with the most bouts.
        max_rows: How many pairs, and how many chains, there are at most: those with the most evidence.
    """

    cadence: ClassVar[Cadence]
    history_days: ClassVar[int]
    model: ClassVar[type[HabitWeekly | HabitMonthly]]
    reads: ClassVar[tuple[type[DailyAggregate], ...]] = (BoutTimesDaily, SequenceDaily)

    min_known_share: Annotated[float, Field(gt=0, le=1)] = 0.95
    false_discovery_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    max_entities: Annotated[int, Field(ge=2, le=2_000)] = 400
    max_rows: Annotated[int, Field(ge=1, le=10_000)] = 200

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        """Return the habits of the period that ends with a day."""
        aggregates = AggregateQuery(history)
        period = period_around(self.cadence, day)
        days = complete_days(aggregates, BoutTimesDaily, DateRange.ending(day, self.history_days), self.min_known_share)
        if len(days) < _MIN_POOLED_DAYS or not any(one in period for one in days):
            here = sum(one in period for one in days)
            return NotJudged(
                [],
                f"not judged: {len(days)} complete days, {here} of them in the period; {_MIN_POOLED_DAYS} are needed",
            )
        acted = _Acted.read(aggregates, days, self.max_entities)
        weekend = np.array([one.weekday() >= _SATURDAY for one in days], np.bool_)
        found = find_pairs(acted.bouts, len(acted.ids), weekend, acted.owner, self.false_discovery_rate)
        pairs, simultaneous = self._pairs(acted, found, period, day)
        chains = self._chains(aggregates, acted, period, day)
        kept = [*pairs[: self.max_rows], *chains[: self.max_rows]]
        cut = len(pairs) + len(chains) - len(kept)
        notes = [
            f"{counted(found.tested, 'pair')} tested over {len(days)} complete days, {len(pairs) or 'none'} a habit"
        ]
        notes += [counted(len(chains), "chain")] if chains else []
        notes += left_out(simultaneous, "pair that acts simultaneously", "pairs that act simultaneously")
        notes += left_out(acted.entities_left_out, "entity with fewer bouts", "entities with fewer bouts")
        notes += left_out(cut, "weaker habit", "weaker habits")
        return Finding(sorted(kept, key=lambda row: row.key()), "; ".join(notes))

    def _pairs(self, acted: _Acted, found: FoundPairs, period: DateRange, day: dt.date) -> tuple[list[Row], int]:
        rows, simultaneous = [], 0
        for first, second, expected in zip(
            found.first.tolist(), found.second.tolist(), found.expected.tolist(), strict=True
        ):
            matches = acted.matches(first, second)
            gaps = np.array([gap for of_day in matches.values() for _, gap in of_day])
            names = sorted((acted.ids[first], acted.ids[second]))
            if len(matches) < MIN_DAYS or len("|".join(names)) > _TAG_LENGTH:
                continue
            if np.count_nonzero(gaps <= 1) >= _MIN_SIMULTANEOUS_SHARE * len(gaps):
                simultaneous += 1
                continue
            possible = acted.days_of[first] & acted.days_of[second]
            hours = [min(second // _HOUR_SECONDS, _MAX_HOUR) for of_day in matches.values() for second, _ in of_day]
            values = _strength(acted.days, matches, possible, period, expected / max(len(possible), 1))
            if values is not None:
                rows.append(
                    self.model(
                        date=day,
                        kind="pair",
                        habit="|".join(names),
                        entities=names,
                        typical_hours=_typical(hours),
                        median_gap_seconds=float(np.median(gaps)),
                        **values,
                    )
                )
        return rows, simultaneous

    def _chains(self, aggregates: AggregateQuery, acted: _Acted, period: DateRange, day: dt.date) -> list[Row]:
        place = {one: index for index, one in enumerate(acted.days)}
        fields = ("date", "sequence_id", "sequence", "frequency", "avg_duration_seconds", "linked_by")
        read = aggregates.columns(SequenceDaily, acted.days[0], acted.days[-1], fields=fields, allow_missing=True)
        by_id: dict[str, list[int]] = defaultdict(list)  # the places of its rows
        for at, (date, sequence_id) in enumerate(zip(read["date"], read["sequence_id"], strict=True)):
            if date in place:
                by_id[sequence_id].append(at)
        code = {entity_id: index for index, entity_id in enumerate(acted.ids)}
        rows: list[tuple[int, Row]] = []
        for sequence_id, of_chain in by_id.items():
            entities = [step.partition(":")[0] for step in read["sequence"][of_chain[0]]]
            seen = {place[read["date"][at]] for at in of_chain}
            if len(seen) < MIN_DAYS or any(name not in code for name in entities):
                continue
            possible = seen | set.intersection(*(acted.days_of.get(code[name], set()) for name in entities))
            values = _strength(acted.days, seen, possible, period, 0.0)
            if values is not None:
                times = [read["avg_duration_seconds"][at] for at in of_chain for _ in range(read["frequency"][at])]
                habit = self.model(
                    date=day,
                    kind="chain",
                    habit=sequence_id,
                    entities=entities,
                    typical_hours=[],
                    median_gap_seconds=float(np.median(times)) if times else None,
                    linked_by=read["linked_by"][of_chain[-1]],
                    **values,
                )
                rows.append((-len(seen), habit))
        return [row for _, row in sorted(rows, key=lambda one: (one[0], one[1].habit))]

    def explain_by_history(self, row: Row, history: AggregateReader) -> Evidence:
        """Return the days of the evidence: whether the habit was possible, and how often it was seen."""
        aggregates = AggregateQuery(history)
        days = DateRange.ending(row.date, self.history_days)
        starts: dict[dt.date, dict[str, list[int]]] = defaultdict(dict)
        for one in aggregates.daily(BoutTimesDaily, days, allow_missing=True, entity_id=row.entities):
            starts[one.date][one.entity_id] = one.starts
        lines: list[tuple[str | int | float, ...]] = [
            (str(day), *(len(of_day.get(name, [])) for name in row.entities)) for day, of_day in sorted(starts.items())
        ]
        seen = f"seen on {row.days_seen} of {counted(row.days_possible, 'possible day')} of the period"
        return Evidence(("day", *row.entities), lines, (f"{seen}; {row.trend or 'the trend was not tested'}",))


class _Acted:
    """When entities acted on complete days."""

    def __init__(self, days: Sequence[dt.date], rows: RowsOfEntities, max_entities: int) -> None:
        self.days = days
        starts = rows.values["starts"]
        sizes = np.fromiter(map(len, starts), np.int64, len(starts))
        totals = np.bincount(rows.entity, sizes, len(rows.ids)).astype(np.int64)
        order = np.argsort(-totals, kind="stable")  # of equal ones the first by name
        kept = np.sort(order[:max_entities])
        self.ids, self.entities_left_out = [rows.ids[place] for place in kept.tolist()], len(order) - len(kept)
        code = np.full(len(rows.ids), -1)
        code[kept] = np.arange(len(kept))
        codes = code[rows.entity]
        devices: dict[str, int] = {}
        self.owner = -1 - np.arange(len(kept))
        for entity, device in zip(codes.tolist(), rows.values["device_id"], strict=True):
            if device is not None and entity >= 0:
                self.owner[entity] = devices.setdefault(device, len(devices))
        acted = np.flatnonzero((codes >= 0) & (sizes > 0)).tolist()
        self._starts: dict[int, dict[int, list[int]]] = defaultdict(dict)  # by entity and day
        for place, entity, day in zip(acted, codes[acted].tolist(), rows.day[acted].tolist(), strict=True):
            self._starts[entity][day] = starts[place]
        self.days_of = {entity: set(of_day) for entity, of_day in self._starts.items()}
        second = np.fromiter(chain.from_iterable(starts[place] for place in acted), np.int64, int(sizes[acted].sum()))
        entity_of, day_of = (np.repeat(values[acted], sizes[acted]) for values in (codes, rows.day))
        at = (day_of * len(kept) + entity_of) * (int(second.max(initial=0)) + 1) + second
        by_day = np.argsort(at, kind="stable")  # rows come by day and entity: what is in order takes no time
        self.bouts = Bouts(day_of[by_day], entity_of[by_day], second[by_day])

    @classmethod
    def read(cls, aggregates: AggregateQuery, days: Sequence[dt.date], max_entities: int) -> _Acted:
        fields = ("date", "entity_id", "starts", "device_id")
        return cls(days, rows_of_entities(aggregates, BoutTimesDaily, days, fields), max_entities)

    def matches(self, first: int, second: int) -> dict[int, list[tuple[int, int]]]:
        """Return by day the bouts of one entity that are near the other's: their second, and the seconds between."""
        found: dict[int, list[tuple[int, int]]] = {}
        for day in sorted(self.days_of[first] & self.days_of[second]):
            at, other = (np.array(self._starts[code][day], np.int64) for code in (first, second))
            gap = np.abs(at[:, None] - other[None, :]).min(axis=1)
            near = gap <= WINDOW_SECONDS
            if near.any():
                found[day] = list(zip(at[near].tolist(), gap[near].tolist(), strict=True))
        return found


def _strength(
    days: Sequence[dt.date], seen: Collection[int], possible: Collection[int], period: DateRange, chance_a_day: float
) -> dict[str, Any] | None:
    """Return the fields that count days; None if the habit was not possible in the period."""
    here = [place for place in possible if days[place] in period]
    if not here:
        return None
    earlier = [place for place in possible if days[place] < period.first]
    count, before = sum(place in seen for place in here), sum(place in seen for place in earlier)
    weekdays = [place for place in here if days[place].weekday() < _SATURDAY]
    low, high = _wilson(count, len(here))
    return {
        "days_seen": count,
        "days_possible": len(here),
        "strength": round(count / len(here), _DIGITS),
        "strength_low": low,
        "strength_high": high,
        "weekday_seen": sum(place in seen for place in weekdays),
        "weekday_possible": len(weekdays),
        "trend": trend((count, len(here)), (before, len(earlier)), 1 - exp(-chance_a_day)),
    }


def trend(here: tuple[int, int], earlier: tuple[int, int], chance: float) -> Trend | None:
    """Return how days seen of days possible compare with those before; None with too few days before.

    Args:
        here: Days seen and days possible in the period.
        earlier: The same in the days before.
        chance: How often chance alone makes a possible day look like one on which the habit was seen.
    """
    (seen, possible), (seen_before, possible_before) = here, earlier
    if possible_before < _MIN_POOLED_DAYS:
        return None
    total, of_all = seen + seen_before, possible + possible_before
    tail = [comb(possible, k) * comb(possible_before, total - k) for k in range(total + 1)]
    every = comb(of_all, total)
    if sum(tail[seen:]) / every <= _TREND_P and not _beats_chance(seen_before, possible_before, chance):
        return "new"
    if sum(tail[: seen + 1]) / every <= _TREND_P:
        return "fading" if _beats_chance(seen, possible, chance) else "lost"
    return "steady"


def _beats_chance(seen: int, possible: int, chance: float) -> bool:
    tail = sum(comb(possible, k) * chance**k * (1 - chance) ** (possible - k) for k in range(seen, possible + 1))
    return seen > 0 and tail <= _TREND_P


def _wilson(seen: int, possible: int) -> tuple[float, float]:
    share, z = seen / possible, _Z95
    middle = share + z * z / (2 * possible)
    spread = z * sqrt(share * (1 - share) / possible + (z / possible) ** 2 / 4)
    scale = 1 + z * z / possible
    return max(0.0, round((middle - spread) / scale, _DIGITS)), min(1.0, round((middle + spread) / scale, _DIGITS))


def _typical(hours: Sequence[int]) -> list[int]:
    counts: Mapping[int, int] = {hour: hours.count(hour) for hour in set(hours)}
    return sorted(hour for hour, count in counts.items() if count >= _MIN_TYPICAL_SHARE * len(hours))
