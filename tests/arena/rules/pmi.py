"""Pointwise mutual information of events within two minutes.

As in https://github.com/andrewmichael/behaviour-monitor, correlation_detector.py: each event counts every other entity
whose last event is at most 120 seconds old; P(a, b), P(a) and P(b) are shares of all events; a pair needs ten
co-occurrences and a PMI of 1 bit. It learns from two weeks.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from jobs.activity.events import DayLog
from jobs.activity.window import SECOND
from tests.arena.rule import PairRule, ScoredPair

DAYS, WINDOW, MIN_COUNT = 14, 120 * SECOND, 10


def find(logs: Sequence[DayLog]) -> Iterator[ScoredPair]:
    """Return the PMI of each pair that was seen often enough."""
    logs = logs[-DAYS:]
    ids = sorted({entity.entity_id for log in logs for entity in log.entities})
    code = {entity_id: index for index, entity_id in enumerate(ids)}
    at = np.concatenate([log.events.at for log in logs])
    entity = np.concatenate(
        [np.array([code[one.entity_id] for one in log.entities], np.int64)[log.events.entity] for log in logs]
    )
    together = np.zeros((len(ids), len(ids)))
    for other in range(len(ids)):
        of_other = at[entity == other]
        place = np.searchsorted(of_other, at, side="right") - 1
        near = (place >= 0) & (at - of_other[np.maximum(place, 0)] <= WINDOW) if len(of_other) else at < 0
        together[other] = np.bincount(entity[near], minlength=len(ids))
    together += together.T
    each = np.bincount(entity, minlength=len(ids))
    for a, b in zip(*np.nonzero(np.triu(together >= MIN_COUNT, 1)), strict=True):
        yield ScoredPair(f"{ids[a]}|{ids[b]}", float(np.log2(together[a, b] * len(at) / (each[a] * each[b]))))


RULE = PairRule(
    name="PMI within two minutes, two weeks",
    source="[behaviour-monitor](https://github.com/andrewmichael/behaviour-monitor)",
    label="{:g} bits".format,
    thresholds=[1, 2, 3, 4, 5, 6, 7],
    usual=1,
    find=find,
)
