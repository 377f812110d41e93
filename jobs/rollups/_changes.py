"""Whether activity differs between two periods: its level, by bouts a day, and its shape, by hours.

Both periods are compared on as many Mondays, Tuesdays ...: where one of them lacks a day, the other leaves out one too.

* Level: given their sum, the bouts of the two periods are Dirichlet-multinomial, whatever the mean is
  (``jobs.statistics.dispersion``): beta-binomial, with the spread of the counts of this home. Two-sided, exact.
* Shape: the distance between the two mean 24-hour curves, each divided by its sum, compared with that of the same days
  dealt to the periods at random (permutation; Dawadi et al. 2016, "activity curves").
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from jobs.activity.events import Flags
from jobs.rollups._days import Usage
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.corrections import benjamini_hochberg
from jobs.statistics.dispersion import SIZES, size_weights

Change = Literal["more", "less", "other_hours", "none"]
MIN_DAYS: Final = 4  # of each period; fewer say nothing

_MAX_SUM: Final = 4_000  # of bouts: of more, every tenth or so is as good, and takes as little time
_FIRST_DEALS: Final = 500
_MORE_DEALS: Final = 4_000  # for what the first deals leave open
_OPEN_P: Final = 0.03
_MIN_EVENTS: Final = 10.0  # of each period: fewer have no shape
_SEED: Final = 17


def balanced(days: Sequence[dt.date], is_now: Flags) -> tuple[Integers, Integers]:
    """Return the places of the days of both periods to compare: as many of each weekday, the newest.

    Args:
        days: The days of both periods, ascending.
        is_now: Which of them are of the later period.
    """
    weekdays = [day.weekday() for day in days]
    of_now = Counter(weekday for weekday, now in zip(weekdays, is_now, strict=True) if now)
    of_before = Counter(weekday for weekday, now in zip(weekdays, is_now, strict=True) if not now)
    left = {now: Counter({day: min(of_now[day], of_before[day]) for day in range(7)}) for now in (True, False)}
    chosen: dict[bool, list[int]] = {True: [], False: []}
    for place in reversed(range(len(days))):
        now = bool(is_now[place])
        if left[now][weekdays[place]]:
            left[now][weekdays[place]] -= 1
            chosen[now].append(place)
    return np.array(sorted(chosen[False]), np.int64), np.array(sorted(chosen[True]), np.int64)


def changes(usage: Usage, is_now: Flags, false_discovery_rate: float) -> list[Change | None]:
    """Return how each subject has changed; None for all if there are too few days to compare.

    Args:
        usage: The subjects on the days of both periods.
        is_now: Which of the days are of the later period.
        false_discovery_rate: The share of the changes that may be due to chance.
    """
    before, now = balanced(usage.days, is_now)
    if len(now) < MIN_DAYS or not usage.names:
        return [None] * len(usage.names)
    bouts = np.round(usage.bouts).T
    everywhere = np.ones(bouts.shape, np.bool_)  # each period and type of day has a mean of its own
    kinds = [(is_now == now) & (usage.weekend == weekend) for now in (True, False) for weekend in (True, False)]
    weights = size_weights(bouts, [everywhere & kind[:, None] for kind in kinds])
    sums = bouts[before].sum(axis=0), bouts[now].sum(axis=0)
    level = _level_p(sums[0], sums[1], len(now), weights)
    shape = _shape_p(usage.events[:, before], usage.events[:, now])
    rejected = benjamini_hochberg(np.concatenate((level, shape)), false_discovery_rate).reshape(2, -1)
    rises = sums[1] > sums[0]
    return [
        ("more" if rises[place] else "less") if rejected[0, place] else "other_hours" if rejected[1, place] else "none"
        for place in range(len(usage.names))
    ]


def _level_p(before: Floats, now: Floats, days: int, weights: Floats) -> Floats:
    """Return the two-sided p of the bouts of two periods of as many days, shape (subjects,)."""
    scale = np.maximum(1.0, (before + now) / _MAX_SUM)
    earlier, later = (np.round(sums / scale).astype(np.int64) for sums in (before, now))
    k = np.arange(int((earlier + later).max(initial=0)))
    steps = np.log((SIZES[:, None] * days + k) / (k + 1))  # of log Γ(count + size) - log Γ(count + 1), up to a constant
    terms = np.concatenate((np.zeros((len(SIZES), 1)), np.cumsum(steps, axis=1)), axis=1)
    p = np.ones(len(before))
    for place, (one, other) in enumerate(zip(earlier.tolist(), later.tolist(), strict=True)):
        total = one + other
        log_chance = terms[:, : total + 1] + terms[:, total::-1]
        chance = np.exp(log_chance - log_chance.max(axis=1, keepdims=True))
        mixed = weights[:, place] @ (chance / chance.sum(axis=1, keepdims=True))
        p[place] = min(1.0, 2 * min(mixed[: other + 1].sum(), mixed[other:].sum()))
    return p


def _shape_p(before: Floats, now: Floats) -> Floats:
    """Return the permutation p of each subject's shape; 1 where there is too little activity.

    Args:
        before: Hourly counts of the days of the earlier period, shape (subjects, days, 24).
        now: Those of the later one, in the same shape.
    """
    p = np.ones(len(now))
    enough = np.flatnonzero((before.sum(axis=(1, 2)) >= _MIN_EVENTS) & (now.sum(axis=(1, 2)) >= _MIN_EVENTS))
    both, days = np.concatenate((before, now), axis=1), now.shape[1]
    rng = np.random.default_rng(_SEED)
    for deals in (_FIRST_DEALS, _MORE_DEALS):
        order = rng.random((deals, 2 * days)).argsort(axis=1)
        is_now = np.concatenate((np.arange(2 * days)[None] >= days, order >= days)).astype(np.float64)
        for place in enough.tolist():
            every = both[place].sum(axis=0)
            later = is_now @ both[place].sum(axis=1)
            of_later, of_earlier = (1 / np.maximum(total, 1e-9) for total in (later, every.sum() - later))
            # later hours / later - (all hours - later hours) / earlier, in one product
            weights = np.concatenate((is_now * (of_later + of_earlier)[:, None], -of_earlier[:, None]), axis=1)
            distance = np.abs(weights @ np.concatenate((both[place], every[None]))).sum(axis=1)
            p[place] = np.count_nonzero(distance >= distance[0] - 1e-9) / len(distance)
        enough = enough[p[enough] <= _OPEN_P]
    return p
