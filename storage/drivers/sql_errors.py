"""Errors of SQLAlchemy and of database drivers as errors of ours: the one place where they are translated."""

from __future__ import annotations

import re
import sqlite3
from typing import Final, NamedTuple

from sqlalchemy import exc

from storage.errors import PatternAggregatesError, SettingsError

_CORRUPT = ("file is not a database", "malformed", "database corruption", "file is encrypted")
_UNDECODABLE: Final = "could not decode to utf-8"
_DISK_FULL = ("disk is full", "no space left")
_READ_ONLY: Final = "read-only transaction"
_LOGIN_REFUSED = (  # what servers answer to an account, password or right that is not valid
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied for",
    "access denied for user",
    "command denied to user",
    "must be owner of",
)
_NO_ROLE = re.compile(r'role ".*" does not exist', re.IGNORECASE)


class ErrorClasses(NamedTuple):
    """The error classes of whoever uses a database, for the kinds of errors that it may have."""

    unavailable: type[PatternAggregatesError]
    corrupt: type[PatternAggregatesError]
    other: type[PatternAggregatesError]
    hint_when_corrupt: str = "Restore it from a backup; for SQLite, `sqlite3 FILE .recover` saves what can be saved."


def translated(error: Exception, errors: ErrorClasses, name: str) -> PatternAggregatesError:
    """Return the error of ours for one of SQLAlchemy or of a driver, with what to do about it.

    Args:
        error: The error.
        errors: The classes to choose from; a refused account is always a ``SettingsError``.
        name: What to call the database in the message.
    """
    original = getattr(error, "orig", None) or error
    text = (str(original).strip() or type(original).__name__).splitlines()[0]
    lower = text.lower()
    if _UNDECODABLE in lower or any(words in lower for words in _CORRUPT):
        return errors.corrupt(f"{name} is damaged: {text}", hint=errors.hint_when_corrupt)
    if any(words in lower for words in _DISK_FULL):
        return errors.unavailable(f"{name}: {text}", hint="Free some disk space and run again.")
    if (refused := _refused(name, text)) is not None:
        return refused
    if getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:  # such as a column that does not exist
        return errors.other(f"{name}: {text}", hint="Its tables may be of another version of the program.")
    if _is_temporary(error) or _READ_ONLY in lower:
        return errors.unavailable(f"{name} cannot be used now: {text}", hint=_hint_when_unavailable(lower))
    return errors.other(f"{name}: {text}")


def _refused(name: str, text: str) -> SettingsError | None:
    """Return the error for a server that lets this account not do what it has to do; None for any other error."""
    lower = text.lower()
    if any(words in lower for words in _LOGIN_REFUSED) or _NO_ROLE.search(text):
        return SettingsError(
            f"{name}: the server refuses this account: {text}",
            hint="Correct user and password in the URL, or give the account its rights: SELECT to read; to write also "
            "INSERT, UPDATE and DELETE, CREATE on the schema, and to be the owner of the tables.",
        )
    if "no schema has been selected" in lower:
        return SettingsError(
            f"{name}: {text}: no schema of the search_path exists, or the account may not use it",
            hint="Create the schema, or correct the search_path of the account, the database or the URL.",
        )
    return None


def _is_temporary(error: Exception) -> bool:
    """Whether an error is of the connection or the server, by the names that all drivers give their classes."""
    if isinstance(error, exc.TimeoutError | exc.DisconnectionError) or getattr(error, "connection_invalidated", False):
        return True
    return any(cls.__name__ in ("OperationalError", "InterfaceError") for cls in type(error).__mro__)


def _hint_when_unavailable(text: str) -> str:
    if any(words in text for words in ("locked", "busy", "lock timeout", "lock wait timeout", "deadlock")):
        return "Another program is using it; run again when that one has finished."
    if _READ_ONLY in text:
        return "If this server is a standby, name the one that takes writes; else see default_transaction_read_only."
    if "statement timeout" in text:
        return "If the server is only slow, raise timeout_seconds in [store] or [source]."
    if "readonly" in text or "unable to open" in text:
        return "Check the permissions of the file and its folder."
    return "Check that the database answers, then run again."


def is_undecodable(error: BaseException) -> bool:
    """Return whether an error says that a text in SQLite is not valid UTF-8."""
    return _UNDECODABLE in str(error).lower()
