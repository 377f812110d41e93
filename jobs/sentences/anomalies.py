"""An anomaly in one plain sentence, as a resident would ask for it: what happened, and what is usual."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from jobs.names import NO_NAMES, Names
from jobs.sentences.wording import active_state, clock_before_end, day, hours, length, period, times
from storage.dates import ONE_DAY, DateRange
from storage.models import HOURS, AnomalyDaily, DurationDaily, TimeBasedDaily
from storage.plurals import counted
from storage.store import AggregateReader

BASELINE_DAYS: Final = 28

_SAME_SECONDS: Final = 1.0  # lengths that differ by less are the same: a stored one was a logarithm before
_PERSON_DOMAINS: Final = frozenset({"person", "device_tracker"})


def sentence_of_anomaly(
    row: AnomalyDaily, zone: ZoneInfo, history: AggregateReader | None = None, names: Names = NO_NAMES
) -> str:
    """Return what happened and what is usual, in one sentence; why it is muted is added in brackets.

    Args:
        row: The anomaly.
        zone: The zone of the home.
        history: Where what is usual is read; without it, the sentence has only what the row itself holds.
        names: How entities are called.
    """
    about = _Usual(row, history)
    match row.anomaly_type:
        case "count_high":
            text = f"was active {times(row.occurrences)}{about.counts()}"
        case "count_low" if row.occurrences:
            text = f"was active only {times(row.occurrences)}{about.counts()}"
        case "count_low":
            text = f"has been silent{about.silence()}"
        case "long_duration":
            text = f"was {about.state} for {_length_of(row)}{about.lengths()}"
        case "still_active":
            since = "" if row.duration_seconds is None else clock_before_end(row.date, row.duration_seconds, zone)
            text = f"has been {about.state} since {since or 'an earlier day'}{about.lengths()}"
        case "unusual_hour":
            text = f"was used {hours(row.hours or ()) or 'at an unusual hour'}{about.quiet_hours()}"
        case "activity_while_away":
            done = "opened" if about.state in {"open", "unlocked"} else "noticed somebody"
            text = f"{done} {hours(row.hours or ())} while nobody was home".replace("  ", " ")
        case other:
            text = f"was unusual ({other}), {row.baseline_deviation:+.1f} standard deviations from what is expected"
    muted = f" (muted: {row.muted})" if row.muted else ""
    return f"{names.entity(row.entity_id)} {text}{muted}"


def _length_of(row: AnomalyDaily) -> str:
    return "unusually long" if row.duration_seconds is None else length(row.duration_seconds)


class _Usual:
    """What is usual for the entity of an anomaly, read only where a sentence needs it.

    Args:
        row: The anomaly.
        history: Stored rows; None if they cannot be read.
    """

    def __init__(self, row: AnomalyDaily, history: AggregateReader | None) -> None:
        self._row = row
        self._history = history
        self._days = DateRange.ending(row.date - ONE_DAY, BASELINE_DAYS)

    @property
    def state(self) -> str:
        """What people call its active state."""
        classes = [] if self._history is None else [row.device_class for row in self._bouts(self._history)]
        return active_state(self._row.entity_id, next((one for one in reversed(classes) if one), None))

    def counts(self) -> str:
        """Return how often it is usually active on a day."""
        if self._history is None:
            return ""
        counts = [row.occurrences if row.bouts is None else row.bouts for row in self._bouts(self._history)]
        if not counts:
            return ""
        average, low, high = sum(counts) / len(counts), min(counts), max(counts)
        return f"; on the days before, it was {average:.0f} times on average, from {low:,} to {high:,}"

    def silence(self) -> str:
        """Return since when it has been silent, and how often it was active before."""
        if self._history is None:
            return ""
        days = DateRange.ending(self._row.date, 2 * BASELINE_DAYS)
        rows = [row for row in self._history.read(TimeBasedDaily, days, self._own) if row.occurrences]
        if not rows:
            return f" for {period(len(days))} or more"
        newest = max(row.date for row in rows)
        counts = [row.occurrences if row.bouts is None else row.bouts for row in rows]
        usual = sum(counts) / len(counts)
        often = f"{usual:.0f} times" if usual >= 2 else "about once"  # noqa: PLR2004 - a plural
        return f" since {day(newest + ONE_DAY)}; before that, it was active {often} a day when it was used at all"

    def lengths(self) -> str:
        """Return the longest time it was active before; longer times that do not count as usual are named as such."""
        usual = self._row.longest_before_seconds or None  # 0: there was none
        rows = [] if self._history is None else self._history.read(DurationDaily, self._days, self._own)
        if not rows:
            return "" if usual is None else f"; usually {length(usual)} at most"
        number, longest = sum(row.episodes or 1 for row in rows), max(row.max_duration_seconds for row in rows)
        longer = [] if usual is None else [row for row in rows if row.max_duration_seconds > usual + _SAME_SECONDS]
        if usual is not None and longer:
            often = f"on {counted(len(longer), 'day')} in {period(len(self._days))} before, up to {length(longest)}"
            return f"; usually {length(usual)} at most, but longer {often}"
        of_all = f"the longest of {number:,} times" if number > 1 else "the only time"
        return f"; {of_all} in {period(len(self._days))} before was {length(longest)}"

    def quiet_hours(self) -> str:
        """Return around which hours the home, or else the entity, was never active before."""
        if self._history is None or not self._row.hours:
            return ""
        rows = self._history.read(TimeBasedDaily, self._days)
        own = [row for row in rows if row.entity_id == self._row.entity_id]
        for whose, used in (("nothing in the home", rows), ("it", own)):
            devices = [row for row in used if row.domain not in _PERSON_DOMAINS]
            busy = {hour for row in devices for hour, count in enumerate(row.hourly_distribution) if count}
            quiet = _quiet_around(self._row.hours, busy)
            if devices and quiet:
                was = "was" if whose != "it" else "was never"
                return f"; in {period(len(self._days))} before, {whose} {was} used {hours(quiet)}"
        return ""

    @property
    def _own(self) -> dict[str, str]:
        return {"entity_id": self._row.entity_id}

    def _bouts(self, history: AggregateReader) -> list[TimeBasedDaily]:
        return history.read(TimeBasedDaily, self._days, self._own)


def _quiet_around(unusual: list[int], busy: set[int]) -> list[int]:
    """Return the hours around some hours of which none was busy; empty if one of them was busy itself."""
    if busy & set(unusual):
        return []
    first, last = min(unusual), max(unusual)
    if busy & set(range(first, last + 1)):
        return list(unusual)
    while first > 0 and first - 1 not in busy:
        first -= 1
    while last < HOURS - 1 and last + 1 not in busy:
        last += 1
    return list(range(first, last + 1))
