"""In use for longer than a multiple of the usual.

As in https://github.com/perzarys/homeassistant, scripts/device_monitor (README: the median times 1 + margin). It raises
the alarm when a use has become that long, whether or not it has ended.
"""

from collections.abc import Iterator

import numpy as np

from tests.arena.history import History
from tests.arena.rule import Alarm, AlarmRule

DAYS, MIN_USES = 28, 5


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Divide the length of each use of the day by the median of the uses that ended in the four weeks before."""
    past = history.uses[max(day - DAYS, 0) : day]
    entity = np.concatenate([uses.entity[uses.finished] for uses in past])
    seconds = np.concatenate([uses.seconds[uses.finished] for uses in past])
    usual = {
        code: float(np.median(seconds[entity == code]))
        for code in np.unique(entity).tolist()
        if np.count_nonzero(entity == code) >= MIN_USES
    }
    today = history.uses[day]
    for code, length, before in zip(
        today.entity.tolist(), today.seconds.tolist(), today.seconds_before.tolist(), strict=True
    ):
        if code in usual:
            yield Alarm(code, length / max(usual[code], 1.0), before / max(usual[code], 1.0))


RULE = AlarmRule(
    name="longer than a multiple of the usual",
    source="[device_monitor](https://github.com/perzarys/homeassistant)",
    label="{:g} times the median".format,
    thresholds=[1.5, 2, 3, 5, 10, 20, 40, 80, 160],
    usual=1.5,
    judge=judge,
)
