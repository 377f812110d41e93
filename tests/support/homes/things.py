"""The things in a home, as sensors show them: what each is, how often it is used, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Description
from tests.support.homes.lives import Life

MIN_ENTITIES: Final = 15
PARTS_OF_DAY: Final = 12  # from waking to bedtime
_ROOMS: Final = ("study", "attic", "cellar", "guest_room", "utility", "garden", "playroom", "workshop")


@dataclass(frozen=True, slots=True)
class Kind:
    """What things of one kind have in common.

    Attributes:
        domain: The domain of their entity ids.
        active: The state in use.
        inactive: The state out of use.
        uses: How often a day one is used.
        minutes: The median length of a use.
        sigma: From and to of the standard deviation of its logarithm.
        device_class: The device class of binary sensors and covers.
        by_itself: Whether it acts at any hour, whoever is there: a boiler, a refrigerator.
        at_night: The chance that it is used in a night.
        at_the_door: Whether it is used whenever somebody leaves or comes home.
        in_the_dark: Whether it is used less by daylight.
        until_bedtime: Whether it is switched off at bedtime.
        warms: Whether it is used in the cold.
        may_be_long: Whether its uses may be longer than any before: a door that is forgotten, not a motion sensor.
    """

    domain: str
    active: str = "on"
    inactive: str = "off"
    uses: float = 3.0
    minutes: float = 5.0
    sigma: tuple[float, float] = (0.4, 0.7)
    device_class: str | None = None
    by_itself: bool = False
    at_night: float = 0.0
    at_the_door: bool = False
    in_the_dark: bool = False
    until_bedtime: bool = False
    warms: bool = False
    may_be_long: bool = True


MOTION: Final = Kind("binary_sensor", uses=14, minutes=1.5, device_class="motion", may_be_long=False)
NIGHT_MOTION: Final = Kind("binary_sensor", uses=9, minutes=2, device_class="motion", at_night=0.6, may_be_long=False)
FRONT_DOOR: Final = Kind("binary_sensor", uses=2, minutes=0.4, device_class="door", at_the_door=True)
DOOR: Final = Kind("binary_sensor", uses=4, minutes=0.5, device_class="door")
WINDOW: Final = Kind("binary_sensor", uses=1.5, minutes=12, device_class="window")
LOCK: Final = Kind("lock", "unlocked", "locked", uses=1, minutes=1, at_the_door=True)
GARAGE: Final = Kind("cover", "open", "closed", uses=2, minutes=3, device_class="garage")
LIGHT: Final = Kind("light", uses=5, minutes=25, in_the_dark=True, until_bedtime=True)
NIGHT_LIGHT: Final = Kind("light", uses=6, minutes=6, in_the_dark=True, at_night=0.35)
MEDIA: Final = Kind("media_player", "playing", "off", uses=1.6, minutes=60, sigma=(0.3, 0.5), until_bedtime=True)
HEATER: Final = Kind("switch", uses=2.5, minutes=35, sigma=(0.3, 0.5), warms=True)
KETTLE: Final = Kind("switch", uses=4, minutes=4, sigma=(0.2, 0.4))
BOILER: Final = Kind("switch", uses=9, minutes=18, sigma=(0.2, 0.4), by_itself=True)

_ALWAYS: Final = (
    ("front_door", "hall", FRONT_DOOR), ("hall_motion", "hall", MOTION), ("kitchen_motion", "kitchen", MOTION),
    ("living_room_motion", "living_room", MOTION), ("bathroom_motion", "bathroom", NIGHT_MOTION),
    ("kitchen", "kitchen", LIGHT), ("living_room", "living_room", LIGHT), ("bathroom", "bathroom", NIGHT_LIGHT),
    ("terrace_door", "living_room", DOOR), ("heater", "living_room", HEATER), ("kettle", "kitchen", KETTLE),
    ("garage", "garage", GARAGE), ("television", "living_room", MEDIA), ("front_door", "hall", LOCK),
    ("boiler", "cellar", BOILER),
)  # fmt: skip
_MORE: Final = (
    ("motion", MOTION), ("light", LIGHT), ("window", WINDOW), ("plug", HEATER), ("lamp", LIGHT), ("door", DOOR),
    ("outlet", KETTLE), ("presence", NIGHT_MOTION), ("speaker", MEDIA), ("pump", BOILER),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing in one home.

    Attributes:
        about: Its entity.
        kind: Its kind.
        uses: How often a day it is used if everybody is there all day.
        weekend: The factor on weekends.
        spread: How much its use varies from day to day, as a share.
        seconds: The median length of a use.
        sigma: The standard deviation of the logarithm of the length.
        parts: When between waking and bedtime it is used: a share for each part, shape (PARTS_OF_DAY,).
    """

    about: Description
    kind: Kind
    uses: float
    weekend: float
    spread: float
    seconds: float
    sigma: float
    parts: NDArray[np.float64]

    @property
    def entity_id(self) -> str:
        """Its entity's id."""
        return self.about.entity_id

    def lengths(self, rng: np.random.Generator, count: int, life: Life) -> NDArray[np.float64]:
        """Return the lengths of some uses in seconds; the tails are those of the way of life, if people decide."""
        if life.lengths == "pareto" and self.kind.may_be_long and not self.kind.by_itself:
            lengths = self.seconds / 2 ** (1 / 1.5) * (1 + rng.pareto(1.5, count))
        else:
            heavy = life.lengths == "lognormal" and self.kind.may_be_long and not self.kind.by_itself
            lengths = self.seconds * rng.lognormal(0, 1.5 if heavy else self.sigma, count)
        return np.clip(lengths, 2.0, 86_400.0)


def things(rng: np.random.Generator, count: int, life: Life) -> list[Thing]:
    """Return the things of a home: those that every home has, then more, room by room.

    Raises:
        ValueError: There are fewer than ``MIN_ENTITIES``.
    """
    if count < MIN_ENTITIES:
        raise ValueError(f"a home has at least {MIN_ENTITIES} entities, not {count}")
    chosen = list(_ALWAYS)
    rooms = cycle(_ROOMS)
    for number, (name, kind) in enumerate(islice(cycle(_MORE), count - len(_ALWAYS))):
        room = next(rooms)
        chosen.append((f"{room}_{name}_{number}", room, kind))
    return [_thing(rng, f"{kind.domain}.{name}", room, kind, life) for name, room, kind in chosen]


def _thing(rng: np.random.Generator, entity_id: str, room: str, kind: Kind, life: Life) -> Thing:
    return Thing(
        about=Description(entity_id, device_class=kind.device_class, area_id=room),
        kind=kind,
        uses=float(np.clip(kind.uses * rng.lognormal(0, 0.5), 0.7, 30)),
        weekend=1.0 if kind.by_itself else float(rng.uniform(0.7, 1.4)),
        spread=float(rng.uniform(*life.spread)),
        seconds=kind.minutes * 60 * float(rng.lognormal(0, 0.3)),
        sigma=float(rng.uniform(*kind.sigma)),
        parts=rng.dirichlet(np.full(PARTS_OF_DAY, 1.5)),
    )
