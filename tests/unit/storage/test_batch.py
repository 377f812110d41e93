"""A day's batch refuses what no day may hold."""

from __future__ import annotations

import datetime as dt

import pytest

from storage.batch import DayBatch, DetectorDay
from storage.models import DurationDaily, TimeBasedDaily
from tests.support.rows import DAY, batch, duration, finding, time_based

NEXT = DAY + dt.timedelta(days=1)


def test_a_batch_holds_the_findings_of_several_detectors() -> None:
    whole = batch(finding(TimeBasedDaily, [time_based("light.a"), time_based("light.b")]), finding(DurationDaily, []))
    assert whole.day == DAY
    assert [(one.run.detector, len(one.rows)) for one in whole.findings] == [("time_based", 2), ("duration", 0)]


def test_a_batch_may_be_empty() -> None:
    assert DayBatch(DAY, ()).findings == ()


def test_rows_of_another_model_are_refused() -> None:
    with pytest.raises(TypeError, match="time_based returned a DurationDaily, not a TimeBasedDaily"):
        DetectorDay(finding(TimeBasedDaily, [time_based()]).run, TimeBasedDaily, (duration(),))


def test_rows_of_another_day_are_refused_with_their_key() -> None:
    with pytest.raises(ValueError, match=r"time_based returned a row of 2026-03-03 for 2026-03-02.*light\.b"):
        finding(TimeBasedDaily, [time_based("light.a"), time_based("light.b", NEXT)])


def test_two_rows_with_one_key_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"time_based returned several rows for 1 keys, the first for \('light.a', 'light'\)"
    ):
        finding(TimeBasedDaily, [time_based("light.a"), time_based("light.b"), time_based("light.a", occurrences=13)])


def test_rows_that_differ_in_one_tag_are_two() -> None:
    rows = [time_based("light.a"), time_based("light.a", domain="switch")]
    assert len(finding(TimeBasedDaily, rows).rows) == 2


def test_a_run_whose_number_of_rows_is_wrong_is_refused() -> None:
    none, two = (finding(TimeBasedDaily, [time_based(one) for one in ids]).run for ids in ("", "ab"))
    for run, counted in ((none, 0), (two, 2)):
        with pytest.raises(ValueError, match=f"time_based has 1 rows, but the record of its run says {counted}"):
            DetectorDay(run, TimeBasedDaily, (time_based(),))


def test_a_run_of_another_day_is_refused() -> None:
    with pytest.raises(ValueError, match="duration is of 2026-03-03, not of 2026-03-02"):
        DayBatch(DAY, (finding(TimeBasedDaily, []), finding(DurationDaily, [], NEXT)))


def test_a_detector_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="a detector is in the batch of 2026-03-02 twice"):
        batch(finding(TimeBasedDaily, []), finding(DurationDaily, [], detector="time_based"))


def test_a_measurement_that_is_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="a measurement is in the batch of 2026-03-02 twice"):
        batch(finding(TimeBasedDaily, []), finding(TimeBasedDaily, [], detector="other"))
