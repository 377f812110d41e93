"""What ``demo`` shows of the simulated home: findings of each detector, and what is missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean, median
from typing import Final

from rich.table import Table
from rich.text import Text

from jobs.cli.app import out, terminal_text
from jobs.cli.cells import hours_as_bars
from storage.dates import DateRange, Day
from storage.models import (
    HOURS,
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
MINUTE_SECONDS: Final = 60
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
    table = _table("What was used when (the most used entities)", "entity")
    table.add_column("times a day", justify="right")
    table.add_column("0h    6h    12h   18h", no_wrap=True, min_width=HOURS)
    if wide := out.width >= WIDE_COLUMNS:
        table.add_column("peak hours")
    for entity_id, rows in busiest:
        hours = [sum(counts) for counts in zip(*(row.hourly_distribution for row in rows), strict=True)]
        peaks = Counter(hour for row in rows for hour in row.peak_hours).most_common(MAX_PEAK_HOURS)
        often = ", ".join(f"{hour}h" for hour, days in sorted(peaks) if days > 1)
        bouts = sum(row.bouts or 0 for row in rows) / len(rows)
        cells = (terminal_text(entity_id), f"{bouts:.1f}", hours_as_bars(hours))
        table.add_row(*cells, *([often] if wide else []))
    _print(table)


def _on_how_long(aggregates: AggregateQuery, span: DateRange) -> None:
    """Print how long entities were on, those with the longest time first."""
    by_entity: dict[str, list[DurationDaily]] = defaultdict(list)
    for row in aggregates.daily(DurationDaily, span.first, span.last, allow_missing=True):
        by_entity[row.entity_id].append(row)
    totals = {
        entity_id: sum(row.avg_duration_seconds * (row.episodes or 0) for row in rows)
        for entity_id, rows in by_entity.items()
    }
    table = _table("What was on for how long (the longest)", "entity")
    headings = ("times", "on average", "longest", "per day", "attended")
    for heading in headings if (wide := out.width >= WIDE_COLUMNS) else headings[:3]:
        table.add_column(heading, justify="right")
    for entity_id in sorted(totals, key=lambda one: -totals[one])[:MAX_ROWS]:
        rows = by_entity[entity_id]
        times = sum(row.episodes or 0 for row in rows)
        scores = [row.efficiency_score for row in rows if row.efficiency_score is not None]
        longest = _duration(max(row.max_duration_seconds for row in rows))
        more = (_duration(totals[entity_id] / len(span)), f"{fmean(scores):.0%}" if scores else "")
        cells = (terminal_text(entity_id), str(times), _duration(totals[entity_id] / times), longest)
        table.add_row(*cells, *(more if wide else ()))
    _print(table)
    if wide:
        out.print("attended: the share of this time during which somebody was in the room")


def _together(aggregates: AggregateQuery, span: DateRange) -> None:
    """Print the pairs and the chains that were found on the most days."""
    pairs: dict[str, list[int]] = defaultdict(list)
    for pair in aggregates.daily(CoOccurrenceDaily, span.first, span.last, allow_missing=True):
        pairs[" and ".join(pair.device_pair.split("|"))].append(pair.co_occurrence_count)
    chains: dict[str, list[int]] = defaultdict(list)
    for chain in aggregates.daily(SequenceDaily, span.first, span.last, allow_missing=True):
        chains[", then ".join(step.replace(":", " ", 1) for step in chain.sequence)].append(chain.frequency)
    table = _table("What is used together, and what follows what (on the most days)", "entities")
    table.add_column("days", justify="right")
    table.add_column("times a day", justify="right")
    for found in (pairs, chains):
        for name, counts in sorted(found.items(), key=lambda item: -len(item[1]))[:MAX_PAIRS]:
            table.add_row(terminal_text(name), str(len(counts)), f"{fmean(counts):.1f}")
    _print(table)


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
    table = _table("Where things happened, and where people went from there", "area")
    table.add_column("of the activity", justify="right")
    table.add_column("next area")
    for area, level in sorted(levels.items(), key=lambda item: -item[1]):
        total = moves[area].total()
        then = [f"{terminal_text(to).plain} {count / total:.0%}" for to, count in moves[area].most_common(MAX_AREAS)]
        table.add_row(terminal_text(area), f"{level / days:.0%}", Text(", ".join(then)))
    _print(table)


def _unusual(aggregates: AggregateQuery, span: DateRange) -> None:
    """Print each anomaly as a sentence; an anomaly that lasted for days is one sentence."""
    out.print(Text("What was unusual (severity in brackets)", style="table.title"))
    anomalies: dict[tuple[str, str], list[AnomalyDaily]] = defaultdict(list)
    for row in aggregates.daily(AnomalyDaily, span.first, span.last, allow_missing=True):
        anomalies[row.entity_id, row.anomaly_type].append(row)
    for (entity_id, _), rows in sorted(anomalies.items(), key=lambda item: item[1][0].date):
        bouts = aggregates.daily(TimeBasedDaily, span.first, span.last, allow_missing=True, entity_id=entity_id)
        days = {row.date for row in rows}
        usual = median([row.bouts or 0 for row in bouts if row.date not in days] or [0])
        out.print(terminal_text(anomaly_sentence(rows, usual, span.last)), soft_wrap=True)
    if not anomalies:
        out.print("Nothing was found to be unusual.")


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
        out.print(f"{day}: the recorder was down for {_duration((1 - share) * DAY_SECONDS)}; that time is not known.")
    empty: dict[str, list[Completeness]] = defaultdict(list)
    for one in completeness:
        if one.state is State.MISSING:
            out.print(Text(f"{one.day} {one.detector}: not computed"))
        elif one.state is State.EMPTY:
            empty[one.detector].append(one)
    for detector, days in empty.items():
        out.print(Text(f"{detector} found nothing on {counted(len(days), 'day')}, most recently on {days[-1].day}:"))
        out.print(terminal_text(f"  {days[-1].reason}"), soft_wrap=True)
    if not partly and all(one.state is State.WRITTEN for one in completeness):
        out.print("Nothing is missing: every day is known from end to end and computed.")


def _table(title: str, heading: str) -> Table:
    """Return an empty table with its first column."""
    table = Table(title=title, title_justify="left")
    table.add_column(heading, overflow="fold", min_width=20)
    return table


def _print(table: Table) -> None:
    out.print(table, width=min(out.width, MAX_COLUMNS))


def _duration(seconds: float) -> str:
    """Return a number of seconds in convenient units.

    >>> _duration(42), _duration(605), _duration(9000)
    ('42 s', '10 min', '2 h 30 min')
    """
    if seconds < MINUTE_SECONDS:
        return f"{seconds:.0f} s"
    hours, rest = divmod(round(seconds / MINUTE_SECONDS), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
