"""The best that any detector of jumps can do: one that knows each entity's true mean and spread."""

from __future__ import annotations

import datetime as dt
from typing import Final

import numpy as np

from jobs.statistics.arrays import Floats
from jobs.statistics.tails import negative_binomial_tail
from storage.backends.memory import MemoryStore
from storage.models import TimeBasedDaily
from tests.support.routine_homes import RoutineHome

_MIN_MEAN: Final = 0.2  # bouts a day of an entity that is hardly ever used


def jump_p(home: RoutineHome, store: MemoryStore) -> dict[tuple[str, dt.date], float]:
    """Return the p-value of each planted jump, by (entity id, day).

    It is a negative binomial upper tail. The mean is that of all days of the type (weekday, weekend), earlier and
    later, on which nothing was planted; the spread is the one that the home was made with.
    """
    days, ids = list(home.days), home.ids
    bouts = np.zeros((len(days), len(ids)))
    for row in store.read(TimeBasedDaily, home.days):
        bouts[days.index(row.date), ids.index(row.entity_id)] = row.bouts or 0
    ordinary = np.ones(bouts.shape, np.bool_)
    for entity_id, day in (*home.planted.jumps, *home.planted.unusual_hours, *home.planted.left_on):
        ordinary[days.index(day), ids.index(entity_id)] = False
    for entity_id, day in home.planted.dead.items():
        ordinary[days.index(day) :, ids.index(entity_id)] = False
    for day in home.planted.absences:
        ordinary[days.index(day)] = False
    weekend = np.array([day.weekday() >= 5 for day in days])
    mean: Floats = np.empty(bouts.shape)
    for of_type in (weekend, ~weekend):
        counted = ordinary[of_type]
        sums = np.where(counted, bouts[of_type], 0).sum(axis=0)
        mean[of_type] = np.maximum(sums / np.maximum(counted.sum(axis=0), 1), _MIN_MEAN)
    p = negative_binomial_tail(bouts, mean, mean + mean**2 * home.spread**2)
    return {(entity_id, day): float(p[days.index(day), ids.index(entity_id)]) for entity_id, day in home.planted.jumps}
