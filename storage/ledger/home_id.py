"""Which home a ledger belongs to, for programs that only read aggregates: without the database toolkit."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path
from typing import Final

from storage.errors import PatternAggregatesError
from storage.identity import HomeIdentity

_MAX_WAIT_SECONDS: Final = 1.0
_FIRST_WITH_NAMES: Final = 6  # the schema version; before, a ledger had one home, without a name


def read_ledger_home(file: Path | None, home: str = "", *, url: str = "") -> HomeIdentity | None:
    """Return which home has a name in a ledger; None if there is no ledger, or it does not say.

    A ledger that cannot be read is the job's concern: rows can be read without it.

    Args:
        file: The file of the ledger; None if it is in a database.
        home: The name of the home.
        url: The URL of the database.
    """
    if file is None:
        return _read_server(url, home)
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


def _read_server(url: str, home: str) -> HomeIdentity | None:
    from storage.drivers.sql_urls import parse_url  # noqa: PLC0415 - as above
    from storage.ledger.ledger import Ledger  # noqa: PLC0415 - as above

    try:
        place = parse_url(url, "ledger.url")
        with Ledger(place, home=home, clock=lambda: dt.datetime.now(dt.UTC), read_only=True) as ledger:
            noted = ledger.read_home()
    except PatternAggregatesError:
        return None
    return None if noted is None else noted.identity
