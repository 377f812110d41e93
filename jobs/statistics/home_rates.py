"""How often a score is reached in this home by chance, as its own past shows.

A score says how surprising an entity's day is: the higher, the more. What is surprising differs from home to home, so
a score is compared with those of all entities on all days of the baseline, each judged by the other days. Beyond the
20 highest of these, the rate goes on falling exponentially, as that of -log p does. The scale of this is the median
distance of the 20 from the next lower score (from the lowest, if there are no more), over log 2, but at least 1: two or
three anomalies among them do not change it much. Where the past has fewer scores, distances of scale 1 take the place
of half of those that are missing.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.statistics.arrays import Floats

_HIGHEST: Final = 20  # so many of the past scores show how fast the rate falls
_MIN_SCALE: Final = 1.0  # that of -log p where p is right


def entities_a_day(score: Floats, past: Floats, days: int) -> Floats:
    """Return how many entities a day reach each score by chance.

    Args:
        score: Scores; 0 where there is nothing to judge.
        past: The scores of the baseline, of any shape; those of 0 or less do not count.
        days: How many days they come from.
    """
    ordered = np.sort(past[past > 0])[::-1]
    used = min(len(ordered), _HIGHEST)
    floor = float(ordered[min(used, len(ordered) - 1)]) if used else 0.0
    instead = (_HIGHEST - used) // 2
    prior = -np.log((np.arange(instead) + 0.5) / max(instead, 1))  # quantiles of an exponential distribution of scale 1
    median = float(np.median(np.concatenate((ordered[:used] - floor, prior))))
    scale = max(median / float(np.log(2)), _MIN_SCALE)
    beyond = (used + 0.5) / days * np.exp(-np.maximum(score - floor, 0) / scale)
    counted = (len(ordered) - np.searchsorted(ordered[::-1], score, side="left")) / days
    rate: Floats = np.where(score > floor, beyond, counted)
    return np.where(score > 0, rate, np.inf)
