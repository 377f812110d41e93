"""A ledger in a PostgreSQL database, for machines that work on the same homes, and for many homes.

Whoever works on a home holds a lock of the server, which ends with the connection of its holder. A process may go on
without noticing that its connection has ended, while another one has got the lock. Hence each holder also has a number,
which is stored for the home: every transaction that writes under the lock first compares it, and keeps it from being
replaced until it has ended. So nothing is written after the next holder has begun.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql

from storage.drivers import sql
from storage.drivers.session_lock import LockTimeout, SessionLocks, key_of
from storage.drivers.sql_errors import translated
from storage.drivers.time_limits import TIMEOUT_SECONDS
from storage.errors import LedgerUnavailable, PatternAggregatesError, SettingsError
from storage.ledger import server_schema
from storage.ledger.place import ERRORS, Check
from storage.ledger.server_schema import HOLD_NUMBERS, HOLDS, IN_SCHEMA, SCHEMA, SERVER_TABLES

_SETTING: Final = "ledger.url"
_MAX_IDLE_SECONDS: Final = 30.0  # of an open transaction: that of a process that was stopped must not block the next
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
    def hold(self, home: str, max_wait_seconds: float) -> Iterator[Check]:
        """See ``LedgerPlace.hold``."""
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self._locks.acquire(key_of(SCHEMA, home), max_wait_seconds))
                number = _take_number(connection, home)
            except LockTimeout as error:
                raise LedgerUnavailable(
                    f"another run has held the lock of {self._in_words(home)} for more than {max_wait_seconds:.0f} s"
                    + (f": {error}" if str(error) else ""),
                    hint="Let it finish, or stop it; the lock is released when its process exits.",
                ) from error
            except (exc.SQLAlchemyError, exc.EmulatedDBAPIException) as error:
                raise translated(error, ERRORS, self.name) from error

            def refuse_late(writing: sa.Connection) -> None:
                if _present_number(writing, home) != number:
                    raise LedgerUnavailable(
                        f"another run has taken over {self._in_words(home)}: this one has lost its lock with its "
                        "connection, and writes nothing more",
                        hint="Nothing is lost: the other run goes on with the work.",
                    )

            yield refuse_late

    def close(self) -> None:
        """See ``LedgerPlace.close``."""
        self._locks.close()
        self._engine.dispose()

    def _in_words(self, home: str) -> str:
        return f"the home {home!r} in {self.name}" if home else self.name


def _take_number(connection: sa.Connection, home: str) -> int:
    """Return the number of a new holder. What the one before it is writing is waited for."""
    wait = str(round(1000 * (_MAX_IDLE_SECONDS + _MARGIN_SECONDS)))
    connection.execute(sa.select(sa.func.set_config("lock_timeout", wait, False)))
    insert = postgresql.insert(HOLDS).values(home=home, number=HOLD_NUMBERS.next_value())
    changed = insert.on_conflict_do_update(index_elements=[HOLDS.c.home], set_={"number": insert.excluded.number})
    number: int = connection.execute(changed.returning(HOLDS.c.number), execution_options=IN_SCHEMA).scalar_one()
    return number


def _present_number(connection: sa.Connection, home: str) -> int | None:
    """Return the number of the newest holder, which cannot change before the transaction ends."""
    idle = str(round(1000 * _MAX_IDLE_SECONDS))
    query = sa.select(HOLDS.c.number, sa.func.set_config("idle_in_transaction_session_timeout", idle, True))
    query = query.where(HOLDS.c.home == home).with_for_update(read=True)
    row = connection.execute(query, execution_options=IN_SCHEMA).first()
    return None if row is None else row.number
