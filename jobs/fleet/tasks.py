"""What is handed to a worker, what comes back, and how homes are packed into tasks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from jobs.fleet.catalogue import CatalogueHome
from jobs.outcome import Outcome
from storage.dates import DateRange

MAX_HOME_DAYS: Final = 200  # of a task: half a minute or so, so that an engine's cost for each task does not matter
MIN_TASKS_PER_WORKER: Final = 4  # in a small fleet, so that no worker waits long for the last one


@dataclass(frozen=True, slots=True)
class DueHome:
    """A home with something to do.

    Attributes:
        home: The home.
        yesterday: Its newest local day that is over.
        days: The days to work on; None for every due day, as ``run`` does.
        count: About how many days that is.
        oldest: The oldest of these days, as far as the ledger knows.
    """

    home: CatalogueHome
    yesterday: dt.date
    days: DateRange | None = None
    count: int = 1
    oldest: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Homes that one worker works on, one after the other.

    Attributes:
        config: The settings file, which the worker reads itself: no secret travels with a task.
        fingerprint: That of the settings with which the tasks were planned; a worker's must be the same.
        homes: The homes.
    """

    config: Path | None
    fingerprint: str
    homes: tuple[DueHome, ...]

    def halves(self) -> tuple[Self, Self]:
        """Return the same work as two tasks."""
        middle = len(self.homes) // 2
        first, second = self.homes[:middle], self.homes[middle:]
        return type(self)(self.config, self.fingerprint, first), type(self)(self.config, self.fingerprint, second)


@dataclass(frozen=True, slots=True)
class HomeResult:
    """How the work on one home ended.

    Attributes:
        home: Its name.
        outcome: The most severe outcome of its days.
        days: How many days ended how, by ``DayStatus``.
        rows: How many rows were written or staged.
        events: Activity events of those days.
        reason: What went wrong; empty if nothing did.
        seconds: Processor time that it took.
    """

    home: str
    outcome: Outcome
    days: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    events: int = 0
    reason: str = ""
    seconds: float = 0.0


def pack(
    homes: Sequence[DueHome], config: Path | None, fingerprint: str, *, workers: int, max_home_days: int = MAX_HOME_DAYS
) -> Iterator[Task]:
    """Yield tasks of neighbouring homes: as large as may be, but several for each worker.

    Args:
        homes: The homes, in the order in which they are to be worked on.
        config: The settings file.
        fingerprint: That of the settings.
        workers: How many workers there are.
        max_home_days: How many home-days a task has at most, unless a single home has more.
    """
    total = sum(one.count for one in homes)
    size = max(1, min(max_home_days, -(-total // (MIN_TASKS_PER_WORKER * workers))))
    packed: list[DueHome] = []
    for one in homes:
        if packed and count_home_days(packed) + one.count > size:
            yield Task(config, fingerprint, tuple(packed))
            packed = []
        packed.append(one)
    if packed:
        yield Task(config, fingerprint, tuple(packed))


def count_home_days(homes: Iterable[DueHome]) -> int:
    """Return how many home-days some homes have."""
    return sum(one.count for one in homes)
