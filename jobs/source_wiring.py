"""Open the source of raw events that the settings name; only the kind that is used is imported."""

from __future__ import annotations

import datetime as dt
import glob
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from jobs.activity.entities import EntityRules
from jobs.names import NO_NAMES, Names, NamesEntities, merged
from jobs.settings import (
    CsvFilesSettings,
    HomeAssistantDatabaseSettings,
    InfluxSourceSettings,
    ParquetFilesSettings,
    SourceSettings,
)
from jobs.sources.base import EventSource
from jobs.sources.home_assistant_registry import read_registry_names
from storage.connect import influx_server
from storage.errors import SettingsError, SourceError
from storage.settings import absolute_path, absolute_url

if TYPE_CHECKING:
    from jobs.sources.parquet_events import EventFiles

MAX_NAMES_SECONDS: Final = 3.0


def open_source(
    source: SourceSettings,
    base: Path,
    *,
    zone: ZoneInfo,
    rules: EntityRules,
    clock: Callable[[], dt.datetime],
    yesterday: dt.date,
) -> EventSource:
    """Open a source.

    Args:
        source: Its settings.
        base: The folder that relative paths start from.
        zone: The home's time zone.
        rules: How entities are classified.
        clock: Returns the current instant.
        yesterday: The newest local day that is over.

    Raises:
        SettingsError: The settings are not valid.
    """
    if isinstance(source, HomeAssistantDatabaseSettings):
        from jobs.sources.home_assistant_db.database import HomeAssistantDatabase  # noqa: PLC0415 - loads a SQL toolkit

        return HomeAssistantDatabase(
            absolute_url(base, source.url),
            zone,
            rules,
            _registry(base, source.registry_dir),
            clock,
            max_silence_hours=source.max_silence_hours,
            timeout_seconds=source.timeout_seconds,
        )
    if isinstance(source, CsvFilesSettings):
        from jobs.sources.csv_files import CsvFiles  # noqa: PLC0415 - only where it is used

        folder = Path(glob.escape(str(base)))  # only the setting is a glob, not the folder's name
        return CsvFiles(str(absolute_path(folder, source.path)), zone, rules, clock)
    if isinstance(source, ParquetFilesSettings):
        return _open_parquet_files(source, base, zone, rules, clock)
    if isinstance(source, InfluxSourceSettings):
        return _open_influx_source(source, base, zone, rules)
    from jobs.sources.simulated_home import SimulatedHome  # noqa: PLC0415 - only where it is used

    return SimulatedHome(
        zone,
        rules,
        seed=source.seed,
        events_per_day=source.events_per_day,
        first_day=source.first_day,
        last_day=source.last_day or max(source.first_day, yesterday),
        unusual_days=source.unusual_days,
    )


def read_names(source: SourceSettings, base: Path, open_it: Callable[[], EventSource]) -> Names:
    """Return the names of entities and areas, from the registries and from the source.

    A source that fails or does not answer soon has none: names must not hold up what is read from the store.

    Args:
        source: The settings of the source.
        base: The folder that relative paths start from.
        open_it: Opens the source.
    """
    folder = getattr(source, "registry_dir", None)
    registry = read_registry_names(absolute_path(base, folder)) if folder else NO_NAMES
    found: list[Names] = []

    def read() -> None:
        with suppress(SourceError, SettingsError), closing(open_it()) as opened:
            if isinstance(opened, NamesEntities):
                found.append(opened.names())

    thread = threading.Thread(target=read, name="names", daemon=True)
    thread.start()
    thread.join(MAX_NAMES_SECONDS)
    return merged(registry, found[0]) if found else registry


def _open_parquet_files(
    source: ParquetFilesSettings, base: Path, zone: ZoneInfo, rules: EntityRules, clock: Callable[[], dt.datetime]
) -> EventSource:
    try:
        from jobs.sources.parquet_files import ParquetFiles  # noqa: PLC0415 - loads pyarrow
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"source.kind = 'parquet_files' needs {error.name}, which is not installed",
            hint="Install pattern-aggregates[parquet].",
        ) from error
    path = source.path
    if "://" not in path:
        path = str(absolute_path(Path(glob.escape(str(base))), path))  # only the setting is a glob
    return ParquetFiles(
        _event_files(path),
        source.home,
        zone,
        rules,
        clock,
        lookback_days=source.lookback_days,
        max_silence_hours=source.max_silence_hours,
    )


@lru_cache(maxsize=8)  # the homes of a fleet share a folder's listing, footers and row groups
def _event_files(path: str) -> EventFiles:
    from jobs.sources.parquet_events import EventFiles  # noqa: PLC0415 - loads pyarrow

    return EventFiles(path)


def _open_influx_source(source: InfluxSourceSettings, base: Path, zone: ZoneInfo, rules: EntityRules) -> EventSource:
    server = influx_server(source.with_base(base), "source")
    from jobs.sources.influxdb import InfluxSource  # noqa: PLC0415 - needs what the server needs
    from jobs.sources.influxdb_points import LAYOUTS  # noqa: PLC0415 - needs what the server needs

    names = ("measurement", "entity_tag", "domain_tag", "area_tag", "device_tag", "event_tag", "fields")
    given = {name: value for name in names if (value := getattr(source, name)) is not None}
    return InfluxSource(
        server,
        source.bucket,
        zone,
        rules,
        layout=replace(LAYOUTS[source.layout], **given),
        registry_dir=_registry(base, source.registry_dir),
        lookback_days=source.lookback_days,
        max_silence_hours=source.max_silence_hours,
        home=(source.home_tag, source.home) if source.home_tag else None,
    )


def _registry(base: Path, folder: str | None) -> Path | None:
    return absolute_path(base, folder) if folder else None
