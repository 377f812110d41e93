"""Which home a ledger belongs to, for programs that only read aggregates: without the database toolkit."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from storage.identity import HomeIdentity

_MAX_WAIT_SECONDS: Final = 1.0
_FIRST_WITH_NAMES: Final = 6  # the schema version; before, a ledger had one home, without a name


def read_ledger_home(file: Path, home: str = "") -> HomeIdentity | None:
    """Return which home has a name in a ledger; None if there is no ledger, or it does not say.

    A ledger that cannot be read is the job's concern: rows can be read without it.
    """
    if not file.is_file():
        return None
    import sqlite3  # noqa: PLC0415 - importing storage.query loads no driver

    try:
        address = f"{file.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_MAX_WAIT_SECONDS)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version >= _FIRST_WITH_NAMES:
                row = connection.execute("SELECT identity FROM home WHERE home = ?", (home,)).fetchone()
            else:
                row = None if home else connection.execute("SELECT home FROM home").fetchone()
        return None if row is None else HomeIdentity.from_json(row[0])
    except (sqlite3.Error, ValueError, TypeError):
        return None
