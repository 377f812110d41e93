"""Which anomalies of a day tell one story, what the home as a whole was like, and which are muted.

Rows belong together if they are about the same entity, or about entities with one object id (two entities of a device);
or if the same kind of thing happened, where the kinds are more activity, less activity, and lasting longer, and

* both entities are in one area,
* both fell silent on the same day (a dead hub, an empty battery of a bridge),
* both were active in the same or the next unusual hour, or both have been active since the same quarter of an hour,
* or more activity was seen on a day on which the whole home was busy (guests).

Whatever moved while nobody was home is one story. The group is named after the entity with the highest score.

The home is ``quiet`` if fewer than half of the usual entities are active, and ``busy`` if its entities together are
more than two standard errors above their means, and further than on all but one in twenty of the baseline days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, Literal

import numpy as np

from jobs.detectors._baseline import Baseline
from jobs.household import NO_REASON, Household
from jobs.statistics import dispersion
from storage.dates import Day
from storage.models import AnomalyDaily

HomeActivity = Literal["quiet", "busy", "usual"]

_DIRECTION: Final = {
    "count_high": "more",
    "unusual_hour": "more",
    "count_low": "less",
    "long_duration": "longer",
    "still_active": "longer",
    "activity_while_away": "away",
}
_MAX_DEVIATIONS: Final = 2.0  # of one entity: further out, it says nothing about the home
_MIN_BUSY: Final = 2.0  # standard errors
_BUSY_SHARE: Final = 0.05  # of the baseline days may be as busy
_SAME_START_SECONDS: Final = 900


def home_activity(baseline: Baseline, min_days: int) -> HomeActivity:
    """Return what the home as a whole was like on the judged day, compared with the days of its baseline."""
    if baseline.quiet[-1]:
        return "quiet"
    entity = np.flatnonzero(baseline.counted.sum(axis=0) >= min_days)
    if not len(entity):
        return "usual"
    bouts, counted = baseline.bouts[:, entity], baseline.counted[:, entity]
    usual = baseline.usual(counted, entity)
    spread = np.sqrt(dispersion.variance(usual.by_day, usual.weights))
    deviation = np.clip((bouts - usual.by_day) / spread, -_MAX_DEVIATIONS, _MAX_DEVIATIONS)
    present = counted.copy()
    present[-1] = True
    busy = np.where(present, deviation, 0.0).sum(axis=1) / np.sqrt(np.maximum(present.sum(axis=1), 1))
    days = present[:-1].any(axis=1)
    as_busy = np.count_nonzero(busy[:-1][days] >= busy[-1])
    return "busy" if busy[-1] > _MIN_BUSY and as_busy <= _BUSY_SHARE * np.count_nonzero(days) else "usual"


def silent_since(baseline: Baseline, rows: Sequence[AnomalyDaily]) -> dict[str, int]:
    """Return for each entity that is silent on the judged day how many complete days of silence came before it."""
    found = {}
    for row in rows:
        code = baseline.code_of(row.entity_id)
        if row.anomaly_type == "count_low" and code >= 0 and not row.occurrences:
            active = np.flatnonzero(baseline.bouts[:, code])
            found[row.entity_id] = len(baseline.bouts) - 1 - int(active[-1]) if len(active) else len(baseline.bouts)
    return found


def with_context(
    rows: Sequence[AnomalyDaily],
    household: Household,
    *,
    activity: HomeActivity,
    areas: Mapping[str, str],
    silent: Mapping[str, int],
) -> list[AnomalyDaily]:
    """Return rows with their group, the home's activity, and why they are muted.

    Args:
        rows: All anomalies of a day.
        household: What is muted.
        activity: What the home as a whole was like.
        areas: The area of each entity, as far as it is known.
        silent: For how long entities have been silent, from ``silent_since``.
    """
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    for one, other in combinations(range(len(rows)), 2):
        if _belong_together(rows[one], rows[other], activity, areas, silent):
            parent[root(other)] = root(one)
    members: dict[int, list[AnomalyDaily]] = {}
    for index, row in enumerate(rows):
        members.setdefault(root(index), []).append(row)
    names = {head: max(group, key=_leads).entity_id for head, group in members.items()}
    return [
        row.model_copy(
            update={
                "group": names[root(index)],
                "home_activity": activity,
                "muted": _muted(row, row.date, household),
            }
        )
        for index, row in enumerate(rows)
    ]


def _leads(row: AnomalyDaily) -> tuple[float, float, str]:
    return row.anomaly_score, abs(row.baseline_deviation), row.entity_id


def _muted(row: AnomalyDaily, day: Day, household: Household) -> str | None:
    mute = household.mute_of(row.entity_id, row.anomaly_type, day)
    return None if mute is None else mute.reason or NO_REASON


def _belong_together(
    one: AnomalyDaily,
    other: AnomalyDaily,
    activity: HomeActivity,
    areas: Mapping[str, str],
    silent: Mapping[str, int],
) -> bool:
    if one.entity_id.partition(".")[2] == other.entity_id.partition(".")[2]:
        return True
    direction = _DIRECTION.get(one.anomaly_type)
    if direction is None or direction != _DIRECTION.get(other.anomaly_type):
        return False
    area = areas.get(one.entity_id)
    return (
        direction == "away"
        or (direction == "more" and activity == "busy")
        or (area is not None and area == areas.get(other.entity_id))
        or (one.entity_id in silent and silent[one.entity_id] == silent.get(other.entity_id))
        or any(abs(hour - near) <= 1 for hour in one.hours or () for near in other.hours or ())
        or _began_together(one, other)
    )


def _began_together(one: AnomalyDaily, other: AnomalyDaily) -> bool:
    """Return whether two episodes that have not ended began at about the same time."""
    if not one.anomaly_type == other.anomaly_type == "still_active":
        return False
    lengths = one.duration_seconds, other.duration_seconds
    return None not in lengths and abs((lengths[0] or 0) - (lengths[1] or 0)) <= _SAME_START_SECONDS
