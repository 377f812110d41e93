"""The homes that rules are compared on: lived-in with planted truth, noise, shuffled real days, real days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from storage.backends.memory import MemoryStore
from tests.arena.history import History
from tests.support.homes.home import BASELINE, LivedHome
from tests.support.homes.lives import LIVES
from tests.support.homes.planting import EVERYTHING, Planted
from tests.support.noise_homes import DAY as FIRST_DAY
from tests.support.noise_homes import KINDS, UTC, log_of, noise_day
from tests.support.planted_homes import Plan, PlantedDay
from tests.support.real_homes import RECORDED, day_logs, home, homes, shuffled
from tests.support.routine_homes import day_rows

SIZES: Final = (15, 40, 100)
PAIRS: Final = ((4, 10), (6, 10), (8, 10), (6, 60), (10, 60), (12, 60), (10, 120))
_REAL_BASELINE: Final = 14  # days of a real home that are not judged
_MIN_DAYS: Final = _REAL_BASELINE + 4  # of a real home
_LINKED: Final = {  # what the home itself links in homes with planted pairs
    "light.automatic|switch.trigger", "light.group|light.member_a", "light.group|light.member_b",
    "light.member_a|light.member_b", "binary_sensor.box_motion|binary_sensor.box_vibration",
}  # fmt: skip
_LEARNT_DAYS: Final = 13  # before the first day whose pairs are judged


@dataclass(frozen=True)
class Trial:
    """A home with the days to judge, and what is true of it.

    Attributes:
        history: Its days.
        first: The index of the first day to judge.
        planted: What was planted.
    """

    history: History
    first: int
    planted: Sequence[Planted] = ()


@dataclass(frozen=True)
class PairTrial:
    """Days on which pairs are known.

    Attributes:
        logs: Its days.
        first: The index of the first day to judge.
        planted: What was planted: the pair, and how often a day with which maximum lag.
        related: Pairs that follow from what was planted.
    """

    logs: Sequence[DayLog]
    first: int
    planted: dict[str, str] = field(default_factory=dict)
    related: frozenset[str] = frozenset()


class Spec(NamedTuple):
    """How to make a home.

    Attributes:
        group: The table it belongs to; one of ``MAKERS``.
        name: What kind of home it is.
        seed: Seeds below 100 are for tuning.
        judged: The number of days to judge, where it can be chosen.
        entities: The number of entities, where it can be chosen.
    """

    group: str
    name: str
    seed: int
    judged: int
    entities: int = 40

    def make(self) -> Trial | PairTrial:
        """Return the home."""
        return MAKERS[self.group](self)


def specs(
    seed: int, repeats: int, judged: int, sizes: Sequence[int] = SIZES, groups: Collection[str] = ()
) -> list[Spec]:
    """Return every home to compare rules on.

    Args:
        seed: The first seed.
        repeats: The number of homes of each way of life and size, and of each kind of noise.
        judged: The number of days to judge in homes that are made.
        sizes: The numbers of entities of homes in which people live.
        groups: The groups; all of ``MAKERS`` by default.
    """
    groups = groups or MAKERS
    seeds, pair_days = range(seed, seed + repeats), min(judged, 14)
    recordings = _with_enough_days() if {"shuffled", "real", "pairs in shuffled days"} & set(groups) else []
    every = [
        *(Spec("lived", name, at, judged, size) for size in sizes for name in LIVES for at in seeds),
        *(Spec("noise", kind, at, judged) for kind in KINDS for at in seeds),
        *(Spec("shuffled", name, at, judged) for name in recordings for at in seeds),
        *(Spec("real", name, 0, 0) for name in recordings),
        *(Spec("pairs", f"{others} others", at, pair_days, others) for others in (20, 50, 120) for at in seeds),
        *(Spec("pairs in noise", kind, at, pair_days, 50) for kind in KINDS for at in seeds),
        *(Spec("pairs in shuffled days", name, at, pair_days) for name in recordings for at in seeds),
    ]
    return [spec for spec in every if spec.group in groups]


def _lived(spec: Spec) -> Trial:
    """Return a home in which people live, with everything planted."""
    made = LivedHome(LIVES[spec.name], spec.seed, spec.entities, spec.judged, EVERYTHING)
    history = History.of([made.log(day) for day in made.days], made.store())
    return Trial(history, BASELINE, made.planted)


def _noise(spec: Spec) -> Trial:
    """Return a home of entities that act independently of each other and of the past."""
    return Trial(_history(_noise_logs(spec, BASELINE + spec.judged)), BASELINE)


def _shuffled(spec: Spec) -> Trial:
    """Return days on each of which each entity of a real home behaves as on some other day, drawn anew."""
    return Trial(_history(_shuffled_logs(spec, BASELINE + spec.judged)), BASELINE)


def _real(spec: Spec) -> Trial:
    """Return the days of a real home; those after two weeks are judged."""
    return Trial(_history(day_logs(spec.name)), _REAL_BASELINE)


def _pairs(spec: Spec) -> PairTrial:
    """Return days with planted pairs among independent entities."""
    rng = np.random.default_rng([spec.seed, spec.entities])
    plan = Plan(background=spec.entities, pairs=PAIRS, chains=())
    days = [PlantedDay(rng, plan, FIRST_DAY + dt.timedelta(day)) for day in range(_LEARNT_DAYS + spec.judged)]
    truth = days[0].truth
    planted = {pair: f"{repeats} a day, {lag} s" for pair, (repeats, lag) in truth.pairs.items()}
    return PairTrial([day.log() for day in days], _LEARNT_DAYS, planted, frozenset(truth.related | _LINKED))


def _pairs_in_noise(spec: Spec) -> PairTrial:
    """Return days of entities that act independently."""
    return PairTrial(_noise_logs(spec, _LEARNT_DAYS + spec.judged), _LEARNT_DAYS)


def _pairs_in_shuffled_days(spec: Spec) -> PairTrial:
    """Return days on which nothing in a real home is related any more."""
    return PairTrial(_shuffled_logs(spec, _LEARNT_DAYS + spec.judged), _LEARNT_DAYS)


MAKERS: Final[dict[str, Callable[[Spec], Trial | PairTrial]]] = {
    "lived": _lived,
    "noise": _noise,
    "shuffled": _shuffled,
    "real": _real,
    "pairs": _pairs,
    "pairs in noise": _pairs_in_noise,
    "pairs in shuffled days": _pairs_in_shuffled_days,
}


def _with_enough_days() -> list[str]:
    return [name for name in homes() if name != RECORDED and len(home(name).days) >= _MIN_DAYS]


def _noise_logs(spec: Spec, number: int) -> list[DayLog]:
    rng = np.random.default_rng([spec.seed, spec.entities])
    days = (FIRST_DAY + dt.timedelta(day) for day in range(number))
    return [noise_day(spec.name, spec.entities, rng, day) for day in days]


def _shuffled_logs(spec: Spec, number: int) -> list[DayLog]:
    rng, logs = np.random.default_rng(spec.seed), list[DayLog]()
    while len(logs) < number:
        for columns in shuffled(home(spec.name), rng):
            window = DayWindow(FIRST_DAY + dt.timedelta(len(logs)), UTC)
            logs.append(log_of([window.start + column for column in columns], window))
    return logs[:number]


def _history(logs: Sequence[DayLog]) -> History:
    return History.of(logs, MemoryStore(row for log in logs for row in day_rows(log)))
