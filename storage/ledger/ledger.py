"""The ledger: what is done for which day and detector, with the rows that wait to be written.

For each day and detector the ledger holds the newest attempt (``status``) and, beside it, what the store is known to
hold (``written_*``): an attempt that fails takes nothing away from an earlier success. Findings are staged here, each
in a transaction of its own, before the store gets them, and stay until the store has accepted them. So a store that is
down never makes it necessary to read raw events again, which may be purged by then.

A day's work happens under a lock that is granted to processes in turn and released when its holder exits. The order
(stage, replace the day in the store, mark it written) means that the ledger never claims more than the store holds: a
process may be killed at any line, and the same call again ends in the same ledger and store as an undisturbed one.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sa

from storage.batch import DetectorDay
from storage.dates import ONE_DAY, DateRange
from storage.errors import LedgerCorrupt
from storage.identity import HomeIdentity, Place
from storage.ledger import home as noted_home
from storage.ledger import names
from storage.ledger.announcements import Announcements, ChannelState, read_channels
from storage.ledger.day import Clock, LedgerDay, Transactions, is_of_day, read_entries
from storage.ledger.entry import Entry, Status
from storage.ledger.payload import Models, unpack
from storage.ledger.place import LedgerPlace
from storage.ledger.places import open_place
from storage.ledger.schema import ENTRIES
from storage.periods import SUFFIXES

MAX_WAIT_SECONDS: Final = 600.0  # for other runs, which hold the lock for one day each
DAYS_KEPT_AFTER_RETENTION: Final = 30  # how long entries are kept after the store has deleted their day

_log = logging.getLogger(__name__)


class Ledger:
    """The ledger of one home. A writer creates the place that it lies in, or migrates one of an earlier version.

    Args:
        place: An SQLite file, the URL of a PostgreSQL database, or a place that is open already and stays open.
        home: The name of the home; empty for the only one.
        clock: Returns the present instant, for ``updated_at`` only.
        read_only: Never create or change the place; one that does not exist reads as empty.

    Attributes:
        home: The name of the home.
        where: The file, or the URL without its password.
        changes: What opening it has changed, in words; empty if nothing.

    Raises:
        SettingsError: The place cannot be created, or the server refuses the account.
        LedgerMismatch: It belongs to another program.
        LedgerVersionMismatch: It is of a newer version, or ``read_only`` and it is of an earlier one.
        LedgerCorrupt: It is damaged.
        LedgerUnavailable: It cannot be used now (locked, disk full).
    """

    def __init__(
        self, place: Path | sa.URL | LedgerPlace, *, home: str = "", clock: Clock, read_only: bool = False
    ) -> None:
        self.home = home
        self._is_owner = isinstance(place, Path | sa.URL)
        self._place = open_place(place, read_only=read_only) if isinstance(place, Path | sa.URL) else place
        self.where = self._place.where
        self.changes = self._place.changes if self._is_owner else ""
        self._clock = clock
        self._held: Transactions | None = None  # while the lock is held

    def for_home(self, home: str) -> Ledger:
        """Return the ledger of another home in the same place, on the same connections; closing it closes nothing."""
        return Ledger(self._place, home=home, clock=self._clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the place, unless it was open before."""
        if self._is_owner:
            self._place.close()

    def entries(self, days: DateRange | None = None) -> dict[tuple[dt.date, str], Entry]:
        """Return what is known of each day and detector, in order; of all days by default."""
        if not self._place.is_there:
            return {}
        conditions = [self._is_own]
        if days is not None:
            conditions.append(ENTRIES.c.day.between(days.first.isoformat(), days.last.isoformat()))
        with self._reading() as connection:
            return {(entry.day, entry.detector): entry for entry in read_entries(connection, *conditions)}

    def staged(self, models: Models) -> list[DetectorDay]:
        """Return everything that waits for the store, oldest day first; what cannot be read is left out and logged."""
        query = sa.select(ENTRIES.c.day, ENTRIES.c.detector, ENTRIES.c.payload)
        query = query.where(self._is_own, ENTRIES.c.payload.is_not(None)).order_by(ENTRIES.c.day, ENTRIES.c.detector)
        with self._reading() as connection:
            waiting = connection.execute(query).all()
        findings = []
        for day, detector, payload in waiting:
            try:
                finding = unpack(payload, models)
            except LedgerCorrupt as error:
                _log.warning("%s %s: %s", day, detector, error)
            else:
                findings += [] if finding is None else [finding]
        return findings

    def read_home(self) -> noted_home.LedgerHome | None:
        """Return the home that the ledger belongs to, and its store; None if that was never noted."""
        if not self._place.is_there:
            return None
        with self._reading() as connection:
            return noted_home.read(connection, self.home)

    def write_home(self, identity: HomeIdentity, store: Place, *, replace: bool = False) -> HomeIdentity:
        """Note which home the ledger belongs to, and where its store is; a home that is noted stays.

        Args:
            identity: The home.
            store: Where its store is.
            replace: Note it also in place of another home.

        Returns:
            The home that is noted afterwards, perhaps by another process.
        """
        with self._transaction() as connection:
            if replace:
                noted_home.write(connection, self.home, identity, store)
                return identity
            noted_home.write_missing(connection, self.home, identity, store)
            noted = noted_home.read(connection, self.home)
            return noted.identity if noted is not None else identity

    def known_entities(self) -> frozenset[str]:
        """Return the ids and keys of the entities that the home has had so far."""
        if not self._place.is_there:
            return frozenset()
        with self._reading() as connection:
            return noted_home.read_entities(connection, self.home)

    def add_entities(self, names: Iterable[str]) -> None:
        """Add ids and keys of entities of the home."""
        with self._transaction() as connection:
            noted_home.add_entities(connection, self.home, names)

    def forget_entities(self) -> None:
        """Forget which entities the home has had: its raw events come from another source now."""
        with self._transaction() as connection:
            noted_home.forget_entities(connection, self.home)

    def mark_lost(self, lost: Iterable[tuple[dt.date, str]]) -> None:
        """Note that the store no longer holds what was written for some days and detectors."""
        values = {
            "status": Status.LOST,
            "error": "",
            "written_version": None,
            "written_samples": 0,
            "written_known_seconds": 0.0,
            "kept_version": None,
            "kept_fingerprint": None,
        }
        with self._transaction() as connection:
            for day, detector in lost:
                here = (*is_of_day(self.home, day), ENTRIES.c.detector == detector)
                connection.execute(sa.update(ENTRIES).where(*here, ENTRIES.c.payload.is_(None)).values(**values))

    def record_names(self, keys: Mapping[str, str], numbers: Mapping[str, str] = names.NO_NUMBERS) -> dict[str, str]:
        """Note how entities are called now; returns those renamed since the last call. See ``storage.ledger.names``."""
        if not keys:
            return {}
        with self._transaction() as connection:
            return names.record(connection, self.home, keys, numbers)

    def renames(self) -> dict[str, str]:
        """Return the present name of each entity that had another one, by its former names."""
        if not self._place.is_there:
            return {}
        with self._reading() as connection:
            return names.read_renames(connection, self.home)

    def announcements(self, channel: str) -> Announcements:
        """Return what was announced over a channel."""
        return Announcements(self.home, channel, self._transaction, self._clock)

    def channels(self) -> dict[str, ChannelState]:
        """Return how each channel is doing over which anything was to be announced, by its name."""
        if not self._place.is_there:
            return {}
        with self._reading() as connection:
            return read_channels(connection, self.home)

    def mark_redo(self, days: Iterable[tuple[dt.date, Collection[str]]]) -> int:
        """Ask for attempts to be made again; what they wrote stays until then.

        Args:
            days: The days, each with the detectors to repeat; those that were never tried are left out.

        Returns:
            How many attempts are marked.
        """
        count = 0
        with self._transaction() as connection:
            for day, detectors in days:
                here = (*is_of_day(self.home, day), ENTRIES.c.detector.in_(list(detectors)))
                count += connection.execute(sa.update(ENTRIES).where(*here).values(redo=True)).rowcount
        return count

    def expire(self, before: dt.date, rollups_before: dt.date = dt.date.min) -> list[Entry]:
        """Give up staged findings of old days, and delete entries of days long before them.

        Args:
            before: The oldest day that the store keeps.
            rollups_before: The oldest day of which it keeps the rows of rollups.

        Returns:
            What was given up by this call; it is never tried again.
        """
        waiting = (self._is_own, _is_of_day_before(before, rollups_before), ENTRIES.c.payload.is_not(None))
        long_past = _is_of_day_before(*map(_long_before, (before, rollups_before)))
        with self._transaction() as connection:
            given_up = list(read_entries(connection, *waiting))
            connection.execute(
                sa.update(ENTRIES).where(*waiting).values(status=Status.EXPIRED, payload=None, redo=False)
            )
            connection.execute(sa.delete(ENTRIES).where(self._is_own, long_past))
        return given_up

    @contextmanager
    def alone(self, what: str, max_wait_seconds: float) -> Iterator[None]:
        """Do something else than a day's work for the home, alone among all processes.

        Raises:
            LedgerUnavailable: Another process has done so for all of ``max_wait_seconds``.
        """
        with self._place.alone(self.home, what, max_wait_seconds):
            yield

    def read_document(self, name: str) -> str | None:
        """Return a text that is kept for the home in the ledger's database; None if there is none."""
        return self._place.read_document(self.home, name)

    def change_document(self, name: str, edit: Callable[[str | None], str]) -> None:
        """Replace a text of the home by what a function makes of it, in one transaction; only in a database."""
        self._place.change_document(self.home, name, edit)

    def count_rows(self) -> int:
        """Return how many rows there are of the home, in all tables."""
        if not self._place.is_there:
            return 0
        with self._reading() as connection:
            counts = [sa.select(sa.func.count()).where(table.c.home == self.home) for table in self._place.tables]
            return sum(connection.execute(count).scalar_one() for count in counts)

    def forget(self) -> None:
        """Delete everything of the home."""
        with self._transaction() as connection:
            for table in self._place.tables:
                connection.execute(sa.delete(table).where(table.c.home == self.home))

    @contextmanager
    def day(self, day: dt.date, *, max_wait_seconds: float = MAX_WAIT_SECONDS) -> Iterator[LedgerDay]:
        """Work on one day of the home, alone among all processes.

        Raises:
            LedgerUnavailable: Other runs have held the lock for all of ``max_wait_seconds``.
            SettingsError: The files of the lock cannot be created.
        """
        with self._place.hold(self.home, max_wait_seconds) as held:
            with self._reading() as connection:
                found = read_entries(connection, *is_of_day(self.home, day))
                entries = {entry.detector: entry for entry in found}
            self._held = held
            try:
                yield LedgerDay(self.home, day, entries, held, self._clock)
            finally:
                self._held = None

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that only reads."""
        return self._place.transaction()

    def _transaction(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction that may write: in a day's work, only as long as the lock is held."""
        return self._place.transaction() if self._held is None else self._held.begin()

    @property
    def _is_own(self) -> sa.ColumnElement[bool]:
        return ENTRIES.c.home == self.home


def _is_of_day_before(day: dt.date, rollup_day: dt.date) -> sa.ColumnElement[bool]:
    """Return the condition that an entry is of a day before one, or, if it is a rollup's, before another."""
    is_rollup = sa.or_(*(ENTRIES.c.detector.endswith(suffix, autoescape=True) for suffix in SUFFIXES))
    return ENTRIES.c.day < sa.case((is_rollup, rollup_day.isoformat()), else_=day.isoformat())


def _long_before(day: dt.date) -> dt.date:
    """Return the day before which entries are deleted, of the oldest day that the store keeps."""
    return max(day, dt.date.min + DAYS_KEPT_AFTER_RETENTION * ONE_DAY) - DAYS_KEPT_AFTER_RETENTION * ONE_DAY
