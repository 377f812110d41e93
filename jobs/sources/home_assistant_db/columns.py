"""Rows as they come from the database, turned into samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from jobs.activity.entities import Description
from jobs.activity.events import AUTOMATION, GAP, Codes, Flags, Samples
from jobs.activity.states import GAPS
from jobs.activity.window import HOUR, SECOND, DayWindow, Instants
from jobs.sources.home_assistant_db.causes import cause_of
from jobs.sources.home_assistant_db.row_order import Integers, Predecessors, Rows, in_written_order
from jobs.sources.home_assistant_db.runs import KnownTime
from jobs.sources.home_assistant_db.schema import MYSQL, STATES, UPDATED, Schema, within

_CHUNK: Final = 500  # rows asked of the driver at once
_CAUSES: Final = 4  # more than there are causes
_NEXT_ROW: Final = "\x1e"  # ASCII's own separator of records
_NO_STATE: Final = "\x1d"
_MAX_TEXT_BYTES: Final = 1 << 30


def fetch(
    connection: sa.Connection, schema: Schema, window: DayWindow, left_out: Collection[int]
) -> Iterator[list[Any]]:
    """Yield a day's rows in order of time, in batches, as the columns that ``Columns.extend_numbered`` takes.

    Rows come as the driver's own tuples, made faster than a toolkit's, and few at once, to stay in a cache.

    Args:
        connection: To the database.
        schema: What the database offers.
        window: The day.
        left_out: Metadata ids of entities that cannot be activity.
    """
    whose = STATES.c.metadata_id
    chosen = sa.or_(whose.is_(None), whose.not_in(sorted(left_out))) if left_out else sa.true()
    # One value instead of two, as each costs time in every row; state ids may be of 32 bits, this number is of 64.
    number = STATES.c.state_id * sa.literal(_CAUSES, sa.BigInteger) + cause_of(schema)
    joined = _fetch_joined(connection, chosen, number, window) if connection.dialect.name in MYSQL else None
    if joined is not None:
        yield from joined
        return
    query = sa.select(number, whose, STATES.c.state, UPDATED).where(within(window), chosen)
    result = connection.execute(query.order_by(UPDATED, STATES.c.state_id))
    while rows := result.cursor.fetchmany(_CHUNK):
        yield list(zip(*rows, strict=True))


def _fetch_joined(
    connection: sa.Connection, chosen: sa.ColumnElement[bool], number: sa.ColumnElement[int], window: DayWindow
) -> list[list[Any]] | None:
    """Return the rows of each hour; None if the server cut one short.

    PyMySQL spends 10 µs on each row and more on each value, so MariaDB and MySQL join the values of an hour into one
    text a column. A statement for each hour needs no sorting on the server, which takes longer than the statements.
    """
    states = sa.func.replace(sa.func.coalesce(STATES.c.state, _NO_STATE), _NEXT_ROW, " ")
    values = (number, sa.func.coalesce(STATES.c.metadata_id, -1), UPDATED)
    texts = (*(sa.func.aggregate_strings(value, ",") for value in values), sa.func.aggregate_strings(states, _NEXT_ROW))
    connection.exec_driver_sql(f"SET SESSION group_concat_max_len = {_MAX_TEXT_BYTES:d}")
    hour = sa.and_(sa.bindparam("first") <= UPDATED, sa.bindparam("end") > UPDATED)
    query = sa.select(sa.func.count(), *texts).where(hour, chosen)
    portions = []
    for start in range(window.start, window.end, HOUR):
        bounds = {"first": start / SECOND, "end": min(start + HOUR, window.end) / SECOND}
        count, *joined = connection.execute(query, bounds).one()
        if count:
            portions.append(_split(*joined))
            if any(len(column) != count for column in portions[-1]):
                return None
    return portions


def _split(numbers: str, metadata_ids: str, seconds: str, states: str) -> list[Any]:
    """Return rows, given as one text a column and in any order, as columns in order of time."""
    number, at = np.fromstring(numbers, np.int64, sep=","), np.fromstring(seconds, np.float64, sep=",")
    texts = [None if state == _NO_STATE else state for state in states.split(_NEXT_ROW)]
    metadata_id = np.fromstring(metadata_ids, np.int64, sep=",")
    if not len(number) == len(metadata_id) == len(at) == len(texts):
        return [number, metadata_id, texts, at]
    order = np.lexsort((number, at))
    return [number[order], metadata_id[order].tolist(), [texts[place] for place in order.tolist()], at[order]]


class Columns:
    """Rows (state id, metadata id, state, seconds, cause) collected as columns.

    Args:
        code_of: The entity code of each metadata id.
    """

    def __init__(self, code_of: Mapping[int, int]) -> None:
        self._codes: defaultdict[int | None, int] = defaultdict(lambda: -1)
        self._codes.update(code_of.items())
        self._states: defaultdict[str | None, int] = defaultdict(lambda: len(self._states))
        self._parts: list[Rows] = []
        self._changes: set[tuple[int, int]] = set()

    def extend(self, rows: Sequence[Any], code: int | None = None) -> int:
        """Add rows.

        Args:
            rows: The rows.
            code: The code of their entity, where their metadata id does not give it.

        Returns:
            How many belong to no entity and are left out.
        """
        if not rows:
            return 0
        state_ids, metadata_ids, texts, seconds, causes = zip(*rows, strict=True)
        number = np.array(state_ids, np.int64) * _CAUSES + np.array(causes, np.int64)
        return self.extend_numbered(number, metadata_ids, texts, seconds, code=code)

    def extend_numbered(
        self,
        numbers: Sequence[int] | Integers,
        metadata_ids: Sequence[int | None],
        texts: Sequence[str | None],
        seconds: Sequence[float] | NDArray[np.float64],
        *,
        code: int | None = None,
    ) -> int:
        """Add rows as columns, with state id and cause in one number; see ``extend``."""
        count = len(texts)
        number = np.array(numbers, np.int64)
        if code is None:
            entity = np.fromiter(map(self._codes.__getitem__, metadata_ids), np.int32, count)
        else:
            entity = np.full(count, code, np.int32)
        found = Rows(
            number // _CAUSES,
            np.rint(np.fromiter(seconds, np.float64, count) * SECOND).astype(np.int64),
            entity,
            np.fromiter(map(self._states.__getitem__, texts), np.int32, count),
            (number % _CAUSES).astype(np.int8),
        )
        named = entity >= 0
        if named.all():
            self._parts.append(found)
            return 0
        self._parts.append(found.take(named))
        return len(named) - int(np.count_nonzero(named))

    def code_of(self, metadata_id: int | None) -> int:
        """Return the entity code of a metadata id; -1 if it belongs to no entity."""
        return self._codes[metadata_id]

    def mark_change(self, code: int, instant: int) -> None:
        """Mark that an entity changed to the state it has at an instant, though no earlier state is stored."""
        self._changes.add((code, instant))

    def entities(self) -> Codes:
        """Return the codes of the entities that have rows, ascending."""
        if not self._parts:
            return np.empty(0, np.int32)
        counts = np.bincount(np.concatenate([part.entity for part in self._parts]))
        return np.flatnonzero(counts).astype(np.int32)

    def instants(self) -> Instants:
        """Return the instants of all rows so far, ascending."""
        return (
            np.sort(np.concatenate([part.at for part in self._parts]), kind="stable")
            if self._parts
            else np.empty(0, np.int64)
        )

    def samples(
        self,
        entities: list[Description],
        known: KnownTime,
        caused: set[int],
        predecessors: Predecessors,
    ) -> tuple[Samples, int]:
        """Return all rows so far, and how many of them have a time that their order contradicts.

        Args:
            entities: What is known of each entity.
            known: Known time, and when the recorder started.
            caused: The state ids of what automations did.
            predecessors: Returns ``old_state_id`` of some rows.
        """
        rows = self._rows()
        if caused:
            by_automation = np.isin(rows.state_id, np.fromiter(caused, np.int64, len(caused)))
            rows.cause[by_automation] = AUTOMATION
        is_gap = np.array([not isinstance(text, str) or text in GAPS for text in self._states], np.bool_)
        if is_gap.any():
            rows.state[is_gap[rows.state]] = GAP
        rows, contradicted = in_written_order(rows, known.starts, predecessors)
        return (
            Samples(
                at=rows.at,
                entity=rows.entity,
                state=rows.state,
                cause=rows.cause,
                entities=entities,
                states=[text if isinstance(text, str) else "" for text in self._states],
                known=known.spans,
                starts=known.starts,
                is_change=self._is_change(rows.entity, rows.at),
            ),
            contradicted,
        )

    def _is_change(self, entity: Codes, at: Instants) -> Flags | None:
        if not self._changes:
            return None
        flags = np.zeros(len(at), np.bool_)
        for code, instant in self._changes:
            flags |= (entity == code) & (at == instant)
        return flags

    def _rows(self) -> Rows:
        if not self._parts:
            empty = np.empty(0, np.int64)
            return Rows(empty, empty, empty.astype(np.int32), empty.astype(np.int32), empty.astype(np.int8))
        return Rows(
            *(
                np.concatenate([getattr(part, name) for part in self._parts])
                for name in ("state_id", "at", "entity", "state", "cause")
            )
        )
