"""A timer: a door, a window, a light, a plug in use for more than a fixed time.

As the blueprint in https://homeassistantguide.info/blueprints.php?id=7 (open for ten minutes) and countless automations
with ``for:``. Timers are set for what should not stay open or on, so motion sensors and persons have none.
"""

from collections.abc import Iterator

from tests.arena.history import History
from tests.arena.rule import Alarm, AlarmRule

WITHOUT = {"motion", "occupancy", "presence"}


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Return the hours for which each use of the day had lasted; it is reported once, when the time is up."""
    uses = history.uses[day]
    for code, seconds, before in zip(
        uses.entity.tolist(), uses.seconds.tolist(), uses.seconds_before.tolist(), strict=True
    ):
        entity = history.entities[code]
        if entity.domain != "person" and entity.device_class not in WITHOUT:
            yield Alarm(code, seconds / 3600, before / 3600)


RULE = AlarmRule(
    name="timer: open or on for N hours",
    source="[left-open blueprint](https://homeassistantguide.info/blueprints.php?id=7)",
    label="{:.2g} h".format,
    thresholds=[1 / 6, 1, 2, 3, 4, 6, 8, 12],
    usual=1 / 6,
    judge=judge,
)
