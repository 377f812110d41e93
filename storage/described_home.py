"""The home that the settings describe, as it is compared with what ledger and store belong to.

Settings are taken as plain tables, so that a program that only reads aggregates can compare them as the job does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from storage.errors import SettingsError
from storage.identity import HomeIdentity, Place
from storage.regular_file import read_regular_text
from storage.settings import (
    ParquetStoreSettings,
    SqlStoreSettings,
    StoreSettings,
    absolute_path,
    ledger_path,
    sqlite_file,
)
from storage.settings_file import Document

INSTANCE_FILE: Final = "core.uuid"  # in Home Assistant's .storage folder: the id of this installation
DEFAULT_TIME_ZONE: Final = "UTC"  # as for the job, where [home] names no other


def describe_home(time_zone: str, source: Mapping[str, Any], base: Path, ledger: Path | None) -> HomeIdentity | None:
    """Return the home that the settings describe; it has no id.

    Args:
        time_zone: ``home.time_zone``.
        source: The table ``[source]``.
        base: The folder that relative paths start from.
        ledger: The file of the ledger; None if it is in a database.

    Returns:
        None if the table does not say where the raw events are.
    """
    kind, registry = source.get("kind", "simulated_home"), source.get("registry_dir")
    match kind, source:
        case "home_assistant_db", {"url": str(url)}:
            place = _database_place(f"{kind} ", url, base, ledger)
        case "csv_files", {"path": str(path)}:
            place = _file_place(f"{kind} ", absolute_path(base, path), ledger)
        case "parquet_files", {"path": str(path), "home": str(name)}:
            place = _parquet_place(f"{kind} ", path, base, ledger, f" {name}")
        case "influxdb", {"url": str(url), "bucket": str(bucket)}:
            of_home = f" {source['home']}" if source.get("home_tag") and source.get("home") else ""
            place = Place(f"{kind} {_address(url)} {_joined(str(source.get('org', '')), bucket)}{of_home}")
        case "simulated_home", {"seed": seed}:
            place = Place(f"{kind} seed {seed}")
        case _:
            return None
    instance = _read_instance(absolute_path(base, registry)) if isinstance(registry, str) and registry else ""
    return HomeIdentity(time_zone, place, instance)


def home_in_document(document: Document) -> HomeIdentity | None:
    """Return the home that settings describe before they are checked; None if they do not say where its events are."""
    source, home = document.values.get("source"), document.values.get("home")
    if not isinstance(source, Mapping):
        return None
    zone = home.get("time_zone", DEFAULT_TIME_ZONE) if isinstance(home, Mapping) else DEFAULT_TIME_ZONE
    return describe_home(str(zone), source, document.base, ledger_path(document))


def store_in_settings(store: StoreSettings, base: Path, ledger: Path | None) -> Place:
    """Return where the store of the settings is; ``ledger`` is the file of the ledger, if it is in one."""
    if isinstance(store, SqlStoreSettings):
        return _database_place("", store.url, base, ledger)
    if isinstance(store, ParquetStoreSettings):
        return _parquet_place("parquet ", store.path, base, ledger)
    return Place(f"influxdb {_address(store.url)} {_joined(store.org, store.bucket)}")


def _database_place(kind: str, url: str, base: Path, ledger: Path | None) -> Place:
    file = sqlite_file(url)
    if file is not None:
        return _file_place(f"{kind}sqlite ", absolute_path(base, str(file)), ledger)
    return Place(f"{kind}{_address(url)}")


def _file_place(kind: str, file: Path, ledger: Path | None) -> Place:
    from_ledger = "" if ledger is None else f"{kind}{os.path.relpath(file, ledger.parent)}"
    return Place(f"{kind}{os.path.normpath(file)}", from_ledger)


def _parquet_place(kind: str, path: str, base: Path, ledger: Path | None, home: str = "") -> Place:
    if "://" in path:
        return Place(f"{kind}{_address(path)}{home}")
    place = _file_place(kind, absolute_path(base, path), ledger)
    return Place(f"{place.text}{home}", place.from_ledger and f"{place.from_ledger}{home}")


def _address(url: str) -> str:
    """Return a URL without driver, user, password and options.

    >>> _address("postgresql+psycopg://me:secret@db.local:5432/home?sslmode=require")
    'postgresql://db.local:5432/home'
    """
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.partition("+")[0]
        return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
    except ValueError:
        return "(not a valid URL)"  # opening it reports what is wrong


def _joined(org: str, bucket: str) -> str:
    return f"{org}/{bucket}" if org else bucket


def _read_instance(registry: Path) -> str:
    """Return the id that Home Assistant has given itself; empty if the folder does not hold it."""
    try:
        found = json.loads(read_regular_text(registry / INSTANCE_FILE))["data"]["uuid"]
    except (OSError, SettingsError, ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""
