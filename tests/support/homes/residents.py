"""When the residents of a home are awake and out, day by day, in hours after local midnight."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.support.homes.lives import Life

Hours = NDArray[np.float64]

NEVER: Final = 1e3  # an hour that no day has
MIDNIGHT: Final = 24.0  # the end of a day on which nobody leaves or comes home any more
_BEFORE_AND_AFTER: Final = 15  # judged days at home around days away
_SHIFTS: Final = ((4.8, 21.5, 5.5, 14.3), (8.0, 25.0, 13.2, 22.6), (14.5, 31.5, 21.0, 30.7))  # early, late, night


class Schedule(NamedTuple):
    """When each person is awake and out. Hours from 24 on are of the next day.

    Attributes:
        wake: Shape (days, people).
        bed: Shape (days, people).
        out: From and to of two times out of the house, shape (days, people, 2, 2); ``NEVER`` where there is none.
        weight: How much each does, shape (days, people): 1 for a resident, 0 for guests who are not there.
        circumstances: What the home as a whole was like on each day: empty if usual.
    """

    wake: Hours
    bed: Hours
    out: NDArray[np.float64]
    weight: Hours
    circumstances: list[str]


def schedule(rng: np.random.Generator, life: Life, days: Sequence[dt.date], baseline: int) -> Schedule:
    """Return a schedule of all residents and, as the last person, of guests.

    Args:
        rng: The source of random numbers.
        life: Who lives there.
        days: All days.
        baseline: How many of them come before the first on which anything but the usual happens.

    Raises:
        ValueError: There are too few days for the days away.
    """
    shape = len(days), life.residents + 1
    wake, bed, weight = np.empty(shape), np.empty(shape), np.ones(shape)
    out = np.full((*shape, 2, 2), NEVER)
    lives: list[Callable[..., tuple[float, float, list[tuple[float, float]]]]] = [
        *[_worker] * life.workers, *[_shift_worker] * life.shift_workers,
        *[_teenager] * life.teenagers, *[_at_home] * life.at_home,
    ]  # fmt: skip
    for person, live in enumerate(lives):
        for index, day in enumerate(days):
            wake[index, person], bed[index, person], outs = live(rng, day)
            out[index, person, : len(outs)] = np.reshape(outs, (-1, 2))
    wake[:, -1], bed[:, -1], weight[:, -1] = 18.0, 26.0, 0.0
    plan = Schedule(wake, bed, out, weight, [""] * len(days))
    _leave(rng, life, plan, baseline)
    usual = [index for index in range(baseline, len(days)) if not plan.circumstances[index]]
    for index in rng.choice(usual, min(life.feast_days, len(usual)), replace=False).tolist():
        plan.circumstances[index] = "feast"
        out[index] = NEVER
        wake[index, -1], weight[index, -1] = 10.0, life.residents
    for index in range(len(days)):  # guests come in the baseline too: they are a part of life
        if not plan.circumstances[index] and rng.random() < life.guest_nights:
            plan.circumstances[index] = "guests"
            weight[index, -1] = rng.uniform(1.5, 3)
            bed[index, :-1] = np.maximum(bed[index, :-1], 26 + rng.normal(0, 0.3))
    return plan


def _leave(rng: np.random.Generator, life: Life, plan: Schedule, baseline: int) -> None:
    """Let everybody leave for some days, and come back."""
    if not life.away_days:
        return
    spare = len(plan.wake) - baseline - life.away_days - _BEFORE_AND_AFTER
    if spare < 1:
        raise ValueError(
            f"{life.away_days} days away need {life.away_days + _BEFORE_AND_AFTER + 1} judged days or more"
        )
    first = baseline + 5 + int(rng.integers(0, spare))
    last = first + life.away_days + 1  # the day on which they come back
    people = slice(0, life.residents)
    plan.out[first : last + 1, people] = NEVER
    plan.out[first, people, 0] = rng.uniform(9, 11), MIDNIGHT
    plan.out[first + 1 : last, people, 0] = 0.0, MIDNIGHT
    plan.out[last, people, 0] = 0.0, rng.uniform(14, 18)
    for index in range(first + 1, last):
        plan.circumstances[index] = "away"
    plan.circumstances[first], plan.circumstances[last] = "leaving", "return"


def _worker(rng: np.random.Generator, day: dt.date) -> tuple[float, float, list[tuple[float, float]]]:
    if day.weekday() >= 5:
        wake = rng.normal(8.6, 0.5)
        outs = [(rng.normal(11, 0.7), rng.normal(13, 0.5))] if rng.random() < 0.7 else []
        return wake, rng.normal(23.4, 0.4), outs
    outs = [(rng.normal(8.0, 0.2), rng.normal(17.0, 0.4))]
    if rng.random() < 0.2:
        outs.append((rng.normal(19, 0.3), rng.normal(22, 0.4)))
    return rng.normal(6.7, 0.2), rng.normal(22.9, 0.3), outs


def _shift_worker(rng: np.random.Generator, day: dt.date) -> tuple[float, float, list[tuple[float, float]]]:
    wake, bed, leave, back = _SHIFTS[day.toordinal() // 7 % 3]
    if day.weekday() >= 5:
        return rng.normal(9.0, 0.5), rng.normal(23.6, 0.4), []
    outs = [(rng.normal(leave, 0.15), rng.normal(back, 0.15))]
    return rng.normal(wake, 0.3), rng.normal(bed, 0.3), outs


def _teenager(rng: np.random.Generator, day: dt.date) -> tuple[float, float, list[tuple[float, float]]]:
    weekend = day.weekday() >= 5
    late = day.weekday() in {4, 5}
    wake = rng.normal(11.3, 0.7) if weekend else rng.normal(6.9, 0.2)
    bed = rng.normal(26.5, 0.7) if late else rng.normal(23.0, 0.4)
    outs = [] if weekend else [(rng.normal(7.6, 0.1), rng.normal(14.0, 0.5))]
    if late and rng.random() < 0.5:
        outs.append((rng.normal(20, 0.4), rng.normal(25.0, 0.8)))
    return wake, bed, outs


def _at_home(rng: np.random.Generator, day: dt.date) -> tuple[float, float, list[tuple[float, float]]]:
    outs = [(rng.normal(10.5, 0.5), rng.normal(12, 0.4))] if rng.random() < 0.6 else []
    return rng.normal(7.4, 0.3), rng.normal(22.8, 0.3), outs
