"""What anomaly finds in homes in which people live, by type, and what an oracle would find at the same bar."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from scipy.stats import norm

from jobs.detectors.anomaly import Anomaly
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import ActiveTimeDaily, AnomalyDaily, DurationDaily
from tests.quality.scores import Found
from tests.support.homes.home import LivedHome
from tests.support.homes.lives import LIVES
from tests.support.homes.planting import EVERYTHING, NOTHING, Planted
from tests.support.homes.things import Thing

TYPES: Final[Mapping[str, str]] = {
    "jump": "count_high",
    "dead": "count_low",
    "long": "long_duration",
    "still_on": "still_active",
    "night_door": "unusual_hour",
}
_DAYS_TO_FIND: Final = 3  # a dead sensor may be reported on its first silent day or the two after it


@dataclass
class Lived:
    """What was found in homes of one way of life.

    Attributes:
        days: The judged days.
        found: What was found of what was planted, by kind.
        provable: What an oracle finds of ``long`` and ``still_on``: it knows the distribution of each thing's lengths.
        false: False alarms by type.
        false_messages: Groups of one day's rows of which none is about something planted.
    """

    days: int = 0
    found: Found = field(default_factory=Found)
    provable: Found = field(default_factory=Found)
    false: Counter[str] = field(default_factory=Counter)
    false_messages: int = 0

    def a_week(self, *types: str) -> float:
        """Return the false alarms a week of some types; of all by default."""
        counted = sum(self.false[one] for one in types) if types else self.false.total()
        return counted / max(self.days, 1) * 7


def lived(life: str, entities: int, homes: int, seed: int, *, with_anomalies: bool = True) -> Lived:
    """Return what is found in some homes of a way of life, over 62 days after their baseline."""
    score, detector = Lived(), Anomaly()
    for number in range(homes):
        plan = EVERYTHING if with_anomalies else NOTHING
        home = LivedHome(LIVES[life], seed=seed + number, entities=entities, plan=plan)
        store = home.store()
        rows = [row for day in home.judged for row in detector.judge(day, store).rows if isinstance(row, AnomalyDaily)]
        score.days += len(home.judged)
        _count(score, home, rows)
        bar = detector.max_false_alarms_a_week / 7 / entities
        for one in home.planted:
            if one.kind in {"long", "still_on"}:
                score.provable.add(one.kind, hit=_true_p(home, store, one) <= bar)
    return score


def _count(score: Lived, home: LivedHome, rows: list[AnomalyDaily]) -> None:
    reported = {(row.entity_id, row.date, row.anomaly_type) for row in rows}
    right = {(one.entity_id, day) for one in home.planted for day in DateRange(one.day, one.last)}
    for one in home.planted:
        if one.kind in TYPES:
            last = min(one.last, one.day + dt.timedelta(_DAYS_TO_FIND - 1))
            hit = any((one.entity_id, day, TYPES[one.kind]) in reported for day in DateRange(one.day, last))
            score.found.add(one.kind, hit=hit)
    messages = {(row.date, row.group) for row in rows}
    for row in rows:
        if (row.entity_id, row.date) in right:
            messages.discard((row.date, row.group))
        else:
            score.false[row.anomaly_type] += 1
    score.false_messages += len(messages)


def _true_p(home: LivedHome, store: MemoryStore, one: Planted) -> float:
    """Return how likely the planted length is among the day's uses, by the distribution that the home was made with."""
    day, where = DateRange(one.day, one.day), {"entity_id": one.entity_id}
    finished = store.read(DurationDaily, day, where)
    uses = (finished[0].episodes or 1) if finished else 0
    if one.kind == "long":
        seconds = finished[0].max_duration_seconds if finished else 0.0
    else:
        (active,) = store.read(ActiveTimeDaily, day, where)
        seconds, uses = active.still_active_seconds or 0.0, uses + 1
    return min(uses * _tail(home.thing(one.entity_id), home, seconds), 1.0)


def _tail(thing: Thing, home: LivedHome, seconds: float) -> float:
    """Return P(a use is at least this long); see ``Thing.lengths``."""
    heavy = home.life.lengths if not thing.kind.by_itself else "usual"
    if seconds <= 0:
        return 1.0
    if heavy == "pareto":
        return float(min((seconds * 2 ** (1 / 1.5) / thing.seconds) ** -1.5, 1.0))
    sigma = 1.5 if heavy == "lognormal" else thing.sigma
    return float(norm.sf(math.log(seconds / thing.seconds) / sigma))
