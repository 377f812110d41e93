"""Situations of real homes that report to InfluxDB, rebuilt from public bug reports, with the right value of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from jobs.activity.entities import EntityRules
from jobs.activity.events import AUTOMATION, DayLog
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND, DayWindow
from jobs.sources.influxdb import InfluxSource
from tests.support.influxdb import LiveServer

ZONE: Final = ZoneInfo("Europe/Berlin")
WINDOW: Final = DayWindow(dt.date(2026, 3, 3), ZONE)
NOON: Final = 12 * HOUR
Point = tuple[int, str]  # microseconds since the day's midnight, and the line without its time


def said(entity_id: str, *changes: tuple[int, str], measurement: str | None = None, fields: str = "") -> list[Point]:
    """Points as Home Assistant's integration writes them."""
    domain, _, object_id = entity_id.partition(".")
    lines = []
    for at, state in changes:
        value = f"value={state}" if state.replace(".", "", 1).isdigit() else f'state="{state}"'
        lines.append((at, f"{measurement or entity_id},domain={domain},entity_id={object_id} {value}{fields}"))
    return lines


def thermometer(every: int = 2 * MINUTE, silences: Sequence[tuple[int, int]] = ()) -> list[Point]:
    instants = [at for at in range(-2 * HOUR, DAY + 2 * HOUR, every) if not any(a <= at < b for a, b in silences)]
    return said("sensor.t", *((at, f"{20 + at // MINUTE % 7}.5") for at in instants), measurement="°C")


