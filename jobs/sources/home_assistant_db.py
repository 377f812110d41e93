"""Raw events from Home Assistant's recorder database, today's schema (43 and later), read-only while it is written to.

A state row is a sample; a NULL or empty state is a removed entity. ``recorder_runs`` is the known time: a run that
was not closed properly ends with its last row, the one that is going on is known up to its last row, and rows from
before the first run kept (runs are purged earlier than rows) are known from the first to the last of them. Rows are
ordered by time, not by id. For the states in which a day opens, each entity's rows are followed back until it is
certain when its state began.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from jobs.activity.building import Recording
from jobs.activity.entities import Description, EntityRules, Kind
from jobs.activity.events import AUTOMATION, DEVICE, GAP, USER, DayLog, Samples, Spans
from jobs.activity.settling import SETTLING
from jobs.activity.spans import union
from jobs.activity.states import GAPS
from jobs.activity.tracing import SHORT_GAP
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow, Instants, from_instant, midnight, to_instant
from jobs.sources.home_assistant_registry import described, read_registry
from storage.dates import ONE_DAY, DateRange
from storage.drivers import sql
from storage.errors import SourceCorrupt, SourceError, SourceMismatch, SourceUnavailable
from storage.models import tag_fault

OLDEST_SCHEMA: Final = (
    43  # 2024.4: the first whose rows have all the columns read here, and no dead ones in their place
)
NEWEST: Final = 2.2e11  # seconds: the year 8941, before which every instant fits everywhere
CHUNK: Final = 500
FARTHEST: Final = 20_000  # how many rows of one entity are followed back at most

Clock = Callable[[], dt.datetime]
_ERRORS = sql.ErrorClasses(SourceUnavailable, SourceCorrupt, SourceError)
_NEEDED = {
    "states": {
        "state_id",
        "metadata_id",
        "attributes_id",
        "state",
        "last_updated_ts",
        "last_changed_ts",
        "context_user_id_bin",
        "context_parent_id_bin",
    },
    "states_meta": {"metadata_id", "entity_id"},
    "state_attributes": {"attributes_id", "shared_attrs"},
    "recorder_runs": {"start", "end", "closed_incorrect"},
}

_STATES = sa.table("states", *map(sa.column, sorted(_NEEDED["states"])))
_META = sa.table("states_meta", sa.column("metadata_id"), sa.column("entity_id"))
_ATTRIBUTES = sa.table("state_attributes", sa.column("attributes_id"), sa.column("shared_attrs"))
_RUNS = sa.table("recorder_runs", sa.column("start"), sa.column("end"), sa.column("closed_incorrect"))
_UPDATED = _STATES.c.last_updated_ts
_CAUSE = sa.case(
    (_STATES.c.context_parent_id_bin.is_not(None), AUTOMATION),
    (_STATES.c.context_user_id_bin.is_not(None), USER),
    else_=DEVICE,
)


_Row = tuple[int, str | None, float, int]  # metadata id, state, seconds, cause

_EARLIER = (
    sa.select(_STATES.c.state_id, _STATES.c.metadata_id, _STATES.c.state, _UPDATED, _STATES.c.last_changed_ts)
    .where(
        _STATES.c.metadata_id == sa.bindparam("metadata_id"),
        sa.bindparam("before") >= _UPDATED,
        sa.or_(sa.bindparam("before") > _UPDATED, sa.bindparam("state_id") > _STATES.c.state_id),
    )
    .order_by(_UPDATED.desc(), _STATES.c.state_id.desc())
    .limit(sa.bindparam("most"))
)


def _newest_row(column: str, before: str) -> sa.ScalarSelect[Any]:
    """A column of the newest row of the entity at hand before a bound instant; one look into an index."""
    inner = _STATES.alias()
    return (
        sa.select(inner.c[column])
        .where(inner.c.metadata_id == _META.c.metadata_id, sa.bindparam(before) > inner.c.last_updated_ts)
        .order_by(inner.c.last_updated_ts.desc(), inner.c.state_id.desc())
        .limit(1)
        .correlate(_META)
        .scalar_subquery()
    )


_OPENING = sa.select(
    _STATES.c.state_id, _STATES.c.metadata_id, _STATES.c.state, _UPDATED, _STATES.c.last_changed_ts
).select_from(_META.join(_STATES, _STATES.c.state_id == _newest_row("state_id", "start")))
_ABOUT = (
    sa.select(_META.c.metadata_id, _META.c.entity_id, _ATTRIBUTES.c.shared_attrs)
    .select_from(_META.outerjoin(_ATTRIBUTES, _ATTRIBUTES.c.attributes_id == _newest_row("attributes_id", "end")))
    .where(_META.c.entity_id.is_not(None))
)


class HomeAssistantDatabase:
    """An ``EventSource`` over a recorder database.

    Args:
        url: Any SQLAlchemy URL of it.
        zone: The home's zone.
        rules: How entities are classed.
        registry_dir: Home Assistant's ``.storage`` folder, for areas and devices; None if it is not at hand.
        clock: Gives the present instant: what lies in the future is not known. Without one there is no future.

    Raises:
        SettingsError: The URL is none, or the registries are not there.
    """

    def __init__(
        self, url: str, zone: ZoneInfo, rules: EntityRules, registry_dir: Path | None = None, clock: Clock | None = None
    ) -> None:
        parsed = sql.parse_url(url, "source.url")
        self._name = f"recorder database {parsed.set(query={}).render_as_string()}"
        self._file = sql.sqlite_file(parsed)
        self._engine = sql.reading_engine(parsed)
        self._zone = zone
        self._clock = clock
        self._rules = rules
        self._registry = read_registry(registry_dir) if registry_dir is not None else {}
        self._checked = False

    def close(self) -> None:
        """See ``EventSource.close``."""
        self._engine.dispose()

    def read(self, window: DayWindow) -> DayLog:
        """See ``EventSource.read``."""
        with self._connection() as connection:
            known, starts = self._known_time(connection)
            entities = self._describe(connection, window)
            codes = {metadata_id: code for code, metadata_id in enumerate(entities)}
            followed = {
                metadata_id
                for metadata_id, about in entities.items()
                if self._rules.classify(about).kind is Kind.ACTIVITY
            }
            columns = _Columns(codes)
            for row in connection.execute(_OPENING, {"start": window.start / SECOND}).all():
                if row.metadata_id in followed:
                    columns.extend(_follow_back(connection, row, window.start))
            nameless = 0
            for rows in _fetch(connection, _rows_of(window, codes.keys() - followed)):
                nameless += columns.extend(rows)
            total = connection.execute(sa.select(sa.func.count()).where(_within(window))).scalar_one()
        samples = columns.samples(list(entities.values()), known, starts)
        notices = [f"{nameless} rows belong to no entity"] if nameless else []
        unkept = [about.entity_id for about in entities.values() if tag_fault(about.entity_id)]
        if unkept:
            notices.append(f"{len(unkept)} entities left out, whose ids cannot be kept: {unkept[0][:40]!r} ...")
        return replace(Recording.of(samples, self._rules).day(window, notices), samples=total)

    def fingerprint(self, window: DayWindow) -> str:
        """See ``EventSource.fingerprint``: rows and their ids within the day, and its known time."""
        with self._connection() as connection:
            known, _ = self._known_time(connection)
            ids = _STATES.c.state_id
            rows = connection.execute(
                sa.select(sa.func.count(), sa.func.min(ids), sa.func.max(ids)).where(_within(window))
            ).one()
        clipped = np.clip(known, window.start, window.end).tolist()
        return hashlib.blake2b(repr((tuple(rows), clipped)).encode(), digest_size=8).hexdigest()

    def span(self) -> DateRange | None:
        """See ``EventSource.span``."""
        with self._connection() as connection:
            known, starts = self._known_time(connection)
        if not len(known):
            return None
        first = self._day_of(int(known[0, 0]))
        opened = midnight(first, self._zone)
        began_that_day = bool(np.any((starts >= opened) & (starts <= known[0, 0])))
        if not began_that_day and known[0, 0] - opened > 15 * MINUTE:
            first += ONE_DAY  # its earlier hours are purged
        last = self._day_of(int(known[-1, 1]))
        if midnight(last + ONE_DAY, self._zone) - int(known[-1, 1]) > HOUR:
            last -= ONE_DAY  # it is not over yet
        return DateRange(first, last) if first <= last else None

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        if self._file is not None and not self._file.is_file():
            raise SourceUnavailable(
                f"there is no recorder database at {self._file}",
                hint="Correct source.url; Home Assistant keeps it as home-assistant_v2.db in its configuration folder.",
            )
        with sql.transaction(self._engine, _ERRORS, self._name) as connection:
            self._check_schema(connection)
            yield connection

    def _known_time(self, connection: sa.Connection) -> tuple[Spans, Instants]:
        return _known_time(connection, NEWEST if self._clock is None else self._clock().timestamp())

    def _day_of(self, instant: int) -> dt.date:
        return from_instant(instant).astimezone(self._zone).date()

    def _check_schema(self, connection: sa.Connection) -> None:
        if self._checked:
            return
        inspector = sa.inspect(connection)
        tables = set(inspector.get_table_names())
        for table, needed in _NEEDED.items():
            there = {column["name"] for column in inspector.get_columns(table)} if table in tables else set()
            if missing := needed - there:
                recorder = "schema_changes" in tables
                raise SourceMismatch(
                    f"source.url: {self._name} has no {table}.{min(missing)}",
                    hint=f"Its schema is older than {OLDEST_SCHEMA}: let a current Home Assistant open it once."
                    if recorder
                    else "This is no recorder database of Home Assistant; correct source.url.",
                )
        self._checked = True

    def _describe(self, connection: sa.Connection, window: DayWindow) -> dict[int, Description]:
        """What is known of each entity, by metadata id: from the registries, else from its newest attributes."""
        return {
            row.metadata_id: described(row.entity_id, self._registry, _attributes(row.shared_attrs))
            for row in connection.execute(_ABOUT, {"end": window.end / SECOND})
        }


def _within(window: DayWindow) -> sa.ColumnElement[bool]:
    return sa.and_(window.start / SECOND <= _UPDATED, window.end / SECOND > _UPDATED)


def _rows_of(window: DayWindow, left_out: Collection[int]) -> sa.Select[Any]:
    """The day's rows in order of time, without those of entities that cannot be activity."""
    query = sa.select(_STATES.c.metadata_id, _STATES.c.state, _UPDATED, _CAUSE).where(_within(window))
    if left_out:
        of_whom = _STATES.c.metadata_id
        query = query.where(sa.or_(of_whom.is_(None), of_whom.not_in(sorted(left_out))))
    return query.order_by(_UPDATED, _STATES.c.state_id)


