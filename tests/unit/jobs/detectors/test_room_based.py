import numpy as np
import pytest

from jobs.activity.building import Recording, SampleBuilder, example_day
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import SECOND, DayWindow
from jobs.detectors.room_based import RoomBased
from storage.models import JSON_BYTES, RoomBasedDaily
from tests.support.noise_homes import DAY, UTC, noise_day


def rows(log: DayLog) -> dict[str, RoomBasedDaily]:
    return {row.area_id: row for row in RoomBased().detect(log).rows if isinstance(row, RoomBasedDaily)}


def test_shares_of_all_areas_sum_to_one_and_devices_to_all_events() -> None:
    log = noise_day("bursty", 60, np.random.default_rng(4))
    found = rows(log)
    assert sum(row.activity_level for row in found.values()) == pytest.approx(1)
    assert sum(sum(row.device_usage.values()) for row in found.values()) == len(log.events)


def test_a_home_without_areas_says_so() -> None:
    finding = RoomBased().detect(example_day([(0, "light.a", "off"), (5, "light.a", "on")]))
    assert not finding.rows
    assert finding.reason == "no activity event with an area, of 1"


def many_rooms(rooms: int) -> DayLog:
    """From a hall to each of many rooms and back, and many devices in the hall."""
    window, builder = DayWindow(DAY, UTC), SampleBuilder()
    names = ["hall", *(f"room_{number:03}" for number in range(rooms))]
    for name in names:
        builder.describe(Description(f"binary_sensor.{name}", device_class="motion", area_id=name))
        builder.add(window.start, f"binary_sensor.{name}", "off")
    at = window.start + 60 * SECOND
    for name in names[1:]:
        for place in ("hall", name):
            builder.add(at, f"binary_sensor.{place}", "on")
            builder.add(at + SECOND, f"binary_sensor.{place}", "off")
            at += 20 * SECOND
    for number in range(80):
        entity_id = f"sensor.with_a_long_name_{number:03}"
        builder.describe(Description(entity_id, area_id="hall"))
        builder.add(window.start, entity_id, "idle")
        builder.add(window.start + (number + 5) * SECOND, entity_id, "busy")
    return Recording.of(builder.build([(window.start, window.end)]), EntityRules()).day(window)


def test_what_does_not_fit_a_kilobyte_is_cut_from_the_smallest_and_counted() -> None:
    finding = RoomBased().detect(many_rooms(60))
    hall = rows(many_rooms(60))["hall"]
    assert len(hall.model_dump_json(include={"device_usage"})) < JSON_BYTES + 30
    assert next(iter(hall.device_usage.items())) == ("binary_sensor.hall", 120)
    assert f"{81 - len(hall.device_usage)} least used entities left out" in finding.reason
    assert f"{60 - len(hall.transition_patterns)} rarest transitions left out" in finding.reason
    assert hall.transition_patterns[0]["probability"] == 1 / 60


def test_a_sensor_that_goes_off_elsewhere_moves_nobody() -> None:
    log = example_day(
        [
            (0, "binary_sensor.a", "off"),
            (0, "binary_sensor.b", "off"),
            (60, "binary_sensor.a", "on"),
            (60.2, "binary_sensor.b", "on"),
            (60.5, "binary_sensor.a", "off"),
            (60.7, "binary_sensor.b", "off"),
        ],
        areas={"binary_sensor.a": "one", "binary_sensor.b": "two"},
        device_class="motion",
    )
    assert [step["count"] for step in rows(log)["one"].transition_patterns] == [1]
    assert rows(log)["two"].transition_patterns == []
