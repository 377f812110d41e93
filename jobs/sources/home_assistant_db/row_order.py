"""Find the rows whose time the order of writing contradicts.

The recorder numbers an entity's rows as they come, so a row with a lower number and a later time was dated by a clock
that was wrong: it was ahead and then set back, or a board without a battery started with the time of its last stop. The
changes within such rows happened, but nobody knows when. They are left out; the last of them remains as the state that
the entity had when its next row was written. Which rows are wrong:

* after a start of the recorder by that clock, the rows since the start, until the clock passes the time it had reached;
* else the rows that are dated later than the first row after the clock was set back.

Rows that were added to a database later (an import of old history) have higher numbers, too. So a row that names
another predecessor in ``old_state_id`` does not prove a wrong clock. A row that names none proves it if it is dated at
most a day back and such steps are rare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import GAP, Codes
from jobs.activity.tracing import by_entity
from jobs.activity.window import DAY, MINUTE, Instants

MAX_UNLINKED: Final = DAY  # how far back a row may be dated that does not say which row it follows
MIN_ROWS_PER_STEP: Final = 10  # rows for each step back: with fewer, their numbers are in no order at all
NEAR_START: Final = 10 * MINUTE  # a clock that goes back this soon after a start was wrong since that start

Integers = NDArray[np.int64]
Predecessors = Callable[[list[int]], Mapping[int, int | None]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in columns, all of shape (n,): number, instant, entity, state and cause."""

    state_id: Integers
    at: Instants
    entity: Codes
    state: Codes
    cause: NDArray[np.int8]

    def take(self, chosen: Integers | NDArray[np.bool_]) -> Rows:
        """Return some of the rows, in the order in which they are chosen."""
        return Rows(self.state_id[chosen], self.at[chosen], self.entity[chosen], self.state[chosen], self.cause[chosen])


def in_written_order(rows: Rows, starts: Instants, predecessors: Predecessors) -> tuple[Rows, int]:
    """Return rows without those whose time the order of writing contradicts, and how many these are.

    Args:
        rows: In any order.
        starts: Ascending instants at which the recorder started, by its own clock.
        predecessors: Returns ``old_state_id`` of some rows, by their number.
    """
    at, entity, ids = rows.at, rows.entity, rows.state_id
    if np.any(at[1:] < at[:-1]):
        order = np.argsort(at, kind="stable")  # fast, as almost all rows come in order of time
        at, entity, ids = at[order], entity[order], ids[order]
    numbered_late = np.flatnonzero(ids < np.maximum.accumulate(ids))
    if not len(numbered_late):
        return rows, 0
    upto = slice(int(numbered_late[-1]) + 1)  # from here on the numbers ascend, whoever's they are
    at, entity, ids = at[upto], entity[upto], ids[upto]
    order = by_entity(entity, at)
    entity, ids = entity[order], ids[order]
    suspects = np.unique(entity[1:][(entity[1:] == entity[:-1]) & (ids[1:] < ids[:-1])])
    if not len(suspects):
        return rows, 0
    parts = [rows.take(~np.isin(rows.entity, suspects))]
    contradicted = 0
    for suspect in suspects.tolist():
        of_one = rows.take(np.flatnonzero(rows.entity == suspect))
        of_one = of_one.take(np.argsort(of_one.state_id, kind="stable"))
        undated = _undated(of_one, starts, predecessors)
        contradicted += int(np.count_nonzero(undated))
        parts.append(_without(of_one, undated))
    return _joined(parts), contradicted


def _undated(rows: Rows, starts: Instants, predecessors: Predecessors) -> NDArray[np.bool_]:
    """Return which of an entity's rows, in order of their numbers, were dated by a wrong clock."""
    at = rows.at.tolist()
    undated = np.zeros(len(at), np.bool_)
    follows = _follows(rows, predecessors)
    newest, is_stale = at[0], False
    for row, here in enumerate(at):
        if here >= newest:
            newest, is_stale = max(newest, here), False
            continue
        if is_stale:
            undated[row] = True
            continue
        if not follows[row] and (follows[row] is False or newest - here > MAX_UNLINKED):
            continue
        start = int(np.searchsorted(starts, here, side="right")) - 1
        if start >= 0 and here - int(starts[start]) < NEAR_START:
            undated[row] = is_stale = True
            continue
        undated[:row] |= rows.at[:row] > here
        newest = here
    return undated


def _follows(rows: Rows, predecessors: Predecessors) -> list[bool | None]:
    """Return whether each row was written after the one before it; None where nothing but the numbers says so."""
    ids = rows.state_id.tolist()
    links = predecessors(ids)
    backwards = int(np.count_nonzero(np.diff(rows.at) < 0))
    is_numbered_in_order = backwards <= max(1, len(ids) // MIN_ROWS_PER_STEP)
    follows: list[bool | None] = [None]
    for before, one in pairwise(ids):
        linked = links.get(one)
        if linked is not None:
            follows.append(linked == before)
        else:
            follows.append(None if is_numbered_in_order else False)
    return follows


def _without(rows: Rows, undated: NDArray[np.bool_]) -> Rows:
    """Leave out undated rows of one entity; of each run of them the last stays, as the state before the next row."""
    if not undated.any():
        return rows
    dated = np.flatnonzero(~undated)
    parts: list[Rows] = []
    for place, row in enumerate(dated.tolist()):
        before = dated[place - 1] if place else -1
        if row - before > 1:
            if before >= 0:
                unknown = rows.take(np.array([before]))
                parts.append(
                    Rows(unknown.state_id, unknown.at, unknown.entity, np.full(1, GAP, np.int32), unknown.cause)
                )
            last = rows.take(np.array([row - 1]))
            parts.append(Rows(last.state_id, rows.at[row : row + 1], last.entity, last.state, last.cause))
        parts.append(rows.take(np.array([row])))
    if len(dated) and len(rows.at) - 1 > dated[-1]:  # nothing dated follows: from then on the state is not known
        unknown = rows.take(dated[-1:])
        parts.append(Rows(unknown.state_id, unknown.at, unknown.entity, np.full(1, GAP, np.int32), unknown.cause))
    return _joined(parts) if parts else rows.take(np.empty(0, np.int64))


def _joined(parts: list[Rows]) -> Rows:
    return Rows(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("state_id", "at", "entity", "state", "cause")
        )
    )
