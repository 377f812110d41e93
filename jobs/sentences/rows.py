"""A row of any measurement in one plain sentence."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from jobs.names import NO_NAMES, Names
from jobs.sentences.anomalies import sentence_of_anomaly
from jobs.sentences.rollups import sentence_of_bouts, sentence_of_drift, sentence_of_habit, sentence_of_routine
from jobs.sentences.wording import active_state, clock_before_end, hours, length, listed, times
from storage.dates import DateRange
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
MIN_EVEN_SHARE, MAX_EVEN_SHARE = 0.45, 0.55  # of the times: neither of two entities is called the first


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
            return _how_long(row, _state(row, history), names.entity(row.entity_id))
        case ActiveTimeDaily():
            return _time_of_day(row, _state(row, history), zone, names.entity(row.entity_id))
        case CoOccurrenceDaily():
            return _together(row, names)
        case SequenceDaily():
            steps = ", then ".join(map(names.step, row.sequence))
            return f"{steps}: {times(row.frequency)}, taking {length(row.avg_duration_seconds)} on average"
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


def _state(row: DurationDaily | ActiveTimeDaily, history: AggregateReader | None) -> str:
    """Return what people call the active state of an entity, by the device class that the day's rows have."""
    days = DateRange(row.date, row.date)
    used = [] if history is None else history.read(TimeBasedDaily, days, {"entity_id": row.entity_id})
    return active_state(row.entity_id, next((one.device_class for one in used), None))


def _used_when(row: TimeBasedDaily, name: str) -> str:
    count = row.occurrences if row.bouts is None else row.bouts
    active = f"{name} was active {times(count)}"
    if row.peak_hours:
        return f"{active}, most of all {hours(row.peak_hours)}"
    used = [hour for hour, count in enumerate(row.hourly_distribution) if count]
    if len(used) <= MAX_LISTED_HOURS:
        return f"{active}, {hours(used)}"
    if count < len(used):
        stretches = counted(count, "long stretch", "long stretches")
        return f"{name} was active in {len(used)} hours of the day, in {stretches}; no hour stands out"
    return f"{active}, in {len(used)} hours of the day; no hour stands out"


def _how_long(row: DurationDaily, state: str, name: str) -> str:
    if row.episodes == 1:
        text = f"{name} was {state} once, for {length(row.max_duration_seconds)}"
    else:
        often = "several times" if row.episodes is None else times(row.episodes)
        average, longest = length(row.avg_duration_seconds), length(row.max_duration_seconds)
        text = f"{name} was {state} {often}, for {average} on average and {longest} at most"
    if row.efficiency_score is None:
        return text
    share = f"{row.efficiency_score:.0%}"
    around = {"0%": "nobody was around", "100%": "somebody was around all the time"}
    return f"{text}; {around.get(share, f'somebody was around for {share} of the time')}"


def _time_of_day(row: ActiveTimeDaily, state: str, zone: ZoneInfo, name: str) -> str:
    if not row.active_seconds and row.still_active_seconds is None:
        return f"{name} was not {state} all day"
    text = f"{name} was {state} for {length(row.active_seconds)} of the day"
    if row.still_active_seconds is None:
        return text
    since = clock_before_end(row.date, row.still_active_seconds, zone)
    earlier = "" if row.start_known == "yes" else " or earlier"
    return f"{text}; at midnight it still was, since {since}{earlier}"


def _together(row: CoOccurrenceDaily, names: Names) -> str:
    first, second = names.pair(row.device_pair)
    text = f"{first} and {second} were used together {times(row.co_occurrence_count)}"
    if row.expected_count is not None:
        text += f"; by chance it would be about {row.expected_count:.2g} times"
    if row.first_share is not None and MIN_EVEN_SHARE <= row.first_share <= MAX_EVEN_SHARE:
        text += "; each came first about as often"
    elif row.first_share is not None:
        leader, share = (first, row.first_share) if row.first_share >= 1 / 2 else (second, 1 - row.first_share)
        often = "each time" if share == 1 else f"in {share:.0%} of them"
        text += f"; {leader} came first {often}"
    return text


def _room(row: RoomBasedDaily, names: Names) -> str:
    text = f"{names.area(row.area_id)} had {row.activity_level:.0%} of the home's activity"
    if row.peak_activity_hours:
        text += f", most of it {hours(row.peak_activity_hours)}"
    moves = [
        f"{names.area(str(move.get('to')))} ({times(int(move.get('count') or 0))})" for move in row.transition_patterns
    ]
    return f"{text}; from there, people went to {listed(moves)}" if moves else text
