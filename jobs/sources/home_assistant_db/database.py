"""The recorder database as a source: schema 41 and later, on SQLite, MariaDB, MySQL or PostgreSQL.

A state row is a sample; a NULL or empty state is a removed entity. Rows are ordered by time, except where the order in
which they were written proves a clock wrong. All queries of one read see one snapshot.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from jobs.activity.building import Recording
from jobs.activity.entities import Description, Entity, EntityRules, Kind
from jobs.activity.events import DayLog
from jobs.activity.settling import SETTLING
from jobs.activity.window import HOUR, MINUTE, DayWindow, Instants, from_instant, midnight
from jobs.names import Names, make_names
from jobs.sources.home_assistant_db.causes import DOMAINS, batches, read_causes
from jobs.sources.home_assistant_db.classes import read_activity_between, read_readings, read_reclassified
from jobs.sources.home_assistant_db.columns import Columns
from jobs.sources.home_assistant_db.day_rows import fetch
from jobs.sources.home_assistant_db.directory import Directory, read_directory, read_friendly_names
from jobs.sources.home_assistant_db.earlier_rows import StateRow
from jobs.sources.home_assistant_db.first_rows import find_first_changes
from jobs.sources.home_assistant_db.opening import read_openings
from jobs.sources.home_assistant_db.row_times import MAX_SECONDS, RowTimes
from jobs.sources.home_assistant_db.runs import read_known_time, without_silences
from jobs.sources.home_assistant_db.schema import STATES, Schema, read_schema, within
from jobs.sources.home_assistant_db.unmigrated import Unmigrated, read_unmigrated, read_unmigrated_times
from jobs.sources.home_assistant_registry import NO_REGISTRY, read_registry
from storage.dates import ONE_DAY, DateRange
from storage.drivers import sql, sql_errors, sql_urls
from storage.drivers.time_limits import TIMEOUT_SECONDS
from storage.errors import SourceCorrupt, SourceError, SourceUnavailable

MAX_SILENCE_HOURS: Final = 6.0  # how long nothing at all may be recorded with the time in between known, at most

Clock = Callable[[], dt.datetime]
_ERRORS = sql_errors.ErrorClasses(SourceUnavailable, SourceCorrupt, SourceError)


class HomeAssistantDatabase:
    """An ``EventSource`` over a recorder database.

    Args:
        url: Any SQLAlchemy URL of it.
        zone: The home's zone.
        rules: How entities are classified.
        registry_dir: Home Assistant's ``.storage`` folder, for areas and devices; None if it is not available.
        clock: Returns the present instant; later rows and runs are ignored. Without a clock, none is.
        max_silence_hours: A longer silence of all entities is not known time; see ``runs`` for shorter ones. Infinite:
            every silence within a run is known time.
        timeout_seconds: How long a server may take to answer one statement.

    Raises:
        SettingsError: The URL is not valid, or the registries cannot be read.
    """

    def __init__(
        self,
        url: str,
        zone: ZoneInfo,
        rules: EntityRules,
        registry_dir: Path | None = None,
        clock: Clock | None = None,
        *,
        max_silence_hours: float = MAX_SILENCE_HOURS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        parsed = sql_urls.parse_url(url, "source.url")
        self._name = f"recorder database {parsed.set(query={}).render_as_string()}"
        self._file = sql_urls.sqlite_file(parsed)
        self._engine = sql.reading_engine(parsed, timeout_seconds, setting="source.url")
        self._skips_invalid_text = False
        self._zone = zone
        self._clock = clock
        self._rules = rules
        self._registry = read_registry(registry_dir) if registry_dir is not None else NO_REGISTRY
        self._max_silence_hours = max_silence_hours
        self._schema: Schema | None = None

    def close(self) -> None:
        """See ``EventSource.close``."""
        self._engine.dispose()

    def names(self) -> Names:
        """See ``NamesEntities.names``: from the entities' newest rows."""
        with self._connection() as (connection, _):
            return make_names(read_friendly_names(connection), {})

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        try:
            return self._read(window)
        except SourceCorrupt as error:
            if self._skips_invalid_text or not sql_errors.is_undecodable(error):
                raise
        sql.skip_invalid_text(self._engine)
        self._skips_invalid_text = True
        return self._read(window)

    def _read(self, window: DayWindow) -> DayLog:
        with self._connection() as (connection, schema):
            return self._read_in(connection, schema, window)

    def _read_in(
        self,
        connection: sa.Connection,
        schema: Schema,
        window: DayWindow,
        activity_between: Mapping[str, Description] | None = None,
    ) -> DayLog:
        """Read a day in one snapshot; twice if sensors turn out to be activity between the ends of the day only."""
        rows = self._row_times(connection, schema)
        wrongly_dated = rows.count_wrongly_dated()
        unmigrated = read_unmigrated(connection, schema, window)
        directory = read_directory(connection, window.end, self._registry, filter(None, unmigrated.rows))
        reclassified = read_reclassified(connection, window, directory, self._registry.descriptions, self._rules)
        if activity_between is not None:
            codes = {about.entity_id: code for code, about in enumerate(directory.entities)}
            reclassified |= {codes[one]: about for one, about in activity_between.items() if one in codes}
        directory = directory.redescribed(reclassified)
        followed = self._followed(directory)
        columns = Columns(directory.code_of)
        known = read_known_time(connection, rows)
        entities = {number: followed[code] for number, code in directory.code_of.items() if code in followed}
        complete = self._read_openings(connection, window, entities, known.starts, columns)
        nameless = self._read_day(connection, schema, window, directory, followed, columns)
        if activity_between is None and (words := set(columns.entities().tolist()) - set(followed)):
            between = read_activity_between(
                connection, window, directory, self._registry.descriptions, self._rules, codes=words
            )
            if between:
                return self._read_in(connection, schema, window, {about.entity_id: about for about in between.values()})
        _add_unmigrated(unmigrated, directory, followed, columns)
        nameless -= unmigrated.nameless_in_day
        oldest = rows.first()
        if oldest is not None:
            unopened = {code for code in columns.entities().tolist() if code in followed and complete.get(code, True)}
            numbers = directory.metadata_ids(unopened)
            for code, instant in find_first_changes(connection, numbers, known.starts, oldest):
                columns.mark_change(code, instant)
        if math.isfinite(self._max_silence_hours):
            day, max_silence = (window.start, window.end), round(self._max_silence_hours * HOUR)
            known = without_silences(known, rows, day, columns.instants(), max_silence)
        causes = _read_causes(connection, schema, window, directory, unmigrated, columns)
        sensors = [code for code, entity in followed.items() if entity.domain == "sensor"]
        mixed = columns.of_mixed_entities(sensors, certain=reclassified)
        readings = read_readings(connection, mixed, directory.entities, self._registry.descriptions, self._rules)
        not_text = columns.count_not_text(window.start)
        samples, contradicted = columns.samples(
            directory.entities, known, causes, lambda ids: _predecessors(connection, ids), readings
        )
        total = connection.execute(sa.select(sa.func.count()).where(within(window))).scalar_one()
        notices = [*directory.notices, *known.notices]
        notices += ["texts that are not valid UTF-8 were read as not known"] * self._skips_invalid_text
        notices += _notices_of(
            {
                "rows belong to no entity": nameless,
                "states are not texts of at most 255 characters and were read as not known": not_text,
                "rows have no time that can be read": unmigrated.timeless,
                "rows are dated before 2013 or in the future": wrongly_dated,
                "rows left out: the clock was set back, rows written after them are dated earlier": contradicted,
            }
        )
        log = Recording.of(samples, self._rules).day(window, notices)
        return replace(log, samples=total + unmigrated.in_day, keys=directory.keys, numbers=directory.numbers)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``: rows and their ids within the day, and the time its runs vouch for."""
        with self._connection() as (connection, schema):
            known = read_known_time(connection, self._row_times(connection, schema))
            ids = STATES.c.state_id
            rows = connection.execute(
                sa.select(sa.func.count(), sa.func.min(ids), sa.func.max(ids)).where(within(window))
            ).one()
        clipped = np.clip(known.spans, window.start, window.end).tolist()
        return hashlib.blake2b(repr((tuple(rows), clipped)).encode(), digest_size=8).hexdigest()

    def newest_row(self) -> dt.datetime | None:
        """See ``DatesNewestRow.newest_row``."""
        with self._connection() as (connection, schema):
            newest = self._row_times(connection, schema).last_before()
        return None if newest is None else from_instant(newest)

    def span(self) -> DateRange | None:
        """See ``EventSource.span``."""
        with self._connection() as (connection, schema):
            rows = self._row_times(connection, schema)
            known = read_known_time(connection, rows)
            began_at = rows.recording_began_at()
        spans = known.spans if began_at is None else known.spans[known.spans[:, 1] > began_at]
        if not len(spans) or began_at is None:
            return None
        first_at = max(int(spans[0, 0]), began_at - SETTLING)
        first = self._day_of(first_at)
        opened = midnight(first, self._zone)
        began_that_day = bool(np.any((known.starts >= opened) & (known.starts <= first_at + SETTLING)))
        if not began_that_day and first_at - opened > 15 * MINUTE:
            first += ONE_DAY  # its earlier hours are purged
        last = self._day_of(int(spans[-1, 1]))
        if midnight(last + ONE_DAY, self._zone) - int(spans[-1, 1]) > HOUR:
            last -= ONE_DAY  # it is not over yet
        return DateRange(first, last) if first <= last else None

    @contextmanager
    def _connection(self) -> Iterator[tuple[sa.Connection, Schema]]:
        if self._file is not None and not self._file.is_file():
            raise SourceUnavailable(
                f"recorder database {self._file} does not exist",
                hint="Correct source.url; Home Assistant keeps it as home-assistant_v2.db in its configuration folder.",
            )
        with sql.transaction(self._engine, _ERRORS, self._name) as connection:
            if self._schema is None:
                self._schema = read_schema(connection, self._name)
            yield connection, self._schema

    def _row_times(self, connection: sa.Connection, schema: Schema) -> RowTimes:
        now = MAX_SECONDS if self._clock is None else self._clock().timestamp()
        return RowTimes(connection, now, read_unmigrated_times(connection, schema))

    def _day_of(self, instant: int) -> dt.date:
        return from_instant(instant).astimezone(self._zone).date()

    def _followed(self, directory: Directory) -> dict[int, Entity]:
        """Return the entities that may be activity, by their code."""
        entities = {code: self._rules.classify(about) for code, about in enumerate(directory.entities)}
        return {code: entity for code, entity in entities.items() if entity.kind is Kind.ACTIVITY}

    @staticmethod
    def _read_openings(
        connection: sa.Connection,
        window: DayWindow,
        entities: Mapping[int, Entity],
        starts: Instants,
        columns: Columns,
    ) -> dict[int, bool]:
        """Add the rows in which each entity's day opens; return for each whether they begin with its very first row."""
        complete: dict[int, bool] = {}
        rows: list[StateRow] = []
        for chain in read_openings(connection, window.start, lambda number: entities.get(number or 0), starts):
            rows += chain.rows
            code = columns.code_of(chain.rows[0].metadata_id)
            complete[code] = complete.get(code, True) and chain.complete
        columns.extend(rows)
        return complete

    def _read_day(  # noqa: PLR0917 - what one read has found so far
        self,
        connection: sa.Connection,
        schema: Schema,
        window: DayWindow,
        directory: Directory,
        followed: Collection[int],
        columns: Columns,
    ) -> int:
        """Add the day's rows, of entities that cannot be activity only some; return how many have no entity."""
        left_out = {number: code for number, code in directory.code_of.items() if code not in followed}
        nameless = sa.select(sa.func.count()).where(within(window), STATES.c.metadata_id.is_(None))
        without_id: int = connection.execute(nameless).scalar_one()
        readings = [number for number, code in left_out.items() if self._is_reading(directory.entities[code])]
        rows = fetch(connection, schema, window, left_out, readings)
        return without_id + sum(columns.extend_day(some) for some in rows)

    def _is_reading(self, about: Description) -> bool:
        """Return whether an entity is a sensor that is a reading by its description, which may change within a day."""
        return about.entity_id.startswith("sensor.") and self._rules.classify(about).kind is Kind.READING


