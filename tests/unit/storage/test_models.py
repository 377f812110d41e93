"""The schema accepts what it documents and refuses everything else."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import BaseModel, ValidationError

from storage.models import (
    AGGREGATES,
    JSON_BYTES,
    LARGEST_INTEGER,
    ActiveTimeDaily,
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
    WeightedBy,
    tag_fault,
)

DAY = dt.date(2026, 3, 2)
AT = dt.datetime(2026, 3, 3, 3, 30, tzinfo=dt.UTC)
STEPS = ["light.a:on", "light.b:on"]

VALID: dict[type[DailyAggregate], dict[str, Any]] = {
    TimeBasedDaily: {
        "entity_id": "light.a",
        "domain": "light",
        "hourly_distribution": [1] + [0] * 23,
        "peak_hours": [],
        "frequency": 0.5,
        "confidence": 0.0,
        "occurrences": 1,
    },
    CoOccurrenceDaily: {
        "device_pair": "light.a|light.b",
        "co_occurrence_count": 3,
        "time_window_seconds": 300,
        "confidence": 0.44,
        "typical_hours": [7],
    },
    SequenceDaily: {
        "sequence_id": hashlib.sha256(json.dumps(STEPS, separators=(",", ":")).encode()).hexdigest()[:16],
        "sequence": STEPS,
        "frequency": 3,
        "avg_duration_seconds": 4.5,
        "confidence": 0.44,
    },
    RoomBasedDaily: {
        "area_id": "hall",
        "activity_level": 0.25,
        "device_usage": {"light.a": 3},
        "transition_patterns": [{"to": "bath", "count": 2, "probability": 1.0, "median_seconds": 9.5}],
        "peak_activity_hours": [],
    },
    DurationDaily: {
        "entity_id": "light.a",
        "avg_duration_seconds": 2.0,
        "min_duration_seconds": 1.0,
        "max_duration_seconds": 3.0,
        "duration_variance": 1.0,
    },
    ActiveTimeDaily: {"entity_id": "light.a", "active_seconds": 60.0, "known_seconds": 86400.0},
    AnomalyDaily: {
        "entity_id": "light.a",
        "anomaly_type": "count_high",
        "anomaly_score": 1.0,
        "baseline_deviation": -4.5,
        "occurrences": 0,
        "severity": "low",
    },
    DetectorRunDaily: {
        "detector": "time_based",
        "version": 1,
        "rows": 0,
        "events": 0,
        "known_seconds": 0.0,
        "day_seconds": 0.0,
        "reason": "",
        "computed_at": AT,
    },
}
MODELS = list(VALID)
TAGS = [(model, tag) for model in MODELS for tag in model.tags()]
SHARES = [
    *((TimeBasedDaily, "frequency"), (TimeBasedDaily, "confidence"), (CoOccurrenceDaily, "confidence")),
    *((CoOccurrenceDaily, "first_share"), (SequenceDaily, "confidence"), (RoomBasedDaily, "activity_level")),
    *((DurationDaily, "efficiency_score"), (AnomalyDaily, "anomaly_score")),
]
COUNTS = [
    *((TimeBasedDaily, "occurrences"), (TimeBasedDaily, "bouts"), (CoOccurrenceDaily, "co_occurrence_count")),
    *((CoOccurrenceDaily, "time_window_seconds"), (SequenceDaily, "frequency"), (DurationDaily, "episodes")),
    *((AnomalyDaily, "occurrences"), (DetectorRunDaily, "rows"), (DetectorRunDaily, "events")),
]
SECONDS = [
    *((CoOccurrenceDaily, "expected_count"), (CoOccurrenceDaily, "median_gap_seconds")),
    *((SequenceDaily, "avg_duration_seconds"), (DurationDaily, "duration_variance")),
    *((DetectorRunDaily, "known_seconds"), (DetectorRunDaily, "day_seconds"), (ActiveTimeDaily, "active_seconds")),
    *((ActiveTimeDaily, "known_seconds"), (ActiveTimeDaily, "still_active_seconds"), (DurationDaily, "active_seconds")),
    *((AnomalyDaily, "duration_seconds"), (AnomalyDaily, "longest_before_seconds")),
]
HOURS = [(TimeBasedDaily, "peak_hours"), (CoOccurrenceDaily, "typical_hours"), (RoomBasedDaily, "peak_activity_hours")]

Model = type[DailyAggregate]


def made(model: Model, **changes: Any) -> Any:
    return model(**{"date": DAY, **VALID[model], **changes})


def refused(model: Model, **changes: Any) -> str:
    with pytest.raises(ValidationError) as error:
        made(model, **changes)
    return str(error.value)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.measurement)
def test_a_row_is_frozen_and_refuses_fields_it_lacks_and_unknown_ones(model: Model) -> None:
    row = made(model)
    with pytest.raises(ValidationError, match="frozen"):
        row.date = DAY
    assert "surplus" in refused(model, surplus=1)
    for name in VALID[model]:
        with pytest.raises(ValidationError, match=name):
            model(**{"date": DAY, **{key: value for key, value in VALID[model].items() if key != name}})
    assert made(model) == row


def test_the_aggregates_have_the_measurements_and_tags_agreed_on() -> None:
    assert set(MODELS) == {*AGGREGATES, DetectorRunDaily}
    assert {model.measurement: model.tags() for model in MODELS} == {
        "time_based_daily": ("entity_id", "domain"),
        "co_occurrence_daily": ("device_pair",),
        "sequence_daily": ("sequence_id",),
        "room_based_daily": ("area_id",),
        "duration_daily": ("entity_id",),
        "active_time_daily": ("entity_id",),
        "anomaly_daily": ("entity_id", "anomaly_type"),
        "detector_run_daily": ("detector",),
    }


@pytest.mark.parametrize(("model", "field"), SHARES)
def test_a_share_lies_between_0_and_1(model: Model, field: str) -> None:
    assert getattr(made(model, **{field: 0}), field) == 0.0
    assert getattr(made(model, **{field: 1}), field) == 1.0
    for wrong in (-1e-9, 1.0000001, float("nan"), float("inf"), "half"):
        assert field in refused(model, **{field: wrong})


@pytest.mark.parametrize(("model", "field"), COUNTS)
def test_a_count_is_a_whole_number_from_0_that_64_bits_hold(model: Model, field: str) -> None:
    assert getattr(made(model, **{field: 0}), field) == 0
    assert getattr(made(model, **{field: LARGEST_INTEGER}), field) == LARGEST_INTEGER
    for wrong in (-1, LARGEST_INTEGER + 1, 1.5, float("nan"), "many"):
        assert field in refused(model, **{field: wrong})


@pytest.mark.parametrize(("model", "field"), SECONDS)
def test_a_length_of_time_is_finite_and_not_negative(model: Model, field: str) -> None:
    assert getattr(made(model, **{field: 0}), field) == 0.0
    for wrong in (-1e-9, float("inf"), float("nan")):
        assert field in refused(model, **{field: wrong})


@pytest.mark.parametrize(("model", "field"), HOURS)
def test_hours_are_0_to_23_and_at_most_24(model: Model, field: str) -> None:
    assert getattr(made(model, **{field: list(range(24))}), field) == list(range(24))
    for wrong in ([24], [-1], [0] * 25, [0.5], None):
        assert field in refused(model, **{field: wrong})


@pytest.mark.parametrize("counts", [[], [0] * 23, [0] * 25, [-1] + [0] * 23, [0.5] + [0] * 23])
def test_a_distribution_has_24_counts(counts: list[float]) -> None:
    assert "hourly_distribution" in refused(TimeBasedDaily, hourly_distribution=counts)


def test_a_deviation_may_be_negative_but_is_finite() -> None:
    assert made(AnomalyDaily, baseline_deviation=-1e9).baseline_deviation == -1e9
    for wrong in (float("inf"), float("-inf"), float("nan")):
        assert "baseline_deviation" in refused(AnomalyDaily, baseline_deviation=wrong)


@pytest.mark.parametrize("severity", ["low", "medium", "high", "critical"])
def test_a_severity_is_one_of_four(severity: str) -> None:
    assert made(AnomalyDaily, severity=severity).severity is Severity(severity)
    assert "severity" in refused(AnomalyDaily, severity=severity.upper())


@pytest.mark.parametrize(("model", "tag"), TAGS)
@pytest.mark.parametrize(
    "text", ["", "a\nb", "a\rb", "a\x0bb", "a\u2028b", "a\x85b", "a\x00", "ends\\", "x" * 256, "\ud800", 5, None]
)
def test_a_tag_that_no_store_can_keep_is_refused(model: Model, tag: str, text: object) -> None:
    assert tag in refused(model, **{tag: text})


@pytest.mark.parametrize("text", [" ", "a\\b", "a|b,c=d e", "ends\\ ", "\U0001f4a1" * 255, "'; DROP", "tab\t", "0"])
def test_any_other_text_is_a_tag_as_it_is(text: str) -> None:
    assert tag_fault(text) is None
    assert made(DurationDaily, entity_id=text).key() == (text,)


def test_json_fields_hold_1024_bytes_and_no_more() -> None:
    fits = {"x" * (JSON_BYTES - len('{"":1}')): 1}
    assert made(RoomBasedDaily, device_usage=fits).device_usage == fits
    assert "1025 bytes" in refused(RoomBasedDaily, device_usage={"x" * (JSON_BYTES - len('{"":1}') + 1): 1})


def test_json_is_measured_in_bytes_not_characters() -> None:
    assert "bytes as JSON" in refused(RoomBasedDaily, device_usage={"ü" * 600: 1})


@pytest.mark.parametrize(
    ("model", "field", "large"),
    [
        (TimeBasedDaily, "hourly_distribution", [10**45] * 24),
        (SequenceDaily, "sequence", ["x" * 600, "y" * 600]),
        (RoomBasedDaily, "transition_patterns", [{"to": "x" * 100}] * 12),
    ],
)
def test_every_json_field_is_bounded(model: Model, field: str, large: object) -> None:
    assert field in refused(model, **{field: large})


def test_a_sequence_has_at_least_two_steps() -> None:
    assert "sequence" in refused(SequenceDaily, sequence=["light.a:on"])


def test_a_sequence_has_at_most_five_steps() -> None:
    assert "sequence" in refused(SequenceDaily, sequence=["light.a:on"] * 6)


@pytest.mark.parametrize(("low", "mean", "high"), [(2, 1, 3), (1, 4, 3), (3, 2, 1), (5, 5, 4)])
def test_durations_are_ordered(low: float, mean: float, high: float) -> None:
    fields = {"min_duration_seconds": low, "avg_duration_seconds": mean, "max_duration_seconds": high}
    assert "min ≤ avg ≤ max" in refused(DurationDaily, **fields)


def test_equal_durations_are_ordered() -> None:
    fields = dict.fromkeys(("min_duration_seconds", "avg_duration_seconds", "max_duration_seconds"), 0.1)
    assert made(DurationDaily, **fields, duration_variance=0).avg_duration_seconds == 0.1


def test_an_instant_needs_an_offset_and_is_kept_in_utc() -> None:
    east = dt.datetime(2026, 3, 3, 9, 0, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    assert made(DetectorRunDaily, computed_at=east).computed_at.isoformat() == "2026-03-03T03:30:00+00:00"
    assert "offset" in refused(DetectorRunDaily, computed_at=AT.replace(tzinfo=None))


def test_a_run_has_a_version_from_1_and_a_reason_of_at_most_1024_characters() -> None:
    assert "version" in refused(DetectorRunDaily, version=0)
    assert made(DetectorRunDaily, reason="x" * 1024)
    assert "reason" in refused(DetectorRunDaily, reason="x" * 1025)


def test_a_date_is_a_day() -> None:
    assert made(DurationDaily, date="2026-03-02").date == DAY
    for wrong in ("2026-02-30", dt.datetime(2026, 3, 2, 1, tzinfo=dt.UTC), None):
        assert "date" in refused(DurationDaily, date=wrong)


def test_a_row_knows_the_entities_it_is_about() -> None:
    assert made(TimeBasedDaily).entity_ids() == {"light.a"}
    assert made(CoOccurrenceDaily).entity_ids() == {"light.a", "light.b"}
    assert made(SequenceDaily, sequence=["light.a:on:1", "light.b:off"]).entity_ids() == {"light.a", "light.b"}
    assert made(RoomBasedDaily).entity_ids() == {"light.a"}
    assert made(DetectorRunDaily).entity_ids() == frozenset()


def define(name: str, base: type[BaseModel] = DailyAggregate, measurement: object = None, **fields: object) -> Model:
    """Define a model while the test runs."""
    body: dict[str, object] = {"__module__": __name__, "__qualname__": name}
    body["__annotations__"] = {**({"measurement": ClassVar[str]} if measurement is not None else {}), **fields}
    if measurement is not None:
        body["measurement"] = measurement
    metaclass: Any = type(base)
    model: Model = metaclass(name, (base,), body)
    return model


@pytest.mark.parametrize("measurement", [None, "", "Upper", "1st", "with-dash", "with space", 5, "x" * 101, "a\n"])
def test_a_model_without_a_proper_measurement_is_refused_when_it_is_defined(measurement: object) -> None:
    with pytest.raises(TypeError, match=r"Odd\.measurement"):
        define("Odd", measurement=measurement, tag=Tag, value=int)


def test_a_model_that_inherits_its_measurement_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Odd\.measurement"):
        define("Odd", DurationDaily, value=int)


def test_a_model_without_a_tag_or_without_a_value_is_refused() -> None:
    with pytest.raises(TypeError, match="no field annotated as Tag"):
        define("Odd", measurement="odd_daily", value=int)
    with pytest.raises(TypeError, match="nothing to store"):
        define("Odd", measurement="odd_daily", tag=Tag)


def test_a_third_partys_model_is_held_to_the_same_rules() -> None:
    model: Any = define("Good", measurement="good_daily", meter=Tag, tariff=Tag, value=float)
    assert model(date=DAY, meter="m", tariff="t", value=1).key() == ("m", "t")
    for wrong in (
        {"meter": "", "value": 1.0},
        {"meter": "m", "value": float("nan")},
        {"meter": "m", "value": 1, "x": 1},
    ):
        with pytest.raises(ValidationError):
            model(date=DAY, tariff="t", **wrong)


def test_stored_means_name_the_count_that_weights_them() -> None:
    assert {model.measurement: dict(model.weights()) for model in MODELS if model.weights()} == {
        "co_occurrence_daily": {"first_share": "co_occurrence_count"},
        "sequence_daily": {"avg_duration_seconds": "frequency"},
        "duration_daily": {"avg_duration_seconds": "episodes", "duration_variance": "episodes"},
    }


@pytest.mark.parametrize("weight", ["nothing", "mean", "place", "date", "note"])
def test_a_weight_that_is_not_a_number_of_the_row_is_refused(weight: str) -> None:
    with pytest.raises(TypeError, match=r"Weightless\.mean is weighted by .* which is not a number of the same row"):

        class Weightless(DailyAggregate):
            measurement: ClassVar[str] = "weightless"
            place: Tag
            mean: Annotated[float, WeightedBy(weight)]
            note: str = ""


def test_fields_that_were_renamed_know_their_former_names() -> None:
    assert {
        (model.measurement, name): former.name for model in MODELS for name, former in model.former_names().items()
    } == {
        ("co_occurrence_daily", "linked_by"): "wired",
        ("sequence_daily", "linked_by"): "wired",
    }
