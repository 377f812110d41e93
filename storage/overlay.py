"""Stored aggregates together with the rows that are staged in the ledger: what a history detector reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TypeVar

from storage.backends.memory import MemoryStore
from storage.batch import DetectorDay
from storage.column_reader import Columns, columns_of, ordered_by_date, read_columns
from storage.dates import DateRange
from storage.models import DailyAggregate, DetectorRunDaily
from storage.store import NO_FILTER, AggregateReader, Fields, Summary, Where

A = TypeVar("A", bound=DailyAggregate)


class OverlaidReader:
    """An ``AggregateReader`` that returns staged days as if they had been written.

    Args:
        written: The store.
        staged: Findings that are not written yet; they replace what is written of the same day and measurement.
    """

    def __init__(self, written: AggregateReader, staged: Iterable[DetectorDay]) -> None:
        self._written = written
        staged = tuple(staged)
        self._staged = MemoryStore(row for finding in staged for row in (finding.run, *finding.rows))
        self._hidden = {(finding.model.measurement, finding.run.date) for finding in staged}
        self._hidden_runs = {(finding.run.detector, finding.run.date) for finding in staged}

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        rows = [row for row in self._written.read(model, days, where) if not self._is_hidden(row)]
        rows += self._staged.read(model, days, where)
        return sorted(rows, key=lambda row: (row.date, row.key()))

    def read_columns(
        self, model: type[DailyAggregate], names: Sequence[str], days: DateRange, where: Where = NO_FILTER
    ) -> Columns:
        """See ``ColumnReader.read_columns``."""
        if model is DetectorRunDaily:  # a day has runs of several detectors, of which some may be staged
            return columns_of(self.read(model, days, where), names)
        hidden = {day for measurement, day in self._hidden if measurement == model.measurement and day in days}
        if not hidden:
            return read_columns(self._written, model, names, days, where)
        dated = tuple(dict.fromkeys((*names, "date")))
        written = read_columns(self._written, model, dated, days, where)
        kept = [day not in hidden for day in written["date"]]
        staged = columns_of(self._staged.read(model, days, where), dated)
        both = ordered_by_date({name: [*compress(written[name], kept), *staged[name]] for name in dated})
        return {name: both[name] for name in names}

    def _is_hidden(self, row: DailyAggregate) -> bool:
        if isinstance(row, DetectorRunDaily):
            return (row.detector, row.date) in self._hidden_runs
        return (row.measurement, row.date) in self._hidden

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``; computed here, because the rows are in two places."""
        return MemoryStore(self.read(model, days, where)).summarize(model, days, fields, by)
