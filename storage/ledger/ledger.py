"""The ledger: what is done for which day and detector, with the rows that wait to be written.

For each (day, detector) the ledger holds the newest attempt (``status``) and, beside it, what the store is known to
hold (``written_*``): an attempt that fails takes nothing away from an earlier success. Findings are staged here, each
in a transaction of its own, before the store sees them, and stay until the store has taken them; so a store that is
down never costs a second look at raw events, which may be gone by then.

A day's work happens under a lock that processes take by turns and that dies with its holder. The order (stage, replace
the day in the store, mark it written) means that the ledger never claims more than the store holds; whatever line a
process dies at, the same call again ends as if nothing had happened.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa

from storage.batch import DayBatch, DetectorDay
from storage.columns import decode, encode, from_json, to_json
from storage.dates import ONE_DAY, DateRange
from storage.drivers import sql
from storage.drivers.file_lock import FairLock
from storage.errors import (
    LedgerCorrupt,
    LedgerError,
    LedgerMismatch,
    LedgerUnavailable,
    PatternAggregatesError,
)
from storage.models import DailyAggregate, DetectorRunDaily

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x70616C31  # "pal1": how SQLite files tell whose they are
LOCK_SECONDS: Final = 600.0
REMEMBERED: Final = 30 * ONE_DAY  # how long a day stays in the ledger after the store has forgotten it

_ERRORS = sql.ErrorClasses(
    LedgerUnavailable,
    LedgerCorrupt,
    LedgerError,
    hint_when_corrupt="Restore it from a backup, or move it away and run `pattern-aggregates doctor --rebuild-ledger`.",
)


class Status(StrEnum):
    """The state of the newest attempt at one (day, detector)."""

    STAGED = "staged"  # found, waiting for the store
    WRITTEN = "written"  # the store holds it
    FAILED = "failed"  # the detector raised
    DEFERRED = "deferred"  # what it needs could not be read, or is not there
    EXPIRED = "expired"  # staged, but past the retention before the store took it


@dataclass(frozen=True, slots=True)
class Entry:
    """One (day, detector).

    Attributes:
        day: The local calendar day.
        detector: The registered name.
        status: The newest attempt.
        version: The detector version of that attempt.
        fingerprint: The source's fingerprint of the raw events it saw.
        rows: How many rows it found.
        events: Activity events it was given.
        samples: Raw samples the source had of the day.
        known_seconds: How much of the day was known.
        reason: What the detector says of its finding.
        error: Why it failed or was deferred.
        attempts: How often it was tried since it last was written.
        redo: Whether somebody asked for it again.
        updated_at: When this changed last.
        written_version: The detector version whose rows the store holds; None if it holds none.
        written_samples: Likewise the raw samples of the day.
        written_known_seconds: Likewise how much was known.
        kept: "version fingerprint" of a recomputation that was declined because the source knew less by then.
    """

    day: dt.date
    detector: str
    status: Status
    version: int
    fingerprint: str = ""
    rows: int = 0
    events: int = 0
    samples: int = 0
    known_seconds: float = 0.0
    reason: str = ""
    error: str = ""
    attempts: int = 0
    redo: bool = False
    updated_at: str = ""
    written_version: int | None = None
    written_samples: int = 0
    written_known_seconds: float = 0.0
    kept: str = ""

    @property
    def found(self) -> bool:
        """Whether there is a finding, staged or written, of this or an earlier attempt."""
        return self.status is Status.STAGED or self.written_version is not None

    def changed(self, fingerprint: str) -> bool:
        """Whether this was computed from other raw events than those of the fingerprint (and not kept nevertheless)."""
        return self.fingerprint != fingerprint and self.kept != f"{self.version} {fingerprint}"

    def due(self, version: int) -> bool:
        """Whether this has to be computed (again), late raw events aside."""
        if self.redo:
            return True
        if self.status is Status.EXPIRED:
            return False
        if self.status in (Status.FAILED, Status.DEFERRED):
            return True
        return self.version != version and self.kept.split(" ")[0] != str(version)


def basis(entries: Iterable[Entry]) -> str:
    """A fingerprint of what a day's history detectors judge: the attempts of those that saw raw events."""
    seen = sorted((one.detector, one.version, one.fingerprint) for one in entries if one.samples)
    return hashlib.blake2b(repr(seen).encode(), digest_size=8).hexdigest()


