"""The names of entities and areas: from registries and attributes, and so that no two are equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.names import MAX_NAME_LENGTH, NO_NAMES, Names, make_names, merged
from jobs.sources.home_assistant_registry import read_registry_names


def write(folder: Path, name: str, entries: object) -> None:
    key = {"entity": "entities", "device": "devices", "area": "areas"}[name]
    (folder / f"core.{name}_registry").write_text(json.dumps({"data": {key: entries}}), encoding="utf-8")


def of_registry(folder: Path, entity: dict[str, Any], device: dict[str, Any] | None = None) -> str:
    write(folder, "entity", [{"entity_id": "light.a", "device_id": "d", **entity}])
    write(folder, "device", [{"id": "d", **(device or {})}])
    return read_registry_names(folder).entity("light.a")


@pytest.mark.parametrize(
    ("entity", "device", "name"),
    [
        (
            {"name": "Reading lamp", "original_name": "Ceiling", "has_entity_name": True},
            {"name": "Hue"},
            "Reading lamp",
        ),
        (
            {"original_name": "Ceiling", "has_entity_name": True},
            {"name": "Hue", "name_by_user": "Hall"},
            "Hall Ceiling",
        ),
        ({"original_name": "Ceiling", "has_entity_name": True}, {"name": "Hue"}, "Hue Ceiling"),
        ({"original_name": "Ceiling"}, {"name": "Hue"}, "Ceiling"),
        ({"original_name": None, "has_entity_name": True}, {"name": "Hue"}, "Hue"),
        ({"original_name": "hue", "has_entity_name": True}, {"name": "Hue"}, "Hue"),
        ({"original_name": "Ceiling", "has_entity_name": True}, {}, "Ceiling"),
        ({}, {}, "light.a"),
        ({"name": 7, "original_name": ["x"]}, {"name": {}}, "light.a"),
    ],
)
def test_an_entity_is_called_as_in_home_assistant(
    tmp_path: Path, entity: dict[str, Any], device: dict[str, Any], name: str
) -> None:
    assert of_registry(tmp_path, entity, device) == name


def test_areas_have_their_names_and_entities_of_the_same_name_are_told_apart_by_them(tmp_path: Path) -> None:
    same = {"original_name": "Motion"}
    write(tmp_path, "entity", [
        {"entity_id": "binary_sensor.a", "area_id": "hall", **same},
        {"entity_id": "binary_sensor.b", "device_id": "d", **same},
        {"entity_id": "binary_sensor.c", **same},
    ])  # fmt: skip
    write(tmp_path, "device", [{"id": "d", "area_id": "kitchen"}])
    write(tmp_path, "area", [{"id": "hall", "name": "Hallway"}, {"id": "kitchen", "name": "Kitchen"}])
    names = read_registry_names(tmp_path)
    assert names.area("hall") == "Hallway"
    assert names.entities == {
        "binary_sensor.a": "Motion (Hallway)",
        "binary_sensor.b": "Motion (Kitchen)",
        "binary_sensor.c": "Motion",
    }


def test_entities_of_the_same_name_and_area_are_told_apart_by_their_ids() -> None:
    names = make_names({"light.a": "Lamp", "light.b": "lamp"}, {}, {"light.a": "hall", "light.b": "hall"})
    assert len({name.casefold() for name in names.entities.values()}) == 2
    assert "light.b" in names.entity("light.b")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"data": {"entities": 7}}', '{"data": {"entities": [7, null]}}'])
def test_a_registry_that_cannot_be_read_gives_no_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "core.entity_registry").write_text(text, encoding="utf-8")
    assert read_registry_names(tmp_path) == NO_NAMES


def test_a_name_is_one_line_of_bounded_length() -> None:
    names = make_names({"light.a": "Hall\n  lamp", "light.b": "x" * 1000, "light.c": " "}, {})
    assert names.entity("light.a") == "Hall lamp"
    assert len(names.entity("light.b")) == MAX_NAME_LENGTH
    assert names.entity("light.c") == "light.c"


def test_half_of_a_pair_of_surrogates_becomes_a_question_mark() -> None:
    names = make_names({"light.a": "Ha\ud83dll", "light.b": "Hall \U0001f4a1"}, {"hall": "\udcff"})
    assert (names.entity("light.a"), names.entity("light.b"), names.area("hall")) == ("Ha?ll", "Hall \U0001f4a1", "?")


def test_of_two_sets_of_names_the_first_counts() -> None:
    both = merged(Names({"light.a": "Hall"}), Names({"light.a": "Old", "light.b": "Desk"}, {"hall": "Hallway"}))
    assert both == Names({"light.a": "Hall", "light.b": "Desk"}, {"hall": "Hallway"})


def test_ids_without_names_become_readable_and_stay_distinct() -> None:
    names = Names({"light.hall": "Hall"}).completed(["light.hall", "switch.desk_lamp", "light.desk_lamp"], ["office"])
    assert names.entity("light.hall") == "Hall"
    assert names.entity("switch.desk_lamp") == "Desk lamp (switch.desk_lamp)"
    assert names.area("office") == "Office"


@pytest.mark.parametrize("typed", ["light.kitchn_ceiling", "Kitchen ceilng", "KITCHEN CEILING"])
def test_the_nearest_id_is_proposed_for_a_mistyped_id_or_name(typed: str) -> None:
    names = Names({"light.kitchen_ceiling": "Kitchen ceiling"})
    known = ["light.kitchen_ceiling", "switch.boiler"]
    assert names.closest(typed, known) == "did you mean light.kitchen_ceiling?"


def test_nothing_is_proposed_where_nothing_is_near_or_known() -> None:
    names = Names({"light.kitchen_ceiling": "Kitchen ceiling"})
    assert not names.closest("Kitchen ceiling", [])
    assert not names.closest("zzz", ["light.kitchen_ceiling"])


def test_pairs_steps_and_tags_are_shown_by_name() -> None:
    names = Names({"light.a": "Hall", "light.b": "Desk"}, {"office": "Study"})
    assert names.value("device_pair", "light.a|light.b") == "Hall and Desk"
    assert names.value("entity_id", "light.a") == "Hall"
    assert names.value("area_id", "office") == "Study"
    assert names.value("domain", "light.a") == "light.a"
    assert names.step("light.b:on") == "Desk on"
