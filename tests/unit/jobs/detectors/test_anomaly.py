import datetime as dt

import numpy as np
import pytest

from jobs.detector import NotJudged
from jobs.detectors.anomaly import Anomaly
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import AnomalyDaily, DailyAggregate, TimeBasedDaily
from tests.support.golden import history_row, run
from tests.support.routine_homes import RoutineHome

LAST = dt.date(2026, 3, 30)
DAYS = DateRange.ending(LAST, 29)


def history(**bouts: list[int]) -> list[DailyAggregate]:
    """Rows of entities by their bouts on the days up to ``LAST``; none where there were none."""
    computed = "time_based", "duration", "active_time"
    rows: list[DailyAggregate] = [run(day, detector=name) for day in DAYS for name in computed]
    for name, counts in bouts.items():
        days = DateRange.ending(LAST, len(counts))
        rows += [history_row(day, f"light.{name}", count) for day, count in zip(days, counts, strict=True) if count]
    return rows


def judged(rows: list[DailyAggregate], detector: Anomaly | None = None) -> list[AnomalyDaily]:
    found = (detector or Anomaly()).judge(LAST, MemoryStore(rows))
    return [row for row in found.rows if isinstance(row, AnomalyDaily)]


def test_a_jump_is_found_whatever_an_earlier_one_did_to_the_variance() -> None:
    counts = [8, 9, 7, 8, 10, 8, 7] * 4
    counts[11] = 90
    (row,) = judged(history(a=[*counts, 40], b=[5] * 29))
    assert (row.entity_id, row.anomaly_type, row.occurrences) == ("light.a", "count_high", 40)
    assert row.baseline_deviation > 5


def test_an_ordinary_day_has_no_anomaly_and_a_reason() -> None:
    finding = Anomaly().judge(LAST, MemoryStore(history(a=[8] * 29, b=[5] * 29)))
    assert not finding.rows
    assert not isinstance(finding, NotJudged)
    assert finding.reason == (
        "2 entities compared with 28 complete days; 2 tests; no anomaly; "
        "unusual_hour not judged: no hour is known to be quiet in this home"
    )


@pytest.mark.parametrize(("silent", "found"), [(1, False), (2, True), (4, True), (5, False), (20, False)])
def test_silence_is_reported_on_the_first_three_days_on_which_it_is_improbable_and_then_is_normal(
    silent: int, *, found: bool
) -> None:
    rows = judged(history(a=[8] * (29 - silent) + [0] * silent, b=[5] * 29, c=[4] * 29))
    assert [(row.entity_id, row.anomaly_type) for row in rows] == [("light.a", "count_low")] * found


def test_the_reason_gives_the_number_of_silences_that_are_the_new_normal() -> None:
    rows = history(a=[8] * 19 + [0] * 10, b=[5] * 29, c=[4] * 29)
    assert "1 known silence left out" in Anomaly().judge(LAST, MemoryStore(rows)).reason


def test_days_on_which_the_whole_home_was_quiet_do_not_use_up_the_days_on_which_a_silence_is_reported() -> None:
    others = {f"l{number}": [5] * 24 + [0] * 4 + [5] for number in range(8)}
    finding = Anomaly().judge(LAST, MemoryStore(history(a=[8] * 23 + [0] * 6, **others)))
    assert [row.key() for row in finding.rows] == [("light.a", "count_low")]


def test_an_entity_that_is_often_silent_is_allowed_to_be() -> None:
    assert not judged(history(a=[3, 0, 0, 2] * 6 + [1, 0, 0, 0, 0], b=[5] * 29, c=[4] * 29))


def test_no_silent_entity_is_reported_on_a_day_on_which_the_whole_home_is_quiet() -> None:
    finding = Anomaly().judge(LAST, MemoryStore(history(a=[8] * 25 + [0] * 4, b=[5] * 25 + [0] * 4, c=[4] * 29)))
    assert not finding.rows
    assert "the whole home was quiet" in finding.reason


def test_an_entity_is_judged_from_its_first_row_on() -> None:
    finding = Anomaly().judge(LAST, MemoryStore(history(a=[8] * 29, new=[1] * 12 + [60])))
    assert not finding.rows
    assert "1 entity with fewer than 14 days of history left out" in finding.reason


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "not judged: time_based has not computed this day"),
        ([run(LAST, known=0.8)], "not judged: only 80% of the day is known, and 95% is needed"),
        (
            [run(day) for day in DateRange.ending(LAST, 4)],
            "not judged: the baseline has 3 of the 14 complete days that are needed",
        ),
    ],
)
def test_a_day_that_cannot_be_judged_says_why(rows: list[DailyAggregate], reason: str) -> None:
    finding = Anomaly().judge(LAST, MemoryStore(rows))
    assert isinstance(finding, NotJudged)
    assert (list(finding.rows), finding.reason) == ([], reason)


def test_days_with_an_outage_are_not_part_of_the_baseline() -> None:
    rows = history(a=[8] * 20 + [0] * 8 + [8], b=[5] * 29)
    hurt = set(DateRange.ending(LAST - dt.timedelta(1), 8))
    rows = [run(row.date, 0.5) if row.measurement == "detector_run_daily" and row.date in hurt else row for row in rows]
    assert Anomaly().judge(LAST, MemoryStore(rows)).reason.startswith("2 entities compared with 20 complete days")


def test_a_complete_day_without_a_row_counts_as_a_day_of_0_bouts() -> None:
    often = judged(history(a=[6, 0] * 14 + [18], b=[5] * 29, c=[4] * 29))
    always = judged(history(a=[6, 6] * 14 + [18], b=[5] * 29, c=[4] * 29))
    assert not often
    assert [row.anomaly_type for row in always] == ["count_high"]