def _add_unmigrated(unmigrated: Unmigrated, directory: Directory, followed: Collection[int], columns: Columns) -> None:
    codes = {about.entity_id: code for code, about in enumerate(directory.entities)}
    for entity_id, rows in unmigrated.rows.items():
        if entity_id:
            if codes[entity_id] in followed:
                columns.extend(rows, codes[entity_id])
        else:
            columns.extend([row for row in rows if directory.code_of.get(row.metadata_id or 0) in followed])


def _read_causes(  # noqa: PLR0917 - what one read has found so far
    connection: sa.Connection,
    schema: Schema,
    window: DayWindow,
    directory: Directory,
    unmigrated: Unmigrated,
    columns: Columns,
) -> dict[int, int]:
    """Return what the automations, scripts and scenes of a home have caused, by state id."""
    machines = {
        number for number, code in directory.code_of.items() if directory.entities[code].entity_id.startswith(DOMAINS)
    }
    contexts = {
        context
        for entity_id, number, context in unmigrated.contexts
        if entity_id.startswith(DOMAINS) or number in machines
    }
    return read_causes(connection, schema, window, machines, unresolved=columns.unresolved(), contexts=contexts)


def _notices_of(counts: Mapping[str, int]) -> list[str]:
    """Return a sentence for each kind of fault in the rows that was found at all."""
    return [f"{count} {what}" for what, count in counts.items() if count]


def _predecessors(connection: sa.Connection, state_ids: list[int]) -> dict[int, int | None]:
    found: dict[int, int | None] = {}
    for some in batches(state_ids):
        query = sa.select(STATES.c.state_id, STATES.c.old_state_id).where(STATES.c.state_id.in_(some))
        found |= {row.state_id: row.old_state_id for row in connection.execute(query)}
    return found
