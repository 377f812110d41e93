"""Association rules: entities that are active in the same quarter-hours, by lift.

As in https://github.com/cgrossmeier/HA-Autopilot, phase2/association_miner.py (windows of 15 minutes, lift of 1.2 or
more, bounds of support and confidence); Agrawal and Srikant 1994. It learns from two weeks. In its favour, a pair needs
ten windows rather than a tenth of all, and a confidence of a half, of the rarer entity.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from jobs.activity.events import DayLog
from jobs.activity.window import MINUTE
from tests.arena.rule import PairRule, ScoredPair

DAYS, WINDOW, MIN_COUNT, MIN_CONFIDENCE = 14, 15 * MINUTE, 10, 0.5


def find(logs: Sequence[DayLog]) -> Iterator[ScoredPair]:
    """Return the lift of each pair that is frequent enough."""
    logs = logs[-DAYS:]
    ids = sorted({entity.entity_id for log in logs for entity in log.entities})
    code = {entity_id: index for index, entity_id in enumerate(ids)}
    windows = []
    for log in logs:
        number = -(-(log.window.end - log.window.start) // WINDOW)
        active = np.zeros((number, len(ids)), np.float64)
        entity = np.array([code[one.entity_id] for one in log.entities], np.int64)[log.events.entity]
        active[(log.events.at - log.window.start) // WINDOW, entity] = 1
        windows.append(active)
    transactions = np.vstack(windows)
    together, each = transactions.T @ transactions, transactions.sum(axis=0)
    for a, b in zip(*np.nonzero(np.triu(together >= MIN_COUNT, 1)), strict=True):
        if together[a, b] >= MIN_CONFIDENCE * min(each[a], each[b]):
            yield ScoredPair(f"{ids[a]}|{ids[b]}", float(together[a, b] * len(transactions) / (each[a] * each[b])))


RULE = PairRule(
    name="lift of quarter-hours, two weeks",
    source="[HA-Autopilot](https://github.com/cgrossmeier/HA-Autopilot)",
    label="lift {:g}".format,
    thresholds=[1.2, 2, 3, 4, 6, 8, 12],
    usual=1.2,
    find=find,
)
