"""Habits: found where they were planted, with lags of minutes and twice a day, and nowhere else."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from jobs.detector import NotJudged
from jobs.rollups._habits import trend
from jobs.rollups.habit_monthly import HabitMonthly
from jobs.rollups.habit_weekly import HabitWeekly
from storage.backends.memory import MemoryStore
from storage.dates import ONE_DAY
from storage.models import DailyAggregate, SequenceDaily
from storage.rollup_models import HabitWeekly as Row
from tests.quality.habits import recall_and_precision
from tests.support.habit_homes import DAYS, noise, plant, stored
from tests.support.weeks_of_rows import FIRST, last_day

SUNDAY = last_day(DAYS)


def found(store: MemoryStore, day: dt.date = SUNDAY) -> dict[str, Row]:
    return {row.habit: row for row in HabitWeekly().judge(day, store).rows if isinstance(row, Row)}


def test_planted_pairs_with_lags_up_to_five_minutes_twice_a_day_are_found_and_little_else() -> None:
    share = recall_and_precision(30, 4)
    assert share.recall >= 0.9
    assert share.precision >= 0.95


@pytest.mark.parametrize("clumped", [False, True])
def test_noise_has_no_habit_even_where_all_act_in_the_same_quarter_of_an_hour(clumped: bool) -> None:
    rng = np.random.default_rng(31)
    habits = [len(found(stored(noise(rng, 40, 6.0, clumped=clumped)))) for _ in range(5)]
    assert sum(habits) <= 1


def test_a_golden_week() -> None:
    """Each day the coffee machine goes on 100 s after the light at about seven; not on the last Sunday."""
    light = [[7 * 3600 + 300 * (day % 5), 13 * 3600 + 900 * (day % 7)] for day in range(DAYS)]
    coffee = [[at[0] + 100, 19 * 3600 + 700 * (day % 9)] for day, at in enumerate(light)]
    coffee[-1] = [19 * 3600]
    (row,) = found(stored({"light.kitchen": light, "switch.coffee": coffee})).values()
    assert (row.habit, row.entities) == ("light.kitchen|switch.coffee", ["light.kitchen", "switch.coffee"])
    assert (row.days_seen, row.days_possible, row.weekday_seen, row.weekday_possible) == (6, 7, 5, 5)
    assert (row.strength, row.strength_low, row.strength_high) == (0.8571, 0.4869, 0.9743)
    assert (row.typical_hours, row.median_gap_seconds, row.trend) == ([7], 100.0, "steady")


@pytest.mark.parametrize(
    ("here", "earlier", "expected"),
    [
        ((7, 7), (19, 21), "steady"),
        ((7, 7), (1, 21), "new"),
        ((0, 7), (20, 21), "lost"),
        ((3, 7), (21, 21), "fading"),
        ((5, 7), (17, 21), "steady"),
        ((7, 7), (0, 6), None),
    ],
)
def test_the_trend_compares_days_seen_with_those_before(
    here: tuple[int, int], earlier: tuple[int, int], expected: str | None
) -> None:
    assert trend(here, earlier, 0.05) == expected


def test_pairs_of_one_device_and_pairs_within_a_second_are_no_habits() -> None:
    rng = np.random.default_rng(32)
    times = noise(rng, 6, 4.0)
    plant(times, rng, "light.n00", "light.n01", 60)
    assert list(found(stored(times))) == ["light.n00|light.n01"]
    assert found(stored(times, devices={"light.n00": "lamp", "light.n01": "lamp"})) == {}
    times["light.n02"] = [list(of_day) for of_day in times["light.n03"]]
    finding = HabitWeekly().judge(SUNDAY, stored(times))
    assert "1 pair that acts simultaneously left out" in finding.reason


def test_a_chain_is_seen_on_the_days_that_found_it() -> None:
    rng = np.random.default_rng(33)
    times = noise(rng, 3, 5.0)
    rows: list[DailyAggregate] = [
        SequenceDaily(
            date=FIRST + day * ONE_DAY,
            sequence_id="0123456789abcdef",
            sequence=["light.n00:on", "light.n01:on"],
            frequency=3,
            avg_duration_seconds=20.0,
            confidence=0.5,
        )
        for day in (3, 10, 22, 24)
    ]
    chain = found(stored(times, rows))["0123456789abcdef"]
    assert (chain.kind, chain.days_seen, chain.entities) == ("chain", 2, ["light.n00", "light.n01"])
    assert (chain.days_possible, chain.median_gap_seconds) == (7, 20.0)


def test_too_few_days_are_not_judged_and_a_month_is_that_of_the_calendar() -> None:
    rng = np.random.default_rng(34)
    few = {name: by_day[:6] for name, by_day in noise(rng, 3, 5.0).items()}
    finding = HabitWeekly().judge(FIRST + 6 * ONE_DAY, stored(few))
    assert (type(finding), finding.reason) == (
        NotJudged,
        "not judged: 6 complete days, 6 of them in the period; 7 are needed",
    )
    times = noise(rng, 6, 4.0)
    plant(times, rng, "light.n00", "light.n01", 60)
    march = HabitMonthly().judge(dt.date(2026, 3, 31), stored(times))
    assert [row.habit for row in march.rows] == ["light.n00|light.n01"]  # type: ignore[attr-defined]


def test_rows_beyond_the_bound_are_counted() -> None:
    rng = np.random.default_rng(35)
    times = noise(rng, 6, 3.0)
    plant(times, rng, "light.n00", "light.n01", 60)
    plant(times, rng, "light.n02", "light.n03", 60)
    finding = HabitWeekly(max_rows=1).judge(SUNDAY, stored(times))
    assert len(finding.rows) == 1
    assert "1 weaker habit left out" in finding.reason


def test_the_evidence_counts_the_bouts_of_each_day() -> None:
    rng = np.random.default_rng(36)
    times = noise(rng, 4, 4.0)
    plant(times, rng, "light.n00", "light.n01", 60)
    store = stored(times)
    (row,) = found(store).values()
    evidence = HabitWeekly().explain_by_history(row, store)
    assert evidence.columns == ("day", "light.n00", "light.n01")
    assert len(evidence.lines) == DAYS
