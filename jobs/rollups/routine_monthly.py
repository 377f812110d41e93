"""The routine of a month: a mean day, how alike the days are, and what has changed since the month before.

Stability is over the 28 days that end with the month. ``jobs.rollups._routine`` says how the rows are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jobs.detector import detector
from jobs.rollups._routine import RoutineOfPeriod
from storage.periods import Cadence
from storage.query import RoutineMonthly as Row


@detector
@dataclass(frozen=True)
class RoutineMonthly(RoutineOfPeriod):
    """The ``routine_monthly`` rollup; see ``RoutineOfPeriod`` for its parameters."""

    name: ClassVar = "routine_monthly"
    version: ClassVar = 1
    model: ClassVar = Row
    cadence: ClassVar[Cadence] = "monthly"
    history_days: ClassVar = 62  # the longest two months that follow each other
