"""How good the detectors are: recall and false findings in homes whose truth is known.

Seeds below 100 were used for tuning; all reported figures use others.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from jobs.activity.entities import EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from jobs.detector import NotJudged
from jobs.detectors.anomaly import Anomaly
from jobs.detectors.co_occurrence import CoOccurrence
from jobs.detectors.sequence import Sequence
from jobs.detectors.time_based import TimeBased
from jobs.sources._inventory import DYING_SENSOR
from jobs.sources.simulated_home import SimulatedHome
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import AnomalyDaily, TimeBasedDaily
from tests.quality.oracle import jump_p
from tests.support.noise_homes import DAY, UTC, log_of, noise_day
from tests.support.planted_homes import Plan, PlantedDay
from tests.support.real_homes import home, shuffled
from tests.support.routine_homes import BASELINE, RoutineHome, day_rows

ALL_TYPES: Final = ("count_high", "count_low", "unusual_hour", "long_duration")
BERLIN: Final = ZoneInfo("Europe/Berlin")
_AFFORDABLE: Final = 1 / 7  # false alarms a day
PAIRS: Final = ((3, 10), (4, 10), (6, 10), (6, 10), (8, 10), (6, 60), (10, 60), (10, 60), (12, 60), (10, 120))
CHAINS: Final = ((3, 20), (4, 20), (4, 20), (5, 20), (6, 20), (4, 60), (8, 60))


@dataclass
class Found:
    """How much of what was planted was found, by class."""

    hits: Counter[str] = field(default_factory=Counter)
    planted: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, *, hit: bool) -> None:
        """Count one planted thing."""
        self.planted[kind] += 1
        self.hits[kind] += hit

    def recall(self, *kinds: str) -> float:
        """Return the share that was found of some classes; of all by default."""
        kinds = kinds or tuple(self.planted)
        return sum(self.hits[kind] for kind in kinds) / max(sum(self.planted[kind] for kind in kinds), 1)


@dataclass
class Noise:
    """False findings where all entities act independently."""

    days: int = 0
    pairs: int = 0
    chains: int = 0
    entities: int = 0
    peaks: int = 0

    def add(self, log: DayLog) -> None:
        """Run the detectors on one day."""
        rows = TimeBased().detect(log).rows
        self.days += 1
        self.pairs += len(CoOccurrence().detect(log).rows)
        self.chains += len(Sequence().detect(log).rows)
        self.entities += len(rows)
        self.peaks += sum(bool(row.model_dump()["peak_hours"]) for row in rows)


def noise(kind: str, entities: int, days: int, seed: int) -> Noise:
    """Return the false findings in a noise home."""
    rng, score = np.random.default_rng([seed, entities]), Noise()
    for _ in range(days):
        score.add(noise_day(kind, entities, rng))
    return score


def noise_anomalies(kind: str, entities: int, days: int, seed: int) -> int:
    """Return how many anomalies are found in a noise home on some days after its baseline."""
    rng = np.random.default_rng([seed, entities])
    every = [DAY + dt.timedelta(day) for day in range(BASELINE + days)]
    store = MemoryStore(row for day in every for row in day_rows(noise_day(kind, entities, rng, day)))
    return sum(len(Anomaly().judge(day, store).rows) for day in every[BASELINE:])


def shuffled_days(name: str, days: int, seed: int) -> Noise:
    """Return the false findings on a real home's shuffled days."""
    rng, score = np.random.default_rng(seed), Noise()
    window = DayWindow(DAY, UTC)
    while score.days < days:
        for columns in shuffled(home(name), rng):
            score.add(log_of([window.start + column for column in columns], window))
    return score


@dataclass
class Planted:
    """What was found of planted pairs and chains, and what else was found."""

    days: int = 0
    pairs: Found = field(default_factory=Found)
    chains: Found = field(default_factory=Found)
    true_pairs: int = 0
    false_pairs: int = 0
    true_chains: int = 0
    false_chains: int = 0

    @property
    def pair_precision(self) -> float:
        """The share of the found pairs that are related."""
        return self.true_pairs / max(self.true_pairs + self.false_pairs, 1)

    @property
    def chain_precision(self) -> float:
        """The share of the found chains in which every step is related to the next."""
        return self.true_chains / max(self.true_chains + self.false_chains, 1)


def planted(background: int, days: int, seed: int) -> Planted:
    """Return what is found of planted pairs and chains among some background entities."""
    rng, score = np.random.default_rng([seed, background]), Planted()
    for number in range(days):
        day = dt.date(2026, 3, 2) + dt.timedelta(number % 7)
        home_ = PlantedDay(rng, Plan(background=background, pairs=PAIRS, chains=CHAINS), day)
        log = home_.log()
        true = set(home_.truth.pairs) | home_.truth.related
        pairs = {row.key()[0] for row in CoOccurrence().detect(log).rows}
        chains = [
            [step.rpartition(":")[0] for step in row.model_dump()["sequence"]] for row in Sequence().detect(log).rows
        ]
        for pair, (repeats, lag) in home_.truth.pairs.items():
            score.pairs.add(f"{repeats} x {lag} s", hit=pair in pairs)
        for chain, (repeats, gap) in home_.truth.chains.items():
            score.chains.add(f"{repeats} x {gap} s", hit=any(_holds(found, chain) for found in chains))
        right = sum(all("|".join(sorted(link)) in true for link in itertools.pairwise(found)) for found in chains)
        score.days += 1
        score.true_pairs += len(pairs & true)
        score.false_pairs += len(pairs - true)
        score.true_chains += right
        score.false_chains += len(chains) - right
    return score