def _fetch(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    """Rows as the driver's own tuples, which are made faster than a toolkit's, and few enough to stay in a cache."""
    result = connection.execute(query)
    while rows := result.cursor.fetchmany(CHUNK):
        yield rows


def _instant(seconds: float) -> int:
    return round(seconds * SECOND)


def _recorded(moment: str | dt.datetime) -> int:
    """A time of ``recorder_runs``: UTC, as text in SQLite."""
    at = dt.datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return to_instant(at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at)


def _known_time(connection: sa.Connection, now: float) -> tuple[Spans, Instants]:
    """The recorder's runs as spans of known time up to now, and the instants at which it started."""
    # Two questions: SQLite finds one end of an index at once, but for both together reads all of it.
    first, last = (
        connection.execute(sa.select(end(_UPDATED)).where(_UPDATED >= 0, now >= _UPDATED)).scalar_one()
        for end in (sa.func.min, sa.func.max)
    )
    if first is None:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    runs = connection.execute(sa.select(_RUNS).order_by(_RUNS.c.start)).all()
    starts = [_recorded(run.start) for run in runs]
    spans: list[tuple[int, int]] = []
    if not starts or _instant(first) < starts[0]:
        spans.append((_instant(first), _last_row_before(connection, starts[0]) if starts else _instant(last)))
    for run, start, following in zip_longest(runs, starts, starts[1:]):
        if run.end is not None and not run.closed_incorrect:
            end = min(_recorded(run.end), int(now * SECOND))
        elif following is None:
            end = _instant(last)
        else:
            end = _last_row_before(connection, following)
        if end > start:
            spans.append((start, end))
    oldest = _instant(first)  # of what lies before it the rows are purged, though runs may be left
    spans = [(start if oldest - start <= SETTLING else oldest, end) for start, end in spans if end > oldest]
    return union(np.array(spans, np.int64).reshape(-1, 2)), np.array(starts, np.int64)


def _last_row_before(connection: sa.Connection, instant: int) -> int:
    seconds = connection.execute(sa.select(sa.func.max(_UPDATED)).where(instant / SECOND > _UPDATED)).scalar_one()
    return _instant(seconds or 0.0)


class _Columns:
    """Rows (metadata id, state, seconds, cause) as they come, turned into columns."""

    def __init__(self, codes: dict[int, int]) -> None:
        self._codes = defaultdict(lambda: -1, codes)
        self._states: defaultdict[str | None, int] = defaultdict(lambda: len(self._states))
        self._parts: list[tuple[Instants, NDArray[np.int32], NDArray[np.int32], NDArray[np.int8]]] = []

    def extend(self, rows: Sequence[Any]) -> int:
        """Take rows; returns how many belong to no entity and are left out."""
        if not rows:
            return 0
        metadata_ids, texts, seconds, causes = zip(*rows, strict=True)
        entity = np.array(list(map(self._codes.__getitem__, metadata_ids)), np.int32)
        state = np.array(list(map(self._states.__getitem__, texts)), np.int32)
        at = np.rint(np.array(seconds, np.float64) * SECOND).astype(np.int64)
        named = entity >= 0
        self._parts.append((at[named], entity[named], state[named], np.array(causes, np.int8)[named]))
        return len(rows) - int(np.count_nonzero(named))

    def samples(self, entities: list[Description], known: Spans, starts: Instants) -> Samples:
        """All rows so far."""
        empty = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int8))
        at, entity, state, cause = map(np.concatenate, zip(*self._parts or [empty], strict=True))
        is_gap = np.array([text is None or text in GAPS for text in self._states], np.bool_)
        return Samples(
            at=at,
            entity=entity,
            state=np.where(is_gap[state], np.int32(GAP), state) if len(state) else state,
            cause=cause,
            entities=entities,
            states=[text or "" for text in self._states],
            known=known,
            starts=starts,
        )


