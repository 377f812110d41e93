"""The schema of rollups: rows of whole weeks and months, whose ``date`` is the last day of the period.

They are models like those of ``storage.models``. A store may keep them longer: ``store.rollup_retention_days``.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from storage.daily_aggregate import HOURS, Count, DailyAggregate, Hour, Hours, Seconds, Share, SmallJson, Tag, TagMark
from storage.models import LinkedBy

Scope = Literal["entity", "area", "home"]
Change = Literal["more", "less", "other_hours", "none"]
HabitKind = Literal["pair", "chain"]
Trend = Literal["new", "steady", "fading", "lost"]
NotNegative = Annotated[float, Field(ge=0)]
RegularityIndex = Annotated[float, Field(ge=-100, le=100)]


class BoutTimesDaily(DailyAggregate):
    """When the bouts of one entity began: the evidence that habits are computed from. It is daily, not a rollup.

    Attributes:
        starts: Seconds since the local midnight, ascending.
        device_id: The device that the entity belongs to, as far as the source knows.
    """

    measurement: ClassVar[str] = "bout_times_daily"
    entity_id: Tag
    starts: Annotated[list[Count], SmallJson]
    # optional:
    device_id: str | None = None


class Routine(DailyAggregate, abstract=True):
    """How regularly an entity, an area or the home was active, over the complete days of a period.

    Attributes:
        scope: What the row is about: an ``entity``, an ``area`` or the ``home``.
        subject: The entity id or area id; ``home`` for the home.
        hourly_profile: Activity events of a mean day by local hour, 24 means over the complete days of the period.
        active_days: Complete days of the period with activity.
        known_days: Complete days of the period.
        interdaily_stability: How alike the days are, from 0 for noise to 1 for the same every day, over the 28 days
            that end with ``date``; absent if too few of them are complete.
        interdaily_stability_low: Lower end of its 95 % interval.
        interdaily_stability_high: Upper end.
        regularity_index: How often an hour has the same state (active or not) as the same hour of the day before: 100
            always, 0 half of the times, -100 never. Over the period; absent if too few of its days are complete.
        regularity_index_low: Lower end of its 95 % interval.
        regularity_index_high: Upper end.
        intradaily_variability: How much the activity changes from hour to hour, compared with how much it varies.
        relative_amplitude: (M10 - L5) / (M10 + L5), of the most active 10 and the least active 5 hours of the mean day.
        l5_onset_hour: The hour in which the least active 5 hours begin.
        m10_onset_hour: The hour in which the most active 10 hours begin.
        change: Whether the activity differs from that of the period before, by a test; absent if it was not tested.
        bouts_per_day: Mean bouts of a complete day of the period.
        bouts_per_day_before: The same of the period before; absent if none of its days is complete.
    """

    scope: Annotated[Scope, TagMark()]
    subject: Tag
    hourly_profile: Annotated[list[NotNegative], Field(min_length=HOURS, max_length=HOURS), SmallJson]
    active_days: Count
    known_days: Count
    # optional:
    interdaily_stability: Share | None = None
    interdaily_stability_low: Share | None = None
    interdaily_stability_high: Share | None = None
    regularity_index: RegularityIndex | None = None
    regularity_index_low: RegularityIndex | None = None
    regularity_index_high: RegularityIndex | None = None
    intradaily_variability: NotNegative | None = None
    relative_amplitude: Share | None = None
    l5_onset_hour: Hour | None = None
    m10_onset_hour: Hour | None = None
    change: Change | None = None
    bouts_per_day: NotNegative | None = None
    bouts_per_day_before: NotNegative | None = None

    def entity_ids(self) -> frozenset[str]:
        """Return the entity that the row is about; none for an area or the home."""
        return frozenset({self.subject}) if self.scope == "entity" else frozenset()


class RoutineWeekly(Routine):
    """The routine of an ISO week."""

    measurement: ClassVar[str] = "routine_weekly"


class RoutineMonthly(Routine):
    """The routine of a calendar month."""

    measurement: ClassVar[str] = "routine_monthly"


class Habit(DailyAggregate, abstract=True):
    """Two entities, or a chain of state changes, that go together on many days: proved over several weeks.

    Attributes:
        kind: A ``pair`` of entities or a ``chain`` of state changes.
        habit: The ``device_pair`` or ``sequence_id``, as in the daily aggregates.
        entities: The ids of the entities concerned; of a chain in the order of its steps.
        days_seen: Days of the period on which it was seen.
        days_possible: Days of the period on which it could have been: all of its entities acted.
        strength: The share of the possible days on which it was seen.
        strength_low: Lower end of its 95 % interval (Wilson).
        strength_high: Upper end.
        typical_hours: Local hours that hold at least a quarter of its occurrences.
        median_gap_seconds: Median time between the two of a pair, or between the first and last step of a chain.
        trend: How the strength compares with that of the days before, by a test; absent if it was not tested.
        weekday_seen: Of ``days_seen``, those from Monday to Friday.
        weekday_possible: Of ``days_possible``, those from Monday to Friday.
        linked_by: What in the home links two of the entities, if anything; as in ``CoOccurrenceDaily``.
    """

    kind: Annotated[HabitKind, TagMark()]
    habit: Tag
    entities: Annotated[list[str], Field(min_length=2), SmallJson]
    days_seen: Count
    days_possible: Count
    strength: Share
    strength_low: Share
    strength_high: Share
    typical_hours: Hours
    # optional:
    median_gap_seconds: Seconds | None = None
    trend: Trend | None = None
    weekday_seen: Count | None = None
    weekday_possible: Count | None = None
    linked_by: LinkedBy | None = None

    def entity_ids(self) -> frozenset[str]:
        """Return the entities of the pair or chain."""
        return frozenset(self.entities)


class HabitWeekly(Habit):
    """A habit in an ISO week."""

    measurement: ClassVar[str] = "habit_weekly"


class HabitMonthly(Habit):
    """A habit in a calendar month."""

    measurement: ClassVar[str] = "habit_monthly"


class DriftWeekly(DailyAggregate):
    """An entity that is used more or less often since some day, and not for a day or two only.

    Attributes:
        changed_on: The first day of the new level.
        before: Mean bouts of a day before that day.
        after: Mean bouts of a day from that day on.
        score: How strong the evidence is: minus the natural logarithm of how often chance alone looks so much like a
            change on one given day.
        threshold: The score that a change had to reach in this home.
    """

    measurement: ClassVar[str] = "drift_weekly"
    entity_id: Tag
    changed_on: dt.date
    before: NotNegative
    after: NotNegative
    score: NotNegative
    # optional:
    threshold: NotNegative | None = None


ROLLUPS: Final[tuple[type[DailyAggregate], ...]] = (
    RoutineWeekly,
    RoutineMonthly,
    HabitWeekly,
    HabitMonthly,
    DriftWeekly,
)
