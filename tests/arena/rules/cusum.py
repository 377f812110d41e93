"""CUSUM over the events of a day: standard deviations from the mean, added up until they exceed a multiple.

As in https://github.com/andrewmichael/behaviour-monitor (README of version 3: k = 0.5, h = 2, 4 or 6 by sensitivity; by
weekday and weekend) and Apache StreamPipes' processor "Cusum"; Page 1954. It raises the alarm on the day on which the
sum exceeds h, without waiting for more days of evidence.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from tests.arena.history import Floats, History
from tests.arena.rule import Alarm, AlarmRule

K, DAYS, MIN_DAYS = 0.5, 28, 3


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Return the larger of both sums; up to that of the day before, the alarm was raised then."""
    sums = _sums(history)
    for entity in range(len(history.entities)):
        for direction in (0, 1):
            now, before = sums[direction, day, entity], sums[direction, day - 1, entity]
            yield Alarm(entity, float(now), float(before))


@lru_cache(maxsize=1)
def _sums(history: History) -> Floats:
    """Return both sums after each day, shape (2, days, entities); the baseline is the four weeks before each day."""
    events = history.events.sum(axis=2).astype(np.float64)
    sums = np.zeros((2, *events.shape))
    for day in range(1, len(events)):
        past = np.arange(max(day - DAYS, 0), day)
        of_type = past[history.weekend[past] == history.weekend[day]]
        past = events[of_type if len(of_type) >= MIN_DAYS else past]
        if len(past) < MIN_DAYS:
            continue
        mean, spread = past.mean(axis=0), past.std(axis=0, ddof=1)
        z = (events[day] - mean) / np.where(spread > 0, spread, np.maximum(mean * 0.1, 1))
        sums[0, day] = np.maximum(sums[0, day - 1] + z - K, 0)
        sums[1, day] = np.maximum(sums[1, day - 1] - z - K, 0)
    return sums


RULE = AlarmRule(
    name="CUSUM of the events a day",
    source="[behaviour-monitor](https://github.com/andrewmichael/behaviour-monitor), "
    "[StreamPipes](https://streampipes.apache.org/docs/0.92.0/pe/org.apache.streampipes.processors.changedetection.jvm.cusum)",
    label="h = {:g}".format,
    thresholds=[2, 4, 6, 8, 12, 20],
    usual=4,
    judge=judge,
)
