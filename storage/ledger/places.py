"""Open the place that a ledger lies in; what a server needs is loaded only for one."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from storage.ledger.file_place import LedgerFile
from storage.ledger.place import LedgerPlace


def open_place(place: Path | sa.URL, *, read_only: bool) -> LedgerPlace:
    """Open a file or a server.

    Args:
        place: An SQLite file, or the URL of a PostgreSQL database.
        read_only: Never create or change it; a ledger that does not exist reads as empty.
    """
    if isinstance(place, Path):
        return LedgerFile(place, read_only=read_only)
    from storage.ledger.server_place import LedgerServer  # noqa: PLC0415 - most homes have a file

    return LedgerServer(place, read_only=read_only)
