"""Rows as they come from the database, turned into samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.activity.entities import Description
from jobs.activity.events import DEVICE, GAP, Codes, Flags, Samples
from jobs.activity.states import GAPS, is_measured
from jobs.activity.window import SECOND, Instants
from jobs.sources.home_assistant_db.causes import UNRESOLVED
from jobs.sources.home_assistant_db.day_rows import MAX_METADATA_ID, DayRows
from jobs.sources.home_assistant_db.earlier_rows import StateRow
from jobs.sources.home_assistant_db.row_order import Integers, Predecessors, Rows, in_written_order
from jobs.sources.home_assistant_db.runs import KnownTime
from jobs.sources.home_assistant_db.schema import MAX_STATE_LENGTH, TOO_LONG


class _StateCodes(dict[Any, int]):
    """The code of each state; all that are too long have one, so that they are not kept."""

    def __missing__(self, text: object) -> int:
        if isinstance(text, str) and len(text) > MAX_STATE_LENGTH:
            return self[TOO_LONG]
        return self.setdefault(text, len(self))


class Columns:
    """Rows collected as columns.

    Args:
        code_of: The entity code of each metadata id.
    """

    def __init__(self, code_of: Mapping[int, int]) -> None:
        self._codes: defaultdict[int | None, int] = defaultdict(lambda: -1)
        self._codes.update(code_of.items())
        few = {metadata_id: code for metadata_id, code in code_of.items() if 0 <= metadata_id <= MAX_METADATA_ID}
        self._table = np.full(max(few, default=0) + 1, -1, np.int32)
        self._table[list(few)] = list(few.values())
        self._states = _StateCodes()
        self._parts: list[Rows] = []
        self._changes: set[tuple[int, int]] = set()

    def extend(self, rows: Sequence[StateRow], code: int | None = None) -> None:
        """Add rows; those of no entity are left out.

        Args:
            rows: The rows.
            code: The code of their entity, where their metadata id does not give it.
        """
        if not rows:
            return
        state_ids, metadata_ids, texts, seconds, causes = zip(*rows, strict=True)
        entity = self._codes_of(metadata_ids) if code is None else np.full(len(rows), code, np.int32)
        at = np.rint(np.array(seconds, np.float64) * SECOND).astype(np.int64)
        self._add(np.array(state_ids, np.int64), at, entity, texts, np.array(causes, np.int8))

    def extend_day(self, rows: DayRows) -> int:
        """Add rows of a day; return how many belong to no entity and are left out."""
        return self._add(rows.state_id, rows.at, self._codes_of(rows.metadata_id), rows.texts, rows.cause)

    def _add(
        self, state_id: Integers, at: Instants, entity: Codes, texts: Sequence[str | None], cause: NDArray[np.int8]
    ) -> int:
        state = np.fromiter(map(self._states.__getitem__, texts), np.int32, len(texts))
        found = Rows(state_id, at, entity, state, cause)
        named = entity >= 0
        if named.all():
            self._parts.append(found)
            return 0
        self._parts.append(found.take(named))
        return len(named) - int(np.count_nonzero(named))

    def _codes_of(self, metadata_ids: Sequence[int | None] | Integers) -> Codes:
        if not isinstance(metadata_ids, np.ndarray):
            return np.fromiter(map(self._codes.__getitem__, metadata_ids), np.int32, len(metadata_ids))
        known = metadata_ids < len(self._table)
        if known.all():
            return self._table[metadata_ids]
        return np.where(known, self._table[np.where(known, metadata_ids, 0)], np.int32(-1))

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

    def count_not_text(self, since: int) -> int:
        """Return how many states since an instant are not texts, or too long: SQLite may hold anything in a column."""
        codes = [code for text, code in self._states.items() if not isinstance(text, str | None) or text == TOO_LONG]
        return sum(int(np.count_nonzero(np.isin(part.state[part.at >= since], codes))) for part in self._parts if codes)

    def unresolved(self) -> list[int]:
        """Return the state ids of the rows whose cause is not known before their context is compared."""
        return [number for part in self._parts for number in part.state_id[part.cause == UNRESOLVED].tolist()]

    def of_mixed_entities(self, codes: Collection[int], certain: Collection[int] = ()) -> dict[int, list[int]]:
        """Return the state ids of the rows of those entities that have words as well as numbers or times as states.

        Args:
            codes: The entities to look at.
            certain: Those of them that count whatever their states are.
        """
        rows = self._rows()
        texts = list(self._states)
        found = {}
        for code in codes:
            of_one = rows.entity == code
            states = [texts[state] for state in np.unique(rows.state[of_one]).tolist()]
            measured = {is_measured(text) for text in states if isinstance(text, str) and text not in GAPS}
            if len(measured) > 1 or code in certain:
                found[code] = rows.state_id[of_one].tolist()
        return found

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
        causes: Mapping[int, int],
        predecessors: Predecessors,
        readings: Collection[int] = (),
    ) -> tuple[Samples, int]:
        """Return all rows, which are not kept, and how many of them have a time that their order contradicts.

        Args:
            entities: What is known of each entity.
            known: Known time, and when the recorder started.
            causes: The causes, by state id, that rows do not show themselves.
            predecessors: Returns ``old_state_id`` of some rows.
            readings: The state ids of rows that are not known, because their entity was a reading then.
        """
        rows = self._rows()
        self._parts = []
        if causes:
            ids = np.array(sorted(causes), np.int64)
            chosen = np.flatnonzero(np.isin(rows.state_id, ids))
            found = np.array([causes[number] for number in ids.tolist()], np.int8)
            rows.cause[chosen] = found[np.searchsorted(ids, rows.state_id[chosen])]
        rows.cause[rows.cause == UNRESOLVED] = DEVICE
        is_gap = np.array(
            [not isinstance(text, str) or text in GAPS or text == TOO_LONG for text in self._states], np.bool_
        )
        if is_gap.any():
            rows.state[is_gap[rows.state]] = GAP
        if readings:
            rows.state[np.isin(rows.state_id, np.fromiter(readings, np.int64, len(readings)))] = GAP
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
