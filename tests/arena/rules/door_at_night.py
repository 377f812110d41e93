"""A door or window that opens in the night, as alarm panels report it while they are armed for the night.

As in https://www.home-assistant.io/integrations/manual/ (``armed_night``), with the night from 0 to 5. The threshold is
minus the number of nights of the last four weeks on which the same door may have opened.
"""

from collections.abc import Iterator

from tests.arena.history import History
from tests.arena.rule import Alarm, AlarmRule

DOORS = {"door", "window", "garage", "garage_door", "opening"}
NIGHT = slice(0, 5)
DAYS = 28


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Return the doors that opened or closed in the night; the rarer it is, the higher the score."""
    nights = history.events[max(day - DAYS, 0) : day + 1, :, NIGHT].sum(axis=2) > 0
    for code, entity in enumerate(history.entities):
        if entity.device_class in DOORS and nights[-1, code]:
            yield Alarm(code, -float(nights[:-1, code].sum()))


RULE = AlarmRule(
    name="a door between 0 and 5",
    source="[armed_night](https://www.home-assistant.io/integrations/manual/)",
    label=lambda threshold: f"at most {-threshold:g} nights of 28",
    thresholds=[-28, -3, -1, 0],
    usual=-28,
    judge=judge,
)
