"""The test of ``anomaly`` for activity at an hour at which the home is quiet and the entity never acted before."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.detectors._baseline import Baseline
from jobs.detectors._deviations import Surprises, with_enough_days
from jobs.statistics.arrays import Integers

_QUIET_SHARE: Final = 0.1  # of the mean activity of an hour: below it, the home is quiet in that hour
_MIN_USES_OF_HOUR: Final = 10  # of a mean hour in the whole baseline: with fewer, an hour without any says little
_CLOCKWORK_HOURS: Final = 20  # an entity that acts in so many of the 24 hours does not follow anybody's day
_MIN_EVENTS: Final = 2  # on and off: a single change is the end of what began before
_AWAKE_ENTITIES: Final = 4  # so many entities, or this share of those of a usual hour, act where somebody is up
_AWAKE_SHARE: Final = 0.25
_WAKING_ENTITIES: Final = 3  # so many act in an hour of the waking day: somebody may be up in the hours beside it too
_MAX_ENTITIES: Final = 5  # where more act in quiet hours of a day that are new to them, the day is what is unusual
_MAX_DAYS_OF_CLASS: Final = 2  # baseline days on which an entity of the same class did the like
_MAX_DAYS_OF_HOME: Final = 4  # and on which any entity of the home did
_MAX_DAYS_IF_NEAR: Final = 1  # the same if the entity has acted two hours before or after that hour


class _Candidates(NamedTuple):
    """Where entities acted in quiet hours that are new to them, by the other days; shape (days, entities, 24).

    Attributes:
        near: In an hour in which, and in those beside which, the entity never acted.
        far: Those of them in which it did not act two hours before or after either.
        any_quiet: Whether the home has a quiet hour at all.
    """

    near: Flags
    far: Flags
    any_quiet: bool


def unusual_hour(baseline: Baseline, min_days: int) -> Surprises:
    """Test for activity in quiet hours in which an entity never acted, where that is rare in the home."""
    entity = with_enough_days(baseline.counted, min_days)
    near, far, any_quiet = _candidates(baseline, entity)
    classes, days = baseline.classes[entity], len(near) - 1
    today = np.flatnonzero(near[-1].any(axis=1))
    if len(today) > _MAX_ENTITIES:  # somebody is up, or at home, in hours in which the home is usually quiet
        today = today[:0]
    is_far = far[-1, today].any(axis=1)
    far_before: Flags = np.logical_or.reduce(far[:-1], axis=2)
    near_before: Flags = np.logical_or.reduce(near[:-1], axis=2)
    of_class = np.array(
        [far_before[:, classes == classes[code]].any(axis=1).sum() for code in today.tolist()], np.int64
    )
    of_home = int(far_before.any(axis=1).sum())
    like = np.where(is_far, of_class, int(near_before.any(axis=1).sum()))
    rare_far = (of_class <= _MAX_DAYS_OF_CLASS) & (of_home <= _MAX_DAYS_OF_HOME)
    a_day = (like + 0.5) / (days + 1)
    hours = np.where(is_far[:, None], far[-1, today], near[-1, today])
    return Surprises(
        kind="unusual_hour",
        entity=entity[today],
        reported=np.where(is_far, rare_far, like <= _MAX_DAYS_IF_NEAR),
        a_day=a_day,
        p=a_day,
        expected=a_day,
        deviation=(1 - a_day) / np.sqrt(a_day * (1 - a_day)),
        occurrences=baseline.today(entity[today]),
        hours=tuple(np.flatnonzero(of_one).tolist() for of_one in hours),
        note="" if any_quiet else "unusual_hour not judged: no hour is known to be quiet in this home",
    )


def _candidates(baseline: Baseline, entity: Integers) -> _Candidates:
    """Return where entities acted in quiet hours that are new to them, each day judged by the others."""
    events, counted = baseline.events[:, entity], baseline.counted[:, entity]
    active = events > 0
    past = active & counted[:, :, None]
    at_any_time = past.any(axis=0).sum(axis=1) < _CLOCKWORK_HOURS
    by_hour = past[:, at_any_time].sum(axis=0).sum(axis=0)
    quiet = (by_hour < _QUIET_SHARE * by_hour.mean()) & (by_hour.mean() >= _MIN_USES_OF_HOUR)
    usual = by_hour.mean() / max(len(past) - 1, 1)
    acting = active[:, at_any_time].sum(axis=1)
    up = acting > max(_AWAKE_ENTITIES, _AWAKE_SHARE * usual)
    usual_of_hour = past.sum(axis=(0, 1)) / max(len(past) - 1, 1)
    up |= active.sum(axis=1) - usual_of_hour > _AWAKE_ENTITIES  # also of entities that may act at any hour
    up = _with_hours_beside((up & quiet) | ((acting >= _WAKING_ENTITIES) & ~quiet))
    judged = counted.copy()
    judged[-1] = True
    chosen = active & judged[:, :, None] & at_any_time[:, None] & (quiet & ~up)[:, None]
    chosen &= events + np.roll(events, 1, axis=2) + np.roll(events, -1, axis=2) >= _MIN_EVENTS
    near = chosen & _is_new(past, 1)
    return _Candidates(near, near & _is_new(past, 2), bool(quiet.any()))


def _with_hours_beside(up: Flags) -> Flags:
    """Return the hours in which somebody is up, and those of the same day beside them; shape (days, 24)."""
    beside = up.copy()
    beside[:, 1:] |= up[:, :-1]
    beside[:, :-1] |= up[:, 1:]
    return beside


def _is_new(past: Flags, hours: int) -> Flags:
    """Return where an entity acted on no other day, from so many hours before to so many after; the shape of past."""
    around = np.zeros(past.shape, np.bool_)
    for by in range(-hours, hours + 1):
        around |= np.roll(past, by, axis=2)
    new: Flags = around.sum(axis=0, dtype=np.uint16) - around == 0  # of at most 366 days
    return new
