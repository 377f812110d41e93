"""The interface for other packages: what it holds, and that a detector can be written with nothing else."""

from __future__ import annotations

import ast
import datetime as dt
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, ClassVar

import pytest

import jobs.activity.events
import jobs.detector
import jobs.registry
import storage.models
import storage.query
from jobs.activity.events import DayLog
from jobs.detector import AggregateReader, EventDetector, Finding, HistoryDetector, detector
from storage.backends.memory import MemoryStore
from storage.models import Count, DailyAggregate, FormerlyNamed, Seconds, Tag, WeightedBy
from storage.query import AggregateQuery, DateRange
from tests.support.rows import DAY, batch, finding

INTERFACE = {
    jobs.detector: {
        *("AggregateReader", "Described", "Detector", "EventDetector", "Evidence", "ExplainsByEvents"),
        *("ExplainsByHistory", "Finding", "HistoryDetector", "NotJudged", "detector"),
        *("ExplainsByHousehold", "Household", "Rollup", "UsesHousehold"),
    },
    jobs.activity.events: {
        *("AUTOMATION", "DEVICE", "GAP", "USER", "DayLog", "Events", "Samples", "StateIntervals"),
    },
    storage.models: {
        *("AGGREGATES", "HOURS", "JSON_BYTES", "TAG_LENGTH", "AnomalyDaily", "CoOccurrenceDaily", "Count"),
        *("DailyAggregate", "DetectorRunDaily", "DurationDaily", "FormerlyNamed", "Hour", "Hours", "LinkedBy"),
        *("RoomBasedDaily", "Seconds", "SequenceDaily", "Severity", "Share", "SmallJson", "Tag", "TimeBasedDaily"),
        *("ActiveTimeDaily", "LARGEST_INTEGER", "REASON_LENGTH", "WeightedBy", "tag_fault"),
    },
}
SINCE_020 = {"ExplainsByHousehold", "Household", "Rollup", "UsesHousehold"}
FOR_PLUGINS = {*INTERFACE, storage.query}


def test_detectors_written_for_version_010_still_find_the_interface_in_the_registry() -> None:
    assert set(jobs.registry.__all__) == INTERFACE[jobs.detector] - SINCE_020
    for name in jobs.registry.__all__:
        assert getattr(jobs.registry, name) is getattr(jobs.detector, name)


@pytest.mark.parametrize("module", INTERFACE, ids=lambda module: module.__name__)
def test_the_interface_holds_exactly_what_other_packages_are_promised(module: ModuleType) -> None:
    assert set(module.__all__) == INTERFACE[module]
    assert len(module.__all__) == len(INTERFACE[module])
    for name in module.__all__:
        assert hasattr(module, name)


@pytest.mark.parametrize("module", INTERFACE, ids=lambda module: module.__name__)
def test_every_class_and_function_of_the_interface_is_documented(module: ModuleType) -> None:
    for name in module.__all__:
        member = getattr(module, name)
        if getattr(member, "__module__", "").startswith(("jobs.", "storage.")):
            assert member.__doc__, name


class HumidityDaily(DailyAggregate):
    """How humid it was, by sensor."""

    measurement: ClassVar[str] = "humidity_daily"
    sensor: Tag
    mean_minutes: Annotated[Seconds, WeightedBy("samples")]
    samples: Annotated[Count, FormerlyNamed("readings", {})]


@detector
@dataclass(frozen=True)
class Humidity:
    """A detector of another package."""

    name: ClassVar[str] = "humidity"
    version: ClassVar[int] = 1
    model: ClassVar[type[DailyAggregate]] = HumidityDaily
    max_gap_seconds: float = 60.0

    def detect(self, log: DayLog) -> Finding:
        """Return no row, and why."""
        return Finding([], f"{log.samples} samples, none of humidity")


@dataclass(frozen=True)
class Dampness:
    """A history detector of another package."""

    name: ClassVar[str] = "dampness"
    version: ClassVar[int] = 1
    model: ClassVar[type[DailyAggregate]] = HumidityDaily

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        """Return what the day before yields."""
        rows = history.read(HumidityDaily, DateRange(day, day))
        return Finding(rows, f"{len(rows)} rows")


def test_a_detector_written_with_the_interface_alone_is_one() -> None:
    event_detector: EventDetector = Humidity()
    history_detector: HistoryDetector = Dampness()
    assert isinstance(event_detector, EventDetector)
    assert isinstance(history_detector, HistoryDetector)
    assert not isinstance(history_detector, EventDetector)
    own = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    for node in ast.walk(own):
        if isinstance(node, ast.ImportFrom) and (module := import_module(node.module or "")) in FOR_PLUGINS:
            assert {alias.name for alias in node.names} <= set(module.__all__)


def test_rows_of_another_package_are_queried_like_the_others() -> None:
    store = MemoryStore()
    rows = [
        HumidityDaily(date=DAY, sensor=sensor, mean_minutes=mean, samples=n)
        for sensor, mean, n in (("a", 10, 3), ("b", 50, 1))
    ]
    store.replace_day(batch(finding(HumidityDaily, rows)))
    aggregates = AggregateQuery(store)
    assert aggregates.daily(HumidityDaily, DAY, sensor="b") == rows[1:]
    (one,) = aggregates.summarize(HumidityDaily, DAY, fields={"mean_minutes": "mean", "samples": "sum"})
    assert one.values == {"mean_minutes": 20.0, "samples": 4}
    assert aggregates.frame(HumidityDaily, DAY).num_rows == 2