def test_later_days_and_the_order_of_a_backfill_change_nothing() -> None:
    home = RoutineHome(np.random.default_rng(3), 8, 12, with_anomalies=False)
    store = home.store()
    whole = [Anomaly().judge(day, store) for day in home.judged]
    for day, expected in zip(home.judged, whole, strict=True):
        until = [row for model in (TimeBasedDaily,) for row in store.read(model, DateRange(home.days.first, day))]
        runs = [run(past) for past in DateRange(home.days.first, day)]
        assert list(Anomaly().judge(day, MemoryStore([*until, *runs])).rows) == list(expected.rows)


def test_only_the_types_that_are_asked_for_are_looked_for() -> None:
    rows = history(a=[*[8] * 28, 40], b=[5] * 29)
    assert not judged(rows, Anomaly(types=("count_low", "unusual_hour")))
    (row,) = judged(rows, Anomaly(types=("count_high",)))
    assert (row.entity_id, row.anomaly_type) == ("light.a", "count_high")


def explained(rows: list[DailyAggregate]) -> tuple[list[str], str]:
    """What each baseline day of the only anomaly was to it, the last one last, and the note."""
    (row,) = judged(rows)
    evidence = Anomaly().explain_by_history(row, MemoryStore(rows))
    return [str(line[2]) for line in evidence.lines], evidence.notes[0]


def test_evidence_of_a_jump_names_each_day_of_the_baseline_what_was_expected_and_p() -> None:
    counts = [8, 9, 7, 8, 10, 8, 7] * 4
    counts[11] = 90  # a Friday
    rows = history(a=[*counts, 40], b=[5] * 29)
    rows = [run(row.date, 0.5) if row == run(DAYS.first) else row for row in rows]
    days, note = explained(rows)
    assert len(days) == 28
    assert days[0] == "dropped: not complete"
    assert days[11] == "dropped: an anomaly itself"
    assert [days[5], days[6]] == ["used for the spread only: another type of day"] * 2  # LAST is a Monday
    assert days.count("used") == 18
    assert "40 on 2026-03-30" in note
    assert "expected 8.36 bouts" in note  # (150 + 0.5) / 18
    assert "p = " in note


def test_evidence_of_a_silence_names_the_silent_days() -> None:
    days, note = explained(history(a=[8] * 26 + [0] * 3, b=[5] * 29, c=[4] * 29))
    assert days[-2:] == ["silent, like the judged day"] * 2
    assert "silent, like the judged day" not in days[:-2]
    assert "0 on 2026-03-30" in note


def test_a_busy_day_at_home_is_not_an_anomaly_of_each_entity() -> None:
    rng = np.random.default_rng(4)
    factors = [*rng.lognormal(0, 0.4, 28), 3.0]
    lively = {f"e{index}": [max(round(12 * factor), 1) for factor in factors] for index in range(12)}
    assert not judged(history(**lively))
    alone = {name: [12] * 28 + [36 if name == "e0" else 12] for name in lively}
    assert [row.entity_id for row in judged(history(**alone))] == ["light.e0"]


def people_and_machines(away: int) -> list[DailyAggregate]:
    """Twelve machines that go on as ever, and 28 entities of people who are away on the last days."""
    rng = np.random.default_rng(5)
    machines = {f"machine{number}": rng.poisson(20, 29).tolist() for number in range(12)}
    moods = rng.lognormal(0, 0.12, 29 - away)
    people = {f"lamp{number}": [*rng.poisson(9 * moods).tolist(), *[0] * away] for number in range(28)}
    return history(**machines, **people)


@pytest.mark.parametrize("away", [1, 7, 14, 15, 21])
def test_while_people_are_away_machines_are_not_too_busy_and_lamps_not_dead(away: int) -> None:
    assert not judged(people_and_machines(away))


def test_a_home_that_grew_was_not_quiet_before() -> None:
    grown = {f"new{number}": [6, 7, 5, 6, 6, 7] for number in range(20)}
    old = {f"old{number}": [8, 9, 7, 8, 10] * 5 + [9, 8, 7, 9] for number in range(8)}
    finding = Anomaly().judge(LAST, MemoryStore(history(dead=[6] * 25 + [0] * 4, **old, **grown)))
    assert [row.key() for row in finding.rows] == [("light.dead", "count_low")]
    assert "quiet" not in finding.reason


def test_evidence_says_so_where_the_rows_of_the_baseline_are_no_longer_stored() -> None:
    (row,) = judged(history(a=[8] * 26 + [0] * 3, b=[5] * 29, c=[4] * 29))
    for rows in (history(b=[5] * 29), []):
        evidence = Anomaly().explain_by_history(row, MemoryStore(rows))
        assert evidence.notes == ("the rows that this anomaly was computed from are no longer stored",)


def test_several_silent_days_in_a_row_are_not_an_anomaly_where_they_are_usual() -> None:
    holidays = [6, 5, 7, 6, 5, 0, 0, 0, 0] * 3
    assert not judged(history(a=[*holidays[4:], 6, 5, 0, 0, 0, 0], b=[5] * 29, c=[4] * 29))


def test_two_days_a_week_of_working_at_home_are_not_anomalies() -> None:
    desk = [0, 0, 16, 0, 14, 1, 0] * 4
    assert not judged(history(desk=[*desk, 15], b=[5] * 29, c=[4] * 29))
    once = [0, 0, 1, 0, 0, 1, 0] * 4
    assert [row.entity_id for row in judged(history(desk=[*once, 15], b=[5] * 29, c=[4] * 29))] == ["light.desk"]
