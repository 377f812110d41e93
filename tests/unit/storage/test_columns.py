"""Any model becomes columns and back, by one encoding that every store uses."""

from __future__ import annotations

import datetime as dt
import json
from enum import Enum, IntEnum
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.columns import (
    Column,
    Kind,
    check_names,
    closest,
    columns,
    decode,
    encode,
    from_json,
    to_json,
    with_present_names,
)
from storage.errors import StoreCorrupt, UsageError
from storage.models import (
    AGGREGATES,
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    Hours,
    SequenceDaily,
    Severity,
    Tag,
    TimeBasedDaily,
)
from tests.support.rows import DAY, duration, finding, time_based


class MeterDaily(DailyAggregate):
    """A third party's model with every type that a store can keep."""

    measurement: ClassVar[str] = "meter_daily"
    meter: Tag
    energy: float
    samples: int
    note: str
    tariff: Literal["day", "night"]
    severity: Severity
    read_at: dt.datetime
    installed_on: dt.date
    hours: Hours
    limits: dict[str, float]
    pair: tuple[int, str]
    maybe_energy: float | None = None
    maybe_samples: int | None = None
    maybe_note: str | None = None
    maybe_hours: list[int] | None = None


METER = MeterDaily(
    date=DAY,
    meter="main",
    energy=1.5,
    samples=3,
    note="quoted \" 'text' \U0001f4a1\nline",
    tariff="night",
    severity=Severity.HIGH,
    read_at=dt.datetime(2026, 3, 3, 3, 30, 0, 1, tzinfo=dt.UTC),
    installed_on=dt.date(2020, 2, 29),
    hours=[0, 23],
    limits={"b": 2.0, "a": 1.0},
    pair=(1, "x"),
)


PAIR = CoOccurrenceDaily(
    date=DAY,
    device_pair="light.a|light.b",
    co_occurrence_count=3,
    time_window_seconds=300,
    confidence=0.5,
    typical_hours=[7],
)
CHAIN = SequenceDaily(
    date=DAY,
    sequence_id="0123456789abcdef",
    sequence=["light.a:on", "light.b:on"],
    frequency=3,
    avg_duration_seconds=4.5,
    confidence=0.5,
)


def model_with(odd: Any) -> type[DailyAggregate]:
    """A model with one field ``odd`` of any type."""
    body = {
        "__module__": __name__,
        "__qualname__": "OddDaily",
        "__annotations__": {"measurement": ClassVar[str], "tag": Tag, "odd": odd},
        "measurement": "odd_daily",
    }
    metaclass: Any = type(DailyAggregate)
    made: type[DailyAggregate] = metaclass("OddDaily", (DailyAggregate,), body)
    return made


def round_trip(row: DailyAggregate) -> list[DailyAggregate]:
    """What a store gives back that keeps plain scalars."""
    encoded = encode(row)
    assert {type(value) for value in encoded.values()} <= {str, int, float, type(None)}
    return list(decode(type(row), [encoded]))


def test_the_columns_of_a_model_are_its_fields_in_order_with_date_first() -> None:
    assert columns(DurationDaily) == (
        Column("date", Kind.DATE, False),
        Column("home", Kind.TAG, False),
        Column("entity_id", Kind.TAG, False),
        Column("avg_duration_seconds", Kind.FLOAT, False),
        Column("min_duration_seconds", Kind.FLOAT, False),
        Column("max_duration_seconds", Kind.FLOAT, False),
        Column("duration_variance", Kind.FLOAT, False),
        Column("efficiency_score", Kind.FLOAT, True),
        Column("episodes", Kind.INTEGER, True),
        Column("active_seconds", Kind.FLOAT, True),
    )


def test_every_type_that_a_store_can_keep_has_its_kind() -> None:
    assert {column.name: (column.kind.value, column.optional) for column in columns(MeterDaily)} == {
        "date": ("date", False),
        "home": ("tag", False),
        "meter": ("tag", False),
        "energy": ("float", False),
        "samples": ("integer", False),
        "note": ("text", False),
        "tariff": ("text", False),
        "severity": ("text", False),
        "read_at": ("text", False),
        "installed_on": ("date", False),
        "hours": ("json", False),
        "limits": ("json", False),
        "pair": ("json", False),
        "maybe_energy": ("float", True),
        "maybe_samples": ("integer", True),
        "maybe_note": ("text", True),
        "maybe_hours": ("json", True),
    }


