"""Aggregates for other programs: the module that rollups import.

::

    from storage.query import TimeBasedDaily, open_query

    with open_query() as aggregates:  # the job's own settings, or open_query(url="sqlite:///...")
        rows = aggregates.daily(TimeBasedDaily, "2026-11-01", "2026-11-07", entity_id="light.kitchen")
        weekly = aggregates.summarize(
            TimeBasedDaily, "2026-11-01", "2026-11-07", by=["entity_id"], occurrences="sum", confidence="mean"
        )

Three answers are kept apart: nothing found is an empty list, not computed raises ``DaysMissing``, and a store that
cannot be reached raises ``StoreUnavailable``. Importing this module loads no database driver.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar

from storage.connect import open_store
from storage.dates import DateRange
from storage.errors import DaysMissing, StoreMissing, StoreUnavailable, UsageError
from storage.models import (
    AGGREGATES,
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    Severity,
    TimeBasedDaily,
)
from storage.settings import SqlStoreSettings, StoreSettings, store_settings
from storage.settings_file import load_document
from storage.store import NO_FILTER, AggregateStore, Function, Summary, Where

__all__ = [
    "AggregateQuery",
    "AnomalyDaily",
    "CoOccurrenceDaily",
    "Completeness",
    "DailyAggregate",
    "DateRange",
    "DaysMissing",
    "DetectorRunDaily",
    "DurationDaily",
    "RoomBasedDaily",
    "SequenceDaily",
    "Severity",
    "State",
    "StoreMissing",
    "StoreUnavailable",
    "Summary",
    "TimeBasedDaily",
    "UsageError",
    "open_query",
    "to_json",
]

A = TypeVar("A", bound=DailyAggregate)
Day = str | dt.date


class State(StrEnum):
    """What a reader may conclude about one day and detector."""

    WRITTEN = "written"  # there are rows
    EMPTY = "empty"  # judged, and nothing found: ``reason`` says why
    MISSING = "missing"  # not computed, or no longer kept


@dataclass(frozen=True, slots=True)
class Completeness:
    """Whether one detector has judged one day.

    Attributes:
        day: The local calendar day.
        detector: The registered name.
        state: Written, empty or missing.
        rows: How many rows were found.
        reason: What the detector said; empty where nothing was computed.
        known_share: How much of the day the source knew about, 0 to 1.
    """

    day: dt.date
    detector: str
    state: State
    rows: int = 0
    reason: str = ""
    known_share: float = 0.0


class AggregateQuery(AbstractContextManager["AggregateQuery"]):
    """Questions to a store. Safe to use from several threads.

    Args:
        store: Where the aggregates lie; closed by ``close``.
    """

    def __init__(self, store: AggregateStore) -> None:
        self._store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back connections. Safe to repeat."""
        self._store.close()

    def daily(
        self, model: type[A], first: Day, last: Day, *, allow_missing: bool = False, **tags: str | Collection[str]
    ) -> list[A]:
        """The rows of one aggregate over a range of days, ordered by date and tags.

        Args:
            model: Which aggregate.
            first: The first day, as a date or ``YYYY-MM-DD``.
            last: The last day, included.
            allow_missing: Take what is there, even if some of the days were never computed.
            **tags: For any tag of the model, its value or several values.

        Raises:
            DaysMissing: Some of the days were never computed.
            UsageError: A date or tag that is none.
            StoreUnavailable: The store cannot be reached now.
        """
        days = DateRange.parse(first, last)
        rows = self._store.read(model, days, tags)
        if not allow_missing:
            self._refuse_missing(model, days)
        return rows

    def summarize(
        self,
        model: type[DailyAggregate],
        first: Day,
        last: Day,
        *,
        by: Sequence[str] = (),
        where: Where = NO_FILTER,
        allow_missing: bool = False,
        **fields: Function,
    ) -> list[Summary]:
        """A function over fields, by groups, computed in the store.

        Args:
            model: Which aggregate.
            first: The first day.
            last: The last day, included.
            by: Tags, and ``date``, that make the groups.
            where: For any tag, its value or several.
            allow_missing: Take what is there.
            **fields: ``sum``, ``mean``, ``count``, ``min`` or ``max`` for each field.

        Raises:
            DaysMissing: Some of the days were never computed.
            UsageError: A name or function that does not fit the model.
            StoreUnavailable: The store cannot be reached now.
        """
        days = DateRange.parse(first, last)
        summaries = self._store.summarize(model, days, fields, by, where)
        if not allow_missing:
            self._refuse_missing(model, days)
        return summaries

    def involving(self, entities: str | Iterable[str], first: Day, last: Day) -> list[DailyAggregate]:
        """Every stored row of the six kinds that is about an entity: its own, pairs on either side, sequences, rooms.

        Days that were never computed are passed over; ask ``completeness`` about them.

        Args:
            entities: One entity id, or several (a device's).
            first: The first day.
            last: The last day, included.
        """
        days = DateRange.parse(first, last)
        sought = {entities} if isinstance(entities, str) else set(entities)
        found: list[DailyAggregate] = []
        for model in AGGREGATES:
            by_entity = "entity_id" in model.tags()
            where: Where = {"entity_id": sought} if by_entity else NO_FILTER
            found += (row for row in self._store.read(model, days, where) if not sought.isdisjoint(row.entities()))
        return sorted(found, key=lambda row: row.date)

    def completeness(self, first: Day, last: Day) -> list[Completeness]:
        """For each day and detector whether it was computed and what came of it, ordered by day and detector.

        Detectors are the six of this project and any other that has judged one of the days.
        """
        days = DateRange.parse(first, last)
        runs = {(run.date, run.detector): run for run in self._store.read(DetectorRunDaily, days)}
        detectors = sorted({_detector(model) for model in AGGREGATES} | {detector for _, detector in runs})
        found = []
        for day in days:
            for detector in detectors:
                run = runs.get((day, detector))
                if run is None:
                    found.append(Completeness(day, detector, State.MISSING))
                    continue
                known = run.known_seconds / run.day_seconds if run.day_seconds else 1.0
                state = State.WRITTEN if run.rows else State.EMPTY
                found.append(Completeness(day, detector, state, run.rows, run.reason, known))
        return found

    def _refuse_missing(self, model: type[DailyAggregate], days: DateRange) -> None:
        if model is DetectorRunDaily:
            return
        detector = _detector(model)
        judged = {run.date for run in self._store.read(DetectorRunDaily, days, {"detector": detector})}
        missing = [day for day in days if day not in judged]
        if missing:
            raise DaysMissing(detector, missing)


def _detector(model: type[DailyAggregate]) -> str:
    return model.measurement.removesuffix("_daily")


def open_query(url: str | None = None, *, config: str | Path | None = None) -> AggregateQuery:
    """Open the store for reading.

    Args:
        url: A database URL, ``sqlite:///folder/file.db`` for a file; else the job's own settings decide.
        config: The configuration file; else ``PATTERN_AGGREGATES_CONFIG``, else ``config/default.toml``.

    Raises:
        StoreMissing: There is no such store: an error, never an empty answer.
        SettingsError: The settings cannot work.
        StoreUnavailable: The store cannot be reached now.
    """
    settings: StoreSettings
    if url is not None:
        settings = SqlStoreSettings(url=url)
    else:
        settings = store_settings(load_document(Path(config) if config is not None else None))
    return AggregateQuery(open_store(settings, read_only=True))


def to_json(rows: Iterable[DailyAggregate]) -> str:
    """Rows as a JSON list of objects: keys exactly the model's fields, lists and dicts as JSON, ``date`` as text."""
    return json.dumps([row.model_dump(mode="json") for row in rows], ensure_ascii=False)
