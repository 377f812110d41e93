"""An isolation forest on the events of an entity's day.

As in https://github.com/andrewmichael/behaviour-monitor (README: scikit-learn, trained again every two weeks) and many
others; Liu, Ting and Zhou 2008, "Isolation Forest". Here one forest learns all entities of a home from four weeks, each
week anew: the events in each hour, and of the day, over what is usual for the entity.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import log10
from typing import Any

import numpy as np

from tests.arena.history import Flags, Floats, History, Integers
from tests.arena.rule import Alarm, AlarmRule

DAYS, RETRAINED_DAYS = 28, 7
CONTAMINATIONS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Score the day's rows; the share of the rows it learnt from that are as odd is what contamination bounds."""
    learnt_until = day - day % RETRAINED_DAYS
    forest, known, usual, learnt = _forest(history, max(learnt_until, 1))
    today = forest.score_samples(_features(history.events[day][None, known], usual))
    odd = (np.searchsorted(learnt, today, side="left") + 1) / (len(learnt) + 1)
    for entity, share in zip(np.flatnonzero(known).tolist(), odd.tolist(), strict=True):
        yield Alarm(entity, -log10(share))


@lru_cache(maxsize=1)
def _forest(history: History, until: int) -> tuple[Any, Flags, Floats, Floats]:
    """Return a forest, the entities and usual counts it knows, and the scores of what it learnt from, ascending."""
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - the other rules do not need scikit-learn

    events = history.events[max(until - DAYS, 0) : until]
    known = events.sum(axis=(0, 2)) > 0
    usual = np.maximum(events.sum(axis=2).mean(axis=0), 1)[known]
    rows = _features(events[:, known], usual)
    forest = IsolationForest(n_estimators=100, random_state=0).fit(rows)
    return forest, known, usual, np.sort(forest.score_samples(rows))


def _features(events: Integers, usual: Floats) -> Floats:
    """Return a row for each day and entity: events by hour and in all, over the entity's usual events a day."""
    by_hour = events / usual[None, :, None]
    features: Floats = np.concatenate((by_hour, by_hour.sum(axis=2, keepdims=True)), axis=2)
    return features.reshape(-1, features.shape[2])


RULE = AlarmRule(
    name="isolation forest on event counts",
    source="[behaviour-monitor](https://github.com/andrewmichael/behaviour-monitor), Liu et al. 2008",
    label=lambda threshold: f"contamination {10**-threshold:.3g}",
    thresholds=[-log10(share) for share in CONTAMINATIONS],
    usual=-log10(0.01),
    judge=judge,
    needs="sklearn",
)
