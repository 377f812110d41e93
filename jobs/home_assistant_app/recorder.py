"""Find the recorder database of the Home Assistant that the app belongs to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from jobs.cli import recorder_search
from jobs.cli.recorder_search import FoundRecorder, recorder_in
from jobs.home_assistant_app.supervisor import Service
from storage.errors import SettingsError, UsageError

FILE: Final = recorder_search.DATABASE
DATABASE: Final = "homeassistant"  # the name of the database in the documentation of the MariaDB app
MAX_AGE: Final = dt.timedelta(days=1)  # of the last write: Home Assistant writes every few seconds


def find_recorder(folder: Path, find_mariadb: Callable[[], Service | None], now: dt.datetime) -> FoundRecorder:
    """Return the recorder database.

    It is the one that Home Assistant's configuration names, else the usual SQLite file. Where the configuration names
    none that can be followed, it may still be a MariaDB: if there is one, and no file that was written within a day. A
    file that was not was left behind when somebody moved to MariaDB.

    Args:
        folder: Home Assistant's configuration.
        find_mariadb: Returns the MariaDB that another app provides, or None; called only if it matters.
        now: The present instant.

    Raises:
        SettingsError: There is neither.
    """
    file = folder / FILE
    found, problem = None, ""
    try:
        found = recorder_in(folder)
    except UsageError as error:
        problem = str(error)
    if found is not None and (found.origin != str(file) or now - _last_write(file) <= MAX_AGE):
        return found
    mariadb = find_mariadb()
    if mariadb is not None:
        url = sa.URL.create(
            "mysql+pymysql", mariadb.username or None, mariadb.password or None, mariadb.host, mariadb.port, DATABASE
        )
        origin = f"the MariaDB that another app provides ({mariadb.host})"
        time_zone = found.time_zone if found else None
        return FoundRecorder(url.render_as_string(hide_password=False), origin, folder / ".storage", time_zone)
    if found is None:
        raise SettingsError(
            f"no recorder database was found: {problem}, and no app provides MariaDB",
            hint="Set the option database_url to the db_url of the recorder.",
        )
    return found


def _last_write(file: Path) -> dt.datetime:
    """Return when a database or its write-ahead log was last written."""
    files = [one for one in (file, file.with_name(f"{file.name}-wal")) if one.is_file()]
    return dt.datetime.fromtimestamp(max(one.stat().st_mtime for one in files), dt.UTC)
