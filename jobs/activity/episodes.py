"""Episodes: for how long an entity was in use, whatever its device called that in the meantime.

An episode is a stretch of active states that follow each other without a break: unlocked, open, unlocked again is
one, and so is a heater's way from ``heat`` to ``auto``. A pause of at most 5 minutes between two active states belongs
to it; a longer one ends it where the pause begins. A transitional word (``jobs.activity.states``) never ends one, as it
is not a state.

An episode is counted on the day on which it is *known* to have ended: at its end, or when a pause has become too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Entity
from jobs.activity.events import Episodes, Flags, StateIntervals
from jobs.activity.tracing import SHORT_GAP


class Group(IntEnum):
    """What a state means for the use of its device."""

    INACTIVE = 0
    ACTIVE = 1
    PAUSE = 2


def groups_of(intervals: StateIntervals, entities: Sequence[Entity], states: Sequence[str]) -> NDArray[np.int8]:
    """Return the ``Group`` of the state of each interval, shape (n,)."""
    width = len(states)
    key = intervals.entity.astype(np.int64) * width + intervals.state
    table = np.zeros(len(entities) * width, np.int8)
    table[key] = -1
    for pair in np.flatnonzero(table).tolist():
        entity, state = entities[pair // width], states[pair % width]
        is_pause = state.lower() in entity.words.pause
        table[pair] = Group.ACTIVE if entity.is_active(state) else Group.PAUSE if is_pause else Group.INACTIVE
    group: NDArray[np.int8] = table[key]
    return group


def episodes_of(intervals: StateIntervals, group: NDArray[np.int8]) -> Episodes:
    """Join active intervals that follow each other, and short pauses between them.

    Args:
        intervals: Ordered by entity and start.
        group: The ``Group`` of each, shape (n,).

    Returns:
        The episodes, ordered by entity and start.
    """
    active = group == Group.ACTIVE
    linked = np.zeros(len(group) + 1, np.bool_)  # whether an interval follows the one before it without a break
    linked[1:-1] = (
        (intervals.entity[1:] == intervals.entity[:-1])
        & intervals.end_known[:-1]
        & intervals.start_known[1:]
        & (intervals.start[1:] == intervals.end[:-1])
    )
    before, after = linked[:-1] & _shifted(active, 1), linked[1:] & _shifted(active, -1)
    joining = (group == Group.PAUSE) & before & after & (intervals.end - intervals.start <= SHORT_GAP)
    member = active | joining
    first = np.flatnonzero(member & ~(linked[:-1] & _shifted(member, 1)))
    last = np.flatnonzero(member & ~(linked[1:] & _shifted(member, -1)))
    end = intervals.end[last]
    following = np.minimum(last + 1, max(len(group) - 1, 0))
    pausing = linked[1:][last] & (group[following] == Group.PAUSE)
    return Episodes(
        entity=intervals.entity[first],
        start=intervals.start[first],
        end=end,
        start_known=intervals.start_known[first],
        end_known=intervals.end_known[last],
        known_at=np.where(pausing, np.minimum(intervals.end[following], end + SHORT_GAP), end),
    )


def _shifted(flags: Flags, by: int) -> Flags:
    """Return, for each place, the flag of the one before it (1) or after it (-1)."""
    moved = np.roll(flags, by)
    if len(moved):
        moved[0 if by > 0 else -1] = False
    return moved
