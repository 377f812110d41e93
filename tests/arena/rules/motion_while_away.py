"""Motion or a door while every person is away, as alarm panels report it while they are armed.

As in https://github.com/cpunella/home-assistant-templates, motion_detection_when_away. The threshold is how long
everybody must have been away. Without persons it is silent.
"""

from collections.abc import Iterator

import numpy as np

from jobs.activity.events import DayLog
from jobs.activity.spans import Spans, intersection, union
from jobs.activity.window import MINUTE
from tests.arena.history import History
from tests.arena.rule import Alarm, AlarmRule

CLASSES = {"motion", "occupancy", "presence", "door", "window", "garage"}


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Return the minutes after everybody had left, for each event of a motion or door sensor until the first return."""
    log = history.logs[day]
    away = _away(log)
    starts = away[:, 0]
    for at, code in zip(log.events.at.tolist(), log.events.entity.tolist(), strict=True):
        place = int(np.searchsorted(starts, at, side="right")) - 1
        if place >= 0 and at < away[place, 1] - 2 * MINUTE and log.entities[code].device_class in CLASSES:
            yield Alarm(history.code[log.entities[code].entity_id], (at - int(starts[place])) / MINUTE)


def _away(log: DayLog) -> Spans:
    """Return when every person was away on a day; nothing without persons."""
    window = np.array([[log.window.start, log.window.end]], np.int64)
    persons = [code for code, entity in enumerate(log.entities) if entity.domain == "person"]
    everybody = window if persons else np.empty((0, 2), np.int64)
    for person in persons:
        of_person = log.intervals[(log.intervals.entity == person)]
        away = np.array([not log.entities[person].is_active(log.states[state]) for state in of_person.state], np.bool_)
        spans = np.column_stack((of_person.start[away], of_person.end[away]))
        everybody = intersection(everybody, intersection(union(spans), window))
    return everybody


RULE = AlarmRule(
    name="motion while everybody is away",
    source="[motion_detection_when_away](https://github.com/cpunella/home-assistant-templates)",
    label="{:g} min after they left".format,
    thresholds=[1, 5, 15, 60, 240],
    usual=5,
    judge=judge,
)
