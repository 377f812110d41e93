"""Ways of life: who lives in a home, and what is not regular about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal
from zoneinfo import ZoneInfo

BERLIN: Final = ZoneInfo("Europe/Berlin")

Lengths = Literal["usual", "lognormal", "pareto"]


@dataclass(frozen=True, slots=True)
class Life:
    """A way of life.

    Attributes:
        first: The first day.
        zone: The home's zone.
        workers: Residents who are out from eight to five on weekdays.
        shift_workers: Residents whose shift changes every week: early, late, night.
        teenagers: Residents who are up late on Friday and Saturday, and late the next morning.
        at_home: Residents who are at home but for errands.
        persons: Whether each resident has a ``person.*`` entity.
        spread: From and to of the standard deviation of each entity's use from day to day, as a share.
        day_spread: The standard deviation of the logarithm of the whole home's factor of a day.
        lengths: How long things are on: ``usual`` (lognormal, sigma 0.4 to 0.7, lights and media end at bedtime),
            ``lognormal`` (sigma 1.5) or ``pareto`` (exponent 1.5); the latter two without an end at bedtime.
        guest_nights: The chance of a day that guests stay until two in the morning.
        away_days: The length of the one stretch of days in which nobody is at home; 0 for none.
        feast_days: On how many days everybody is at home with visitors, from morning to night.
        seasons: Whether lights follow the length of the day, and heating the cold.
    """

    first: dt.date = dt.date(2026, 1, 19)
    zone: ZoneInfo = BERLIN
    workers: int = 2
    shift_workers: int = 0
    teenagers: int = 0
    at_home: int = 0
    persons: bool = True
    spread: tuple[float, float] = (0.05, 0.25)
    day_spread: float = 0.12
    lengths: Lengths = "usual"
    guest_nights: float = 0.0
    away_days: int = 0
    feast_days: int = 0
    seasons: bool = False

    @property
    def residents(self) -> int:
        """The number of residents."""
        return self.workers + self.shift_workers + self.teenagers + self.at_home


REGULAR: Final = Life()
LIVES: Final[Mapping[str, Life]] = {
    "regular": REGULAR,
    "retired": Life(workers=0, at_home=2, persons=False),
    "wild days": replace(REGULAR, spread=(0.4, 0.8), day_spread=0.35),
    "lognormal lengths": replace(REGULAR, lengths="lognormal"),
    "Pareto lengths": replace(REGULAR, lengths="pareto"),
    "shift workers": Life(workers=1, shift_workers=1),
    "teenagers": Life(workers=2, teenagers=2),
    "guests": Life(workers=1, at_home=1, guest_nights=0.07),
    "holidays": Life(workers=2, away_days=14, feast_days=3),
    "clock changes": Life(first=dt.date(2026, 9, 7), workers=1, at_home=1),
    "seasons": Life(first=dt.date(2026, 8, 10), seasons=True, persons=False),
}
