"""Known time, and restarts, of a recording that keeps no account of its own runs: told from its samples alone.

* A silence of all entities for longer than a bound is time of which nothing is known; a shorter one is a quiet home.
* After a restart, Home Assistant sends the present state of every entity anew. So where within 10 seconds at least half
  of all entities (and five) send something, and at least half of these what they had sent before, a recorder started;
  what lies between the last sample before and that moment is not known.

>>> import numpy as np
>>> minutes = np.array([0, 10, 15, 500, 505]) * 60_000_000
>>> (known_time(minutes, 60 * 60_000_000, np.empty(0, np.int64)) // 60_000_000).tolist()
[[0, 15], [500, 505]]
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import Codes, Spans
from jobs.activity.window import SECOND, Instants

BURST: Final = 10 * SECOND
FEWEST: Final = 5  # entities in a burst; a smaller home's restart cannot be told from people coming home


def known_time(instants: Instants, max_silence: int, starts: Instants) -> Spans:
    """The spans in which a recording was alive.

    Args:
        instants: When anything at all was recorded, in any order.
        max_silence: How far apart two samples may be with the time between them known, microseconds.
        starts: Instants, each of a sample, at which a recorder started.

    Returns:
        Disjoint, ascending spans, shape (k, 2), each from a sample to a sample.
    """
    instants = np.unique(instants)
    if not len(instants):
        return np.empty((0, 2), np.int64)
    breaks = np.flatnonzero((np.diff(instants) > max_silence) | np.isin(instants[1:], starts))
    spans = np.column_stack((instants[np.append(0, breaks + 1)], instants[np.append(breaks, len(instants) - 1)]))
    return spans[spans[:, 0] < spans[:, 1]]


def restarts(at: Instants, entity: Codes, state: Codes) -> Instants:
    """When recorders started.

    Args:
        at: Instants of samples, ascending, shape (n,).
        entity: The entity of each, shape (n,).
        state: What each was in, shape (n,).

    Returns:
        Ascending instants, each of the first sample of a burst.
    """
    needed = max(FEWEST, -(-len(np.unique(entity)) // 2))
    ends = np.searchsorted(at, at + BURST, side="right")
    dense = np.flatnonzero(ends - np.arange(len(at)) >= needed)
    if not len(dense):
        return np.empty(0, np.int64)
    repeats = _repeats(entity, state)
    found: list[int] = []
    groups = np.split(dense, np.flatnonzero(np.diff(at[dense]) > BURST) + 1)
    for group in groups:
        sizes = [len(np.unique(entity[start : ends[start]])) for start in group]
        most = max(sizes)
        start = int(group[len(sizes) - 1 - sizes[::-1].index(most)])  # without strays that came shortly before
        _, firsts = np.unique(entity[start : ends[start]], return_index=True)
        if most >= needed and 2 * np.count_nonzero(repeats[start + firsts]) >= most:
            found.append(int(at[start]))
    return np.array(found, np.int64)


def _repeats(entity: Codes, state: Codes) -> NDArray[np.bool_]:
    """Whether each sample says what its entity's sample before said, or is its entity's first."""
    order = np.argsort(entity, kind="stable")
    who, what = entity[order], state[order]
    same = np.ones(len(order), np.bool_)
    same[1:] = (who[1:] != who[:-1]) | (what[1:] == what[:-1])
    repeats = np.empty(len(order), np.bool_)
    repeats[order] = same
    return repeats
