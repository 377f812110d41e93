"""Which anomalies belong together, what the home was like, and that muting changes nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.detectors._groups import _DIRECTION, HomeActivity, with_context
from jobs.detectors.anomaly import Anomaly
from jobs.household import ANOMALY_TYPES, NO_HOUSEHOLD, Household, Mute
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import AnomalyDaily, DailyAggregate, RoomBasedDaily
from tests.support.golden import history_row, run
from tests.unit.jobs.test_sentences import anomaly

LAST = dt.date(2026, 3, 30)
DAYS = DateRange.ending(LAST, 29)


def groups(
    *rows: AnomalyDaily,
    activity: HomeActivity = "usual",
    areas: Mapping[str, str] | None = None,
    silent: Mapping[str, int] | None = None,
) -> list[set[str]]:
    """The groups as sets of short names, each group's first member first."""
    found: dict[str | None, set[str]] = {}
    for row in with_context(rows, NO_HOUSEHOLD, activity=activity, areas=areas or {}, silent=silent or {}):
        found.setdefault(row.group, set()).add(row.entity_id.partition(".")[2])
    return sorted(found.values(), key=sorted)


A, B, C = anomaly("light.a"), anomaly("light.b"), anomaly("light.c", "count_low", occurrences=0)


@pytest.mark.parametrize(
    ("rows", "context", "expected"),
    [
        ((A, B), {}, [{"a"}, {"b"}]),
        ((A, anomaly("light.a", "long_duration")), {}, [{"a"}]),
        ((A, anomaly("switch.a", "count_low")), {}, [{"a"}]),
        ((A, B), {"activity": "busy"}, [{"a", "b"}]),
        ((A, B, C), {"activity": "busy"}, [{"a", "b"}, {"c"}]),
        ((A, B), {"areas": {"light.a": "hall", "light.b": "hall"}}, [{"a", "b"}]),
        ((A, B), {"areas": {"light.a": "hall", "light.b": "attic"}}, [{"a"}, {"b"}]),
        ((A, C), {"areas": {"light.a": "hall", "light.c": "hall"}}, [{"a"}, {"c"}]),
    ],
)
def test_rows_belong_together_by_entity_home_and_area(
    rows: Sequence[AnomalyDaily], context: dict[str, Any], expected: list[set[str]]
) -> None:
    assert groups(*rows, **context) == expected


@pytest.mark.parametrize(("days", "together"), [(3, True), (4, False)])
def test_what_fell_silent_on_the_same_day_belongs_together(days: int, together: bool) -> None:
    d = anomaly("light.d", "count_low", occurrences=0)
    assert groups(C, d, silent={"light.c": 3, "light.d": days}) == ([{"c", "d"}] if together else [{"c"}, {"d"}])


@pytest.mark.parametrize(("hour", "together"), [(3, True), (4, True), (5, False)])
def test_what_was_used_in_the_same_unusual_hour_or_the_next_belongs_together(hour: int, together: bool) -> None:
    one, other = (anomaly(f"light.{name}", "unusual_hour", hours=[at]) for name, at in (("a", 3), ("b", hour)))
    assert groups(one, other) == ([{"a", "b"}] if together else [{"a"}, {"b"}])


@pytest.mark.parametrize(("seconds", "together"), [(7200.0 + 900, True), (7200.0 + 901, False)])
def test_what_has_been_on_since_the_same_quarter_of_an_hour_belongs_together(seconds: float, together: bool) -> None:
    one = anomaly("light.a", "still_active", duration_seconds=7200.0)
    other = anomaly("light.b", "still_active", duration_seconds=seconds)
    assert groups(one, other) == ([{"a", "b"}] if together else [{"a"}, {"b"}])


def test_a_group_is_named_after_the_entity_with_the_highest_score() -> None:
    rows = [anomaly("light.a"), anomaly("light.b", anomaly_score=0.9), anomaly("light.c")]
    found = with_context(rows, NO_HOUSEHOLD, activity="busy", areas={}, silent={})
    assert {row.group for row in found} == {"light.b"}


def home(
    factor: float = 1.0, dead: Sequence[int] = (), seed: int = 5, jumps: Mapping[int, int] | None = None
) -> list[DailyAggregate]:
    """Twelve entities over four weeks and a day, on which all are used more often by a factor."""
    rng = np.random.default_rng(seed)
    rows: list[DailyAggregate] = [run(day) for day in DAYS]
    for number in range(12):
        for day in DAYS:
            bouts = int(rng.poisson(9 * (factor if day == LAST else 1))) + (jumps or {}).get(number, 0) * (day == LAST)
            bouts = 0 if number in dead and (LAST - day).days < 3 else bouts
            rows += [history_row(day, f"light.a{number}", bouts)] if bouts else []
    return rows


def judged(rows: Sequence[DailyAggregate], household: Household = NO_HOUSEHOLD) -> list[AnomalyDaily]:
    found = Anomaly().judge(LAST, MemoryStore(rows), household).rows
    return [row for row in found if isinstance(row, AnomalyDaily)]


def test_a_dead_hub_is_one_group_of_silent_entities() -> None:
    rows = judged(home(dead=(1, 2, 3, 4)))
    assert len(rows) == 4
    assert len({row.group for row in rows}) == 1
    assert {row.home_activity for row in rows} == {"usual"}


def test_a_night_of_guests_is_one_group_in_a_busy_home() -> None:
    rows = judged(home(factor=1.6, jumps={0: 60, 5: 60, 7: 60}))
    assert {row.home_activity for row in rows} == {"busy"}
    assert len({row.group for row in rows}) == 1
    assert len(rows) >= 3


def test_a_single_jump_does_not_make_the_home_busy() -> None:
    (row,) = judged(home(jumps={4: 60}))
    assert (row.home_activity, row.group) == ("usual", "light.a4")


def test_entities_of_one_room_are_one_group_if_the_stored_rows_of_rooms_say_so() -> None:
    rows = home(jumps={0: 60, 5: 60})
    assert len({row.group for row in judged(rows)}) == 2
    usage = {"light.a0": 4, "light.a5": 3}
    room = RoomBasedDaily(
        date=LAST, area_id="attic", activity_level=1, device_usage=usage, transition_patterns=[], peak_activity_hours=[]
    )
    assert len({row.group for row in judged([*rows, room])}) == 1


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(0, 11), max_size=4),
    st.lists(st.integers(0, 11), max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from(["light.*", "light.a1", "light.a?", "light.a[0-5]", "nothing"]),
            st.sampled_from([None, "count_low", "count_high"]),
            st.text(max_size=5),
        ),
        max_size=3,
    ),
)
def test_muting_changes_no_row_but_its_mark(
    jumps: list[int], dead: list[int], mutes: list[tuple[str, str | None, str]]
) -> None:
    rows = home(jumps=dict.fromkeys(jumps, 50), dead=dead)
    household = Household(mutes=tuple(Mute(entity, kind, LAST, LAST, reason) for entity, kind, reason in mutes))
    heard, muted = judged(rows), judged(rows, household)
    assert [row.model_copy(update={"muted": None}) for row in muted] == heard
    for row in muted:
        mute = household.mute_of(row.entity_id, row.anomaly_type, LAST)
        assert row.muted == (None if mute is None else mute.reason or "no reason given")


def test_every_type_of_anomaly_can_be_muted_and_has_a_direction() -> None:
    assert set(ANOMALY_TYPES) == set(_DIRECTION)
