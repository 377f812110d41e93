"""A timer: nothing has happened for a fixed time.

As the blueprints in https://github.com/iq9003/home-assistant-blueprints (stale sensors: not updated for some hours) and
https://github.com/desertdognl/Welness-Check-Blueprint (no motion for some days).
"""

from collections.abc import Iterator

import numpy as np

from jobs.activity.window import SECOND
from tests.arena.history import History
from tests.arena.rule import Alarm, AlarmRule


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Return how long the silence that began before the day had lasted, when it ended or when the day did."""
    window, log = history.logs[day].window, history.logs[day]
    last, start, end = history.last_event[day - 1], window.start / SECOND, window.end / SECOND
    first = np.full(len(last), end)
    entity = history.codes(log)[log.events.entity]
    first[entity[::-1]] = log.events.at[::-1] / SECOND  # in reverse order of time: the first of the day wins
    for code in np.flatnonzero(~np.isnan(last)).tolist():
        yield Alarm(code, float(first[code] - last[code]) / 3600, float(start - last[code]) / 3600)


RULE = AlarmRule(
    name="timer: silent for N hours",
    source="[stale sensors](https://github.com/iq9003/home-assistant-blueprints), "
    "[wellness check](https://github.com/desertdognl/Welness-Check-Blueprint)",
    label="{:g} h".format,
    thresholds=[12, 24, 48, 72, 120, 168],
    usual=24,
    judge=judge,
)
