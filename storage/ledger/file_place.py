"""A ledger in an SQLite file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from storage.drivers import sql
from storage.drivers.file_lock import FairLock
from storage.errors import LedgerError, LedgerUnavailable, PatternAggregatesError
from storage.ledger import schema
from storage.ledger.day import Transactions
from storage.ledger.place import ERRORS

_SETTING: Final = "ledger.path"

_log = logging.getLogger(__name__)


class LedgerFile:
    """An SQLite file. A writer creates it, or migrates one of an earlier version.

    Args:
        path: The file; the files of its locks are beside it.
        read_only: Never create or change the file; one that does not exist reads as empty.

    Raises:
        SettingsError: The file cannot be created.
        LedgerMismatch: It belongs to another program.
        LedgerVersionMismatch: It is of a newer version, or ``read_only`` and it is of an earlier one.
        LedgerCorrupt: It is damaged.
        LedgerUnavailable: It cannot be used now (locked, disk full).
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.where = str(path)
        self.tables: Sequence[sa.Table] = schema.TABLES
        self.name = f"ledger {path}"
        self.changes = ""
        self._engine: sa.Engine | None = None
        url = sa.URL.create("sqlite", database=str(path))
        if read_only:
            if path.exists():
                self._open_for_reading(url)
        else:
            self._open_for_writing(url)

    @property
    def is_there(self) -> bool:
        """See ``LedgerPlace``."""
        return self._engine is not None

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """See ``LedgerPlace.transaction``."""
        if self._engine is None:
            raise LedgerUnavailable(f"{self.name} does not exist")
        with sql.transaction(self._engine, ERRORS, self.name) as connection:
            yield connection

    @contextmanager
    def hold(self, home: str, max_wait_seconds: float) -> Iterator[Transactions]:
        """See ``LedgerPlace.hold``. The system keeps the lock for its process, so that none can go on without it."""
        with FairLock(file_of_home(self.path, home), _SETTING).acquire(max_wait_seconds):
            yield _FileTransactions(self.transaction)

    @contextmanager
    def alone(self, home: str, what: str, max_wait_seconds: float) -> Iterator[None]:
        """See ``LedgerPlace.alone``."""
        lock = file_of_home(self.path, home)
        with FairLock(lock.with_name(f"{lock.name}.{what}"), _SETTING).acquire(max_wait_seconds):
            yield

    def read_document(self, home: str, name: str) -> str | None:  # noqa: ARG002 - there are none
        """See ``LedgerPlace.read_document``."""
        return None

    def change_document(self, home: str, name: str, edit: Callable[[str | None], str]) -> None:  # noqa: ARG002 - as above
        """See ``LedgerPlace.change_document``."""
        raise LedgerError(f"{self.name} keeps no {name}: that lies in a file beside it")

    def close(self) -> None:
        """See ``LedgerPlace.close``."""
        if self._engine is not None:
            self._engine.dispose()

    def _open_for_writing(self, url: sa.URL) -> None:
        found = sql.FileContents.of_file(self.path, ERRORS, self.name)
        if found is not None:
            schema.refuse_foreign(found, self.name)
        self._engine = sql.writing_engine(url, _SETTING)
        try:
            with self.transaction() as connection:
                self.changes = schema.upgrade(connection, self.name)
            if found is None and self.changes:
                sql.use_write_ahead_log(self._engine)
        except PatternAggregatesError:
            self.close()
            raise
        if self.changes:
            _log.info("%s", self.changes)

    def _open_for_reading(self, url: sa.URL) -> None:
        self._engine = sql.reading_engine(url, setting=_SETTING)
        try:
            with self.transaction() as connection:
                is_there = schema.check(connection, self.name)
        except PatternAggregatesError:
            self.close()
            raise
        if not is_there:  # another process is about to create it
            self.close()
            self._engine = None


class _FileTransactions:
    database = ""

    def __init__(self, begin: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._begin = begin

    def begin(self) -> AbstractContextManager[sa.Connection]:
        return self._begin()

    def join(self, connection: sa.Connection) -> AbstractContextManager[None]:  # noqa: ARG002 - no store is in this file
        raise LedgerError("a ledger in a file has transactions of its own")


def file_of_home(file: Path, home: str) -> Path:
    """Return the path beside which the files of a home lie, such as its lock; that of the ledger without a name.

    It has a hash of the name, as a name may hold what a file's name cannot.
    """
    if not home:
        return file
    return file.with_name(f"{file.stem}.{hashlib.blake2b(home.encode(), digest_size=8).hexdigest()}{file.suffix}")
