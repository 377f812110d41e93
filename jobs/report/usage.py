"""What is on, open or playing for how long, and for how much of that nobody was around."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, NamedTuple

from jobs.names import Names
from jobs.report.stored_rows import StoredRows
from jobs.sentences.wording import active_state, length
from storage.models import HOURS
from storage.query import ActiveTimeDaily, DurationDaily

_DAY_SECONDS: Final = 86_400
_MIN_SHOWN_SECONDS: Final = 60  # a day, on average
_WASTEFUL: Final = frozenset({"climate", "fan", "humidifier", "light", "media_player", "switch", "water_heater"})
_MOVEMENT: Final = frozenset({"motion", "occupancy", "presence", "moving", "sound", "vibration"})
_MIN_WASTED_SECONDS: Final = 15 * 60  # a day, for it to be marked
_MIN_WASTED_SHARE: Final = 0.25


class Usage(NamedTuple):
    """How long one entity is in its active state.

    Attributes:
        id: Its entity id.
        name: Its name.
        state: What people call the state: on, open, playing ...
        seconds: On an average day.
        wasted_seconds: Of these, while nobody was around; None where that is not known, or nothing is used up.
        is_waste: Whether that is much.
        longest_seconds: The longest time without a break that ended in the period; None if none ended.
    """

    id: str
    name: str
    state: str
    seconds: float
    wasted_seconds: float | None
    is_waste: bool
    longest_seconds: float | None

    @property
    def bar(self) -> tuple[float, float]:
        """Where the two parts of a bar end, of which a whole day is 100: with somebody around, and all of it."""
        around = self.seconds - (self.wasted_seconds or 0.0)
        return round(100 * around / _DAY_SECONDS, 1), round(100 * self.seconds / _DAY_SECONDS, 1)

    @property
    def often(self) -> str:
        """The time of an average day in words."""
        return "all day" if self.seconds > _DAY_SECONDS - HOURS else length(self.seconds)


def find_usage(rows: StoredRows, names: Names) -> list[Usage]:
    """Return how long each entity was active on an average day, the longest first.

    Sensors of movement are left out: how long they are on is a setting of the sensor. So are entities with less than a
    minute a day.
    """
    days = max(1, len(rows.runs("active_time")))
    classes = rows.classes()
    seconds: defaultdict[str, float] = defaultdict(float)
    of_day: dict[tuple[object, str], float] = {}
    for row in rows.of(ActiveTimeDaily):
        seconds[row.entity_id] += row.active_seconds
        of_day[row.date, row.entity_id] = row.active_seconds
    wasted: defaultdict[str, float] = defaultdict(float)
    longest: dict[str, float] = {}
    for ended in rows.of(DurationDaily):
        longest[ended.entity_id] = max(longest.get(ended.entity_id, 0.0), ended.max_duration_seconds)
        if ended.efficiency_score is not None and ended.entity_id.partition(".")[0] in _WASTEFUL:
            active = of_day.get((ended.date, ended.entity_id), ended.active_seconds or 0.0)
            wasted[ended.entity_id] += active * (1 - ended.efficiency_score)
    found = []
    for one, total in seconds.items():
        a_day, device_class = total / days, classes.get(one)
        if a_day < _MIN_SHOWN_SECONDS or device_class in _MOVEMENT:
            continue
        unseen = wasted[one] / days if one in wasted else None
        is_waste = unseen is not None and unseen >= max(_MIN_WASTED_SECONDS, _MIN_WASTED_SHARE * a_day)
        state = active_state(one, device_class)
        found.append(Usage(one, names.entity(one), state, a_day, unseen, is_waste, longest.get(one)))
    return sorted(found, key=lambda one: (-one.seconds, one.id))
