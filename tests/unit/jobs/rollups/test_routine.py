"""Weeks worked out by hand, holes, changes and bounds of the routine."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from jobs.detector import NotJudged
from jobs.rollups.routine_monthly import RoutineMonthly
from jobs.rollups.routine_weekly import RoutineWeekly
from storage.dates import ONE_DAY
from storage.rollup_models import RoutineWeekly as Row
from tests.support.weeks_of_rows import FIRST, curve, last_day, poisson_home, store_of

SUNDAY = last_day(28)
LAMP = "light.lamp"


def week(hours: object, **more: object) -> dict[str, Row]:
    finding = RoutineWeekly(**more).judge(SUNDAY, store_of(hours))  # type: ignore[arg-type]
    return {row.subject: row for row in finding.rows if isinstance(row, Row)}


def test_a_golden_week() -> None:
    """Six days with two uses at 7 and four at 20; on Sunday none at 7. SRI: of 6 x 24 pairs of hours, one differs."""
    hours = np.zeros((28, 24), np.int64)
    hours[:, 7], hours[:, 20] = 2, 4
    hours[27, 7] = 0
    row = week({LAMP: hours})[LAMP]
    assert (row.hourly_profile[7], row.hourly_profile[20]) == (round(12 / 7, 4), 4.0)
    assert (row.active_days, row.known_days, row.bouts_per_day, row.bouts_per_day_before) == (7, 7, 5.7143, 6.0)
    assert row.regularity_index == round(-100 + 200 * (6 * 24 - 1) / (6 * 24), 4)
    assert (row.relative_amplitude, row.l5_onset_hour, row.m10_onset_hour) == (1.0, 0, 11)
    mean = (28 * 6 - 2) / (28 * 24)
    total = 27 * (2 - mean) ** 2 + 28 * (4 - mean) ** 2 + (28 * 22 + 1) * mean**2
    between = (27 * 2 / 28 - mean) ** 2 + (4 - mean) ** 2 + 22 * mean**2
    assert row.interdaily_stability == pytest.approx(28 * between / total, abs=1e-4)
    assert row.change == "none"


def test_entities_areas_and_the_home_have_a_row_each() -> None:
    hours = {name: np.tile(curve([8], 2).astype(np.int64), (28, 1)) for name in ("light.a", "light.b", "light.c")}
    store = store_of(hours, areas={"light.a": "hall", "light.b": "hall"})
    finding = RoutineWeekly().judge(SUNDAY, store)
    found = {(row.scope, row.subject): row.hourly_profile[8] for row in finding.rows if isinstance(row, Row)}
    assert found == {
        ("entity", "light.a"): 2,
        ("entity", "light.b"): 2,
        ("entity", "light.c"): 2,
        ("area", "hall"): 4,
        ("home", "home"): 6,
    }
    assert "1 entity without an area" in finding.reason


@pytest.mark.parametrize(("missing", "is_stable", "is_regular"), [(0, True, True), (1, True, False), (21, True, False)])
def test_what_needs_seven_complete_days_is_absent_without_them(missing: int, is_stable: bool, is_regular: bool) -> None:
    hours = {LAMP: np.tile(curve([8], 2).astype(np.int64), (28, 1))}
    days = [FIRST + place * ONE_DAY for place in range(28)]
    holes = dict.fromkeys([*days[21:22], *days[:20]][:missing], 0.9)
    finding = RoutineWeekly().judge(SUNDAY, store_of(hours, known_shares=holes))
    (row, _) = finding.rows
    assert isinstance(row, Row)
    assert (row.interdaily_stability is not None, row.regularity_index is not None) == (is_stable, is_regular)
    assert ("regularity not judged: 6 complete days" in finding.reason) is not is_regular


def test_with_six_complete_days_of_28_stability_is_not_judged_and_says_so() -> None:
    hours = {LAMP: np.tile(curve([8], 2).astype(np.int64), (28, 1))}
    holes = {FIRST + place * ONE_DAY: 0.0 for place in range(22)}
    finding = RoutineWeekly().judge(SUNDAY, store_of(hours, known_shares=holes))
    assert "stability not judged: 6 complete days of 28, 7 are needed" in finding.reason
    assert "change not tested" in finding.reason
    assert isinstance(finding.rows[0], Row)
    assert finding.rows[0].interdaily_stability is None


def test_a_week_without_a_complete_day_is_not_judged() -> None:
    hours = {LAMP: np.tile(curve([8], 2).astype(np.int64), (28, 1))}
    holes = {FIRST + place * ONE_DAY: 0.5 for place in range(21, 28)}
    finding = RoutineWeekly().judge(SUNDAY, store_of(hours, known_shares=holes))
    assert (type(finding), finding.reason) == (NotJudged, "not judged: none of the 7 days is complete")


def test_an_entity_that_rests_all_week_has_no_row_and_its_rest_is_not_missing() -> None:
    hours = np.tile(curve([8], 2).astype(np.int64), (28, 1))
    resting = hours.copy()
    resting[21:] = 0
    found = week({LAMP: hours, "light.resting": resting})
    assert set(found) == {LAMP, "home"}
    half = hours.copy()
    half[21:24] = 0
    assert (week({LAMP: half})[LAMP].active_days, week({LAMP: half})[LAMP].bouts_per_day) == (4, round(8 / 7, 4))


@pytest.mark.parametrize(
    ("busy", "height", "change"),
    [([8], 6.0, "none"), ([8], 14.0, "more"), ([8], 1.5, "less"), ([15], 6.0, "other_hours")],
)
def test_a_change_against_the_week_before_is_found_and_named(busy: list[int], height: float, change: str) -> None:
    rng = np.random.default_rng(3)
    homes = {f"light.{code}": rng.poisson(curve([8], 6), (28, 24)) for code in range(9)}
    homes[LAMP] = rng.poisson(curve([8], 6), (28, 24))
    homes[LAMP][21:] = rng.poisson(curve(busy, height), (7, 24))
    assert week(homes)[LAMP].change == change


def test_noise_changes_no_more_often_than_the_rate_allows() -> None:
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(10):
        rows = week(poisson_home(rng, 40, 28, 8.0)).values()
        found += any(row.change != "none" for row in rows)
    assert found <= 2


def test_rows_beyond_the_bound_are_the_least_active_and_are_counted() -> None:
    hours = {f"light.n{code}": np.tile(curve([8], code + 1).astype(np.int64), (28, 1)) for code in range(5)}
    finding = RoutineWeekly(max_entities=2).judge(SUNDAY, store_of(hours))
    assert [row.subject for row in finding.rows if isinstance(row, Row)] == ["light.n3", "light.n4", "home"]
    assert "3 less active entities left out" in finding.reason


def test_a_month_is_that_of_the_calendar() -> None:
    first = dt.date(2026, 1, 1)
    hours = {LAMP: np.tile(curve([8], 2).astype(np.int64), (59, 1))}
    finding = RoutineMonthly().judge(dt.date(2026, 2, 28), store_of(hours, first))
    (row, _) = finding.rows
    assert (row.date, row.known_days, row.change) == (dt.date(2026, 2, 28), 28, "none")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("whole_week", "is_regular", "why"),
    [
        (0, False, "none of the complete days follow another one, 6 are needed"),
        (6, False, "5 of the complete days follow another one, 6 are needed"),
        (7, True, ""),
    ],
)
def test_regularity_needs_complete_days_that_follow_each_other(whole_week: int, is_regular: bool, why: str) -> None:
    first = dt.date(2026, 3, 1)
    hours = {LAMP: np.tile(curve([8], 2).astype(np.int64), (31, 1))}
    holes = dict.fromkeys(
        [first + place * ONE_DAY for place in range(whole_week, 31) if place % 2 != whole_week % 2], 0.5
    )
    if whole_week:
        holes[first + whole_week * ONE_DAY] = 0.5
    finding = RoutineMonthly().judge(dt.date(2026, 3, 31), store_of(hours, first, known_shares=holes))
    row = finding.rows[0]
    assert (row.regularity_index is not None) is is_regular  # type: ignore[attr-defined]
    assert ("regularity not judged" in finding.reason) is not is_regular
    assert why in finding.reason


def test_the_evidence_shows_both_mean_days() -> None:
    hours = {LAMP: np.tile(curve([8], 2).astype(np.int64), (28, 1))}
    store = store_of(hours)
    row = next(iter(RoutineWeekly().judge(SUNDAY, store).rows))
    assert isinstance(row, Row)
    evidence = RoutineWeekly().explain_by_history(row, store)
    assert evidence.lines[8] == (8, 2.0, "")
    assert "interdaily stability 1.00" in " ".join(evidence.notes)
