"""Group events into bouts and bursts, and count them by hour.

A *bout* is a run of one group's events with gaps of at most 300 s, a *burst* the same with gaps of at most 120 s.
Events of one bout depend on each other; tests of chance therefore count bouts.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import Flags
from jobs.activity.window import SECOND, Instants
from jobs.statistics.arrays import Integers
from storage.models import HOURS

BOUT_GAP: Final = 300 * SECOND
BURST_GAP: Final = 120 * SECOND


def by_group(group: NDArray[np.integer], at: Instants) -> tuple[Integers, Instants]:
    """Return events ordered by group and, within a group, by time."""
    order = np.lexsort((at, group))
    return group[order].astype(np.int64), at[order]


def bout_starts(group: Integers, at: Instants, gap: int = BOUT_GAP) -> Flags:
    """Return which events start a bout: the first of a group, or more than ``gap`` after the one before.

    Args:
        group: The group of each event, ascending, shape (n,).
        at: Instants, ascending within a group, shape (n,).
        gap: The longest pause within a bout, in microseconds; ``BURST_GAP`` for bursts.
    """
    starts = np.ones(len(at), np.bool_)
    starts[1:] = (group[1:] != group[:-1]) | (np.diff(at) > gap)
    return starts


def bouts_by_group(group: Integers, at: Instants, groups: int) -> Integers:
    """Return how many bouts each group has, shape (groups,); the arguments are those of ``bout_starts``."""
    return np.bincount(group[bout_starts(group, at)], minlength=groups).astype(np.int64)


def count_by_hour(group: Integers, hours: Integers, groups: int) -> Integers:
    """Return how many events each group has in each hour, shape (groups, 24)."""
    counts = np.bincount(group * HOURS + hours, minlength=groups * HOURS)
    return counts.reshape(groups, HOURS).astype(np.int64)
