"""A row of any measurement in one plain sentence."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from jobs.names import NO_NAMES, Names
from jobs.sentences.anomalies import sentence_of_anomaly
from jobs.sentences.rollups import sentence_of_bouts, sentence_of_drift, sentence_of_habit, sentence_of_routine
from jobs.sentences.wording import active_state, clock_before_end, hours, length, listed, times
from storage.models import (
    ActiveTimeDaily,
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    TimeBasedDaily,
)
from storage.plurals import counted
from storage.rollup_models import BoutTimesDaily, DriftWeekly, Habit, Routine
from storage.store import AggregateReader

MAX_LISTED_HOURS = 4


def sentence_of(  # noqa: C901, PLR0911, PLR0912 - one case for each measurement
    row: DailyAggregate, zone: ZoneInfo, history: AggregateReader | None = None, names: Names = NO_NAMES
) -> str:
    """Return what a row says in one plain sentence; empty for a measurement of another package.

    Args:
        row: A stored row.
        zone: The zone of the home.
        history: Where an anomaly's usual values are read; without it, its sentence has only what the row itself holds.
        names: How entities and areas are called.
    """
    match row:
        case AnomalyDaily():
            return sentence_of_anomaly(row, zone, history, names)
        case TimeBasedDaily():
            return _used_when(row, names.entity(row.entity_id))
        case DurationDaily():
            return _how_long(row, names.entity(row.entity_id))
        case ActiveTimeDaily():
            return _time_of_day(row, zone, names.entity(row.entity_id))
        case CoOccurrenceDaily():
            return _together(row, names)
        case SequenceDaily():
            steps = ", then ".join(map(names.step, row.sequence))
            return f"{steps}: {times(row.frequency)}, in {length(row.avg_duration_seconds)} on average"
        case RoomBasedDaily():
            return _room(row, names)
        case DetectorRunDaily():
            return f"{row.detector} found {counted(row.rows, 'row')}: {row.reason}"
        case Routine():
            return sentence_of_routine(row, names)
        case Habit():
            return sentence_of_habit(row, names)
        case DriftWeekly():
            return sentence_of_drift(row, names)
        case BoutTimesDaily():
            return sentence_of_bouts(row, zone, names)
        case _:
            return ""


def _used_when(row: TimeBasedDaily, name: str) -> str:
    active = f"{name} was active {times(row.occurrences if row.bouts is None else row.bouts)}"
    if row.peak_hours:
        return f"{active}, most of all {hours(row.peak_hours)}"
    used = [hour for hour, count in enumerate(row.hourly_distribution) if count]
    if len(used) <= MAX_LISTED_HOURS:
        return f"{active}, {hours(used)}"
    return f"{active}, in {len(used)} hours of the day, none of which stands out"


def _how_long(row: DurationDaily, name: str) -> str:
    state = active_state(row.entity_id)
    if row.episodes == 1:
        text = f"{name} was {state} once, for {length(row.max_duration_seconds)}"
    else:
        often = "several times" if row.episodes is None else times(row.episodes)
        average, longest = length(row.avg_duration_seconds), length(row.max_duration_seconds)
        text = f"{name} was {state} {often}, for {average} on average and {longest} at most"
    if row.efficiency_score is None:
        return text
    return f"{text}; somebody was around for {row.efficiency_score:.0%} of the time"


def _time_of_day(row: ActiveTimeDaily, zone: ZoneInfo, name: str) -> str:
    state = active_state(row.entity_id)
    if not row.active_seconds and row.still_active_seconds is None:
        return f"{name} was not {state} all day"
    text = f"{name} was {state} for {length(row.active_seconds)} of the day"
    if row.still_active_seconds is None:
        return text
    since = clock_before_end(row.date, row.still_active_seconds, zone)
    longer = "" if row.start_known == "yes" else ", or for longer"
    return f"{text}, and still is at midnight, since {since}{longer}"


def _together(row: CoOccurrenceDaily, names: Names) -> str:
    first, second = names.pair(row.device_pair)
    text = f"{first} and {second} were used together {times(row.co_occurrence_count)}"
    if row.expected_count is not None:
        text += f"; by chance, it would be {row.expected_count:.2g} times"
    if row.first_share is not None:
        leader, share = (first, row.first_share) if row.first_share >= 1 / 2 else (second, 1 - row.first_share)
        text += f"; {leader} is the first in {share:.0%} of them"
    return text


def _room(row: RoomBasedDaily, names: Names) -> str:
    text = f"{names.area(row.area_id)} had {row.activity_level:.0%} of the home's activity"
    if row.peak_activity_hours:
        text += f", most of it {hours(row.peak_activity_hours)}"
    moves = [
        f"{names.area(str(move.get('to')))} ({times(int(move.get('count') or 0))})" for move in row.transition_patterns
    ]
    return f"{text}; from there, people went to {listed(moves)}" if moves else text
