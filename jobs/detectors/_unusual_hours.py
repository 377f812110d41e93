"""The test of ``anomaly`` for activity at an hour at which an entity never acted, as seldom as that is in this home."""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.detectors._baseline import Baseline
from jobs.detectors._deviations import Surprises, with_enough_days
from jobs.statistics import home_rates
from jobs.statistics.arrays import Floats

_PRIOR_HOURS: Final = 100.0  # the whole home's rate weighs as much as this many hours of entities of a class


def unusual_hour(baseline: Baseline, min_days: int) -> Surprises:
    """Test for activity in hours in which, and beside which, an entity never acted before."""
    entity = with_enough_days(baseline.counted, min_days)
    counted = baseline.counted[:, entity].copy()
    active = baseline.active[:, entity]
    seen = _around(active) & counted[:, :, None]
    never = seen.sum(axis=0) - seen == 0  # on no other day, in hours in which a new one could happen
    counted[-1] = True
    new = active & never & counted[:, :, None]
    rate, of_home = _rates(new, never & counted[:, :, None], baseline.classes[entity])
    others = _beside(new.sum(axis=1, dtype=np.float64))[:, None] - _beside(new.astype(np.float64))
    expected = _beside((of_home * (never & counted[:, :, None])).sum(axis=1))[:, None]
    awake = np.maximum((others + 1) / (expected + 1), 1)
    chance = np.minimum(rate * awake, 1)
    scores = np.where(new, -np.log(chance), 0).max(axis=2, initial=0)
    a_day = home_rates.entities_a_day(scores[-1], scores[:-1], len(scores) - 1)
    has = scores[-1] > 0
    total = np.where(never[-1], rate[-1], 0).sum(axis=1)
    number = new[-1].sum(axis=1)
    return Surprises(
        "unusual_hour",
        entity[has],
        a_day[has],
        np.exp(-scores[-1])[has],
        total[has],
        ((number - total) / np.sqrt(np.maximum(total, np.finfo(np.float64).tiny)))[has],
        baseline.today(entity[has]),
        hours=tuple(np.flatnonzero(hours).tolist() for hours in new[-1][has]),
    )


def _rates(new: np.ndarray, chances: np.ndarray, classes: np.ndarray) -> tuple[Floats, Floats]:
    """Return how often an entity acts in an hour that is new to it, by the other days.

    Args:
        new: Where it did, shape (days, entities, 24), the judged day last.
        chances: Where it could have, in the same shape.
        classes: The class of each entity, shape (entities,).

    Returns:
        The rate by day, entity and hour, as entities of its class show it; and that of the whole home, likewise.
    """
    shape = len(new), int(classes.max(initial=-1)) + 1, new.shape[2]
    of_class, chances_of_class = np.zeros(shape), np.zeros(shape)
    for code in range(shape[1]):
        of_class[:, code] = new[:, classes == code].sum(axis=1)
        chances_of_class[:, code] = chances[:, classes == code].sum(axis=1)
    hits, trials = (_by_other_days(_beside(values)) for values in (of_class, chances_of_class))
    home = (hits.sum(axis=1, keepdims=True) + 0.5) / (trials.sum(axis=1, keepdims=True) + 1)
    rate = (hits + _PRIOR_HOURS * home) / (trials + _PRIOR_HOURS)
    return rate[:, classes], home


def _by_other_days(values: Floats) -> Floats:
    """Return the sum over the baseline without each day, the judged day never included."""
    others: Floats = values[:-1].sum(axis=0) - values
    others[-1] += values[-1]
    return others


def _around(active: np.ndarray) -> np.ndarray:
    """Return the hours in which, or beside which, something was active."""
    around: np.ndarray = active | np.roll(active, 1, axis=-1) | np.roll(active, -1, axis=-1)
    return around


def _beside(values: Floats) -> Floats:
    """Return the sum over each hour and the two beside it."""
    return values + np.roll(values, 1, axis=-1) + np.roll(values, -1, axis=-1)
