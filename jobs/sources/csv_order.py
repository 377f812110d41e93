"""Find rows of a CSV file that a wrong clock dated: the order of the lines contradicts their time.

A program that appends a line for each change writes an entity's rows in order of time. Where such a file goes back, the
clock was set back, or was not set for a while. Sorted by time, an ``off`` would come before its ``on``, and the lamp
would seem to burn until the next evening. So the rows before the step that are dated later are left out or, where these
are fewer, those after it that are behind.

A step back of more than a day, or one after which only one entity is behind the time that the file had reached, shows
no clock: these are rows that came late. Files that are not in order at all (an export by entity, newest first, joined
from several) are read by time alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from jobs.activity.events import Codes, Flags
from jobs.activity.window import DAY, Instants

MIN_ROWS_PER_STEP: Final = 10  # rows for each step back: with fewer, the lines are in no order
MAX_STEP: Final = DAY


def contradicted(at: Instants, entity: Codes) -> Flags:
    """Return which rows of a file the order of its lines contradicts.

    Args:
        at: The instants in the order of the lines, shape (n,).
        entity: The entity of each, shape (n,).

    >>> at = np.array([*range(20), 30, 25, 26, *range(31, 40)])
    >>> contradicted(at, np.array([0] * 22 + [1] + [0] * 9, np.int32)).nonzero()[0].tolist()
    [20]
    """
    left_out = np.zeros(len(at), np.bool_)
    if MIN_ROWS_PER_STEP * int(np.count_nonzero(np.diff(at) < 0)) > len(at):
        return left_out
    reached = np.maximum.accumulate(at) if len(at) else at
    edges = np.flatnonzero(np.diff(np.concatenate(([0], at < reached, [0])))).reshape(-1, 2)
    for first, end in edges.tolist():  # rows behind the time that the file had reached
        if len(np.unique(entity[first:end])) > 1 and reached[first] - at[first] <= MAX_STEP:
            ahead = np.flatnonzero(at[:first] > at[first])
            behind = np.arange(first, end)
            left_out[ahead if len(ahead) <= len(behind) else behind] = True
    return left_out
