"""The schema: seven daily aggregates and the record of each detector's run.

Every row belongs to one local calendar day (``date``) of one home (``home``, empty where there is only one). Fields
annotated as ``Tag`` identify a row beside these and its measurement; every other field is a measured value. Lists and
dicts are stored as JSON of at most 1 KB. A store derives its columns, its encoding and its decoding from these classes
alone (``storage.columns``), so a model from another package is stored like one of these: subclass ``DailyAggregate``,
set a ``measurement``, annotate at least one ``Tag``. A mean that is stored with its number of observations is annotated
as ``WeightedBy`` that field, and a field that was renamed as ``FormerlyNamed``.

In each model, the fields below the comment "optional" may be absent in rows of other writers.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from storage.daily_aggregate import (
    HOURS,
    JSON_BYTES,
    LARGEST_INTEGER,
    TAG_LENGTH,
    Count,
    DailyAggregate,
    FormerlyNamed,
    Hour,
    Hours,
    Seconds,
    Share,
    SmallJson,
    Tag,
    WeightedBy,
    tag_fault,
    utc,
)

__all__ = [  # what models of other packages build on
    "AGGREGATES",
    "HOURS",
    "JSON_BYTES",
    "LARGEST_INTEGER",
    "REASON_LENGTH",
    "TAG_LENGTH",
    "ActiveTimeDaily",
    "AnomalyDaily",
    "CoOccurrenceDaily",
    "Count",
    "DailyAggregate",
    "DetectorRunDaily",
    "DurationDaily",
    "FormerlyNamed",
    "Hour",
    "Hours",
    "LinkedBy",
    "RoomBasedDaily",
    "Seconds",
    "SequenceDaily",
    "Severity",
    "Share",
    "SmallJson",
    "Tag",
    "TimeBasedDaily",
    "WeightedBy",
    "tag_fault",
]

REASON_LENGTH: Final = 1024

_RELATIVE_TOLERANCE = 1e-9

LinkedBy = Literal["automation", "same_device", "simultaneous"]
_LINKED_BY_OF_0_1 = FormerlyNamed("wired", {"device": "same_device", "in_step": "simultaneous"})


class Severity(StrEnum):
    """How surprising an anomaly is, by its adjusted p: medium below 1e-4, high below 1e-6, critical below 1e-9."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class TimeBasedDaily(DailyAggregate):
    """When one entity was active during the day.

    Attributes:
        hourly_distribution: Activity events by local hour of the clock, 24 counts; their sum is ``occurrences``.
        peak_hours: Hours with more activity than chance explains, ascending; often empty.
        frequency: Hours with activity as a share of the hours this day had.
        confidence: Wilson 95 % lower bound of the share of events in ``peak_hours``; 0 without a peak.
        occurrences: Activity events of the day.
        bouts: Bouts of the day: runs of activity events with gaps of at most 300 s, each counted once.
        device_class: What kind of device it is, such as ``door`` or ``motion``, as far as the source knows.
    """

    measurement: ClassVar[str] = "time_based_daily"
    entity_id: Tag
    domain: Tag
    hourly_distribution: Annotated[list[Count], Field(min_length=HOURS, max_length=HOURS)]  # 24 counts are small JSON
    peak_hours: Hours
    frequency: Share
    confidence: Share
    occurrences: Count
    # optional:
    bouts: Count | None = None
    device_class: str | None = None


