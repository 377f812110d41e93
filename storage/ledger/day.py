"""One day's work in the ledger, under the lock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from typing import Any, Final, Protocol, cast

import sqlalchemy as sa

from storage.batch import DayBatch, DetectorDay
from storage.clean_text import clean
from storage.errors import LedgerCorrupt
from storage.ledger.entry import Entry, Status
from storage.ledger.payload import Models, pack, unpack
from storage.ledger.schema import ENTRIES
from storage.models import DetectorRunDaily
from storage.store import AggregateWriter
from storage.transactional import TransactionalStore

Clock = Callable[[], dt.datetime]


class Transactions(Protocol):
    """The transactions in which a day is worked on, each only as long as the lock of the home is held.

    Attributes:
        database: Which database the ledger is in, by which account; empty for a file.
    """

    database: str

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction.

        Raises:
            LedgerUnavailable: Another process has taken over the home.
        """
        ...

    def join(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Let the ledger's tables be used in a transaction of somebody else on its database.

        Raises:
            LedgerUnavailable: As ``begin``.
        """
        ...


class LedgerDay:
    """One day's work: stage what is found, hand it to the store, mark it written.

    Attributes:
        home: The name of the home.
        day: The local calendar day.
        entries: What is known of each detector, kept up to date by the methods.
    """

    def __init__(
        self, home: str, day: dt.date, entries: dict[str, Entry], transactions: Transactions, clock: Clock
    ) -> None:
        self.home = home
        self.day = day
        self.entries = entries
        self._transactions = transactions
        self._transaction = transactions.begin
        self._clock = clock

    def stage(self, finding: DetectorDay, fingerprint: str, samples: int) -> None:
        """Keep a finding until the store has it, in place of an earlier one that is still waiting.

        Args:
            finding: The rows and the record of the run.
            fingerprint: The source's fingerprint of the raw events they were computed from.
            samples: How many raw samples these were.
        """
        run = finding.run
        self._save_attempt(
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
            payload=pack(finding),
        )

    def fail(self, detector: str, version: int, error: str) -> None:
        """Note that a detector raised. What it found or wrote before stays, and it is tried again."""
        self._save_problem(detector, version, error, Status.FAILED)

    def defer(self, detector: str, version: int, error: str) -> None:
        """Note that what a detector needs does not exist or cannot be read now. It is tried again."""
        self._save_problem(detector, version, error, Status.DEFERRED)

    def keep(self, detector: str, version: int, fingerprint: str) -> None:
        """Note that the written rows are kept, because the source now has less data for the day than they came from."""
        self._save_attempt(detector, kept_version=version, kept_fingerprint=fingerprint, redo=False)

    def batch(self, models: Models) -> DayBatch | None:
        """Return everything that waits for the store; None if nothing does.

        A detector whose finding cannot be read is noted as failed, so that it is tried again; the others do not wait.

        Args:
            models: The models that may be written; findings of other measurements keep waiting.
        """
        query = sa.select(ENTRIES.c.detector, ENTRIES.c.payload).where(
            *is_of_day(self.home, self.day), ENTRIES.c.payload.is_not(None)
        )
        with self._transaction() as connection:
            waiting = connection.execute(query.order_by(ENTRIES.c.detector)).all()
        findings = []
        for detector, payload in waiting:
            try:
                finding = unpack(payload, models)
            except LedgerCorrupt as error:
                if self.entries[detector].status is Status.STAGED:
                    text = f"{error}; it is computed again while the source holds the day"
                    self._save_attempt(detector, status=Status.FAILED, error=text, redo=False)
            else:
                findings += [] if finding is None else [finding]
        return DayBatch(self.day, tuple(findings)) if findings else None

    def hand_over(self, batch: DayBatch, store: AggregateWriter) -> bool:
        """Give the store a batch, if the lock is still held; note that it has it, if both lie in one database.

        In one database, rows and note are written in one transaction, which the next holder of the lock waits for.
        Elsewhere the lock is checked right before, and the note is left to the caller: a process that is stopped
        between that check and its last row may still write rows after the next holder has begun. The note is then
        refused, and what the next holder writes of that day stands in the ledger.

        Returns:
            Whether it is noted; if not, call ``written``.

        Raises:
            LedgerUnavailable: Another process has taken over the home; nothing is written.
        """
        database = self._transactions.database
        if not database or getattr(store, "database", "") != database:
            with self._transaction():
                pass
            store.replace_day(batch)
            return False
        before = dict(self.entries)

        def note(connection: sa.Connection) -> None:
            with self._transactions.join(connection):
                self._note_written(connection, batch)

        try:
            cast("TransactionalStore", store).replace_day(batch, beside=note)
        except BaseException:  # also an interrupt, which goes on
            self.entries = before  # nothing was written
            raise
        return True

    def written(self, batch: DayBatch) -> None:
        """Note that the store holds a batch. Call it only after ``replace_day`` has returned."""
        with self._transaction() as connection:
            self._note_written(connection, batch)

    def _note_written(self, connection: sa.Connection, batch: DayBatch) -> None:
        changes = {}
        for finding in batch.findings:
            entry = self.entries[finding.run.detector]
            changes[finding.run.detector] = {
                "status": Status.FAILED if entry.error else Status.WRITTEN,
                "attempts": 0,
                "written_version": entry.version,
                "written_samples": entry.samples,
                "written_known_seconds": entry.known_seconds,
                "kept_version": None,
                "kept_fingerprint": None,
                "payload": None,
            }
        self._store(connection, changes)

    def restore(self, run: DetectorRunDaily, fingerprint: str, samples: int) -> bool:
        """Note a run that the store holds and that is missing here, because an earlier ledger was lost.

        An attempt that is known stays as it is; only what the store holds is added to it.

        Args:
            run: The record in the store.
            fingerprint: As in ``stage``; empty if it is not known.
            samples: As in ``stage``, or a lower bound.

        Returns:
            Whether there was anything to note.
        """
        entry = self.entries.get(run.detector)
        if entry is not None and entry.written_version is not None:
            return False
        if entry is not None and entry.status is Status.LOST:  # it has been found again
            entry = None
        values: dict[str, Any] = {
            "written_version": run.version,
            "written_samples": samples,
            "written_known_seconds": run.known_seconds,
        }
        if entry is None:
            values |= {
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
            self._store(connection, {run.detector: values})
        return True

    def _save_problem(self, detector: str, version: int, error: str, status: Status) -> None:
        before = self.entries.get(detector)
        if before is not None and before.status is Status.STAGED:  # what waits for the store keeps waiting
            self._save_attempt(detector, error=error, redo=True)
        else:
            self._save_attempt(detector, status=status, version=version, error=error, redo=False)

    def _save_attempt(self, detector: str, **values: Any) -> None:  # noqa: ANN401 - column values
        before = self.entries.get(detector)
        attempts = before.attempts + 1 if before else 1
        with self._transaction() as connection:
            self._store(connection, {detector: {**values, "attempts": attempts}})

    def _store(self, connection: sa.Connection, changes: Mapping[str, dict[str, Any]]) -> None:
        """Store changed values of some detectors, the same columns for each that has an entry already.

        ``entries`` follows without reading them back: nobody else writes under the lock.
        """
        now = self._clock().isoformat(timespec="seconds")
        old, new = [], []
        for detector, given in changes.items():
            values = {"updated_at": now, **given}
            values |= {name: clean(values[name]) for name in ("error", "reason") if name in values}
            before = self.entries.get(detector)
            if before is None:
                before = Entry(self.day, detector, values["status"], values["version"])
                new.append({**_values_of(before), **values, "home": self.home})
            else:
                old.append({"of_detector": detector, **values})
            self.entries[detector] = replace(before, **{name: values[name] for name in values.keys() & _FIELDS})
        if new:
            connection.execute(sa.insert(ENTRIES), new)
        if old:
            here = (*is_of_day(self.home, self.day), ENTRIES.c.detector == sa.bindparam("of_detector"))
            connection.execute(sa.update(ENTRIES).where(*here), old)


HINT_WHEN_CORRUPT: Final = (
    "Restore it from a backup, or move it away and run `pattern-aggregates doctor --rebuild-ledger`."
)

_FIELDS: Final = frozenset(field.name for field in fields(Entry))
_COLUMNS = [ENTRIES.c[field.name] for field in fields(Entry)]


def is_of_day(home: str, day: dt.date) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that an entry is of a home's day."""
    return (ENTRIES.c.home == home, ENTRIES.c.day == day.isoformat())


def read_entries(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Iterable[Entry]:
    """Yield the entries of one home that satisfy all conditions, by day and detector.

    Raises:
        LedgerCorrupt: An entry holds a value that the program never writes.
    """
    query = sa.select(*_COLUMNS).where(*conditions).order_by(ENTRIES.c.day, ENTRIES.c.detector)
    for row in connection.execute(query):
        yield _entry(row)


def read_entries_of_homes(
    connection: sa.Connection, *conditions: sa.ColumnElement[bool]
) -> Iterable[tuple[str, Entry]]:
    """Yield the entries of all homes that satisfy all conditions, each with its home, by home, day and detector.

    Raises:
        LedgerCorrupt: An entry holds a value that the program never writes.
    """
    query = sa.select(ENTRIES.c.home, *_COLUMNS).where(*conditions)
    for row in connection.execute(query.order_by(ENTRIES.c.home, ENTRIES.c.day, ENTRIES.c.detector)):
        home, *values = row
        yield home, _entry(values)


def _entry(values: Sequence[Any]) -> Entry:
    try:
        return Entry.of_values(values)
    except ValueError as error:
        day, detector, *_ = values
        raise LedgerCorrupt(
            f"the ledger is damaged: its entry of {day!r}, {detector!r} has {error}",
            hint=HINT_WHEN_CORRUPT,
        ) from error


def _values_of(entry: Entry) -> dict[str, Any]:
    values = {field.name: getattr(entry, field.name) for field in fields(Entry)}
    return {**values, "day": entry.day.isoformat()}
