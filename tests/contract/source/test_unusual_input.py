"""Odd names and states cost at most the rows that hold them."""

from __future__ import annotations

import pytest

from jobs.activity.entities import Kind
from tests.support.memory_source import Row
from tests.support.scenario_sources import Load
from tests.support.scenarios import BUSY, Scenario, view, when, window


@pytest.mark.parametrize(
    ("entity_id", "fault"),
    [
        ("light.a\nb", "line break"),
        ("light.nul\0", "NUL"),
        ("light.ends\\", "backslash"),
        ("light." + "x" * 250, "256 characters"),
    ],
    ids=["newline", "NUL", "backslash", "256"],
)
def test_an_entity_whose_name_no_tag_can_hold_is_reported(load_rows: Load, entity_id: str, fault: str) -> None:
    odd = (Row(when("21 10:00:00"), entity_id, "off"), Row(when("21 11:00:00"), entity_id, "on"))
    hostile = Scenario(tuple(sorted((*BUSY.rows, *odd), key=lambda row: row.at)))
    log = load_rows(hostile).read(window(21))
    assert all(entity_id not in event for event in view(log).events)
    assert view(log).events == view(load_rows(BUSY).read(window(21))).events
    refused = [
        entity.reason for entity in log.entities if entity.entity_id == entity_id and entity.kind is Kind.IGNORED
    ]
    # In a CSV file a line break ends the row, whatever it is quoted with: its two halves are bad rows.
    assert [text for text in (*log.notices, *refused) if fault in text or "bad rows" in text]


@pytest.mark.parametrize("entity_id", ["light.o'neill", 'light."q"', "light.a,b", "light.küche 💡", "x" * 255, "nodot"])
def test_a_hostile_name_is_a_name(load: Load, entity_id: str) -> None:
    log = load(Scenario((Row(when("21 08:00:00"), entity_id, "off"), Row(when("21 09:00:00"), entity_id, "on")))).read(
        window(21)
    )
    assert [log.entities[code].entity_id for code in log.events.entity.tolist()] == [entity_id]


def test_states_of_255_characters_are_states(load: Load) -> None:
    long, other = "é" * 255, "é" * 254 + "x"
    rows = [
        Row(when("21 08:00:00"), "sensor.mode", long),
        Row(when("21 09:00:00"), "sensor.mode", other),
        Row(when("21 10:00:00"), "sensor.mode", long),
    ]
    log = load(Scenario(tuple(rows))).read(window(21))
    assert [log.states[code] for code in log.events.state.tolist()] == [other, long]
    assert log.notices == ()


@pytest.mark.parametrize("state", ["nan", "None", "UNDEF", "NULL", "-", "??"])
def test_a_word_for_nothing_known_is_no_state_in_any_source(load: Load, state: str) -> None:
    odd = (Row(when("21 10:00:00"), "light.odd", "off"), Row(when("21 11:00:00"), "light.odd", state))
    assert view(load(BUSY.and_then(*odd)).read(window(21))).events == view(load(BUSY).read(window(21))).events


@pytest.mark.parametrize("state", ["1e400", "'; DROP TABLE states; --", '"', "on,off", " on "])
def test_a_hostile_state_costs_nobody_else_anything(load: Load, state: str) -> None:
    hostile = BUSY.and_then(Row(when("21 10:00:00"), "light.odd", "off"), Row(when("21 11:00:00"), "light.odd", state))
    log = load(hostile).read(window(21))
    lamp = [event for event in view(log).events if "light.lamp" in event]
    assert lamp == ["21 09:00:00 light.lamp off", "21 19:00:00 light.lamp on"]
    assert len(view(log).events) == len(view(load(BUSY).read(window(21))).events) + 1
