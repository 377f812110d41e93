"""Database URLs as people write them, with the driver that this project's extras install."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from storage.errors import SettingsError

_DRIVERS: Final = {  # the driver of this project's extra, for URLs that name none
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}
_EXTRAS: Final = {
    ("mysql", "pymysql"): "mysql",
    ("mariadb", "pymysql"): "mysql",
    ("postgresql", "psycopg"): "postgresql",
}
_EXAMPLES: Final = {
    "sqlite": "sqlite:///folder/file.db",
    "mysql": "mysql+pymysql://user:password@host/name",
    "mariadb": "mysql+pymysql://user:password@host/name",
    "postgresql": "postgresql+psycopg://user:password@host/name",
}
_URL_HINT: Final = f"Write it like {_EXAMPLES['sqlite']}, {_EXAMPLES['mysql']} or {_EXAMPLES['postgresql']}."


def parse_url(url: str, setting: str) -> sa.URL:
    """Return a database URL with a driver that is installed; an SQLite URL must name a file.

    ``mysql://``, ``mariadb://``, ``postgres://`` and ``postgresql://`` get the driver of this project's extra.

    Raises:
        SettingsError: The text is not a valid database URL, or its driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise SettingsError(f"{setting}: not a valid database URL", hint=_URL_HINT) from error
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    try:
        parsed.get_dialect().import_dbapi()
    except exc.NoSuchModuleError as error:
        raise SettingsError(f"{setting}: not a supported database: {parsed.drivername}", hint=_URL_HINT) from error
    except ImportError as error:
        backend, driver = parsed.get_backend_name(), parsed.get_driver_name()
        extra = _EXTRAS.get((backend, driver))
        raise SettingsError(
            f"{setting}: the database driver {driver} is not installed",
            hint=f'Install the extra: pip install "pattern-aggregates[{extra}]".'
            if extra
            else f"Install {driver}, or write the URL like {_EXAMPLES.get(backend, _EXAMPLES['sqlite'])}.",
        ) from error
    if "@" in (parsed.host or ""):
        raise SettingsError(f"{setting}: the server's name contains an @", hint="Write an @ in a password as %40.")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError(f"{setting}: an SQLite URL must name a file", hint="Write sqlite:///folder/file.db")
    return parsed


def database_of(url: sa.URL) -> str:
    """Return which database of a server a URL names, by which account; empty for a file.

    >>> database_of(sa.make_url("postgresql+psycopg://me:secret@db/home?sslmode=require"))
    'postgresql://me@db:5432/home'
    """
    if url.get_backend_name() != "postgresql":
        return ""
    host = url.query.get("host") or url.host or ""
    port = url.query.get("port") or url.port or 5432
    return f"postgresql://{url.username or ''}@{host}:{port}/{url.database or ''}"


def sqlite_file(url: sa.URL) -> Path | None:
    """Return the file of an SQLite URL; None for a database server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None
