"""Mean and standard deviations of the events in each hour of the week.

As in https://github.com/andrewmichael/behaviour-monitor (README of version 1: slots by weekday and time, |z| above 1, 2
or 3 is an anomaly, 7 days of learning) and in https://git.ardenone.com/jedarden/spaxel (slots by hour of the week).
In its favour, it learns from all earlier days, and a standard deviation is at least one event.
"""

from collections.abc import Iterator

import numpy as np

from tests.arena.history import History
from tests.arena.rule import Alarm, AlarmRule


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Compare each hour with the same hour of the same weekday in earlier weeks."""
    earlier = list(range(day % 7, day, 7))
    if len(earlier) < 2:
        return
    past = history.events[earlier]
    deviation = np.abs(history.events[day] - past.mean(axis=0)) / np.maximum(past.std(axis=0, ddof=1), 1)
    for entity, score in enumerate(deviation.max(axis=1).tolist()):
        yield Alarm(entity, score)


RULE = AlarmRule(
    name="mean + k standard deviations, hour of the week",
    source="[behaviour-monitor](https://github.com/andrewmichael/behaviour-monitor), "
    "[spaxel](https://git.ardenone.com/jedarden/spaxel)",
    label="k = {:g}".format,
    thresholds=[1, 2, 3, 4, 6, 8, 12, 20],
    usual=2,
    judge=judge,
)
