"""Find the recorder database of the Home Assistant that the app belongs to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from jobs.home_assistant_app.supervisor import Service
from storage.errors import SettingsError

FILE: Final = "home-assistant_v2.db"
DATABASE: Final = "homeassistant"  # the name of the database in the documentation of the MariaDB app
MAX_AGE: Final = dt.timedelta(days=1)  # of the last write: Home Assistant writes every few seconds


def find_recorder(folder: Path, find_mariadb: Callable[[], Service | None], now: dt.datetime) -> str:
    """Return the URL of the recorder database.

    It is the SQLite file, which Home Assistant uses unless it is told otherwise. A file that has not been written for a
    day was left behind when somebody moved to MariaDB, if there is a MariaDB.

    Args:
        folder: Home Assistant's configuration.
        find_mariadb: Returns the MariaDB that another app provides, or None; called only if it matters.
        now: The present instant.

    Raises:
        SettingsError: There is neither.
    """
    file = folder / FILE
    written_at = _last_write(file)
    if written_at is not None and now - written_at <= MAX_AGE:
        return f"sqlite:///{file}"
    mariadb = find_mariadb()
    if mariadb is None and written_at is not None:
        return f"sqlite:///{file}"
    if mariadb is None:
        raise SettingsError(
            f"no recorder database was found: there is no {file}, and no app provides MariaDB",
            hint="Set the option database_url to the db_url of the recorder.",
        )
    url = sa.URL.create(
        "mysql+pymysql", mariadb.username or None, mariadb.password or None, mariadb.host, mariadb.port, DATABASE
    )
    return url.render_as_string(hide_password=False)


def _last_write(file: Path) -> dt.datetime | None:
    """Return when a database or its write-ahead log was last written; None if there is none."""
    files = [one for one in (file, file.with_name(f"{file.name}-wal")) if one.is_file()]
    if not file.is_file():
        return None
    return dt.datetime.fromtimestamp(max(one.stat().st_mtime for one in files), dt.UTC)
