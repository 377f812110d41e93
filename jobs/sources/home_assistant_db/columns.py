"""Rows as they come from the database, turned into samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from jobs.activity.entities import Description
from jobs.activity.events import AUTOMATION, GAP, Codes, Flags, Samples
from jobs.activity.states import GAPS
from jobs.activity.window import SECOND, Instants
from jobs.sources.home_assistant_db.row_order import Predecessors, Rows, in_written_order
from jobs.sources.home_assistant_db.runs import KnownTime

_CHUNK: Final = 500  # rows asked of the driver at once


def fetch(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Yield rows as the driver's own tuples, made faster than a toolkit's; few at once, to stay in a cache."""
    result = connection.execute(query)
    while rows := result.cursor.fetchmany(_CHUNK):
        yield rows


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
        """Take rows.

        Args:
            rows: Them.
            code: Whose they are, where their metadata id does not say so.

        Returns:
            How many belong to no entity and are left out.
        """
        if not rows:
            return 0
        state_ids, metadata_ids, texts, seconds, causes = zip(*rows, strict=True)
        if code is None:
            entity = np.array(list(map(self._codes.__getitem__, metadata_ids)), np.int32)
        else:
            entity = np.full(len(rows), code, np.int32)
        found = Rows(
            np.array(state_ids, np.int64),
            np.rint(np.array(seconds, np.float64) * SECOND).astype(np.int64),
            entity,
            np.array(list(map(self._states.__getitem__, texts)), np.int32),
            np.array(causes, np.int8),
        )
        named = entity >= 0
        if named.all():
            self._parts.append(found)
            return 0
        self._parts.append(found.take(named))
        return len(rows) - int(np.count_nonzero(named))

    def code_of(self, metadata_id: int | None) -> int:
        """Return the entity code of a metadata id; -1 if it belongs to no entity."""
        return self._codes[metadata_id]

    def mark_change(self, code: int, instant: int) -> None:
        """Note that an entity changed to the state it has at an instant, though no earlier state is kept."""
        self._changes.add((code, instant))

    def entities(self) -> Codes:
        """Return the codes of the entities that have rows, ascending."""
        return (
            np.unique(np.concatenate([part.entity for part in self._parts])) if self._parts else np.empty(0, np.int32)
        )

    def first_at(self, default: int) -> int:
        """Return the instant of the earliest row, or a default that is earlier."""
        return min([default, *(int(part.at.min()) for part in self._parts if len(part.at))])

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
            predecessors: Gives ``old_state_id`` of some rows.
        """
        rows = self._rows()
        if caused:
            by_automation = np.isin(rows.state_id, np.fromiter(caused, np.int64, len(caused)))
            rows.cause[by_automation] = AUTOMATION
        is_gap = np.array([text is None or text in GAPS for text in self._states], np.bool_)
        rows.state[is_gap[rows.state] if len(rows.state) else []] = GAP
        rows, contradicted = in_written_order(rows, known.starts, predecessors)
        return (
            Samples(
                at=rows.at,
                entity=rows.entity,
                state=rows.state,
                cause=rows.cause,
                entities=entities,
                states=[text or "" for text in self._states],
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
