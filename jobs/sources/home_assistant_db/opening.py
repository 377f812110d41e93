"""The states in which a day opens: each entity's rows, followed back until it is certain when its state began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import sqlalchemy as sa

from jobs.activity.entities import Entity
from jobs.activity.settling import SETTLING_LIMIT
from jobs.activity.states import TRANSITIONAL, Transitional
from jobs.activity.tracing import SHORT_GAP
from jobs.activity.window import SECOND, Instants
from jobs.sources.home_assistant_db.earlier_rows import Place, StateRow, read_earlier, read_newest

MAX_LOOKBACK_ROWS: Final = 20_000  # how many rows of one entity are followed back

_FIRST_LIMIT: Final = 2
_GROWTH: Final = 4  # how many times as many rows each further look takes


class Chain(NamedTuple):
    """An entity's rows up to the one that opens the day, ascending.

    Attributes:
        rows: The rows.
        complete: Whether the first of them is the first row of the entity in the database.
    """

    rows: list[StateRow]
    complete: bool


def read_openings(
    connection: sa.Connection, start: int, entity_of: Callable[[int | None], Entity | None], starts: Instants
) -> Iterator[Chain]:
    """Yield the rows in which each followed entity's day opens.

    Args:
        connection: To the database.
        start: The first instant of the day.
        entity_of: Returns the entity of a metadata id; None if it is not followed.
        starts: Ascending instants at which the recorder started.
    """
    growing: dict[int, _GrowingChain] = {}
    for row in read_newest(connection, start / SECOND):
        entity = entity_of(row.metadata_id)
        if entity is not None and row.metadata_id is not None:
            growing[row.metadata_id] = _GrowingChain(row, start, entity, starts)
    limit = _FIRST_LIMIT
    while growing:
        places = [chain.place(number) for number, chain in growing.items()]
        for place, earlier in read_earlier(connection, places, limit):
            chain = growing[place.metadata_id].extend(earlier, limit)
            if chain is not None:
                del growing[place.metadata_id]
                yield chain
        limit *= _GROWTH


class _GrowingChain:
    """An entity's rows, as far as they have been followed back.

    Args:
        opening: Its newest row before the day.
        start: The first instant of the day.
        entity: The entity.
        starts: Ascending instants at which the recorder started.
    """

    def __init__(self, opening: StateRow, start: int, entity: Entity, starts: Instants) -> None:
        self._rows = [opening]  # the newest first
        self._entity = entity
        self._starts = starts
        self._bound = start / SECOND  # the known value, or the day, that the gap being followed leads up to
        word = _word(entity, opening)
        self._state = None if word is TRANSITIONAL else word  # of the oldest row that has one
        self._since = opening.seconds  # of that row

    def place(self, metadata_id: int) -> Place:
        """Return where the rows go on that have not been read yet."""
        last = self._rows[-1]
        return Place(metadata_id, last.seconds, last.state_id)

    def extend(self, earlier: Sequence[StateRow], limit: int) -> Chain | None:
        """Add earlier rows; return the chain once it is certain when the opening state began.

        Args:
            earlier: The rows before ``place``, the newest first.
            limit: How many were asked for: fewer are all there are.
        """
        for row in earlier:
            settles = _is_settling(self._since, self._starts)
            if self._state is not None:
                self._bound = self._since
            elif self._bound - self._rows[-1].seconds > SHORT_GAP / SECOND and not settles:
                return self._chain(complete=False)  # whatever was known before, it has been forgotten
            self._rows.append(row)
            older = _word(self._entity, row)
            if older is TRANSITIONAL:
                continue
            is_change = self._state is not None and older is not None and older != self._state
            if is_change and not settles and not (_is_use(self._state, self._entity) and _is_use(older, self._entity)):
                return self._chain(complete=False)
            self._state, self._since = older, row.seconds
        if len(earlier) < limit or len(self._rows) > MAX_LOOKBACK_ROWS:
            return self._chain(complete=len(earlier) < limit)
        return None

    def _chain(self, *, complete: bool) -> Chain:
        return Chain(self._rows[::-1], complete)


def _word(entity: Entity, row: StateRow) -> str | Transitional | None:
    return entity.words.read(row.state if isinstance(row.state, str) else None)


def _is_settling(seconds: float, starts: Instants) -> bool:
    """Return whether an instant comes so soon after a start that the state seen then may be wrong."""
    instant = round(seconds * SECOND)
    place = int(np.searchsorted(starts, instant, side="right")) - 1
    return place >= 0 and instant - int(starts[place]) < SETTLING_LIMIT


def _is_use(state: str | None, entity: Entity) -> bool:
    """Return whether a state is part of an episode that may have begun with an earlier state."""
    return state is not None and (entity.is_active(state) or state.lower() in entity.words.pause)
