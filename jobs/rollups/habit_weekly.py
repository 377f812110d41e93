"""What goes together again and again in a week, proved over the 28 days that end with it.

``jobs.rollups._habits`` says how the rows are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jobs.detector import detector
from jobs.rollups._habits import HabitsOfPeriod
from storage.periods import Cadence
from storage.query import HabitWeekly as Row


@detector
@dataclass(frozen=True)
class HabitWeekly(HabitsOfPeriod):
    """The ``habit_weekly`` rollup; see ``HabitsOfPeriod`` for its parameters."""

    name: ClassVar = "habit_weekly"
    version: ClassVar = 1
    model: ClassVar = Row
    cadence: ClassVar[Cadence] = "weekly"
    history_days: ClassVar[int] = 28
