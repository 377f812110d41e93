"""What holds for every detector of events, whatever it looks for."""

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DayLog, Samples
from jobs.activity.window import HOUR, MINUTE, DayWindow
from jobs.detector import EventDetector
from jobs.registry import load
from storage.models import DailyAggregate
from tests.support.noise_homes import DAY, UTC, log_of, noise_day
from tests.support.planted_homes import Plan, PlantedDay

DETECTORS = [registered.detector for registered in load() if isinstance(registered.detector, EventDetector)]
each_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)


WINDOW = PlantedDay(np.random.default_rng(7), Plan(background=12)).window


def planted() -> Samples:
    return PlantedDay(np.random.default_rng(7), Plan(background=12)).samples()


def log_of_samples(samples: Samples) -> DayLog:
    return Recording.of(samples, EntityRules()).day(WINDOW)


def mixed(samples: Samples, names: dict[str, str] | None = None) -> Samples:
    """The same samples with entities in another order, each entity's samples together, and perhaps other names."""
    place = np.random.default_rng(1).permutation(len(samples.entities))
    order = np.lexsort((samples.at, place[samples.entity]))
    entities = [samples.entities[old] for old in np.argsort(place).tolist()]
    return replace(
        samples,
        at=samples.at[order],
        entity=place[samples.entity][order].astype(np.int32),
        state=samples.state[order],
        cause=samples.cause[order],
        entities=[replace(about, entity_id=(names or {}).get(about.entity_id, about.entity_id)) for about in entities],
    )


def rows_of(detector: EventDetector, log: DayLog) -> list[str]:
    return sorted(row.model_dump_json() for row in detector.detect(log).rows)


@each_detector
def test_a_day_without_events_has_no_rows_and_a_reason(detector: EventDetector) -> None:
    finding = detector.detect(log_of([np.empty(0, np.int64)] * 3, DayWindow(DAY, UTC)))
    assert not finding.rows
    assert finding.reason


@each_detector
def test_a_day_that_nobody_recorded_has_no_rows_and_a_reason(detector: EventDetector) -> None:
    window = DayWindow(DAY, UTC)
    builder = SampleBuilder()
    builder.describe(Description("light.lamp", area_id="hall"))
    finding = detector.detect(Recording.of(builder.build([]), EntityRules()).day(window))
    assert not finding.rows
    assert finding.reason


@each_detector
def test_a_source_without_entities_has_no_rows(detector: EventDetector) -> None:
    finding = detector.detect(Recording.of(SampleBuilder().build([]), EntityRules()).day(DayWindow(DAY, UTC)))
    assert not finding.rows
    assert finding.reason


@each_detector
def test_a_single_event_is_not_a_pattern(detector: EventDetector) -> None:
    window = DayWindow(DAY, UTC)
    finding = detector.detect(log_of([np.array([window.start + HOUR])], window))
    assert len(finding.rows) == (detector.name in {"time_based", "room_based", "active_time", "bout_times"})


@each_detector
@pytest.mark.parametrize(("day", "hours"), [(dt.date(2026, 3, 29), 23), (dt.date(2026, 10, 25), 25)])
def test_days_of_23_and_25_hours_are_computed_like_others(detector: EventDetector, day: dt.date, hours: int) -> None:
    window = DayWindow(day, ZoneInfo("Europe/Berlin"))
    ticks = np.arange(window.start + MINUTE, window.end, 30 * MINUTE)
    log = log_of([ticks, ticks + MINUTE // 10], window)
    assert len(ticks) == 2 * hours
    rows = detector.detect(log).rows
    assert rows
    assert all(row.date == day for row in rows)


@each_detector
def test_order_of_samples_of_unrelated_entities_changes_nothing(detector: EventDetector) -> None:
    assert rows_of(detector, log_of_samples(mixed(planted()))) == rows_of(detector, log_of_samples(planted()))


@each_detector
def test_an_entity_that_does_nothing_changes_nothing(detector: EventDetector) -> None:
    samples = planted()
    more = replace(samples, entities=[*samples.entities, Description("light.aaa_new"), Description("light.zzz_new")])
    assert rows_of(detector, log_of_samples(more)) == rows_of(detector, log_of_samples(samples))


@each_detector
def test_other_names_change_nothing_but_names(detector: EventDetector) -> None:
    samples = planted()
    ids = [about.entity_id for about in samples.entities]
    places = np.random.default_rng(2).permutation(len(ids)).tolist()
    names = {entity_id: f"{entity_id.split('.')[0]}.x{place:03}" for entity_id, place in zip(ids, places, strict=True)}
    there = detector.detect(log_of_samples(samples)).rows
    back = detector.detect(log_of_samples(mixed(samples, names))).rows
    assert len(there) > 1
    assert sorted(map(figures, there)) == sorted(map(figures, back))


def figures(row: DailyAggregate) -> str:
    """What a row says apart from names, and from which of two comes first."""
    values = row.model_dump(exclude=set(row.tags()))
    if (share := values.get("first_share")) is not None:
        values["first_share"] = max(share, 1 - share)
    for key in ("sequence", "device_usage", "transition_patterns"):
        if key in values:
            values[key] = len(values[key])
    return str({key: round(value, 9) if isinstance(value, float) else value for key, value in values.items()})


@each_detector
def test_a_thousand_entities_are_judged(detector: EventDetector) -> None:
    finding = detector.detect(noise_day("uniform", 1000, np.random.default_rng(5)))
    assert len(finding.rows) == {"time_based": 1000, "duration": 1000, "room_based": 7}.get(
        detector.name, len(finding.rows)
    )
    assert len(finding.rows) <= 1000
    assert finding.reason


@each_detector
def test_a_log_is_not_changed(detector: EventDetector) -> None:
    log = log_of_samples(planted())
    before = replace(log.events, at=log.events.at.copy(), entity=log.events.entity.copy())
    detector.detect(log)
    np.testing.assert_array_equal(before.at, log.events.at)
    np.testing.assert_array_equal(before.entity, log.events.entity)
