"""Homes in which it is known what is related: pairs, chains, ways between rooms, and what only looks like it.

A resident gets up at seven (at half past eight on weekends), is out from nine to five on weekdays and goes to bed
around eleven. Background entities act at times of this routine, independently. In addition, there are:

* pairs: the second acts a few seconds after the first, some times a day; both also act alone;
* chains of three entities, likewise; rooms in which somebody is seen one after the other;
* links of the home itself: a group with its lights, a lamp that an automation switches, two entities of one device;
* disturbances: a sensor that flickers all day, a restart of the recorder in the night.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import AUTOMATION, DEVICE, DayLog, Samples
from jobs.activity.window import MINUTE, SECOND, DayWindow

ZONE: Final = ZoneInfo("Europe/Berlin")
_WEEKDAY: Final = np.array([0, 0, 0, 0, 0, 0, 1, 6, 5, 1, 1, 1, 1, 1, 1, 1, 1, 4, 6, 6, 5, 5, 4, 1], np.float64)
_WEEKEND: Final = np.array([0, 0, 0, 0, 0, 0, 0, 1, 4, 6, 5, 4, 5, 4, 3, 3, 4, 4, 5, 5, 5, 5, 4, 3], np.float64)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planted, and how often.

    Attributes:
        background: The number of independent entities.
        pairs: For each planted pair: how often a day, and the maximum lag in seconds.
        chains: For each planted chain of three: how often a day, and the maximum gap in seconds.
        moves: How often somebody goes from the hall to the kitchen and back.
    """

    background: int = 50
    pairs: tuple[tuple[int, int], ...] = ((6, 10), (6, 10), (8, 10), (10, 60), (10, 60), (12, 60))
    chains: tuple[tuple[int, int], ...] = ((4, 20), (4, 20), (5, 20), (6, 20))
    moves: int = 9


@dataclass
class Truth:
    """What was planted.

    Attributes:
        pairs: ``a|b``, with how often and the maximum lag.
        chains: The entities of a chain, with how often and the maximum gap.
        related: Pairs that follow from what was planted, and so are not false findings.
        usage: Activity events by entity.
    """

    pairs: dict[str, tuple[int, int]] = field(default_factory=dict)
    chains: dict[tuple[str, ...], tuple[int, int]] = field(default_factory=dict)
    related: set[str] = field(default_factory=set)
    usage: Counter[str] = field(default_factory=Counter)