class CoOccurrenceDaily(DailyAggregate):
    """Two entities that were active together more often than chance explains.

    Attributes:
        device_pair: Both entity ids in ascending order, joined by ``|``.
        co_occurrence_count: Bout starts of the two entities that were matched one to one within the window.
        time_window_seconds: The window, inclusive.
        confidence: Wilson 95 % lower bound of the matched share of the rarer entity's bouts.
        typical_hours: Local hours in which the matches concentrate.
        expected_count: Matches that chance alone would produce.
        median_gap_seconds: Median time between the two bout starts of a match.
        first_share: Share of the matches in which the first of the pair starts first.
        linked_by: What in the home links the two, if anything: an ``automation`` switches one of them, both belong to
            the ``same_device``, or their changes are ``simultaneous``, like those of a group and its member.
    """

    measurement: ClassVar[str] = "co_occurrence_daily"
    device_pair: Tag
    co_occurrence_count: Count
    time_window_seconds: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
    confidence: Share
    typical_hours: Hours
    # optional:
    expected_count: Seconds | None = None
    median_gap_seconds: Seconds | None = None
    first_share: Annotated[Share | None, WeightedBy("co_occurrence_count")] = None
    linked_by: Annotated[LinkedBy | None, _LINKED_BY_OF_0_1] = None

    def entity_ids(self) -> frozenset[str]:
        """Return both entities of the pair."""
        return frozenset(self.device_pair.split("|"))


class SequenceDaily(DailyAggregate):
    """A chain of state changes that followed each other repeatedly.

    Attributes:
        sequence_id: The first 16 hex digits of the SHA-256 of ``sequence`` as compact UTF-8 JSON.
        sequence: 2 to 5 steps ``entity_id:state`` in order.
        frequency: Occurrences that do not overlap.
        avg_duration_seconds: Mean time from the first step to the last.
        confidence: Wilson 95 % lower bound of how often the last step follows the ones before it.
        linked_by: What in the home links two of the steps, if anything; as in ``CoOccurrenceDaily``.
    """

    measurement: ClassVar[str] = "sequence_daily"
    sequence_id: Tag
    sequence: Annotated[list[str], Field(min_length=2, max_length=5), SmallJson]
    frequency: Count
    avg_duration_seconds: Annotated[Seconds, WeightedBy("frequency")]
    confidence: Share
    # optional:
    linked_by: Annotated[LinkedBy | None, _LINKED_BY_OF_0_1] = None

    def entity_ids(self) -> frozenset[str]:
        """Return the entity of every step."""
        return frozenset(step.partition(":")[0] for step in self.sequence)


class RoomBasedDaily(DailyAggregate):
    """What happened in one area.

    Attributes:
        activity_level: The area's share of the home's activity events that have an area.
        device_usage: Activity events by entity id.
        transition_patterns: Where people went next: ``to``, ``count``, ``probability``, ``median_seconds``.
        peak_activity_hours: Hours with more activity in the area than chance explains, ascending.
    """

    measurement: ClassVar[str] = "room_based_daily"
    area_id: Tag
    activity_level: Share
    device_usage: Annotated[dict[str, Count], SmallJson]
    transition_patterns: Annotated[list[dict[str, str | int | float | None]], SmallJson]
    peak_activity_hours: Hours

    def entity_ids(self) -> frozenset[str]:
        """Return the entities that were used in the area."""
        return frozenset(self.device_usage)


class DurationDaily(DailyAggregate):
    """How long one entity stayed in an active state (on, open, home ...), over the episodes that ended that day.

    Attributes:
        avg_duration_seconds: Mean length of an episode.
        min_duration_seconds: Shortest.
        max_duration_seconds: Longest.
        duration_variance: Population variance in seconds squared, 0 for one episode.
        efficiency_score: Share of the entity's active time on this day during which somebody was present in its area;
            absent if the area has no sensor for that.
        episodes: Number of finished episodes.
        active_seconds: As in ``ActiveTimeDaily``, which also has the entities without a finished episode.
    """

    measurement: ClassVar[str] = "duration_daily"
    entity_id: Tag
    avg_duration_seconds: Annotated[Seconds, WeightedBy("episodes")]
    min_duration_seconds: Seconds
    max_duration_seconds: Seconds
    duration_variance: Annotated[float, Field(ge=0), WeightedBy("episodes")]
    efficiency_score: Share | None = None
    # optional:
    episodes: Count | None = None
    active_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        slack = _RELATIVE_TOLERANCE * self.max_duration_seconds  # a mean of equal floats may differ by rounding
        if not self.min_duration_seconds - slack <= self.avg_duration_seconds <= self.max_duration_seconds + slack:
            raise ValueError(
                "durations must be ordered min ≤ avg ≤ max, not "
                f"{self.min_duration_seconds} ≤ {self.avg_duration_seconds} ≤ {self.max_duration_seconds}"
            )
        return self


