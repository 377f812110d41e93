"""The entities of the simulated home, and the states they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from jobs.activity.entities import Description
from jobs.names import Names, make_names
from jobs.sources._routine import RESIDENTS, ROOMS

WORDS: Final = (
    *("on", "off", "open", "closed", "locked", "unlocked", "home", "not_home", "playing", "paused", "heat"),
    *("docked", "cleaning", "returning"),
)
UNITS: Final[Mapping[str, str]] = {"temperature": "°C", "humidity": "%", "illuminance": "lx", "power": "W"}
_SUFFIX: Final = {"climate": " heating", "cover": " blind", "light": " light", "lock": " lock", "vacuum": " vacuum"}
DYING_SENSOR: Final = "binary_sensor.pantry_door"  # the sensor that dies some weeks after the home's first day
FRIDGE_DOOR: Final = "binary_sensor.fridge_door"  # on an unusual day, it does not stay closed

_DEVICES: Final[tuple[tuple[str | None, str | None, str], ...]] = (
    # device, area, its entities, each with its device class if it has one
    *(
        (f"motion_{room}", room, f"binary_sensor.{room}_motion:motion sensor.{room}_temperature:temperature")
        for room in ROOMS
    ),
    ("motion_living_room", "living_room", "sensor.living_room_illuminance:illuminance"),
    ("motion_office", "office", "sensor.office_illuminance:illuminance"),
    ("lamp_hallway", "hallway", "light.hallway"),
    ("lamp_kitchen", "kitchen", "light.kitchen"),
    ("lamp_counter", "kitchen", "light.küche_o'neill"),
    ("lamp_bathroom", "bathroom", "light.bathroom"),
    ("lamp_bedroom", "bedroom", "light.bedroom"),
    ("lamp_office", "office", "light.office"),
    ("lamp_ceiling", "living_room", "light.living_room_ceiling"),
    ("lamp_floor", "living_room", "light.living_room_floor_lamp"),
    (None, "living_room", "light.living_room_all"),
    ("front_door", "hallway", "binary_sensor.front_door:door lock.front_door"),
    ("fridge", "kitchen", "binary_sensor.fridge_door:door sensor.fridge_power:power"),
    ("cupboard", "kitchen", "binary_sensor.kitchen_cupboard:opening"),
    ("pantry", "kitchen", "binary_sensor.pantry_door:opening"),
    ("coffee_machine", "kitchen", "switch.coffee_machine sensor.coffee_machine_power:power"),
    ("television", "living_room", "media_player.living_room_tv sensor.tv_power:power"),
    ("radiator_living_room", "living_room", "climate.living_room"),
    ("radiator_bathroom", "bathroom", "climate.bathroom sensor.bathroom_humidity:humidity"),
    ("cover_living_room", "living_room", "cover.living_room"),
    ("cover_bedroom", "bedroom", "cover.bedroom"),
    ("bed", "bedroom", "binary_sensor.bed_occupancy:occupancy"),
    ("vacuum", "living_room", "vacuum.robot"),
    ("meter", None, "sensor.house_power:power"),
    (None, None, " ".join(RESIDENTS)),
)


def inventory(zones: int) -> tuple[Description, ...]:
    """Return the home's entities, in a fixed order.

    Args:
        zones: The number of presence sensors with a light meter in addition to what every simulated home has.
    """
    extra = []
    for zone in range(zones):
        number, room = divmod(zone, len(ROOMS))
        area = tuple(ROOMS)[room]
        name = f"{area}_zone_{number + 1}"
        extra.append((name, area, f"binary_sensor.{name}:occupancy sensor.{name}_illuminance:illuminance"))
    return tuple(
        Description(
            entity_id,
            device_class=device_class or None,
            unit=UNITS.get(device_class),
            state_class="measurement" if device_class in UNITS else None,
            device_id=device_id,
            area_id=area_id,
        )
        for device_id, area_id, entities in (*_DEVICES, *extra)
        for entity_id, _, device_class in (entity.partition(":") for entity in entities.split())
    )


def names_of(entities: Iterable[Description]) -> Names:
    """Return names for the entities and rooms, as people might have given them."""
    named: dict[str, object] = {}
    for about in entities:
        domain, _, object_id = about.entity_id.partition(".")
        words = object_id.replace("_", " ") + _SUFFIX.get(domain, "")
        named[about.entity_id] = words[0].upper() + words[1:]
    return make_names(named, {room: room.replace("_", " ").capitalize() for room in ROOMS})
