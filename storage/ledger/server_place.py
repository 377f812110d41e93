"""A ledger in a PostgreSQL database, for machines that work on the same homes, and for many homes.

Whoever works on a home holds a lock of the server, which ends with the connection of its holder. A process may go on
without noticing that its connection has ended, while another one has got the lock. Hence each holder also has a number,
which is stored for the home: every transaction that writes under the lock first compares it, and keeps it from being
replaced until it has ended. So nothing is written after the next holder has begun.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql

from storage.drivers import sql
from storage.drivers.session_lock import LockTimeout, SessionLocks, key_of
from storage.drivers.sql_errors import translated
from storage.drivers.sql_urls import database_of
from storage.drivers.time_limits import MAX_IDLE_SECONDS, TIMEOUT_SECONDS
from storage.drivers.upserts import insert_or_replace
from storage.errors import LedgerUnavailable, PatternAggregatesError, SettingsError
from storage.ledger import server_schema
from storage.ledger.day import Transactions
from storage.ledger.place import ERRORS
from storage.ledger.server_schema import (
    DOCUMENTS,
    HOLD_NUMBERS,
    HOLDS,
    IN_SCHEMA,
    SCHEMA,
    SERVER_TABLES,
    read_document,
)

_SETTING: Final = "ledger.url"
_MARGIN_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


class LedgerServer:
    """A PostgreSQL database. A writer creates the ledger in it.

    Args:
        url: The database.
        read_only: Never create or change anything; a ledger that does not exist reads as empty.
        timeout_seconds: How long the server may take to answer one statement.

    Raises:
        SettingsError: The server refuses the account, or does not let it create the ledger.
        LedgerVersionMismatch: The ledger is of another version.
        LedgerUnavailable: The server cannot be used now.
    """

    def __init__(self, url: sa.URL, *, read_only: bool, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.where = url.set(query={}).render_as_string()  # without the password
        self.name = f"ledger {self.where}"
        self.changes = ""
        self._database = database_of(url)
        self.tables: Sequence[sa.Table] = SERVER_TABLES
        if url.get_backend_name() != "postgresql":
            raise SettingsError(
                f"{_SETTING}: {url.get_backend_name()} is not supported for a ledger",
                hint="Use PostgreSQL; a file is named in ledger.path.",
            )
        engine = (
            sql.reading_engine(url, timeout_seconds)
            if read_only
            else sql.writing_engine(url, _SETTING, timeout_seconds)
        )
        self._engine = engine.execution_options(**IN_SCHEMA)
        self._locks = SessionLocks(url, timeout_seconds)
        self._is_there = True
        try:
            with self.transaction() as connection:
                if read_only:
                    self._is_there = server_schema.check(connection, self.name)
                else:
                    self.changes = server_schema.upgrade(connection, self.name)
        except SettingsError as error:
            self.close()
            raise server_schema.creation_refused(error) from error
        except PatternAggregatesError:
            self.close()
            raise
        if self.changes:
            _log.info("%s", self.changes)

    @property
    def is_there(self) -> bool:
        """See ``LedgerPlace``."""
        return self._is_there

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """See ``LedgerPlace.transaction``."""
        if not self._is_there:
            raise LedgerUnavailable(f"{self.name} does not exist")
        with sql.transaction(self._engine, ERRORS, self.name) as connection:
            yield connection

    @contextmanager
    def hold(self, home: str, max_wait_seconds: float) -> Iterator[Transactions]:
        """See ``LedgerPlace.hold``."""
        with ExitStack() as stack:
            connection = self._lock(stack, home, (), max_wait_seconds)
            try:
                number = _take_number(connection, home)
            except exc.SQLAlchemyError as error:
                raise translated(error, ERRORS, self.name) from error
            yield _HeldTransactions(self, self._database, home, number)

    @contextmanager
    def alone(self, home: str, what: str, max_wait_seconds: float) -> Iterator[None]:
        """See ``LedgerPlace.alone``."""
        with ExitStack() as stack:
            self._lock(stack, home, (what,), max_wait_seconds)
            yield

    def read_document(self, home: str, name: str) -> str | None:
        """See ``LedgerPlace.read_document``."""
        if not self._is_there:
            return None
        with self.transaction() as connection:
            return read_document(connection, home, name)

    def change_document(self, home: str, name: str, edit: Callable[[str | None], str]) -> None:
        """See ``LedgerPlace.change_document``."""
        with self.transaction() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key_of(SCHEMA, home, "document", name))))
            text = edit(read_document(connection, home, name))
            insert_or_replace(connection, DOCUMENTS, [{"home": home, "name": name, "text": text}])

    def _lock(self, stack: ExitStack, home: str, what: tuple[str, ...], max_wait_seconds: float) -> sa.Connection:
        """Take a lock of a home, until the stack is closed.

        Raises:
            LedgerUnavailable: Another process has held it for all of the time, or the server cannot be used.
        """
        try:
            return stack.enter_context(self._locks.acquire(key_of(SCHEMA, home, *what), max_wait_seconds))
        except LockTimeout as error:
            raise LedgerUnavailable(
                f"another run has held the lock of {self.in_words(home)} for more than {max_wait_seconds:.0f} s"
                + (f": {error}" if str(error) else ""),
                hint="Let it finish, or stop it; the lock is released when its process exits.",
            ) from error
        except exc.SQLAlchemyError as error:
            raise translated(error, ERRORS, self.name) from error

    def close(self) -> None:
        """See ``LedgerPlace.close``."""
        self._locks.close()
        self._engine.dispose()

    def in_words(self, home: str) -> str:
        """Return what to call a home of this ledger in messages."""
        return f"the home {home!r} in {self.name}" if home else self.name


class _HeldTransactions:
    """Transactions that are refused once another process has got the lock of the home.

    Args:
        place: The ledger's database.
        database: Which it is.
        home: The name of the home.
        number: The number of the holder.
    """

    def __init__(self, place: LedgerServer, database: str, home: str, number: int) -> None:
        self.database = database
        self._place = place
        self._home = home
        self._number = number

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """See ``Transactions.begin``."""
        with self._place.transaction() as connection:
            self._refuse_late(connection)
            yield connection

    @contextmanager
    def join(self, connection: sa.Connection) -> Iterator[None]:
        """See ``Transactions.join``."""
        before = connection.get_execution_options().get("schema_translate_map")
        self._refuse_late(connection)
        connection.execution_options(**IN_SCHEMA)
        try:
            yield
        finally:
            connection.execution_options(schema_translate_map=before)

    def _refuse_late(self, connection: sa.Connection) -> None:
        if _present_number(connection, self._home) != self._number:
            raise LedgerUnavailable(
                f"another run has taken over {self._place.in_words(self._home)}: this one has lost its lock with its "
                "connection, and writes nothing more",
                hint="Nothing is lost: the other run goes on with the work.",
            )


def _take_number(connection: sa.Connection, home: str) -> int:
    """Return the number of a new holder. What the one before it is writing is waited for."""
    wait = str(round(1000 * (MAX_IDLE_SECONDS + _MARGIN_SECONDS)))
    connection.execute(sa.select(sa.func.set_config("lock_timeout", wait, False)))
    insert = postgresql.insert(HOLDS).values(home=home, number=HOLD_NUMBERS.next_value())
    changed = insert.on_conflict_do_update(index_elements=[HOLDS.c.home], set_={"number": insert.excluded.number})
    number: int = connection.execute(changed.returning(HOLDS.c.number), execution_options=IN_SCHEMA).scalar_one()
    return number


def _present_number(connection: sa.Connection, home: str) -> int | None:
    """Return the number of the newest holder, which cannot change before the transaction ends."""
    query = sa.select(HOLDS.c.number).where(HOLDS.c.home == home).with_for_update(read=True)
    number: int | None = connection.execute(query, execution_options=IN_SCHEMA).scalar()
    return number
