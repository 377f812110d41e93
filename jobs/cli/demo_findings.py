"""What ``demo`` shows of the simulated home: findings of each detector, and what is missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from statistics import fmean, median
from typing import Final

from rich.text import Text

from jobs.cli.app import out, print_line
from jobs.cli.cells import hours_as_bars
from jobs.cli.tables import print_table
from jobs.sentences.wording import length
from storage.dates import DateRange, Day
from storage.models import (
    AnomalyDaily,
    CoOccurrenceDaily,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    TimeBasedDaily,
)
from storage.plurals import counted
from storage.query import AggregateQuery, Completeness, State

MAX_ROWS: Final = 12
MAX_PAIRS: Final = 5  # and as many chains
MAX_PEAK_HOURS: Final = 3
MAX_AREAS: Final = 3
MAX_COLUMNS: Final = 100
WIDE_COLUMNS: Final = 98  # from here on, tables have room for their last columns
DAY_SECONDS: Final = 86_400


def show_findings(aggregates: AggregateQuery, span: DateRange, detectors: Sequence[str]) -> None:
    """Print what each detector found, then what is not known or was not computed.

    Args:
        aggregates: The stored aggregates.
        span: The days to show.
        detectors: The names of the enabled detectors.
    """
    _used_when(aggregates, span)
    _on_how_long(aggregates, span)
    _together(aggregates, span)
    _rooms(aggregates, span)
    _unusual(aggregates, span)
    _missing(aggregates, span, detectors)


def _used_when(aggregates: AggregateQuery, span: DateRange) -> None:
    """Print when the most used entities were used."""
    by_entity: dict[str, list[TimeBasedDaily]] = defaultdict(list)
    for row in aggregates.daily(TimeBasedDaily, span.first, span.last, allow_missing=True):
        by_entity[row.entity_id].append(row)
    busiest = sorted(by_entity.items(), key=lambda item: -sum(row.bouts or 0 for row in item[1]))[:MAX_ROWS]
    headings = ["entity", "times a day", "0h    6h    12h   18h", "peak hours"][: None if _is_wide() else 3]
    lines = []
    for entity_id, rows in busiest:
        hours = [sum(counts) for counts in zip(*(row.hourly_distribution for row in rows), strict=True)]
        peaks = Counter(hour for row in rows for hour in row.peak_hours).most_common(MAX_PEAK_HOURS)
        often = ", ".join(f"{hour}h" for hour, days in sorted(peaks) if days > 1)
        bouts = sum(row.bouts or 0 for row in rows) / len(rows)
        lines.append((entity_id, f"{bouts:.1f}", hours_as_bars(hours), often)[: len(headings)])
    _print_table(headings, lines, title="What was used when (the most used entities)", numbers=("times a day",))


def _on_how_long(aggregates: AggregateQuery, span: DateRange) -> None:
    """Print how long entities were on, those with the longest time first."""
    by_entity: dict[str, list[DurationDaily]] = defaultdict(list)
    for row in aggregates.daily(DurationDaily, span.first, span.last, allow_missing=True):
        by_entity[row.entity_id].append(row)
    totals = {
        entity_id: sum(row.avg_duration_seconds * (row.episodes or 0) for row in rows)
        for entity_id, rows in by_entity.items()
    }
    headings = ("entity", "times", "on average", "longest", "per day", "attended")[: None if _is_wide() else 4]
    lines = []
    for entity_id in sorted(totals, key=lambda one: -totals[one])[:MAX_ROWS]:
        rows = by_entity[entity_id]
        times = sum(row.episodes or 0 for row in rows)
        scores = [row.efficiency_score for row in rows if row.efficiency_score is not None]
        longest = max(row.max_duration_seconds for row in rows)
        lengths = map(length, (totals[entity_id] / times, longest, totals[entity_id] / len(span)))
        cells = (entity_id, str(times), *lengths, f"{fmean(scores):.0%}" if scores else "")
        lines.append(cells[: len(headings)])
    _print_table(headings, lines, title="What was on for how long (the longest)", numbers=headings[1:])
    if "attended" in headings:
        print_line("attended: the share of this time during which somebody was in the room")


def _together(aggregates: AggregateQuery, span: DateRange) -> None:
    """Print the pairs and the chains that were found on the most days."""
    pairs: dict[str, list[int]] = defaultdict(list)
    for pair in aggregates.daily(CoOccurrenceDaily, span.first, span.last, allow_missing=True):
        pairs[" and ".join(pair.device_pair.split("|"))].append(pair.co_occurrence_count)
    chains: dict[str, list[int]] = defaultdict(list)
    for chain in aggregates.daily(SequenceDaily, span.first, span.last, allow_missing=True):
        chains[", then ".join(step.replace(":", " ", 1) for step in chain.sequence)].append(chain.frequency)
    lines = [
        (name, str(len(counts)), f"{fmean(counts):.1f}")
        for found in (pairs, chains)
        for name, counts in sorted(found.items(), key=lambda item: -len(item[1]))[:MAX_PAIRS]
    ]
    title = "What is used together, and what follows what (on the most days)"
    headings = ("entities", "days", "times a day")
    _print_table(headings, lines, title=title, numbers=headings[1:], texts=headings[:1])


def _rooms(aggregates: AggregateQuery, span: DateRange) -> None:
    """Print how much happened in each area, and where people went from it."""
    levels: dict[str, float] = defaultdict(float)
    moves: dict[str, Counter[str]] = defaultdict(Counter)
    rows = aggregates.daily(RoomBasedDaily, span.first, span.last, allow_missing=True)
    for row in rows:
        levels[row.area_id] += row.activity_level
        for transition in row.transition_patterns:
            moves[row.area_id][str(transition["to"])] += int(transition["count"] or 0)
    days = len({row.date for row in rows})
    lines = []
    for area, level in sorted(levels.items(), key=lambda item: -item[1]):
        total = moves[area].total()
        then = [f"{to} {count / total:.0%}" for to, count in moves[area].most_common(MAX_AREAS)]
        lines.append((area, f"{level / days:.0%}", ", ".join(then)))
    title = "Where things happened, and where people went from there"
    headings = ("area", "of the activity", "next area")
    _print_table(headings, lines, title=title, numbers=headings[1:2], texts=headings[2:])


def _unusual(aggregates: AggregateQuery, span: DateRange) -> None:
    """Print each anomaly as a sentence; an anomaly that lasted for days is one sentence."""
    print_line(Text("What was unusual (severity in brackets)", style="table.title"))
    anomalies: dict[tuple[str, str], list[AnomalyDaily]] = defaultdict(list)
    for row in aggregates.daily(AnomalyDaily, span.first, span.last, allow_missing=True):
        anomalies[row.entity_id, row.anomaly_type].append(row)
    for (entity_id, _), rows in sorted(anomalies.items(), key=lambda item: item[1][0].date):
        bouts = aggregates.daily(TimeBasedDaily, span.first, span.last, allow_missing=True, entity_id=entity_id)
        days = {row.date for row in rows}
        usual = median([row.bouts or 0 for row in bouts if row.date not in days] or [0])
        print_line(anomaly_sentence(rows, usual, span.last))
    if not anomalies:
        print_line("Nothing was found to be unusual.")


def anomaly_sentence(rows: Sequence[AnomalyDaily], usual: float, newest: Day) -> str:
    """Return what was unusual about an entity, as a sentence.

    Args:
        rows: The anomalies of one entity and type, the earliest first.
        usual: How many times a day the entity is usually active.
        newest: The newest day that was computed.
    """
    first, last = rows[0], rows[-1]
    lasts = len(rows) > 1 and last.date == newest
    times = f"{counted(round(usual), 'time')} a day"
    if lasts and not last.occurrences:
        return f"silent since {first.date}: {last.entity_id}, usually active {times} ({last.severity})."
    match last.anomaly_type:
        case "unusual_hour":
            what = "was active at unusual hours"
        case "long_duration":
            what = "was on for unusually long"
        case "still_active":
            what = "was still on at the end of the day, for unusually long"
        case _ if not last.occurrences:
            what = f"was silent, usually {times}"
        case _:
            only = "only " if last.anomaly_type == "count_low" else ""
            what = f"was active {only}{counted(last.occurrences, 'time')}, usually {times}"
    until = "" if len(rows) == 1 or lasts else f" to {last.date}"
    return f"{'since ' if lasts else ''}{first.date}{until}: {last.entity_id} {what} ({last.severity})."


def _missing(aggregates: AggregateQuery, span: DateRange, detectors: Sequence[str]) -> None:
    """Print what is not known or was not computed, and why a detector found nothing."""
    completeness = [one for one in aggregates.completeness(span.first, span.last) if one.detector in detectors]
    known = {one.day: one.known_share for one in completeness if one.state is not State.MISSING}
    partly = {day: share for day, share in sorted(known.items()) if share < 1}
    for day, share in partly.items():
        print_line(f"{day}: the recorder was down for {length((1 - share) * DAY_SECONDS)}; that time is not known.")
    empty: dict[str, list[Completeness]] = defaultdict(list)
    for one in completeness:
        if one.state is State.MISSING:
            print_line(f"{one.day} {one.detector}: not computed")
        elif one.state is State.EMPTY:
            empty[one.detector].append(one)
    for detector, days in empty.items():
        print_line(f"{detector} found nothing on {counted(len(days), 'day')}, most recently on {days[-1].day}:")
        print_line(f"  {days[-1].reason}")
    if not partly and all(one.state is State.WRITTEN for one in completeness):
        print_line("Nothing is missing: every day is known from end to end and computed.")


_print_table = partial(print_table, max_width=MAX_COLUMNS)


def _is_wide() -> bool:
    """Return whether tables have room for their last columns."""
    return out.width >= WIDE_COLUMNS
