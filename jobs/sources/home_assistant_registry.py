"""Descriptions of entities from Home Assistant's registries: above all their rooms, which no recording holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jobs.activity.entities import Description
from jobs.names import Names, make_names
from storage.errors import SettingsError
from storage.regular_file import read_regular_text


class Registry(NamedTuple):
    """The registries of a home.

    Attributes:
        descriptions: What is known about each entity, by entity id.
        keys: The integration's own, unchanging id of each entity, by entity id: it outlives a rename.
        notices: What could not be read.
    """

    descriptions: Mapping[str, Description]
    keys: Mapping[str, str]
    notices: tuple[str, ...] = ()


NO_REGISTRY = Registry({}, {})


def described(entity_id: str, registry: Mapping[str, Description], attributes: Mapping[str, object]) -> Description:
    """Return the registry's description of an entity, completed by its attributes."""
    about = registry.get(entity_id) or Description(entity_id)
    return replace(
        about,
        device_class=about.device_class or _word(attributes.get("device_class")),
        unit=about.unit or _word(attributes.get("unit_of_measurement")),
        state_class=about.state_class or _word(attributes.get("state_class")),
    )


def read_registry(folder: Path) -> Registry:
    """Return the entities of ``core.entity_registry``, with the areas of ``core.device_registry``.

    Of entries that cannot be read, only these entries are left out.

    Raises:
        SettingsError: A file, or every entry of it, cannot be read.
    """
    try:
        entities, devices = (
            json.loads(read_regular_text(folder / f"core.{name}_registry"))["data"][key]
            for name, key in (("entity", "entities"), ("device", "devices"))
        )
        readable_devices = [one for one in devices if isinstance(one, dict) and isinstance(one.get("id"), str)]
        readable = [one for one in entities if isinstance(one, dict) and _word(one.get("entity_id"))]
        if entities and not readable:
            raise ValueError("not one entity can be read")  # noqa: TRY301 - one message for whatever is wrong there
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"source.registry_dir: no registries can be read in {folder}: {error}",
            hint="Name Home Assistant's .storage folder, or leave registry_dir out.",
        ) from error
    area_of = {device["id"]: _word(device.get("area_id")) for device in readable_devices}
    skipped = len(entities) - len(readable) + len(devices) - len(readable_devices)
    return Registry(
        {entity["entity_id"]: _description(entity, area_of) for entity in readable},
        {entity["entity_id"]: key for entity in readable if (key := _key(entity))},
        (f"{skipped} entries of the registries cannot be read",) if skipped else (),
    )


def read_registry_names(folder: Path) -> Names:
    """Return the names in the registries; of a file that cannot be read, there are none.

    An entity has the name that somebody gave it. Else it has its own name, after that of its device if it is one of
    several parts of it (``has_entity_name``), where the name that somebody gave to the device counts.
    """
    entities, devices, areas = (
        _entries(folder, name, key) for name, key in (("entity", "entities"), ("device", "devices"), ("area", "areas"))
    )
    by_id = {str(device.get("id")): device for device in devices}
    found: dict[str, object] = {}
    area_of: dict[str, str | None] = {}
    for entity in entities:
        entity_id = _word(entity.get("entity_id"))
        if entity_id is not None:
            device = by_id.get(str(entity.get("device_id")), {})
            found[entity_id] = _word(entity.get("name")) or _name_in_device(entity, device)
            area_of[entity_id] = _word(entity.get("area_id")) or _word(device.get("area_id"))
    return make_names(found, {str(area.get("id")): area.get("name") for area in areas}, area_of)


def _name_in_device(entity: Mapping[str, Any], device: Mapping[str, Any]) -> str | None:
    own = _word(entity.get("original_name"))
    of_device = _word(device.get("name_by_user")) or _word(device.get("name"))
    if of_device is None or (own is not None and entity.get("has_entity_name") is not True):
        return own
    return of_device if own is None or own.casefold() == of_device.casefold() else f"{of_device} {own}"


def _entries(folder: Path, name: str, key: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(read_regular_text(folder / f"core.{name}_registry"))["data"][key]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []


def _description(entity: Mapping[str, Any], area_of: Mapping[str, str | None]) -> Description:
    capabilities = entity.get("capabilities")
    device_id = _word(entity.get("device_id"))
    return Description(
        entity_id=entity["entity_id"],
        device_class=_word(entity.get("device_class")) or _word(entity.get("original_device_class")),
        unit=_word(entity.get("unit_of_measurement")),
        state_class=_word(capabilities.get("state_class")) if isinstance(capabilities, dict) else None,
        category=_word(entity.get("entity_category")),
        device_id=device_id,
        area_id=_word(entity.get("area_id")) or area_of.get(device_id or ""),
        platform=_word(entity.get("platform")),
    )


def _key(entity: Mapping[str, Any]) -> str:
    """Return ``domain platform unique_id``, which is unique in Home Assistant; empty if a part is missing."""
    parts = (entity["entity_id"].partition(".")[0], entity.get("platform"), entity.get("unique_id"))
    return " ".join(map(str, parts)) if all(parts) else ""


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