class ActiveTimeDaily(DailyAggregate):
    """How long one entity was in an active state (on, open, home ...) within the day, whenever its episodes end.

    Every entity that was active on the day has a row, also if no episode ended. A person or device tracker also has
    one if it was away all day, with 0 seconds: "nobody was home" is not "not known".

    Attributes:
        active_seconds: Time in an active state within the day, as far as the state is known.
        known_seconds: Time within the day for which the entity's state is known.
        still_active_seconds: How long the episode that had not ended at the day's end had lasted, from its start on
            whatever day; absent if there is none. If ``start_known`` is ``no``, it had lasted at least that long.
        start_known: Whether that episode's start is known; absent if there is no such episode.
    """

    measurement: ClassVar[str] = "active_time_daily"
    entity_id: Tag
    active_seconds: Seconds
    known_seconds: Seconds
    # optional:
    still_active_seconds: Seconds | None = None
    start_known: Literal["yes", "no"] | None = None


class AnomalyDaily(DailyAggregate):
    """A day on which an entity behaved unusually, compared with its own past.

    Attributes:
        anomaly_type: ``count_high``, ``count_low``, ``long_duration``, ``still_active`` or ``unusual_hour``.
        anomaly_score: min(1, -log10(adjusted p) / 12).
        baseline_deviation: Signed distance from the expected value in standard deviations.
        occurrences: Bouts or episodes concerned.
        severity: By adjusted p.
        duration_seconds: Of ``long_duration`` and ``still_active``: how long the episode lasted, or has lasted so far.
        longest_before_seconds: Of these two: the longest episode of the baseline.
        hours: Of ``unusual_hour``: the local hours concerned, ascending.
        group: Which rows of the day belong together: they share this value.
        home_activity: What the home as a whole was like on this day.
        muted: Why the anomaly is muted; absent if it is not.
    """

    measurement: ClassVar[str] = "anomaly_daily"
    entity_id: Tag
    anomaly_type: Tag
    anomaly_score: Share
    baseline_deviation: float
    occurrences: Count
    severity: Severity
    # optional:
    duration_seconds: Seconds | None = None
    longest_before_seconds: Seconds | None = None
    hours: Hours | None = None
    group: str | None = None
    home_activity: Literal["quiet", "busy", "usual"] | None = None
    muted: str | None = None


class DetectorRunDaily(DailyAggregate):
    """The record that a detector has computed a day; written after the rows it describes.

    A reader tells "nothing happened" (this row with ``rows`` = 0 and a ``reason``) from "not computed" (no such row).

    Attributes:
        detector: The registered name.
        version: The detector's version.
        rows: Number of rows it found.
        events: Number of activity events it was given.
        known_seconds: Known time: how much of the day the source recorded.
        day_seconds: Length of the local day; on most days 86,400, at clock changes often 82,800 or 90,000.
        reason: A sentence about what was tested, cut and not judged.
        computed_at: When it was computed, as an instant in UTC.
    """

    measurement: ClassVar[str] = "detector_run_daily"
    detector: Tag
    version: Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
    rows: Count
    events: Count
    known_seconds: Seconds
    day_seconds: Seconds
    reason: Annotated[str, Field(max_length=REASON_LENGTH)]
    computed_at: Annotated[dt.datetime, AfterValidator(utc)]


AGGREGATES: Final[tuple[type[DailyAggregate], ...]] = (
    TimeBasedDaily,
    CoOccurrenceDaily,
    SequenceDaily,
    RoomBasedDaily,
    DurationDaily,
    ActiveTimeDaily,
    AnomalyDaily,
)
