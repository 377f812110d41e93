"""A place that a ledger may lie in, and how one works on a home alone: shared by the ledgers of all homes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

import sqlalchemy as sa

from storage.drivers import sql_errors
from storage.errors import LedgerCorrupt, LedgerError, LedgerUnavailable
from storage.ledger.day import HINT_WHEN_CORRUPT, Transactions

ERRORS: Final = sql_errors.ErrorClasses(
    LedgerUnavailable,
    LedgerCorrupt,
    LedgerError,
    hint_when_corrupt=HINT_WHEN_CORRUPT,
)


class LedgerPlace(Protocol):
    """A database with a ledger.

    Attributes:
        where: The file, or the URL without its password.
        name: What to call it in messages.
        changes: What opening it has changed, in words; empty if nothing.
        tables: Every table; the key of each begins with ``home``.
    """

    where: str
    name: str
    changes: str
    tables: Sequence[sa.Table]

    @property
    def is_there(self) -> bool:
        """Whether there is a ledger; a reader of none finds everything empty."""

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """Open a transaction, which is committed when the block ends and rolled back when it raises.

        Raises:
            LedgerUnavailable: There is no ledger.
        """

    def hold(self, home: str, max_wait_seconds: float) -> AbstractContextManager[Transactions]:
        """Keep all other processes from working on a home until the block ends; yields what to write in meanwhile.

        Raises:
            LedgerUnavailable: Others have worked on it for all of ``max_wait_seconds``.
            SettingsError: The lock cannot be made.
        """

    def alone(self, home: str, what: str, max_wait_seconds: float) -> AbstractContextManager[None]:
        """Keep all other processes from doing something else for a home until the block ends; see ``hold``."""

    def read_document(self, home: str, name: str) -> str | None:
        """Return a text that is kept for a home; None if there is none."""

    def change_document(self, home: str, name: str, edit: Callable[[str | None], str]) -> None:
        """Replace a text of a home by what a function makes of it, in one transaction.

        Raises:
            LedgerError: The ledger is a file, beside which such texts lie.
        """

    def close(self) -> None:
        """Close it, for the ledgers of all homes."""
