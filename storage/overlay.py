"""Stored aggregates together with the rows that are staged in the ledger: what a history detector reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TypeVar

from storage.backends.memory import MemoryStore
from storage.batch import DetectorDay
from storage.column_reader import Columns, columns_of, ordered_by_day, read_columns
from storage.columns import HOME
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
        self._staged = MemoryStore((row for finding in staged for row in (finding.run, *finding.rows)), home=None)
        self._hidden = {(finding.model.measurement, finding.run.home, finding.run.date) for finding in staged}
        self._hidden_runs = {(finding.run.detector, finding.run.home, finding.run.date) for finding in staged}

    def read(self, model: type[A], days: DateRange, where: Where = NO_FILTER) -> list[A]:
        """See ``AggregateReader.read``."""
        rows = [row for row in self._written.read(model, days, where) if not self._is_hidden(row)]
        rows += self._staged.read(model, days, where)
        return sorted(rows, key=lambda row: (row.date, row.home, row.key()))

    def read_columns(
        self, model: type[DailyAggregate], names: Sequence[str], days: DateRange, where: Where = NO_FILTER
    ) -> Columns:
        """See ``ColumnReader.read_columns``."""
        if model is DetectorRunDaily:  # a day has runs of several detectors, of which some may be staged
            return columns_of(self.read(model, days, where), names)
        hidden = {(home, day) for name, home, day in self._hidden if name == model.measurement and day in days}
        if not hidden:
            return read_columns(self._written, model, names, days, where)
        dated = tuple(dict.fromkeys((*names, "date", HOME)))
        written = read_columns(self._written, model, dated, days, where)
        kept = [of_day not in hidden for of_day in zip(written[HOME], written["date"], strict=True)]
        staged = columns_of(self._staged.read(model, days, where), dated)
        both = ordered_by_day({name: [*compress(written[name], kept), *staged[name]] for name in dated})
        return {name: both[name] for name in names}

    def _is_hidden(self, row: DailyAggregate) -> bool:
        if isinstance(row, DetectorRunDaily):
            return (row.detector, row.home, row.date) in self._hidden_runs
        return (row.measurement, row.home, row.date) in self._hidden

    def summarize(
        self,
        model: type[DailyAggregate],
        days: DateRange,
        fields: Fields,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
    ) -> list[Summary]:
        """See ``AggregateReader.summarize``; computed here, because the rows are in two places."""
        return MemoryStore(self.read(model, days, where), home=None).summarize(model, days, fields, by)
