"""Rows that an earlier version or another program wrote into InfluxDB: read by today's names, and counted once."""

from __future__ import annotations

import pytest

from storage.backends.influxdb.line_protocol import line
from storage.dates import DateRange
from storage.models import CoOccurrenceDaily, LinkedBy, SequenceDaily, TimeBasedDaily
from storage.pattern_aggregate_client import PatternAggregateClient
from tests.support.influxdb import LiveServer
from tests.support.rows import DAY, batch, finding, time_based, time_based_batch

TODAY = DateRange(DAY, DAY)
PAIR = CoOccurrenceDaily(
    date=DAY,
    device_pair="light.a|light.b",
    co_occurrence_count=4,
    time_window_seconds=300,
    confidence=0.5,
    typical_hours=[7],
)
CHAIN = SequenceDaily(
    date=DAY,
    sequence_id="0123456789abcdef",
    sequence=["light.a:on", "light.b:on"],
    frequency=3,
    avg_duration_seconds=12.5,
    confidence=0.5,
)
NAMES: list[tuple[str, LinkedBy]] = [
    ("automation", "automation"),
    ("device", "same_device"),
    ("in_step", "simultaneous"),
]


def as_written_by_0_1_0(row: CoOccurrenceDaily | SequenceDaily, wired: str) -> str:
    head, _, time = line(row).rpartition(" ")
    return f'{head},wired="{wired}" {time}'


@pytest.mark.parametrize(("former", "present"), NAMES)
def test_links_that_version_0_1_0_stored_are_read_by_their_present_names(
    influxdb: LiveServer, former: str, present: LinkedBy
) -> None:
    with influxdb.new_store() as store:
        lines = "\n".join([as_written_by_0_1_0(PAIR, former), as_written_by_0_1_0(CHAIN, former)])
        influxdb.write(store.bucket, lines.encode(), "s")
        assert [row.linked_by for row in store.read(CoOccurrenceDaily, TODAY)] == [present]
        assert [row.linked_by for row in store.read(SequenceDaily, TODAY)] == [present]
        (summary,) = store.summarize(CoOccurrenceDaily, TODAY, {"linked_by": "count"})
        assert summary["linked_by"] == 1
        with PatternAggregateClient(influxdb.url, influxdb.token, influxdb.org, store.bucket) as client:
            assert [row["linked_by"] for row in client.query_co_occurrence_daily(DAY, DAY)] == [present]


@pytest.mark.parametrize("linked_by", [None, "automation", "same_device"])
def test_a_day_computed_again_holds_the_link_that_was_found_now(
    influxdb: LiveServer, linked_by: LinkedBy | None
) -> None:
    again = PAIR.model_copy(update={"linked_by": linked_by})
    with influxdb.new_store() as store:
        influxdb.write(store.bucket, as_written_by_0_1_0(PAIR, "in_step").encode(), "s")
        store.replace_day(batch(finding(CoOccurrenceDaily, [again])))
        assert store.read(CoOccurrenceDaily, TODAY) == [again]


@pytest.mark.parametrize("linked_by", [None, "automation"])
def test_a_row_that_the_client_writes_again_has_the_link_it_was_given(
    influxdb: LiveServer, linked_by: LinkedBy | None
) -> None:
    again = CoOccurrenceDaily.model_validate({**PAIR.model_dump(), "linked_by": linked_by})
    bucket = influxdb.new_bucket()
    influxdb.write(bucket, as_written_by_0_1_0(PAIR, "device").encode(), "s")
    with PatternAggregateClient(influxdb.url, influxdb.token, influxdb.org, bucket) as client:
        assert client.write_batch([again]), client.last_error
        assert [row["linked_by"] for row in client.query_co_occurrence_daily(DAY, DAY)] == [linked_by]


@pytest.mark.parametrize(
    "other",
    [
        line(time_based(), seconds_late=43_200).replace("occurrences=12i", "occurrences=99i"),
        line(time_based()).replace(",domain=light", ",domain=light,room=hall"),
    ],
    ids=["a point at noon", "a point with one more tag"],
)
def test_a_row_with_two_points_is_summarized_as_it_is_read(influxdb: LiveServer, other: str) -> None:
    with influxdb.new_store() as store:
        store.replace_day(time_based_batch(time_based(), time_based("light.hall")))
        influxdb.write(store.bucket, other.encode(), "s")
        read = store.read(TimeBasedDaily, TODAY)
        assert len(read) == 2
        (summary,) = store.summarize(TimeBasedDaily, TODAY, {"occurrences": ["sum", "count", "max"]})
        assert summary.rows == 2
        assert summary["occurrences_sum"] == sum(row.occurrences for row in read)
        assert summary["occurrences_max"] == max(row.occurrences for row in read)