@pytest.mark.parametrize("model", [*AGGREGATES, DetectorRunDaily], ids=lambda model: model.measurement)
def test_every_model_of_the_schema_has_columns(model: type[DailyAggregate]) -> None:
    assert [column.name for column in columns(model)] == list(model.model_fields)
    assert [column.name for column in columns(model) if column.kind is Kind.TAG] == ["home", *model.tags()]


@pytest.mark.parametrize("odd", [bool, bytes, complex, set[int], int | str, object, bool | None, dt.timedelta, Any])
def test_a_type_that_no_store_can_hold_is_refused_with_its_field(odd: Any) -> None:
    with pytest.raises(TypeError, match=r"OddDaily\.odd: no store can keep"):
        columns(model_with(odd))


class Rank(IntEnum):
    """An enumeration of numbers."""

    FIRST = 1


class Tariff(str, Enum):  # noqa: UP042 - many packages still write it so
    """An enumeration of texts in the old way."""

    NIGHT = "night"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 2**63 - 1),
        (float, 5e-324),
        (float, -0.0),
        (str, ""),
        (Severity, Severity.LOW),
        (Rank, Rank.FIRST),
        (Tariff, Tariff.NIGHT),
        (Literal["day", "night"], "day"),
        (Literal[1, 2], 1),
        (dt.date, DAY),
        (dt.datetime, dt.datetime(2026, 3, 2, 1, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))),
        (list[dict[str, int | None]], [{"\U0001f4a1": None, "b": 1}]),
        (dict[int, str], {3: "x"}),
        (tuple[int, ...], (1, 2)),
        (list[dt.date], [DAY]),
        (list[int] | None, None),
        (str | None, None),
        (float | None, 0.0),
    ],
)
def test_a_value_of_any_type_that_is_not_refused_comes_back_as_it_was(annotation: Any, value: object) -> None:
    row = model_with(annotation)(date=DAY, tag="x", odd=value)  # type: ignore[call-arg]
    assert round_trip(row) == [row]


def test_a_row_becomes_plain_scalars_in_the_types_of_its_columns() -> None:
    encoded = encode(METER)
    assert dt.datetime.fromisoformat(str(encoded.pop("read_at"))) == METER.read_at
    assert encoded == {
        "date": "2026-03-02",
        "meter": "main",
        "energy": 1.5,
        "samples": 3,
        "note": "quoted \" 'text' \U0001f4a1\nline",
        "tariff": "night",
        "severity": "high",
        "installed_on": "2020-02-29",
        "hours": "[0,23]",
        "limits": '{"b":2.0,"a":1.0}',
        "pair": '[1,"x"]',
        "maybe_energy": None,
        "maybe_samples": None,
        "maybe_note": None,
        "maybe_hours": None,
    }


def test_a_third_partys_row_comes_back_as_it_was() -> None:
    assert round_trip(METER) == [METER]
    whole = METER.model_copy(update={"maybe_hours": [], "maybe_note": "", "maybe_samples": 0, "maybe_energy": 0.0})
    assert round_trip(whole) == [whole]


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=254),
    st.lists(st.integers(0, 2**63 - 1), min_size=24, max_size=24),
    st.floats(0, 1),
    st.one_of(st.none(), st.integers(0, 2**63 - 1)),
)
def test_any_row_comes_back_as_it_was(entity_id: str, counts: list[int], share: float, bouts: int | None) -> None:
    row = time_based(entity_id + ".", hourly_distribution=counts, frequency=share, bouts=bouts)
    assert round_trip(row) == [row]


