"""What ``storage.store`` promises, on every backend."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from storage.dates import DateRange
from storage.errors import UsageError
from storage.models import (
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    Severity,
    Tag,
    TimeBasedDaily,
)
from storage.rollup_models import DriftWeekly
from storage.store import AggregateStore, Fields
from tests.support.rows import DAY, batch, duration, finding, time_based, time_based_batch

TODAY = DateRange(DAY, DAY)
NEXT = DAY + dt.timedelta(days=1)
BOTH = DateRange(DAY, NEXT)

HOSTILE = [
    "light.o'neill",
    'light."quoted"',
    "light.a,b=c d",
    "light.back\\slash",
    "light.ends\\ ",
    "light.$x",
    "light.küche 💡",
    "light.'; DROP TABLE time_based_daily; --",
    "x" * 255,
    " leading and trailing ",
    "light.%_*?[a]",
    "light.{}",
]


class ThirdPartyDaily(DailyAggregate):
    """A model that no store has heard of."""

    measurement: ClassVar[str] = "third_party_daily"
    meter: Tag
    tariff: Tag
    energy: float
    samples: int
    notes: list[str]
    comment: str | None = None


ROWS: list[DailyAggregate] = [
    time_based(),
    CoOccurrenceDaily(
        date=DAY,
        device_pair="binary_sensor.motion|light.hall",
        co_occurrence_count=7,
        time_window_seconds=300,
        confidence=0.5,
        typical_hours=[7, 19],
        expected_count=0.25,
        median_gap_seconds=2.5,
        first_share=1.0,
    ),
    SequenceDaily(
        date=DAY,
        sequence_id="0123456789abcdef",
        sequence=["binary_sensor.door:on", "light.hall:on"],
        frequency=4,
        avg_duration_seconds=3.5,
        confidence=0.4,
    ),
    RoomBasedDaily(
        date=DAY,
        area_id="kitchen",
        activity_level=0.5,
        device_usage={"light.kitchen": 12, "binary_sensor.küche": 3},
        transition_patterns=[{"to": "hall", "count": 3, "probability": 1.0, "median_seconds": 12.5}],
        peak_activity_hours=[],
    ),
    duration(efficiency_score=0.25),
    AnomalyDaily(
        date=DAY,
        entity_id="light.kitchen",
        anomaly_type="count_high",
        anomaly_score=0.5,
        baseline_deviation=-3.25,
        occurrences=40,
        severity=Severity.HIGH,
    ),
    ThirdPartyDaily(date=DAY, meter="m", tariff="night", energy=1.0, samples=96, notes=["a", "b"]),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.measurement)
def test_a_row_of_any_model_comes_back_as_it_was(store: AggregateStore, row: DailyAggregate) -> None:
    store.replace_day(batch(finding(type(row), [row])))
    (back,) = store.read(type(row), TODAY)
    assert back == row
    assert {name: type(value) for name, value in back} == {name: type(value) for name, value in row}


def test_the_record_of_a_run_comes_back_with_its_instant(store: AggregateStore) -> None:
    done = finding(TimeBasedDaily, [time_based()])
    store.replace_day(batch(done))
    assert store.read(DetectorRunDaily, TODAY) == [done.run]


def test_absent_values_stay_absent(store: AggregateStore) -> None:
    store.replace_day(time_based_batch(time_based(bouts=None), time_based("light.b", bouts=0)))
    assert [row.bouts for row in store.read(TimeBasedDaily, TODAY)] == [0, None]


def test_nothing_stored_is_an_empty_answer(store: AggregateStore) -> None:
    assert store.read(TimeBasedDaily, TODAY) == []
    assert store.read(ThirdPartyDaily, TODAY) == []
    assert store.summarize(TimeBasedDaily, TODAY, {"occurrences": "sum"}) == []


def test_rows_come_ordered_by_date_and_tags(store: AggregateStore) -> None:
    ids = ["light.b", "light.a", "Light.c", "light.é", "light.z"]
    for day in (NEXT, DAY):
        store.replace_day(time_based_batch(*(time_based(one, day) for one in ids), day=day))
    keys = [(row.date, row.entity_id) for row in store.read(TimeBasedDaily, BOTH)]
    assert keys == sorted(keys)
    assert len(keys) == 10


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_stored_and_found_and_finds_nothing_else(store: AggregateStore, value: str) -> None:
    store.replace_day(time_based_batch(*(time_based(one) for one in (*HOSTILE, "light.plain"))))
    assert [row.entity_id for row in store.read(TimeBasedDaily, TODAY, {"entity_id": value})] == [value]
    store.replace_day(time_based_batch(*(time_based(one) for one in HOSTILE if one != value)))
    assert store.read(TimeBasedDaily, TODAY, {"entity_id": value}) == []
    assert len(store.read(TimeBasedDaily, TODAY)) == len(HOSTILE) - 1


@pytest.mark.parametrize("filtered", ["' OR 1=1 --", "light.*", ".*", "%", "", "$e", "light.kitchen'"])
def test_a_filter_is_a_value_and_never_a_pattern(store: AggregateStore, filtered: str) -> None:
    store.replace_day(time_based_batch(time_based()))
    assert store.read(TimeBasedDaily, TODAY, {"entity_id": filtered}) == []


def test_several_values_of_a_tag_and_several_tags_narrow_the_answer(store: AggregateStore) -> None:
    rows = [time_based("light.a"), time_based("light.b"), time_based("switch.c", domain="switch")]
    store.replace_day(time_based_batch(*rows))
    wanted = {"entity_id": ["light.a", "switch.c", "light.a"], "domain": "switch"}
    assert [row.entity_id for row in store.read(TimeBasedDaily, TODAY, wanted)] == ["switch.c"]
    assert len(store.read(TimeBasedDaily, TODAY, {"entity_id": {"light.a", "switch.c", "light.none"}})) == 2
    assert store.read(TimeBasedDaily, TODAY, {"entity_id": []}) == []


def test_a_range_includes_both_its_ends_and_nothing_beyond(store: AggregateStore) -> None:
    days = [DAY + dt.timedelta(days=offset) for offset in range(-2, 3)]
    for day in days:
        store.replace_day(time_based_batch(time_based(day=day), day=day))
    assert [row.date for row in store.read(TimeBasedDaily, DateRange(days[1], days[3]))] == days[1:4]


@pytest.mark.parametrize(
    ("where", "nearest"), [({"entity": "x"}, "entity_id"), ({"occurrences": "1"}, ""), ({"date": "2026-03-02"}, "")]
)
def test_an_unknown_tag_is_refused_with_the_nearest_known(
    store: AggregateStore, where: dict[str, str], nearest: str
) -> None:
    with pytest.raises(UsageError) as caught:
        store.read(TimeBasedDaily, TODAY, where)
    assert nearest in caught.value.hint


def test_replacing_a_day_takes_away_what_it_no_longer_yields(store: AggregateStore) -> None:
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b"), time_based("light.c")))
    store.replace_day(time_based_batch(time_based("light.b", occurrences=99)))
    assert [(row.entity_id, row.occurrences) for row in store.read(TimeBasedDaily, TODAY)] == [("light.b", 99)]


def test_replacing_a_day_leaves_other_detectors_and_days_alone(store: AggregateStore) -> None:
    store.replace_day(batch(finding(TimeBasedDaily, [time_based()]), finding(DurationDaily, [duration()])))
    store.replace_day(time_based_batch(time_based(day=NEXT), day=NEXT))
    store.replace_day(time_based_batch())
    assert store.read(TimeBasedDaily, TODAY) == []
    assert store.read(DurationDaily, TODAY) == [duration()]
    assert len(store.read(TimeBasedDaily, BOTH)) == 1
    assert {(run.date, run.detector, run.rows) for run in store.read(DetectorRunDaily, BOTH)} == {
        (DAY, "time_based", 0),
        (DAY, "duration", 1),
        (NEXT, "time_based", 1),
    }


def test_replacing_a_day_by_itself_changes_nothing(store: AggregateStore) -> None:
    same = batch(finding(TimeBasedDaily, [time_based("light.a"), time_based("light.b")]))
    store.replace_day(same)
    before = store.read(TimeBasedDaily, TODAY), store.read(DetectorRunDaily, TODAY)
    store.replace_day(same)
    assert (store.read(TimeBasedDaily, TODAY), store.read(DetectorRunDaily, TODAY)) == before


@pytest.mark.slow
def test_a_large_day_is_stored_whole(store: AggregateStore) -> None:
    rows = [time_based(f"light.number_{number}") for number in range(6000)]
    store.replace_day(time_based_batch(*rows))
    assert len(store.read(TimeBasedDaily, TODAY)) == 6000
    store.replace_day(time_based_batch(*rows[:10]))
    assert len(store.read(TimeBasedDaily, TODAY)) == 10


def test_summaries_apply_each_function_by_group(store: AggregateStore) -> None:
    for day, scale in ((DAY, 1), (NEXT, 2)):
        rows = [
            time_based("light.a", day, occurrences=10 * scale, confidence=0.25, bouts=None),
            time_based("light.b", day, occurrences=3 * scale, confidence=0.5 * scale, bouts=4),
        ]
        store.replace_day(time_based_batch(*rows, day=day))
    found = store.summarize(
        TimeBasedDaily, BOTH, {"occurrences": "sum", "confidence": "mean", "bouts": "count"}, by=["entity_id"]
    )
    assert [dict(one.by) for one in found] == [{"entity_id": "light.a"}, {"entity_id": "light.b"}]
    assert [one["occurrences"] for one in found] == [30, 9]
    assert [one["confidence"] for one in found] == [pytest.approx(0.25), pytest.approx(0.75)]
    assert [one["bouts"] for one in found] == [0, 2]
    assert [one.rows for one in found] == [2, 2]


def test_sums_of_integers_are_integers_and_means_are_floats(store: AggregateStore) -> None:
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b", occurrences=13)))
    (one,) = store.summarize(TimeBasedDaily, TODAY, {"occurrences": "sum", "bouts": "mean", "frequency": "max"})
    assert dict(one.by) == {}
    assert (one["occurrences"], type(one["occurrences"])) == (25, int)
    assert (one["bouts"], type(one["bouts"])) == (5.0, float)
    assert (one["frequency"], type(one["frequency"])) == (0.125, float)


def test_a_function_of_absent_values_is_none(store: AggregateStore) -> None:
    store.replace_day(time_based_batch(time_based(bouts=None)))
    for function in ("sum", "mean", "min", "max"):
        (one,) = store.summarize(TimeBasedDaily, TODAY, {"bouts": function})
        assert one["bouts"] is None


def test_several_functions_of_one_field_are_kept_apart_by_name(store: AggregateStore) -> None:
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b", occurrences=13, bouts=None)))
    (one,) = store.summarize(
        TimeBasedDaily, TODAY, {"occurrences": ["sum", "mean", "min", "max"], "bouts": ["count"], "frequency": "max"}
    )
    assert one.values == {
        "occurrences_sum": 25,
        "occurrences_mean": 12.5,
        "occurrences_min": 12,
        "occurrences_max": 13,
        "bouts_count": 1,
        "frequency": 0.125,
    }
    assert [type(value) for value in one.values.values()] == [int, float, int, int, int, float]


def test_a_mean_of_means_is_weighted_by_the_number_of_observations(store: AggregateStore) -> None:
    for day, mean, episodes in ((DAY, 60.0, 9), (NEXT, 90.0, 1)):
        row = duration("light.a", day, avg_duration_seconds=mean, episodes=episodes, duration_variance=mean)
        other = duration("light.b", day, avg_duration_seconds=mean, episodes=1, duration_variance=0.0)
        store.replace_day(batch(finding(DurationDaily, [row, other], day)))
    fields: Fields = {"avg_duration_seconds": ["mean", "max", "sum", "count"], "duration_variance": "mean"}
    light_a, light_b = store.summarize(DurationDaily, BOTH, fields, by=["entity_id"])
    assert light_a["avg_duration_seconds_mean"] == pytest.approx((9 * 60 + 90) / 10)
    assert light_a["duration_variance"] == pytest.approx((9 * 60 + 90) / 10)
    assert [light_a[f"avg_duration_seconds_{one}"] for one in ("max", "sum", "count")] == [90.0, 150.0, 2]
    assert light_b["avg_duration_seconds_mean"] == pytest.approx(75)


def test_rows_without_a_weight_do_not_count_in_a_weighted_mean(store: AggregateStore) -> None:
    rows = [
        duration("light.a", avg_duration_seconds=60.0, episodes=2),
        duration("light.b", avg_duration_seconds=90.0, episodes=None),
        duration("light.c", avg_duration_seconds=30.0, episodes=0),
    ]
    store.replace_day(batch(finding(DurationDaily, rows)))
    (one,) = store.summarize(DurationDaily, TODAY, {"avg_duration_seconds": ["mean", "count"]})
    assert (one["avg_duration_seconds_mean"], one["avg_duration_seconds_count"]) == (60.0, 3)
    without = store.summarize(
        DurationDaily, TODAY, {"avg_duration_seconds": "mean"}, where={"entity_id": ["light.b", "light.c"]}
    )
    assert [(one["avg_duration_seconds"], one.rows) for one in without] == [(None, 2)]


def test_values_without_a_weighted_field_do_not_count_in_its_mean(store: AggregateStore) -> None:
    pairs = [
        CoOccurrenceDaily.model_validate(
            {**ROWS[1].model_dump(), "device_pair": pair, "co_occurrence_count": count, "first_share": share}
        )
        for pair, count, share in (("a|b", 10, None), ("a|c", 3, 1.0), ("a|d", 1, 0.0))
    ]
    store.replace_day(batch(finding(CoOccurrenceDaily, pairs)))
    (one,) = store.summarize(CoOccurrenceDaily, TODAY, {"first_share": "mean"})
    assert one["first_share"] == pytest.approx(0.75)


def test_summaries_group_by_date_and_heed_filters(store: AggregateStore) -> None:
    for day in (DAY, NEXT):
        store.replace_day(time_based_batch(time_based("light.a", day), time_based("light.b", day), day=day))
    found = store.summarize(TimeBasedDaily, BOTH, {"occurrences": "min"}, by=["date"], where={"entity_id": "light.b"})
    assert [(one["date"], one["occurrences"], one.rows) for one in found] == [(DAY, 12, 1), (NEXT, 12, 1)]


def test_summaries_group_by_week_and_month(store: AggregateStore) -> None:
    days = [
        dt.date(2026, 12, 27),
        dt.date(2026, 12, 28),
        dt.date(2026, 12, 31),
        dt.date(2027, 1, 3),
        dt.date(2027, 1, 4),
    ]
    for number, day in enumerate(days):
        rows = [duration("light.a", day, avg_duration_seconds=40.0 + 10 * number, episodes=number + 1)]
        store.replace_day(batch(finding(DurationDaily, [*rows, duration("light.b", day)], day)))
    span, fields = DateRange(days[0], days[-1]), {"avg_duration_seconds": "mean", "episodes": "sum"}
    one_light = {"entity_id": "light.a"}
    weeks = store.summarize(DurationDaily, span, fields, ["entity_id", "week"], one_light)  # type: ignore[arg-type]
    assert [(dict(one.by), one["episodes"], one.rows) for one in weeks] == [
        ({"entity_id": "light.a", "week": "2026-W52"}, 1, 1),  # a Sunday
        ({"entity_id": "light.a", "week": "2026-W53"}, 2 + 3 + 4, 3),  # Monday to Sunday, over the turn of the year
        ({"entity_id": "light.a", "week": "2027-W01"}, 5, 1),
    ]
    assert weeks[1]["avg_duration_seconds"] == pytest.approx((2 * 50 + 3 * 60 + 4 * 70) / 9)
    months = store.summarize(DurationDaily, span, {"episodes": "count"}, ["month"])
    assert [(one["month"], one["episodes"], one.rows) for one in months] == [("2026-12", 6, 6), ("2027-01", 4, 4)]
    both = store.summarize(DurationDaily, span, {}, ["month", "week", "date"], one_light)
    assert [tuple(one.by.values()) for one in both][2:4] == [
        ("2026-12", "2026-W53", days[2]),
        ("2027-01", "2026-W53", days[3]),
    ]


class MeteredDaily(DailyAggregate):
    """A model of another package with a tag that has the name of a period."""

    measurement: ClassVar[str] = "metered_daily"
    week: Tag
    energy: float


def test_a_tag_named_week_groups_by_the_tag(store: AggregateStore) -> None:
    rows = [MeteredDaily(date=DAY, week=name, energy=1.0) for name in ("A", "B")]
    store.replace_day(batch(finding(MeteredDaily, rows)))
    found = store.summarize(MeteredDaily, TODAY, {"energy": "sum"}, ["week"])
    assert [(one["week"], one["energy"]) for one in found] == [("A", 1.0), ("B", 1.0)]


def test_json_and_text_can_be_counted(store: AggregateStore) -> None:
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b")))
    (one,) = store.summarize(TimeBasedDaily, TODAY, {"peak_hours": "count"})
    assert one["peak_hours"] == 2


@pytest.mark.parametrize(
    ("fields", "by"),
    [
        ({"occurences": "sum"}, []),
        ({"peak_hours": "sum"}, []),
        ({"occurrences": "median"}, []),
        ({"occurrences": ["sum", "median"]}, []),
        ({"occurrences": ["sum", "sum"]}, []),
        ({"occurrences": []}, []),
        ({"occurrences": 1}, []),
        ({}, ["room"]),
        ({}, ["entity_id", "entity_id"]),
        ({}, "entity_id"),
    ],
)
def test_a_summary_that_no_store_can_give_is_refused(
    store: AggregateStore, fields: dict[str, object], by: list[str] | str
) -> None:
    with pytest.raises(UsageError):
        store.summarize(TimeBasedDaily, TODAY, fields, by)  # type: ignore[arg-type]


def test_a_prepared_store_has_nothing_to_change(store: AggregateStore) -> None:
    assert store.prepare() == []
    assert store.check() == []


def test_readers_beside_a_writer_never_see_a_day_half_replaced(store: AggregateStore) -> None:
    ids = [f"light.{number}" for number in range(50)]

    def replace(round_number: int) -> None:
        store.replace_day(time_based_batch(*(time_based(one, occurrences=round_number) for one in ids)))

    replace(0)
    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(replace, round_number) for round_number in range(1, 9)]
        reads = [pool.submit(store.read, TimeBasedDaily, TODAY) for _ in range(30)]
    for write in writes:
        write.result()
    assert all(len(read.result()) == 50 for read in reads)


def test_rows_are_counted_by_day_without_reading_them(store: AggregateStore) -> None:
    store.replace_day(time_based_batch(time_based("light.a"), time_based("light.b")))
    store.replace_day(time_based_batch(time_based("light.a", day=NEXT), day=NEXT))
    assert store.count_by_day(TimeBasedDaily, BOTH) == {DAY: 2, NEXT: 1}
    assert store.count_by_day(TimeBasedDaily, DateRange(NEXT, NEXT)) == {NEXT: 1}
    assert store.count_by_day(DurationDaily, BOTH) == {}
    assert store.count_by_day(ThirdPartyDaily, BOTH) == {}


def test_rollups_are_kept_by_a_retention_of_their_own(store: AggregateStore) -> None:
    week = DriftWeekly(date=DAY, entity_id="light.a", changed_on=DAY, before=2.5, after=7.25, score=9.5, threshold=8.0)
    weekly = finding(DriftWeekly, [week], DAY, detector="drift_weekly")
    store.replace_day(batch(finding(TimeBasedDaily, [time_based()]), weekly))
    assert store.read(DriftWeekly, TODAY) == [week]
    store.expire(NEXT)
    is_counted = store.expire(NEXT) == 0 and not store.read(TimeBasedDaily, TODAY)  # InfluxDB: the bucket decides
    assert store.read(DriftWeekly, TODAY) == [week]
    kept = {run.detector for run in store.read(DetectorRunDaily, TODAY)}
    assert kept == ({"drift_weekly"} if is_counted else {"drift_weekly", "time_based"})
    if is_counted:
        assert store.expire(NEXT, NEXT) == 2
        assert store.read(DriftWeekly, TODAY) == []
