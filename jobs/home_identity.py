"""What the settings say about a home, as it is compared with what ledger and store belong to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jobs.settings import (
    CsvFilesSettings,
    HomeAssistantDatabaseSettings,
    InfluxSourceSettings,
    Settings,
    SourceSettings,
)
from storage.errors import SettingsError
from storage.identity import HomeIdentity, Place
from storage.regular_file import read_regular_text
from storage.settings import SqlStoreSettings, StoreSettings, absolute_path, sqlite_file

INSTANCE_FILE: Final = "core.uuid"  # in Home Assistant's .storage folder: the id of this installation


def home_in_settings(settings: Settings, base: Path) -> HomeIdentity:
    """Return the home that the settings describe; it has no id.

    Args:
        settings: The settings.
        base: The folder that relative paths start from.
    """
    source = settings.source
    registry = getattr(source, "registry_dir", None)
    return HomeIdentity(
        settings.home.time_zone,
        _source_place(source, base, _ledger_folder(settings, base)),
        _read_instance(absolute_path(base, registry)) if registry else "",
    )


def store_in_settings(store: StoreSettings, settings: Settings, base: Path) -> Place:
    """Return where the store of the settings is."""
    if isinstance(store, SqlStoreSettings):
        return _database_place("", store.url, base, _ledger_folder(settings, base))
    return Place(f"influxdb {_address(store.url)} {_joined(store.org, store.bucket)}")


def _ledger_folder(settings: Settings, base: Path) -> Path:
    return absolute_path(base, settings.ledger.path).parent


def _source_place(source: SourceSettings, base: Path, ledger_folder: Path) -> Place:
    if isinstance(source, HomeAssistantDatabaseSettings):
        return _database_place(f"{source.kind} ", source.url, base, ledger_folder)
    if isinstance(source, CsvFilesSettings):
        return _file_place(f"{source.kind} ", absolute_path(base, source.path), ledger_folder)
    if isinstance(source, InfluxSourceSettings):
        return Place(f"{source.kind} {_address(source.url)} {_joined(source.org, source.bucket)}")
    return Place(f"{source.kind} seed {source.seed}")


def _database_place(kind: str, url: str, base: Path, ledger_folder: Path) -> Place:
    file = sqlite_file(url)
    if file is not None:
        return _file_place(f"{kind}sqlite ", absolute_path(base, str(file)), ledger_folder)
    return Place(f"{kind}{_address(url)}")


def _file_place(kind: str, file: Path, ledger_folder: Path) -> Place:
    return Place(f"{kind}{os.path.normpath(file)}", f"{kind}{os.path.relpath(file, ledger_folder)}")


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
