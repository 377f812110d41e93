"""Drifts: found where they were planted, rare where nothing changes, and never made of days away."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jobs.detector import NotJudged
from jobs.household import Away, Household
from jobs.rollups._level_shift import threshold
from jobs.rollups.drift_weekly import DriftWeekly
from jobs.statistics.arrays import Floats
from storage.backends.memory import MemoryStore
from storage.dates import ONE_DAY
from storage.rollup_models import DriftWeekly as Row
from tests.quality.drifts import RATE, false_drifts, home, recall, scores
from tests.support.weeks_of_rows import FIRST, last_day, run_of, usage_row

DAYS = 91
SUNDAY = last_day(DAYS)


def stored(counts: Floats, names: list[str] | None = None) -> MemoryStore:
    names = names or [f"light.n{code:02}" for code in range(counts.shape[1])]
    rows = [
        usage_row(FIRST + day * ONE_DAY, name, [0] * 20 + [int(count), 0, 0, 0])
        for day, of_day in enumerate(counts)
        for name, count in zip(names, of_day, strict=True)
        if count
    ]
    return MemoryStore([*rows, *(run_of(FIRST + day * ONE_DAY) for day in range(len(counts)))])


def test_chance_reaches_the_threshold_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(20)
    entities, homes = 60, 52
    limit = threshold(1 / 13, entities)
    drifts = sum(int((scores(home(rng, entities, 90)) >= limit).sum()) for _ in range(homes))
    assert drifts <= homes / 13 + 2 * np.sqrt(homes / 13)  # at most one a quarter, of 52 home-weeks


@pytest.mark.slow
def test_two_hundred_home_quarters_have_at_most_one_false_drift_each_on_average() -> None:
    assert sum(false_drifts(21, 200)) <= 200


@pytest.mark.parametrize(("factor", "least"), [(1.5, 0.45), (0.5, 0.75)])
def test_a_change_by_half_at_eight_bouts_a_day_is_found_within_two_weeks_if_chance_allows(
    factor: float, least: float
) -> None:
    share = recall(22, 40, factor)
    assert least <= share.found <= share.oracle


@pytest.mark.parametrize(
    ("ratio", "factor", "least"), [(0.25, 0.65, 0.8), (0.25, 1.35, 0.7), (0.5, 0.5, 0.9), (0.5, 1.5, 0.75)]
)
def test_a_change_of_what_is_used_very_regularly_is_found_within_two_weeks(
    ratio: float, factor: float, least: float
) -> None:
    share = recall(23, 30, factor, ratio=ratio)
    assert least <= share.found <= share.oracle


@pytest.mark.parametrize("regular_share", [1 / 3, 1])
def test_regular_homes_have_no_more_drifts_by_chance_than_stated(regular_share: float) -> None:
    assert sum(false_drifts(24, 12, regular_share=regular_share)) <= 12 * 0.8 + 2 * np.sqrt(12 * 0.8)


def test_the_score_of_a_regular_entity_is_that_of_the_normal_deviate_of_its_own_spread() -> None:
    counts = np.full((90, 1), 8.0)
    counts[-14:] = 9
    whole = (76 * 8 + 14 * 9) / 90
    by_deviance = 76 * 8 * np.log(8 / whole) + 14 * 9 * np.log(9 / whole)
    by_distance = (14 * (9 - whole)) ** 2 / (2 * 14 * whole * 76 / 90)
    deviate = np.sqrt(2 * min(by_deviance, by_distance) / 0.15)  # the least variance: 0.15 of the mean
    assert scores(counts)[0] == pytest.approx(-np.log(2 * stats.norm.sf(deviate)), rel=0.02)


@pytest.mark.parametrize("odd", [0, 2, 5, 30])
def test_one_odd_day_of_what_is_always_done_once_a_day_is_no_drift(odd: int) -> None:
    for place in (-1, -3, -4, -8, -14):
        counts = np.ones((DAYS, 2))
        counts[place, 0] = odd
        assert DriftWeekly().judge(SUNDAY, stored(counts)).rows == []


@pytest.mark.parametrize(("new_days", "drifts"), [(1, 0), (2, 0), (4, 1), (10, 1)])
def test_once_a_day_that_becomes_twice_is_a_drift_only_if_it_lasts(new_days: int, drifts: int) -> None:
    counts = np.ones((DAYS, 2))
    counts[-new_days:, 0] = 2
    assert len(DriftWeekly().judge(SUNDAY, stored(counts)).rows) == drifts


def test_a_level_that_rises_slowly_over_a_month_is_no_drift_and_one_that_rises_in_a_day_is() -> None:
    rng, days = np.random.default_rng(25), np.arange(DAYS)
    slow, sudden = 20 + 8 * np.clip((days - 60) / 30, 0, 1), np.where(days < DAYS - 12, 22.0, 28.0)
    of_slow, of_sudden = (
        scores(rng.binomial(40, np.repeat(level[:, None], 40, axis=1) / 40).astype(np.float64))
        for level in (slow, sudden)
    )
    limit = threshold(RATE, 40)
    assert (of_slow >= limit).sum() <= 8
    assert (of_sudden >= limit).sum() >= 30


def test_the_threshold_grows_with_the_home_and_beyond_the_table() -> None:
    heights = [threshold(1 / 13, entities) for entities in (1, 10, 100, 1_000, 100_000)]
    assert heights == sorted(heights)
    assert heights[-1] > 14


def test_the_day_and_both_levels_of_a_change_are_reported() -> None:
    counts = np.full((DAYS, 3), 8.0)
    counts[-10:, 1] = 20
    finding = DriftWeekly().judge(SUNDAY, stored(counts))
    (row,) = finding.rows
    assert isinstance(row, Row)
    assert (row.entity_id, row.changed_on, row.before, row.after) == ("light.n01", SUNDAY - 9 * ONE_DAY, 8.0, 20.0)
    evidence = DriftWeekly().explain_by_history(row, stored(counts))
    assert evidence.lines[-1] == (str(SUNDAY - 6 * ONE_DAY), 7, 20.0)
    assert "8 a day before" in evidence.notes[0]


@pytest.mark.parametrize(("new_days", "drifts"), [(2, 0), (4, 1), (14, 1), (20, 0), (40, 0)])
def test_a_level_is_new_from_its_fourth_to_its_fourteenth_day(new_days: int, drifts: int) -> None:
    counts = np.full((DAYS, 2), 8.0)
    counts[-new_days:, 0] = 20
    found = [row.changed_on for row in DriftWeekly().judge(SUNDAY, stored(counts)).rows if isinstance(row, Row)]
    assert found == [SUNDAY - (new_days - 1) * ONE_DAY] * drifts


def test_one_wild_day_is_no_drift() -> None:
    counts = np.full((DAYS, 3), 8.0)
    counts[-6, 0] = 90
    assert DriftWeekly().judge(SUNDAY, stored(counts)).rows == []


def test_days_away_and_quiet_days_are_no_drift() -> None:
    counts = np.full((DAYS, 6), 8.0)
    counts[-10:] = 0
    assert DriftWeekly().judge(SUNDAY, stored(counts)).rows == []
    busy = np.full((DAYS, 2), 8.0)
    busy[-10:, 0] = 1
    away = Household((Away(SUNDAY - 9 * ONE_DAY, SUNDAY),))
    assert len(DriftWeekly().judge(SUNDAY, stored(busy)).rows) == 1
    finding = DriftWeekly().judge(SUNDAY, stored(busy), away)
    assert finding.rows == []
    assert "10 days away or quiet left out" in finding.reason


def test_too_few_days_are_not_judged() -> None:
    finding = DriftWeekly().judge(last_day(21), stored(np.full((21, 2), 8.0)))
    assert (type(finding), finding.reason) == (NotJudged, "not judged: 21 of the 25 complete days that are needed")