def _since(row: Any) -> float:  # noqa: ANN401 - a database row
    """When the state of a row began: attribute-only updates keep the instant of the change."""
    updated: float = row.last_updated_ts
    return updated if row.last_changed_ts is None else min(row.last_changed_ts, updated)


def _follow_back(connection: sa.Connection, opening: Any, start: int) -> list[_Row]:  # noqa: ANN401 - a database row
    """An entity's rows up to the one that opens the day, from where it is certain when the opening state began."""
    chain = [opening]
    bound = start / SECOND  # the known value, or the day, that the gap being followed leads up to
    most = 2
    while True:
        newest = chain[-1]
        earlier = connection.execute(
            _EARLIER,
            {
                "metadata_id": newest.metadata_id,
                "before": _since(newest),
                "state_id": newest.state_id,
                "most": most,
            },
        ).all()
        for row in earlier:
            newer = chain[-1]
            if not _is_gap(newer.state):
                bound = _since(newer)
            elif bound - _since(newer) > SHORT_GAP / SECOND:
                return _ascending(chain)  # whatever was known before, it has been forgotten
            chain.append(row)
            if not _is_gap(newer.state) and not _is_gap(row.state) and row.state != newer.state:
                return _ascending(chain)
        if len(earlier) < most or len(chain) > FARTHEST:
            return _ascending(chain)
        most *= 4


def _ascending(chain: list[Any]) -> list[_Row]:
    return [(row.metadata_id, row.state, _since(row), DEVICE) for row in reversed(chain)]


def _is_gap(state: str | None) -> bool:
    return state is None or state in GAPS


def _attributes(text: str | None) -> dict[str, object]:
    try:
        told = json.loads(text) if text else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
