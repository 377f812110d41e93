"""What Home Assistant's registries know of entities: the rooms above all, which no recording holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jobs.activity.entities import Description
from storage.errors import SettingsError


def described(entity_id: str, registry: Mapping[str, Description], attributes: Mapping[str, object]) -> Description:
    """The registry's word on an entity, completed by its attributes."""
    about = registry.get(entity_id) or Description(entity_id)
    return replace(
        about,
        device_class=about.device_class or _word(attributes.get("device_class")),
        unit=about.unit or _word(attributes.get("unit_of_measurement")),
        state_class=about.state_class or _word(attributes.get("state_class")),
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def read_registry(folder: Path) -> dict[str, Description]:
    """Descriptions by entity id from ``core.entity_registry`` and ``core.device_registry``.

    Raises:
        SettingsError: They cannot be read.
    """
    try:
        entities, devices = (
            json.loads((folder / f"core.{name}_registry").read_text(encoding="utf-8"))["data"][key]
            for name, key in (("entity", "entities"), ("device", "devices"))
        )
        area_of = {device["id"]: device.get("area_id") for device in devices}
        return {
            entity["entity_id"]: Description(
                entity_id=entity["entity_id"],
                device_class=entity.get("device_class") or entity.get("original_device_class"),
                unit=entity.get("unit_of_measurement"),
                state_class=(entity.get("capabilities") or {}).get("state_class"),
                category=entity.get("entity_category"),
                device_id=entity.get("device_id"),
                area_id=entity.get("area_id") or area_of.get(entity.get("device_id")),
            )
            for entity in entities
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"source.registry_dir: no registries can be read in {folder}: {error}",
            hint="Name Home Assistant's .storage folder, or leave registry_dir out.",
        ) from error