class PlantedDay:
    """One day of a home with planted pairs and chains.

    Args:
        rng: The source of random numbers.
        plan: What to plant.
        day: The date; the routine depends on its weekday.
    """

    def __init__(self, rng: np.random.Generator, plan: Plan = Plan(), day: dt.date = dt.date(2026, 3, 4)) -> None:
        self.truth = Truth()
        self._rng = rng
        self.window = DayWindow(day, ZONE)
        self._builder = SampleBuilder()
        weights = _WEEKEND if day.weekday() >= 5 else _WEEKDAY
        self._hours = weights / weights.sum()
        self._changes: list[tuple[int, str, str, int]] = []
        for index in range(plan.background):
            self._entity(f"binary_sensor.background_{index:03}")
            self._pulses(f"binary_sensor.background_{index:03}", self._times(int(rng.poisson(rng.uniform(3, 18)))))
        for index, pair in enumerate(plan.pairs):
            self._plant([f"switch.first_{index}", f"light.second_{index}"], *pair)
        for index, chain in enumerate(plan.chains):
            self._plant([f"switch.start_{index}", f"light.middle_{index}", f"media_player.end_{index}"], *chain)
        self._linked()
        self._walks(plan.moves)
        self._flickering()

    def log(self) -> DayLog:
        """Return the day as detectors get it."""
        log = Recording.of(self.samples(), EntityRules()).day(self.window)
        self.truth.usage = Counter(log.entities[code].entity_id for code in log.events.entity.tolist())
        return log

    def samples(self) -> Samples:
        """Return what the recorder kept: it was restarted shortly after three, and found every state again."""
        start, end = self.window.start, self.window.end
        down, up = start + 190 * MINUTE, start + 192 * MINUTE
        changes = sorted(change for change in self._changes if not down <= change[0] < up)
        restored = {entity_id: state for at, entity_id, state, _ in changes if at < down}
        changes += [(up + 5 * SECOND, entity_id, state, DEVICE) for entity_id, state in restored.items()]
        for at, entity_id, state, cause in sorted(changes):
            self._builder.add(at, entity_id, state, cause)
        return self._builder.build([(start, down), (up, end)], [start, up])

    def _entity(self, entity_id: str, **about: str) -> None:
        self._builder.describe(Description(entity_id, **about))
        self._changes.append((self.window.start, entity_id, "off", DEVICE))

    def _times(self, count: int) -> list[int]:
        """Return instants of the routine, in order of time."""
        hours = self._rng.choice(24, count, p=self._hours)
        offsets = hours * 3600 * SECOND + self._rng.integers(0, 3600 * SECOND, count)
        return sorted((self.window.start + offsets).tolist())

    def _apart(self, count: int, minutes: int) -> list[int]:
        """Return instants of the routine that are apart from each other."""
        chosen: list[int] = []
        while len(chosen) < count:
            (at,) = self._times(1)
            if all(abs(at - other) > minutes * MINUTE for other in chosen):
                chosen.append(at)
        return sorted(chosen)

    def _pulses(self, entity_id: str, times: list[int], cause: int = DEVICE) -> None:
        """Switch an entity on at each time, and off up to four minutes later."""
        for at in times:
            off = min(at + int(self._rng.integers(2 * SECOND, 4 * MINUTE)), self.window.end - 1)
            self._changes += [(at, entity_id, "on", cause), (off, entity_id, "off", cause)]

    def _plant(self, entities: list[str], repeats: int, max_gap: int) -> None:
        """Add entities that act one after the other, and sometimes alone."""
        starts = self._apart(repeats, 20)
        for entity_id in entities:
            self._entity(entity_id)
            alone = [
                at for at in self._times(int(self._rng.poisson(2))) if all(abs(at - s) > 8 * MINUTE for s in starts)
            ]
            self._pulses(entity_id, alone)
        for start in starts:
            at = start
            for entity_id in entities:
                self._pulses(entity_id, [at])
                at += int(self._rng.integers(SECOND, max_gap * SECOND))
        if len(entities) > 2:
            self.truth.chains[tuple(entities)] = (repeats, max_gap)
            self.truth.related |= {"|".join(sorted((a, b))) for a in entities for b in entities if a != b}
        else:
            self.truth.pairs["|".join(sorted(entities))] = (repeats, max_gap)

    def _linked(self) -> None:
        """Add a group, an automation and a device with two entities: none of them is a habit."""
        for entity_id in ("light.group", "light.member_a", "light.member_b", "switch.trigger", "light.automatic"):
            self._entity(entity_id)
        for at in self._times(9):
            off = at + int(self._rng.integers(5 * SECOND, 3 * MINUTE))
            for after, entity_id in enumerate(("light.member_a", "light.member_b", "light.group")):
                self._changes += [
                    (at + after * 20_000, entity_id, "on", DEVICE),
                    (off + after * 20_000, entity_id, "off", DEVICE),
                ]
        triggers = self._times(8)
        self._pulses("switch.trigger", triggers)
        self._pulses(
            "light.automatic", [at + int(self._rng.integers(50_000, 2 * SECOND)) for at in triggers], AUTOMATION
        )
        for entity_id in ("binary_sensor.box_motion", "binary_sensor.box_vibration"):
            self._entity(entity_id, device_id="box")
        for at in self._times(8):
            self._pulses("binary_sensor.box_motion", [at])
            self._pulses("binary_sensor.box_vibration", [at + int(self._rng.integers(0, 3 * SECOND))])

    def _walks(self, moves: int) -> None:
        """Add ways from the hall to the kitchen within seconds; the way back takes too long to count."""
        for room in ("hall", "kitchen"):
            self._entity(f"binary_sensor.{room}_motion", device_class="motion", area_id=room)
        for at in self._apart(moves, 15):
            self._pulses("binary_sensor.hall_motion", [at])
            self._pulses("binary_sensor.kitchen_motion", [at + int(self._rng.integers(3 * SECOND, 20 * SECOND))])
        self.truth.related.add("binary_sensor.hall_motion|binary_sensor.kitchen_motion")

    def _flickering(self) -> None:
        """Add a sensor that flickers whenever somebody is at home."""
        self._entity("binary_sensor.chatter")
        for at in self._times(150):
            self._pulses("binary_sensor.chatter", [at + step * 7 * SECOND for step in range(4)])