def things(switches: int, sensors: int, at: int | None = None) -> list[Point]:
    """Entities that say off: once each in the evening before, or all within a second."""
    ids = [f"switch.s{n}" for n in range(switches)] + [f"binary_sensor.b{n}" for n in range(sensors)]
    step, first = (61 * SECOND, -110 * MINUTE) if at is None else (SECOND // len(ids), at)
    return [point for n, one in enumerate(ids) for point in said(one, (first + n * step, "off"))]


def read(server: LiveServer, points: Sequence[Point], **more: Any) -> DayLog:
    bucket = server.new_bucket()
    server.write(bucket, "\n".join(f"{line} {(WINDOW.start + at) * 1000}" for at, line in points).encode())
    source = InfluxSource(server.server(), bucket, ZONE, EntityRules(), **more)
    try:
        return source.read(WINDOW)
    finally:
        source.close()


def changes(log: DayLog, entity_id: str) -> list[tuple[float, str]]:
    """The events of an entity: hour of the day and state."""
    of_one = log.events[log.events.entity == log.code_of(entity_id)]
    hours = ((of_one.at - WINDOW.start) / HOUR).round(3).tolist()
    return [(hour, log.states[state]) for hour, state in zip(hours, of_one.state.tolist(), strict=True)]


def whole_hours(log: DayLog, entity_id: str) -> list[float]:
    """The lengths of the episodes of an entity whose start and end are known."""
    found = log.episodes
    whole = (found.entity == log.code_of(entity_id)) & found.start_known & found.end_known
    lengths: list[float] = ((found.end - found.start)[whole] / HOUR).round(2).tolist()
    return lengths


@pytest.mark.parametrize("back", [30 * SECOND, 2 * HOUR])
def test_a_hub_that_comes_back_hides_no_change_after_it(influxdb: LiveServer, back: int) -> None:
    on = NOON + 90 * SECOND
    lamp = said("light.hall", (-HOUR, "off"), (on, "on"), (on + back, "off"))
    log = read(influxdb, [*thermometer(), *things(20, 20), *things(4, 4, NOON + MINUTE), *lamp])
    assert len(changes(log, "light.hall")) == 2
    assert whole_hours(log, "light.hall") == [round(back / HOUR, 2)]
    assert log.known_seconds == 86_400


def test_words_whose_attributes_change_at_midnight_are_no_restart(influxdb: LiveServer) -> None:
    words = [
        point
        for at in (-HOUR, SECOND // 5, DAY + SECOND // 5)
        for n in range(3)
        for point in (
            *said(f"sensor.waste_{n}", (at + n, "paper")),
            *said(f"binary_sensor.workday_{n}", (at + 9 + n, "on")),
        )
    ]
    lamp = said("light.hall", (-HOUR, "off"), (30 * SECOND, "on"), (HOUR, "off"))
    log = read(influxdb, [*thermometer(), *things(10, 10), *words, *lamp])
    assert len(changes(log, "light.hall")) == 2


@pytest.mark.parametrize("sign", [True, False])
def test_a_few_of_many_entities_and_a_blocked_backup_manager_are_a_restart(influxdb: LiveServer, sign: bool) -> None:
    """What a plain Home Assistant 2026.11 sends after a restart: 6 of 32 entities, and its backup manager."""
    window = said("binary_sensor.window", (-HOUR, "off"), (8 * HOUR, "on"), (18 * HOUR, "off"))
    window += said("binary_sensor.window", (NOON + 20 * SECOND, "off"), (NOON + 100 * SECOND, "on"))
    lamp = said("light.hall", (-HOUR, "off"), (NOON + SECOND, "on"))  # switched at no known time
    backup = said("sensor.backup_backup_manager_state", (-HOUR, "idle"), (NOON, "blocked"), (NOON + SECOND, "idle"))
    points = [*thermometer(silences=[(NOON - 90 * SECOND, NOON)]), *things(13, 13), *things(3, 3, NOON), *window, *lamp]
    log = read(influxdb, points + backup * sign)
    assert changes(log, "binary_sensor.window") == [(8, "on"), (18, "off")]
    assert whole_hours(log, "binary_sensor.window") == [10]
    assert bool(changes(log, "light.hall")) is not sign  # a possible start hides nothing
    assert (log.known_seconds < 86_400) is sign


def test_a_short_restart_of_a_quiet_home_interrupts_no_sleep(influxdb: LiveServer) -> None:
    start = 3 * HOUR + 9 * MINUTE
    bed = said("binary_sensor.bed", (-HOUR, "on"), (-2 * HOUR, "off"), (7 * HOUR, "off"))
    log = read(influxdb, [*thermometer(10 * MINUTE), *things(6, 6), *things(6, 6, start), *bed])
    assert whole_hours(log, "binary_sensor.bed") == [8]
    assert log.known_seconds == 86_400 - 120


@pytest.mark.parametrize(("hours", "known"), [(0.9, 24), (4, 20)])
def test_hours_without_a_point_are_not_known_in_a_home_that_reports_every_two_minutes(
    influxdb: LiveServer, hours: float, known: float
) -> None:
    silence = (10 * HOUR, 10 * HOUR + round(hours * HOUR))
    lamp = said("light.hall", (-HOUR, "off"), (9 * HOUR, "on"), (15 * HOUR, "off"))
    log = read(influxdb, [*thermometer(silences=[silence]), *things(3, 3), *lamp])
    assert log.known_seconds / 3600 == pytest.approx(known, abs=0.1)
    assert whole_hours(log, "light.hall") == ([6] if known == 24 else [])


def test_the_quiet_nights_of_a_home_with_one_entity_are_known(influxdb: LiveServer) -> None:
    uses = [(7, "on"), (7.5, "off"), (12, "on"), (12.5, "off"), (22, "on"), (22.6, "off")]
    door = [(day * DAY + round(hour * HOUR), state) for day in range(-7, 2) for hour, state in uses]
    log = read(influxdb, said("binary_sensor.door", *door))
    assert log.known_seconds == 86_400
    assert len(changes(log, "binary_sensor.door")) == 6


@pytest.mark.parametrize("layout", ["by unit", "one measurement"])
@pytest.mark.parametrize("hours_in_watts", [range(10), range(12, 22), (*range(-20, 10), *range(16, 24))])
def test_a_sensor_that_is_in_watts_for_a_part_of_a_day_has_the_events_of_its_words(
    influxdb: LiveServer, layout: str, hours_in_watts: Sequence[int]
) -> None:
    numbers = [(hour * HOUR + n * 10 * MINUTE, f"{n * 37 % 500}.5") for hour in hours_in_watts for n in range(6)]
    first = 11 if 0 in hours_in_watts else 0
    words = [((first + hour) * HOUR + SECOND, word) for hour, word in ((1, "idle"), (2, "washing"), (3, "idle"))]
    by_unit = layout == "by unit"
    units = "" if by_unit else ',unit_of_measurement_str="W",device_class_str="power"'
    points = said("sensor.washer", *numbers, measurement="W" if by_unit else "state", fields=units)
    points += said("sensor.washer", *words, measurement=None if by_unit else "state", fields=',device_class_str="enum"')
    log = read(influxdb, [*thermometer(), *points])
    assert [state for _, state in changes(log, "sensor.washer")] == ["washing", "idle"]


def test_what_an_automation_does_is_done_by_it_and_what_people_do_is_not(influxdb: LiveServer) -> None:
    at = 10 * HOUR
    points = (
        said("automation.evening", (-HOUR, "on")) + said("light.a", (-HOUR, "off")) + said("light.b", (-HOUR, "off"))
    )
    points += said("automation.evening", (at, "on"), fields=",current=1") + said("light.a", (at + SECOND, "on"))
    points += said("automation.evening", (at + 20 * MINUTE, "on"), fields=",current=0")
    points += said("light.a", (at + 20 * MINUTE - SECOND // 2, "off"))
    points += said("light.b", (11 * HOUR, "on"), (12 * HOUR, "off"))
    log = read(influxdb, [*thermometer(), *points])
    by_automation = log.events.cause == AUTOMATION
    assert np.unique(log.events.entity[by_automation]).tolist() == [log.code_of("light.a")]
    assert int(by_automation.sum()) == 2
    assert len(log.events) == 4


@pytest.mark.parametrize("change", ["measurement", "tag"])
def test_one_entity_in_two_series_is_one_entity(influxdb: LiveServer, change: str) -> None:
    morning = said("light.hall", (-HOUR, "off"), (9 * HOUR, "on"))
    ((at, line),) = said("light.hall", (15 * HOUR, "off"), measurement="state" if change == "measurement" else None)
    later = (at, line.replace("entity_id=hall", "entity_id=hall,instance=prod") if change == "tag" else line)
    log = read(influxdb, [*thermometer(), *morning, later])
    assert whole_hours(log, "light.hall") == [6]


@pytest.mark.parametrize("fields", ["state=true", "state=3i,value=2i", "state=2.5"])
def test_a_state_of_another_type_elsewhere_costs_no_state(influxdb: LiveServer, fields: str) -> None:
    foreign = [(10 * HOUR, f"printer,domain=sensor,entity_id=jobs {fields}")]
    mode = said("input_select.mode", (-HOUR, "1"), (8 * HOUR, "2"), (9 * HOUR, "Auto"))
    lamp = said("light.hall", (-HOUR, "off"), (9 * HOUR, "on"), (15 * HOUR, "off"))
    log = read(influxdb, [*thermometer(), *foreign, *mode, *lamp])
    assert whole_hours(log, "light.hall") == [6]
    assert [state for _, state in changes(log, "input_select.mode")] == ["2", "Auto"]


def test_two_restarts_in_quick_succession_are_one_settling(influxdb: LiveServer) -> None:
    first, second = NOON + 30 * SECOND, NOON + 6 * MINUTE
    silences = [(first - MINUTE, first), (second - MINUTE, second)]
    window = said("binary_sensor.window", (-HOUR, "off"), (8 * HOUR, "on"), (18 * HOUR, "off"))
    for start in (first, second):
        window += said("binary_sensor.window", (start + 3 * SECOND, "off"), (start + 50 * SECOND, "on"))
    again = [*things(10, 10, first), *things(10, 10, second)]
    log = read(influxdb, [*thermometer(silences=silences), *things(10, 10), *again, *window])
    assert whole_hours(log, "binary_sensor.window") == [10]
