"""Homes that are made for tests: their stored rows, their truth, and their ways of life."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from jobs.detectors.active_time import ActiveTime
from jobs.detectors.duration import Duration
from jobs.detectors.time_based import TimeBased
from storage.dates import DateRange
from storage.models import DetectorRunDaily, DurationDaily, TimeBasedDaily
from tests.support.homes.home import BASELINE, LivedHome
from tests.support.homes.lives import LIVES
from tests.support.homes.planting import EVERYTHING, NOTHING, Plan, Planted

SEED = 4242
DETECTORS = TimeBased(), Duration(), ActiveTime()
NOT_COMPUTED = {"peak_hours", "confidence", "efficiency_score"}


@pytest.mark.parametrize("name", LIVES)
def test_rows_made_directly_are_those_of_the_detectors(name: str) -> None:
    home = LivedHome(LIVES[name], SEED, entities=20, judged=31, plan=EVERYTHING)
    for day in list(home.days)[::7]:
        log = home.log(day)
        made = [row for row in home.rows_by_day[day] if not isinstance(row, DetectorRunDaily)]
        found = [row for detector in DETECTORS for row in detector.detect(log).rows]
        assert sorted((row.measurement, row.key()) for row in made) == sorted(
            (row.measurement, row.key()) for row in found
        )
        for mine, theirs in zip(
            sorted(made, key=lambda row: (row.measurement, row.key())),
            sorted(found, key=lambda row: (row.measurement, row.key())),
            strict=True,
        ):
            for field, value in mine.model_dump(exclude=NOT_COMPUTED).items():
                assert getattr(theirs, field) == (pytest.approx(value) if isinstance(value, float) else value)


def test_the_same_arguments_give_the_same_home_and_another_seed_gives_another() -> None:
    first, again, other = (LivedHome(LIVES["wild days"], seed, 15, 10, EVERYTHING) for seed in (1, 1, 2))
    assert first.rows_by_day == again.rows_by_day
    assert first.planted == again.planted
    assert first.rows_by_day != other.rows_by_day


@pytest.mark.parametrize("entities", [15, 40, 100])
def test_a_home_has_as_many_entities_as_asked_for_and_persons(entities: int) -> None:
    home = LivedHome(LIVES["teenagers"], SEED, entities, judged=1)
    ids = [about.entity_id for about in home.about]
    assert len(set(ids)) == entities + 4
    assert sum(entity_id.startswith("person.") for entity_id in ids) == 4


def test_a_home_with_too_few_entities_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 15 entities"):
        LivedHome(LIVES["regular"], SEED, entities=14)


def test_days_away_that_do_not_fit_are_refused() -> None:
    assert len(LivedHome(LIVES["holidays"], SEED, 15, judged=30).circumstances) >= 16
    with pytest.raises(ValueError, match="14 days away need 30 judged days"):
        LivedHome(LIVES["holidays"], SEED, 15, judged=29)


def test_nothing_is_planted_unless_asked_for() -> None:
    assert LivedHome(LIVES["regular"], SEED, judged=30, plan=NOTHING).planted == []


@pytest.mark.parametrize("judged", [1, 6, 15, 16])
def test_sensors_die_only_where_ten_days_are_left(judged: int) -> None:
    home = LivedHome(LIVES["regular"], SEED, 15, judged, Plan(dead=1, hubs=1))
    dead = [one for one in home.planted if one.kind == "dead"]
    assert len(dead) == (judged > 15)
    assert all((home.days.last - one.day).days >= 10 for one in dead)


def test_nothing_is_planted_into_a_thing_after_it_died() -> None:
    plan = Plan(jump=0.5, still_on=0.5, dead=4)
    homes = [LivedHome(LIVES["regular"], seed, entities=15, plan=plan) for seed in range(6)]
    assert {one.kind for home in homes for one in home.planted} == {"jump", "still_on", "dead"}
    for home in homes:
        died = {one.entity_id: one.day for one in home.planted if one.kind == "dead"}
        assert all(one.day <= died.get(one.entity_id, one.day) for one in home.planted)


def test_what_is_planted_lies_in_judged_days_and_is_visible_in_the_rows() -> None:
    home = LivedHome(LIVES["holidays"], SEED, judged=62, plan=Plan(0.3, 0.3, 0.3, 0.3, 2, 1, burglar=True))
    rows = {(type(row), row.date, row.key()[0]): row for of_day in home.rows_by_day.values() for row in of_day}
    assert {one.kind for one in home.planted} == {"jump", "dead", "long", "still_on", "night_door", "hub", "burglar"}
    spoilt = {(one.entity_id, day) for one in home.planted if one.kind in {"dead", "hub"} for day in _days(one)}
    for one in home.planted:
        assert one.day in home.judged
        used = rows.get((TimeBasedDaily, one.day, one.entity_id))
        if one.kind in {"dead", "hub"}:
            assert used is None
        elif (one.entity_id, one.day) in spoilt:
            continue
        else:
            assert isinstance(used, TimeBasedDaily)
            assert used.bouts is not None
            if one.kind == "jump":
                assert used.bouts > 1.5 * one.usual
            if one.kind == "night_door":
                assert sum(used.hourly_distribution[:6]) > 0
            if one.kind == "long":
                measured = rows[DurationDaily, one.day, one.entity_id]
                assert isinstance(measured, DurationDaily)
                assert 12 * 3600 <= measured.max_duration_seconds <= 13 * 3600


def _days(one: Planted) -> list[dt.date]:
    return list(DateRange(one.day, one.last))


def test_nobody_acts_while_everybody_is_away_but_what_runs_by_itself() -> None:
    home = LivedHome(LIVES["holidays"], SEED, judged=40)
    away = [day for day, what in home.circumstances.items() if what == "away"]
    assert len(away) == 14
    ids = {row.key()[0] for day in away for row in home.rows_by_day[day] if isinstance(row, TimeBasedDaily)}
    assert ids
    assert all("boiler" in entity_id or "pump" in entity_id for entity_id in ids)


def test_shift_workers_and_teenagers_are_up_when_others_sleep() -> None:
    def share_at_night(name: str) -> float:
        home = LivedHome(LIVES[name], SEED, judged=21)
        counts = np.sum(
            [
                row.hourly_distribution
                for of_day in home.rows_by_day.values()
                for row in of_day
                if isinstance(row, TimeBasedDaily) and row.entity_id == "binary_sensor.kitchen_motion"
            ],
            axis=0,
        )
        return float(counts[0:5].sum() / counts.sum())

    assert share_at_night("regular") < 0.01
    assert share_at_night("teenagers") > 0.01
    assert share_at_night("shift workers") > 0.01


def test_heavy_tails_have_uses_that_are_far_longer_than_the_median() -> None:
    def ratio(name: str) -> float:
        home = LivedHome(LIVES[name], SEED, judged=30)
        lengths = [
            row.max_duration_seconds
            for of_day in home.rows_by_day.values()
            for row in of_day
            if isinstance(row, DurationDaily) and row.entity_id == "switch.kettle"
        ]
        return float(max(lengths) / np.median(lengths))

    assert ratio("regular") < 5
    assert ratio("Pareto lengths") > 8


def test_the_baseline_is_four_weeks() -> None:
    home = LivedHome(LIVES["clock changes"], SEED, 15, judged=40)
    assert len(home.days) == BASELINE + 40
    assert {home.log(day).window.seconds for day in home.days} == {86_400.0, 90_000.0}
