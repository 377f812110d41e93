"""What goes together again and again in a month, proved over the 62 days that end with it.

``jobs.rollups._habits`` says how the rows are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jobs.detector import detector
from jobs.rollups._habits import HabitsOfPeriod
from storage.periods import Cadence
from storage.query import HabitMonthly as Row


@detector
@dataclass(frozen=True)
class HabitMonthly(HabitsOfPeriod):
    """The ``habit_monthly`` rollup; see ``HabitsOfPeriod`` for its parameters."""

    name: ClassVar = "habit_monthly"
    version: ClassVar = 1
    model: ClassVar = Row
    cadence: ClassVar[Cadence] = "monthly"
    history_days: ClassVar[int] = 62
