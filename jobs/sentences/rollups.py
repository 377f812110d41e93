"""A row of a week or a month, and the bouts of a day, each in one plain sentence."""

from __future__ import annotations

import datetime as dt
from typing import Final
from zoneinfo import ZoneInfo

from jobs.names import Names
from jobs.sentences.wording import day, hours, length, listed, times
from storage.periods import cadence_of
from storage.plurals import counted
from storage.rollup_models import BoutTimesDaily, DriftWeekly, Habit, Routine, Trend

TREND_WORDS: Final[dict[Trend | None, str]] = {
    "new": "this is new",
    "steady": "as in the weeks before",
    "fading": "less often than in the weeks before",
    "lost": "it was a habit in the weeks before, and no longer is",
    None: "with too few days before to say whether that is new",
}


def sentence_of_routine(row: Routine, names: Names) -> str:
    """Return how often and how regularly an entity, an area or the home was active in a week or month."""
    period = "week" if cadence_of(row.measurement) == "weekly" else "month"
    text = f"{_subject(row, names)} was active on {row.active_days} of {counted(row.known_days, 'complete day')}"
    if row.bouts_per_day is not None:
        text += f", {_a_day(row.bouts_per_day)}"
    if row.interdaily_stability is not None:
        text += f"; the time of day explains {row.interdaily_stability:.0%} of how much its hours differ"
    before = "" if row.bouts_per_day_before is None else f" ({_a_day(row.bouts_per_day_before)} then)"
    match row.change:
        case "more" | "less":
            return f"{text}; {row.change} than in the {period} before{before}"
        case "other_hours":
            return f"{text}; at other hours than in the {period} before"
        case "none":
            return f"{text}; no change against the {period} before beyond chance"
        case _:
            return f"{text}; not compared with the {period} before"


def sentence_of_habit(row: Habit, names: Names) -> str:
    """Return on how many days a pair or chain was seen, and whether that is new."""
    entities = [names.entity(one) for one in row.entities]
    who = f"{', then '.join(entities)}:" if row.kind == "chain" else f"{' and '.join(entities)} were used together"
    both = "both" if len(set(row.entities)) == 2 else "all"  # noqa: PLR2004 - a pair
    text = f"{who} on {row.days_seen} of the {counted(row.days_possible, 'day')} on which {both} were used"
    if row.median_gap_seconds is not None:
        text += f", {length(row.median_gap_seconds)} {'from first to last' if row.kind == 'chain' else 'apart'}"
    if row.typical_hours:
        text += f", mostly {hours(row.typical_hours)}"
    return f"{text}; {TREND_WORDS[row.trend]}"


def sentence_of_drift(row: DriftWeekly, names: Names) -> str:
    """Return since when an entity is used more or less often."""
    if not row.after:
        return (
            f"{names.entity(row.entity_id)} has not been used since {day(row.changed_on)}; {_a_day(row.before)} before"
        )
    more = "more" if row.after > row.before else "less"
    often = f"{_a_day(row.after)}, {_a_day(row.before)} before"
    return f"{names.entity(row.entity_id)} is used {more} often since {day(row.changed_on)}: {often}"


def sentence_of_bouts(row: BoutTimesDaily, zone: ZoneInfo, names: Names) -> str:
    """Return when an entity was used on a day."""
    text = f"{names.entity(row.entity_id)} was used {times(len(row.starts))}"
    if not row.starts:
        return text
    midnight = dt.datetime.combine(row.date, dt.time(), zone).timestamp()
    clocks = [f"{dt.datetime.fromtimestamp(midnight + start, zone):%H:%M}" for start in row.starts]
    if len(clocks) <= 3:  # noqa: PLR2004 - as many as are easily read
        return f"{text}, at {listed(clocks)}"
    return f"{text}, first at {clocks[0]} and last at {clocks[-1]}"


def _subject(row: Routine, names: Names) -> str:
    if row.scope == "home":
        return "The home"
    return names.area(row.subject) if row.scope == "area" else names.entity(row.subject)


def _a_day(bouts: float) -> str:
    """Return a mean number of bouts as people say it.

    >>> _a_day(8.0), _a_day(1.0), _a_day(0.25), _a_day(7.125)
    ('8 times a day', 'once a day', '0.2 times a day', '7.1 times a day')
    """
    text = f"{bouts:.0f}" if bouts >= 10 else f"{bouts:.1f}".removesuffix(".0")  # noqa: PLR2004 - as people round
    return "once a day" if text == "1" else f"{text} times a day"
