"""What people say about their home: the days on which nobody is there, and the anomalies they do not want to hear of.

Detectors that judge stored days are given a ``Household``. It never changes; a run reads it once, when it begins.
``jobs.household_file`` keeps what people entered, ``jobs.household_calendar`` reads days away from a calendar.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final, Literal, get_args

from storage.dates import DateRange, Day

Origin = Literal["entered", "calendar"]

AnomalyType = Literal["count_high", "count_low", "long_duration", "still_active", "unusual_hour"]
ANOMALY_TYPES: Final = ("activity_while_away", *get_args(AnomalyType))
NO_REASON: Final = "no reason given"
FILE_MARK: Final = "household="  # in the fingerprint of what was judged: it depends on what people entered
CALENDAR_MARK: Final = "calendar="  # it depends on the calendar


@dataclass(frozen=True, slots=True, order=True)
class Away:
    """Days on which nobody is home.

    On the first and on the last day, people may still or already be there for a part of the day.

    Attributes:
        first: The first day.
        last: The last day, included.
        note: Why, in the words of the person or of the calendar; may be empty.
        origin: Where it comes from.
    """

    first: dt.date
    last: dt.date
    note: str = ""
    origin: Origin = "entered"

    @property
    def days(self) -> DateRange:
        """Its days."""
        return DateRange(self.first, self.last)


@dataclass(frozen=True, slots=True, order=True)
class Mute:
    """Anomalies that are stored, but that nobody is notified of.

    Attributes:
        entity: The id of the entity, or a glob.
        anomaly_type: Only this type; None for all types.
        first: The first day that it holds for.
        until: The last day, included; None if it has no end.
        reason: Why; may be empty.
    """

    entity: str
    anomaly_type: str | None
    first: dt.date
    until: dt.date | None = None
    reason: str = ""

    def holds_on(self, day: Day) -> bool:
        """Return whether it holds on a day."""
        return self.first <= day and (self.until is None or day <= self.until)

    def concerns(self, entity_id: str, anomaly_type: str) -> bool:
        """Return whether it is about this type of anomaly of an entity."""
        return self.anomaly_type in (None, anomaly_type) and (
            self.entity == entity_id or fnmatchcase(entity_id, self.entity)
        )

    def __str__(self) -> str:
        return self.entity + (f":{self.anomaly_type}" if self.anomaly_type else "")


@dataclass(frozen=True)
class Household:
    """What people and their calendar say about the home.

    Attributes:
        away: The days on which nobody is home, in any order; they may overlap.
        mutes: The anomalies that nobody is notified of.
        problem: Why this is not known; days are then not judged. Empty if it is known.
        notices: What else went wrong when it was read, in words.
    """

    away: tuple[Away, ...] = ()
    mutes: tuple[Mute, ...] = ()
    problem: str = ""
    notices: tuple[str, ...] = field(default=(), compare=False)

    def away_on(self, day: Day) -> Away | None:
        """Return the days away that a day belongs to, what people entered before what the calendar says."""
        found = [away for away in self.away if day in away.days]
        return min(found, key=lambda away: (away.origin != "entered", away), default=None)

    def mute_of(self, entity_id: str, anomaly_type: str, day: Day) -> Mute | None:
        """Return what mutes a type of anomaly of an entity on a day; None if nothing does."""
        return next(
            (mute for mute in self.mutes if mute.holds_on(day) and mute.concerns(entity_id, anomaly_type)), None
        )

    def with_present_names(self, renames: Mapping[str, str]) -> Household:
        """Return the same for entities under their present names.

        Args:
            renames: The present name of each entity that had another one, by its former names.
        """
        mutes = (replace(mute, entity=renames.get(mute.entity, mute.entity)) for mute in self.mutes)
        return replace(self, mutes=tuple(mutes))

    def fingerprint(self, days: DateRange) -> str:
        """Return a fingerprint of what matters for judging the last of some days by those before it.

        It is empty if nothing matters: judging these days is then the same as without a household.
        """
        entered = [away for away in self.away if away.origin == "entered"]
        from_calendar = [away for away in self.away if away.origin == "calendar"]
        mutes = sorted((str(mute), mute.reason) for mute in self.mutes if mute.holds_on(days.last))
        parts = (FILE_MARK, (*_within(entered, days), *mutes)), (CALENDAR_MARK, _within(from_calendar, days))
        return " ".join(mark + _digest(facts) for mark, facts in parts if facts)


NO_HOUSEHOLD: Final = Household()


def _within(away: Iterable[Away], days: DateRange) -> tuple[tuple[str, str], ...]:
    """Return the days away that matter, with their true ends: it is there that people may be home."""
    return tuple(sorted({(str(one.first), str(one.last)) for one in away if one.days & days}))


def _digest(facts: tuple[tuple[str, str], ...]) -> str:
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()