def _holds(found: Iterable[str], chain: Iterable[str]) -> bool:
    """Return whether a chain has all steps of another one in their order."""
    rest = iter(found)
    return all(step in rest for step in chain)


@dataclass
class Routine:
    """What was found of planted anomalies, and what else was found.

    ``provable`` are the jumps that a detector would find at the same threshold that knows each true mean and spread;
    ``affordable`` those that it would find at a threshold that costs one false alarm a week.
    """

    days: int = 0
    jumps: Found = field(default_factory=Found)
    provable: Found = field(default_factory=Found)
    affordable: Found = field(default_factory=Found)
    dead: Found = field(default_factory=Found)
    unusual_hours: Found = field(default_factory=Found)
    left_on: Found = field(default_factory=Found)
    false: Counter[str] = field(default_factory=Counter)

    @property
    def false_a_week(self) -> float:
        """False alarms a week, of all types together."""
        return self.false.total() / max(self.days, 1) * 7


def routine(
    entities: int, homes: int, seed: int, types: tuple[str, ...] = ALL_TYPES[:2], *, with_anomalies: bool = True
) -> Routine:
    """Return what is found of planted anomalies in some homes, over 62 days after their baseline."""
    score = Routine()
    detector = Anomaly(types=types)  # type: ignore[arg-type]  # the values of ALL_TYPES
    for number in range(homes):
        routine_home = RoutineHome(
            np.random.default_rng([seed, number, entities]), entities, with_anomalies=with_anomalies
        )
        store = routine_home.store()
        found = list(_found(detector, routine_home, store))
        for jump, p in jump_p(routine_home, store).items():
            size = _size(routine_home.planted.jumps[jump][1])
            score.provable.add(size, hit=p <= detector.false_discovery_rate / entities)
            score.affordable.add(size, hit=p <= _AFFORDABLE / entities)
        score.days += len(routine_home.judged)
        _score(score, routine_home, found)
    return score


def simulated(seed: int, judged: int = 35) -> tuple[int | None, Counter[str]]:
    """Return the silent day on which the dying sensor is found, and on how many days other entities are found."""
    days = DateRange.ending(dt.date(2025, 5, 2), BASELINE + judged)
    source = SimulatedHome(
        BERLIN, EntityRules(), seed=seed, events_per_day=2000, first_day=days.first, last_day=days.last
    )
    store = MemoryStore(row for day in days for row in day_rows(source.read(DayWindow(day, BERLIN))))
    others: Counter[str] = Counter()
    found = []
    for day in list(days)[BASELINE:]:
        for row in Anomaly().judge(day, store).rows:
            if row.key()[0] == DYING_SENSOR:
                found.append(day)
            else:
                others[row.key()[0]] += 1
    alive = max(row.date for row in store.read(TimeBasedDaily, days, {"entity_id": DYING_SENSOR}))
    return ((min(found) - alive).days if found else None), others


def _size(usual: float) -> str:
    return "under 4" if usual < 4 else "4 to 8" if usual < 8 else "8 and more"


def _found(detector: Anomaly, routine_home: RoutineHome, store: MemoryStore) -> Iterator[AnomalyDaily]:
    for day in routine_home.judged:
        finding = detector.judge(day, store)
        assert not isinstance(finding, NotJudged), finding.reason
        yield from (row for row in finding.rows if isinstance(row, AnomalyDaily))


def _score(score: Routine, routine_home: RoutineHome, found: list[AnomalyDaily]) -> None:
    planted = routine_home.planted
    keys = {(row.entity_id, row.date, row.anomaly_type) for row in found}
    for (entity_id, day), (_, usual) in planted.jumps.items():
        score.jumps.add(_size(usual), hit=(entity_id, day, "count_high") in keys)
    for entity_id, day in planted.dead.items():
        named = any((entity_id, day + dt.timedelta(after), "count_low") in keys for after in range(3))
        usual = routine_home.usual(entity_id)
        score.dead.add("under 4" if usual < 4 else "4 and more", hit=named)
    for entity_id, day in planted.unusual_hours:
        score.unusual_hours.add("", hit=(entity_id, day, "unusual_hour") in keys)
    for entity_id, day in planted.left_on:
        score.left_on.add("", hit=(entity_id, day, "long_duration") in keys)
    for row in found:
        where = row.entity_id, row.date
        dead = row.date >= planted.dead.get(row.entity_id, dt.date.max)
        if not (dead or where in planted.jumps or where in planted.unusual_hours or where in planted.left_on):
            score.false[row.anomaly_type] += 1