@given(st.recursive(st.one_of(st.none(), st.integers(), st.text(st.characters(exclude_categories=["Cs"]))), st.lists))
def test_json_is_compact_and_comes_back(value: object) -> None:
    assert from_json(to_json(value)) == value
    assert to_json(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_json_holds_no_number_that_is_none() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json([float("nan")])


def test_no_records_are_no_rows() -> None:
    assert decode(TimeBasedDaily, []) == []


def test_rows_come_back_in_the_order_of_their_records() -> None:
    rows = [duration("light.b"), duration("light.a"), duration("light.c")]
    assert decode(DurationDaily, map(encode, rows)) == rows


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("hourly_distribution", "[1,2", "hourly_distribution is not valid JSON"),
        ("hourly_distribution", "[1,2]", "hourly_distribution"),
        ("occurrences", -1, "occurrences"),
        ("occurrences", "many", "occurrences"),
        ("occurrences", None, "occurrences"),
        ("frequency", 1.5, "frequency"),
        ("peak_hours", "[24]", "peak_hours.0"),
        ("peak_hours", "null", "peak_hours"),
    ],
)
def test_a_record_that_no_model_accepts_is_an_error_that_names_its_row_and_field(
    field: str, value: object, told: str
) -> None:
    records: list[dict[str, object]] = [
        {**encode(time_based("light.a"))},
        {**encode(time_based("light.b")), field: value},
    ]
    with pytest.raises(StoreCorrupt) as error:
        decode(TimeBasedDaily, records)
    message = str(error.value)
    assert "time_based_daily" in message
    assert "2026-03-02" in message
    assert "'light.b'" in message
    assert "light.a" not in message
    assert told in message


def test_a_record_with_a_field_that_the_model_lacks_is_an_error() -> None:
    with pytest.raises(StoreCorrupt, match="surplus"):
        decode(DurationDaily, [{**encode(duration()), "surplus": 1}])


@pytest.mark.parametrize(
    "lost",
    [
        "occurrences",
        "hourly_distribution",
    ],
)
def test_a_record_that_lacks_a_field_is_an_error_that_names_it(lost: str) -> None:
    record = {name: value for name, value in encode(time_based()).items() if name != lost}
    with pytest.raises(StoreCorrupt, match=lost):
        decode(TimeBasedDaily, [record])


def test_runs_and_anomalies_come_back_as_they_were() -> None:
    run = finding(TimeBasedDaily, []).run
    anomaly = AnomalyDaily(
        date=DAY,
        entity_id="light.a",
        anomaly_type="count_high",
        anomaly_score=0.5,
        baseline_deviation=-3.25,
        occurrences=4,
        severity=Severity.CRITICAL,
    )
    assert round_trip(run) == [run]
    assert round_trip(anomaly) == [anomaly]


def test_a_near_word_is_suggested_and_a_far_one_is_not() -> None:
    assert closest("occurences", ["occurrences", "bouts"]) == "did you mean 'occurrences'?"
    assert closest("zzz", ["occurrences", "bouts"]) == ""


def test_a_name_that_a_model_lacks_is_refused_with_the_nearest_or_with_all() -> None:
    check_names(TimeBasedDaily, ["domain"], TimeBasedDaily.tags(), "tag")
    with pytest.raises(UsageError, match="time_based_daily has no tag 'domian'") as near:
        check_names(TimeBasedDaily, ["domian"], TimeBasedDaily.tags(), "tag")
    assert near.value.hint == "did you mean 'domain'?"
    with pytest.raises(UsageError) as far:
        check_names(TimeBasedDaily, ["zzz"], TimeBasedDaily.tags(), "tag")
    assert far.value.hint == "It has entity_id, domain."


@pytest.mark.parametrize(
    ("former", "present"),
    [("automation", "automation"), ("device", "same_device"), ("in_step", "simultaneous"), (None, None)],
)
@pytest.mark.parametrize("row", [PAIR, CHAIN], ids=lambda row: row.measurement)
def test_a_record_of_an_earlier_version_is_read_with_its_present_names(
    row: DailyAggregate, former: str | None, present: str | None
) -> None:
    record: dict[str, Any] = {**encode(row), "wired": former}
    del record["linked_by"]
    (back,) = decode(type(row), [record])
    assert back == row.model_copy(update={"linked_by": present})


def test_the_present_name_counts_where_a_record_has_both() -> None:
    record = {**encode(PAIR), "linked_by": "automation", "wired": "in_step"}
    assert with_present_names(CoOccurrenceDaily, record)["linked_by"] == "automation"
    assert record["wired"] == "in_step"


def test_an_unknown_former_value_is_refused_and_not_dropped() -> None:
    with pytest.raises(StoreCorrupt, match="linked_by"):
        decode(CoOccurrenceDaily, [{**encode(PAIR), "wired": "telepathy"}])