_ENTRY = sa.Table(
    "entry",
    sa.MetaData(),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("detector", sa.String(255), primary_key=True),
    sa.Column("status", sa.String(10), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("samples", sa.Integer, nullable=False),
    sa.Column("known_seconds", sa.Float, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("redo", sa.Boolean, nullable=False),
    sa.Column("updated_at", sa.String(32), nullable=False),
    sa.Column("written_version", sa.Integer),
    sa.Column("written_samples", sa.Integer, nullable=False),
    sa.Column("written_known_seconds", sa.Float, nullable=False),
    sa.Column("kept", sa.Text, nullable=False),
    sa.Column("payload", sa.Text),  # the staged rows, until the store has them
    sa.Index("ix_entry_status", "status"),
    sqlite_with_rowid=False,
)
_FACTS = [_ENTRY.c[field.name] for field in fields(Entry)]

Models = Mapping[str, type[DailyAggregate]]
Clock = Callable[[], dt.datetime]


class Ledger:
    """The ledger in an SQLite file.

    Args:
        path: The file; the two of its lock lie beside it.
        clock: Gives the present instant, for ``updated_at`` only.
        read_only: For looking: never creates or changes the file; one that is not there reads as empty.

    Raises:
        SettingsError: The file cannot be made.
        LedgerMismatch: It belongs to another program, or to a newer version of this one.
        LedgerCorrupt: It is damaged.
        LedgerUnavailable: It cannot be used now (locked, disk full).
    """

    def __init__(self, path: Path, *, clock: Clock, read_only: bool = False) -> None:
        self.path = path
        self._clock = clock
        self._name = f"ledger {path}"
        self._lock = FairLock(path, "ledger.path")
        url = sa.URL.create("sqlite", database=str(path))
        self._engine: sa.Engine | None = None
        if read_only:
            if not path.is_file():
                return
            self._engine = sql.reading_engine(url)
        else:
            self._engine = sql.writing_engine(url, "ledger.path")
        try:
            with self._transaction() as connection:
                known = self._check_schema(connection, create=not read_only)
        except PatternAggregatesError:
            self.close()
            raise
        if not known:  # another process is about to make it
            self.close()
            self._engine = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the file."""
        if self._engine is not None:
            self._engine.dispose()

    def entries(self, days: DateRange | None = None) -> dict[tuple[dt.date, str], Entry]:
        """What is known of each (day, detector), in order."""
        if self._engine is None:
            return {}
        query = sa.select(*_FACTS).order_by(_ENTRY.c.day, _ENTRY.c.detector)
        if days is not None:
            query = query.where(_between(days))
        with self._transaction() as connection:
            found = [_entry(row) for row in connection.execute(query)]
        return {(entry.day, entry.detector): entry for entry in found}

    def staged(self, models: Models) -> list[DetectorDay]:
        """Everything that waits for the store, oldest day first."""
        with self._transaction() as connection:
            query = sa.select(_ENTRY.c.payload).where(_ENTRY.c.payload.is_not(None))
            payloads = connection.execute(query.order_by(_ENTRY.c.day, _ENTRY.c.detector)).scalars().all()
        return [finding for payload in payloads if (finding := _unpack(payload, models))]

    def mark_redo(self, days: DateRange, detectors: Iterable[str]) -> int:
        """Ask for what was tried before to be computed again; what it wrote stays until then. Returns how many."""
        with self._transaction() as connection:
            marked = connection.execute(
                sa.update(_ENTRY).where(_between(days), _ENTRY.c.detector.in_(list(detectors))).values(redo=True)
            )
            return marked.rowcount

    def expire(self, before: dt.date) -> list[Entry]:
        """Give up staged findings of days before ``before``, and forget days long before it.

        Returns:
            What was given up now: said once, never tried again.
        """
        with self._transaction() as connection:
            waiting = (_ENTRY.c.day < before.isoformat(), _ENTRY.c.payload.is_not(None))
            given_up = [_entry(row) for row in connection.execute(sa.select(*_FACTS).where(*waiting))]
            connection.execute(
                sa.update(_ENTRY).where(*waiting).values(status=Status.EXPIRED, payload=None, redo=False)
            )
            connection.execute(sa.delete(_ENTRY).where(_ENTRY.c.day < (before - REMEMBERED).isoformat()))
        return given_up

    @contextmanager
    def day(self, day: dt.date, *, wait_seconds: float = LOCK_SECONDS) -> Iterator[LedgerDay]:
        """One day's work, alone among all processes, which take turns.

        Raises:
            LedgerUnavailable: Another run has held the lock for all of ``wait_seconds``.
            SettingsError: The lock's files cannot be made.
        """
        with self._lock.acquire(wait_seconds):
            with self._transaction() as connection:
                query = sa.select(*_FACTS).where(_ENTRY.c.day == day.isoformat())
                entries = {entry.detector: entry for entry in map(_entry, connection.execute(query))}
            yield LedgerDay(day, entries, self._transaction, self._clock)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        if self._engine is None:
            raise LedgerUnavailable(f"{self._name} is not there")
        with sql.transaction(self._engine, _ERRORS, self._name) as connection:
            yield connection

    def _check_schema(self, connection: sa.Connection, *, create: bool) -> bool:
        """Whether there is a ledger, made here if ``create``."""
        owner = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        empty = not sa.inspect(connection).get_table_names()
        if owner == APPLICATION_ID and version <= SCHEMA_VERSION:
            return True
        if owner == APPLICATION_ID:
            raise LedgerMismatch(
                f"{self._name} has schema {version}, this version knows {SCHEMA_VERSION}",
                hint="Upgrade pattern-aggregates, or name another ledger.path.",
            )
        if not empty or owner:
            raise LedgerMismatch(
                f"{self._name} belongs to another program", hint="Name a file of its own in ledger.path."
            )
        if create:
            _ENTRY.create(connection)
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return create


class LedgerDay:
    """One day under the lock: stage what is found, hand it to the store, mark it written.

    Attributes:
        day: The local calendar day.
        entries: What is known of each detector, kept up to date by the calls below.
    """

    def __init__(self, day: dt.date, entries: dict[str, Entry], transaction: Callable[[], Any], clock: Clock) -> None:
        self.day = day
        self.entries = entries
        self._transaction = transaction
        self._clock = clock

    def stage(self, finding: DetectorDay, fingerprint: str, samples: int) -> None:
        """Keep a finding until the store has it; it takes the place of one that waited.

        Args:
            finding: The rows and the record of the run.
            fingerprint: The source's, of the raw events they were made from.
            samples: How many raw samples these were.
        """
        run = finding.run
        self._save(
            run.detector,
            status=Status.STAGED,
            version=run.version,
            fingerprint=fingerprint,
            rows=run.rows,
            events=run.events,
            samples=samples,
            known_seconds=run.known_seconds,
            reason=run.reason,
            error="",
            redo=False,
            payload=_pack(finding),
        )

    def fail(self, detector: str, version: int, error: str) -> None:
        """Note that a detector raised; what it found or wrote before stays, and it is tried again."""
        self._note_trouble(detector, version, error, Status.FAILED)

    def defer(self, detector: str, version: int, error: str) -> None:
        """Note that what a detector needs could not be read, or is not there; it is tried again."""
        self._note_trouble(detector, version, error, Status.DEFERRED)

    def keep(self, detector: str, version: int, fingerprint: str) -> None:
        """Note that what is written stays, because the source knows less of the day than it did then."""
        self._save(detector, kept=f"{version} {fingerprint}", redo=False)

    def batch(self, models: Models) -> DayBatch | None:
        """All that waits for the store; None if nothing does.

        Args:
            models: The model of each measurement; what belongs to a measurement not among them goes on waiting.
        """
        with self._transaction() as connection:
            query = sa.select(_ENTRY.c.payload).where(
                _ENTRY.c.day == self.day.isoformat(), _ENTRY.c.payload.is_not(None)
            )
            payloads = connection.execute(query.order_by(_ENTRY.c.detector)).scalars().all()
        findings = tuple(finding for payload in payloads if (finding := _unpack(payload, models)))
        return DayBatch(self.day, findings) if findings else None

    def written(self, batch: DayBatch) -> None:
        """Note that the store holds a batch; only call it when ``replace_day`` has returned."""
        with self._transaction() as connection:
            for finding in batch.findings:
                entry = self.entries[finding.run.detector]
                facts = {
                    "status": Status.FAILED if entry.error else Status.WRITTEN,
                    "attempts": 0,
                    "written_version": entry.version,
                    "written_samples": entry.samples,
                    "written_known_seconds": entry.known_seconds,
                    "kept": "",
                    "payload": None,
                }
                self._store(connection, finding.run.detector, facts)

    def restore(self, run: DetectorRunDaily, fingerprint: str, samples: int) -> bool:
        """Note a run that the store holds and the ledger does not know of, because an earlier ledger was lost.

        An attempt that is known stays as it is; it only learns what the store holds.

        Args:
            run: The record in the store.
            fingerprint: As in ``stage``; empty if nobody can tell.
            samples: As in ``stage``, or a lower bound.

        Returns:
            Whether there was anything to note.
        """
        entry = self.entries.get(run.detector)
        if entry is not None and entry.written_version is not None:
            return False
        facts: dict[str, Any] = {
            "written_version": run.version,
            "written_samples": samples,
            "written_known_seconds": run.known_seconds,
        }
        if entry is None:
            facts |= {
                "status": Status.WRITTEN,
                "version": run.version,
                "fingerprint": fingerprint,
                "rows": run.rows,
                "events": run.events,
                "samples": samples,
                "known_seconds": run.known_seconds,
                "reason": run.reason,
                "updated_at": run.computed_at.isoformat(timespec="seconds"),
            }
        with self._transaction() as connection:
            self._store(connection, run.detector, facts)
        return True

    def _note_trouble(self, detector: str, version: int, error: str, status: Status) -> None:
        before = self.entries.get(detector)
        if before is not None and before.status is Status.STAGED:  # what waits for the store goes on waiting
            self._save(detector, error=error, redo=True)
        else:
            self._save(detector, status=status, version=version, error=error, redo=False)

    def _save(self, detector: str, **facts: Any) -> None:  # noqa: ANN401 - column values
        with self._transaction() as connection:
            before = self.entries.get(detector)
            self._store(connection, detector, {**facts, "attempts": before.attempts + 1 if before else 1})

    def _store(self, connection: sa.Connection, detector: str, facts: dict[str, Any]) -> None:
        facts = {"updated_at": self._clock().isoformat(timespec="seconds"), **facts}
        if detector in self.entries:
            here = (_ENTRY.c.day == self.day.isoformat(), _ENTRY.c.detector == detector)
            connection.execute(sa.update(_ENTRY).where(*here).values(**facts))
        else:
            blank = _facts(Entry(self.day, detector, facts["status"], facts["version"]))
            connection.execute(sa.insert(_ENTRY).values(**{**blank, **facts}))
        row = connection.execute(
            sa.select(*_FACTS).where(_ENTRY.c.day == self.day.isoformat(), _ENTRY.c.detector == detector)
        ).one()
        self.entries[detector] = _entry(row)


def _between(days: DateRange) -> sa.ColumnElement[bool]:
    return _ENTRY.c.day.between(days.first.isoformat(), days.last.isoformat())


def _entry(row: Any) -> Entry:  # noqa: ANN401 - a database row of _FACTS
    facts = dict(zip((field.name for field in fields(Entry)), row, strict=True))
    facts["day"] = dt.date.fromisoformat(facts["day"])
    facts["status"] = Status(facts["status"])
    return Entry(**facts)


def _facts(entry: Entry) -> dict[str, Any]:
    facts = {field.name: getattr(entry, field.name) for field in fields(Entry)}
    return {**facts, "day": entry.day.isoformat()}


def _pack(finding: DetectorDay) -> str:
    return to_json(
        {
            "measurement": finding.model.measurement,
            "run": encode(finding.run),
            "rows": [encode(row) for row in finding.rows],
        }
    )


def _unpack(payload: str, models: Models) -> DetectorDay | None:
    try:
        packed = from_json(payload)
        model = models.get(packed["measurement"])
        if model is None:
            return None
        (run,) = decode(DetectorRunDaily, [packed["run"]])
        return DetectorDay(run, model, tuple(decode(model, packed["rows"])))
    except (ValueError, KeyError, PatternAggregatesError) as error:
        raise LedgerCorrupt(
            f"a staged day in the ledger cannot be read: {error}",
            hint="Recompute it: pattern-aggregates backfill DAY DAY --redo all",
        ) from error
