"""Open the store that the settings name. Only this module knows every backend; each is imported when it is opened."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from storage.drivers.influxdb.server import Server
from storage.errors import SettingsError
from storage.settings import InfluxServerSettings, ParquetStoreSettings, SqlStoreSettings, StoreSettings
from storage.store import AggregateStore

_BACKENDS: Final = {
    "sql": "storage.backends.sql:SqlStore",
    "influxdb": "storage.backends.influxdb.two_buckets:open_buckets",
    "parquet": "storage.backends.parquet:ParquetStore",
}


def open_store(settings: StoreSettings, *, home: str | None = "", read_only: bool = False) -> AggregateStore:
    """Open the store that the settings name.

    Args:
        settings: The settings of the store, with absolute paths.
        home: The name of the home whose rows are read and written; None reads those of all homes.
        read_only: Never create or change anything; a store that does not exist is an error, not an empty store.

    Raises:
        SettingsError: The settings are not valid, or a library that the store needs is not installed.
        StoreMissing: ``read_only``, and there is no such file. Whether a server has the store shows on first use.
        StoreUnavailable: It cannot be reached now.
    """
    backend: Callable[..., AggregateStore] = _load(_BACKENDS[settings.kind], settings.kind)
    if isinstance(settings, SqlStoreSettings):
        return backend(settings.url, home=home, read_only=read_only, timeout_seconds=settings.timeout_seconds)
    if isinstance(settings, ParquetStoreSettings):
        if not read_only:
            raise SettingsError(
                "store.kind = 'parquet' can only be read",
                hint="Name the store that the job writes to, and fill this folder with `pattern-aggregates export`.",
            )
        return backend(settings.path, home=home)
    server = influx_server(settings, "store")
    return backend(
        server,
        daily=(settings.bucket, settings.retention_days),
        rollups=(settings.bucket_of_rollups, settings.rollup_retention_days),
        home=home,
        read_only=read_only,
    )


def influx_server(settings: InfluxServerSettings, section: str) -> Server:
    """Return the server that a section of the settings describes.

    Raises:
        SettingsError: An address or the token is not valid.
    """
    return Server(
        url=settings.url,
        org=settings.org,
        token=settings.token,
        timeout_seconds=settings.timeout_seconds,
        ca_file=Path(settings.ca_file) if settings.ca_file else None,
        verify=settings.verify,
        proxy=settings.proxy,
        compress=settings.compress,
        setting=f"{section}.url",
    )


def _load(path: str, kind: str) -> Any:  # noqa: ANN401 - any class
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"store.kind = {kind!r} needs {error.name}, which is not installed",
            hint=f"Install pattern-aggregates[{kind}].",
        ) from error
