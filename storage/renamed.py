"""Stored aggregates under the present names of entities that were renamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from storage.backends.memory import MemoryStore
from storage.column_reader import Columns, columns_of, read_columns
from storage.dates import DateRange
from storage.models import DailyAggregate
from storage.store import NO_FILTER, AggregateReader, Fields, Summary, Where

A = TypeVar("A", bound=DailyAggregate)
_FIELD = "entity_id"


def under_present_name(row: A, renames: Mapping[str, str]) -> A:
    """Return a row under the present name of its entity, by ``renames`` of ``RenamedReader``."""
    name = renames.get(getattr(row, _FIELD, ""))
    return row if name is None else row.model_copy(update={_FIELD: name})


class RenamedReader:
    """An ``AggregateReader`` that returns the rows of a former name under the present one.

    Args:
        stored: What is read.
        renames: The present name of each entity that was renamed, by its former names.
    """

    def __init__(self, stored: AggregateReader, renames: Mapping[str, str]) -> None:
        self._stored = stored
        self._renames = renames

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``; a row under the present name replaces one of the same day under a former."""
        if not self._renames or _FIELD not in model.model_fields:
            return self._stored.read(model, days, where)
        rows = self._stored.read(model, days, {name: value for name, value in where.items() if name != _FIELD})
        present = [row for row in rows if getattr(row, _FIELD) not in self._renames]
        keys = {(row.date, row.home, row.key()) for row in present}
        for row in rows:
            if getattr(row, _FIELD) in self._renames:
                renamed = under_present_name(row, self._renames)
                if (renamed.date, renamed.home, renamed.key()) not in keys:
                    present.append(renamed)
        return MemoryStore(present, home=None).read(model, days, where)

    def read_columns(
        self, model: type[DailyAggregate], names: Sequence[str], days: DateRange, where: Where = NO_FILTER
    ) -> Columns:
        """See ``ColumnReader.read_columns``; where a former name is among the rows, they are read whole."""
        if not self._renames or _FIELD not in model.model_fields:
            return read_columns(self._stored, model, names, days, where)
        if _FIELD not in where:
            found = read_columns(self._stored, model, tuple(dict.fromkeys((*names, _FIELD))), days, where)
            if self._renames.keys().isdisjoint(found[_FIELD]):
                return {name: found[name] for name in names}
        return columns_of(self.read(model, days, where), names)

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``; computed here, because names are joined first."""
        return MemoryStore(self.read(model, days, where), home=None).summarize(model, days, fields, by)
