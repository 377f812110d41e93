"""The switch in Home Assistant that says that nobody is home: it enters days away, as the command ``away`` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from jobs.household import Away, Household
from jobs.household_file import EnteredHousehold, with_away
from storage.dates import ONE_DAY, Day

NOTE: Final = "switched on in Home Assistant"
MAX_DAYS_AWAY: Final = 366  # until the switch is turned off


def is_away(household: Household, today: Day) -> bool:
    """Return whether today is a day away that people have entered; what a calendar says cannot be switched off."""
    return any(today in away.days for away in household.away if away.origin == "entered")


def switched(household: Household, today: Day, *, on: bool) -> Household:
    """Return the household after the switch was turned on or off; turned to what it is already, it changes nothing.

    Turned off, it ends the days away that include today with the day before, so that today is the day of the return.
    Those that have only begun today were a mistake, and are removed. Later ones stay.

    >>> from datetime import date
    >>> away = switched(Household(), date(2026, 8, 1), on=True)
    >>> [str(one.days) for one in switched(away, date(2026, 8, 14), on=False).away]
    ['2026-08-01 to 2026-08-13']
    """
    if on == is_away(household, today):
        return household
    if on:
        return with_away(household, Away(today, today + (MAX_DAYS_AWAY - 1) * ONE_DAY, NOTE))
    kept = [
        replace(away, last=today - ONE_DAY) if today in away.days else away
        for away in household.away
        if today not in away.days or away.first < today
    ]
    return replace(household, away=tuple(kept))


class AwaySwitch:
    """The switch of a home.

    Args:
        file: What people entered about the home.
        today: Returns the present local day.
    """

    def __init__(self, file: EnteredHousehold, today: Callable[[], Day]) -> None:
        self._file = file
        self._today = today

    def is_on(self) -> bool:
        """Return whether nobody is home today.

        Raises:
            HouseholdError: The file cannot be read.
        """
        return is_away(self._file.read(), self._today())

    def turn(self, *, on: bool) -> None:
        """Enter days away from today on, or end them.

        Raises:
            HouseholdError: The file cannot be read or written.
            SettingsError: Its folder cannot be written to.
        """
        if on != self.is_on():
            self._file.change(partial(switched, today=self._today(), on=on))
