"""The composition root: settings become a source, detectors, a store and a ledger. Read it to see what is real."""

from __future__ import annotations

import datetime as dt
import glob
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from jobs.activity.entities import EntityRules, Override
from jobs.pipeline import Pipeline
from jobs.registry import Registered, load
from jobs.settings import CsvFilesSettings, HomeAssistantDatabaseSettings, InfluxSourceSettings, Settings
from jobs.sources.base import EventSource
from storage.backends.memory import MemoryStore
from storage.connect import influx_server, open_store
from storage.dates import ONE_DAY
from storage.errors import SettingsError
from storage.ledger.ledger import Ledger
from storage.query import AggregateQuery
from storage.settings import based, based_store, based_url, check, load_document
from storage.store import AggregateStore

Clock = Callable[[], dt.datetime]


def system_clock() -> dt.datetime:
    """The present instant."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class Home:
    """A home as its settings describe it; nothing is opened yet.

    Attributes:
        settings: Typed and checked.
        base: The folder that relative paths start from.
        origin: Where the settings come from, for messages.
        registered: Every registered detector with its parameters.
        clock: Gives the present instant.
    """

    settings: Settings
    base: Path
    origin: str
    registered: list[Registered]
    clock: Clock

    @property
    def zone(self) -> ZoneInfo:
        """The home's zone."""
        return ZoneInfo(self.settings.home.time_zone)

    @property
    def rules(self) -> EntityRules:
        """How entities are classed."""
        entities = self.settings.entities
        override = {glob: Override(**about.model_dump()) for glob, about in entities.override.items()}
        return EntityRules(entities.include, entities.exclude, override)

    @property
    def ledger_path(self) -> Path:
        """Where the ledger lies."""
        return based(self.base, self.settings.ledger.path)

    @property
    def store_url(self) -> str:
        """Where the store lies."""
        return based_url(self.base, self.settings.store.url)

    @property
    def store_file(self) -> Path | None:
        """The file that is the store; None where it is a server."""
        if self.settings.store.kind != "sql" or not self.settings.store.url.startswith("sqlite"):
            return None
        return Path(unquote(self.store_url.partition(":///")[2].partition("?")[0]))

    @property
    def folders(self) -> dict[str, Path]:
        """Where ledger and store keep files, by whose they are."""
        files = {"ledger": self.ledger_path, "store": self.store_file}
        return {name: file.parent for name, file in files.items() if file is not None}

    @property
    def kept_days(self) -> int:
        """How many days that are over the store keeps; 0 for ever.

        InfluxDB counts from the present instant, so that of a day at its edge the 00:00 UTC point is already past.
        """
        settings = self.settings.store
        return settings.retention_days - (settings.kind == "influxdb" and settings.retention_days > 1)

    def yesterday(self) -> dt.date:
        """The newest local day that is over."""
        return self.today() - ONE_DAY

    def today(self) -> dt.date:
        """The local day that it is now."""
        return self.clock().astimezone(self.zone).date()

    def open_source(self) -> EventSource:
        """The source of raw events; each kind is loaded when it is used."""
        source = self.settings.source
        if isinstance(source, HomeAssistantDatabaseSettings):
            from jobs.sources.home_assistant_db import HomeAssistantDatabase  # noqa: PLC0415 - loads a SQL toolkit

            registry = based(self.base, source.registry_dir) if source.registry_dir else None
            return HomeAssistantDatabase(based_url(self.base, source.url), self.zone, self.rules, registry, self.clock)
        if isinstance(source, CsvFilesSettings):
            from jobs.sources.csv_files import CsvFiles  # noqa: PLC0415 - only where it is used

            folder = Path(glob.escape(str(self.base)))  # what is special to a glob in its name is not meant as such
            return CsvFiles(str(based(folder, source.path)), self.zone, self.rules, self.clock)
        if isinstance(source, InfluxSourceSettings):
            return self._open_influx_source(source)
        from jobs.sources.simulated_home import SimulatedHome  # noqa: PLC0415 - only where it is used

        return SimulatedHome(
            self.zone,
            self.rules,
            seed=source.seed,
            events_per_day=source.events_per_day,
            first_day=source.first_day,
            last_day=source.last_day or max(source.first_day, self.yesterday()),
        )

    def _open_influx_source(self, source: InfluxSourceSettings) -> EventSource:
        ca_file = str(based(self.base, source.ca_file)) if source.ca_file else ""
        server = influx_server(source.model_copy(update={"ca_file": ca_file}), "source")
        from jobs.sources.influxdb import LAYOUTS, InfluxSource  # noqa: PLC0415 - needs what the server needs

        names = ("measurement", "entity_tag", "domain_tag", "area_tag", "device_tag", "event_tag", "fields")
        said = {name: value for name in names if (value := getattr(source, name)) is not None}
        return InfluxSource(
            server,
            source.bucket,
            self.zone,
            self.rules,
            layout=replace(LAYOUTS[source.layout], **said),
            registry_dir=based(self.base, source.registry_dir) if source.registry_dir else None,
            lookback_days=source.lookback_days,
            max_silence_hours=source.max_silence_hours,
        )

    def open_store(self, *, read_only: bool = False) -> AggregateStore:
        """The store of aggregates."""
        return open_store(based_store(self.base, self.settings.store), read_only=read_only)

    def open_ledger(self, *, read_only: bool = False) -> Ledger:
        """The ledger."""
        return Ledger(self.ledger_path, clock=self.clock, read_only=read_only)

    def open_query(self) -> AggregateQuery:
        """The store, for reading."""
        return AggregateQuery(self.open_store(read_only=True))

    @contextmanager
    def open_pipeline(self, *, dry: bool = False) -> Iterator[Pipeline]:
        """Everything that a day's run works with; ``dry`` for planning only, so that nothing is made or touched."""
        with ExitStack() as stack:
            source = self.open_source()
            stack.callback(source.close)
            ledger = stack.enter_context(self.open_ledger(read_only=dry))
            store = MemoryStore() if dry else self.open_store()
            stack.callback(store.close)
            yield Pipeline(
                detectors=[one.detector for one in self.registered if one.enabled],
                source=source,
                store=store,
                ledger=ledger,
                zone=self.zone,
                clock=self.clock,
                models=[one.detector.model for one in self.registered],
            )


def open_home(config: Path | None = None, *, clock: Clock = system_clock) -> Home:
    """A home from its settings.

    Raises:
        SettingsError: The settings cannot work; all problems at once.
    """
    document = load_document(config)
    tables = document.values.get("detectors", {})
    problems: list[SettingsError] = []
    settings, registered = Settings(), []
    try:
        settings = check(Settings, document)
    except SettingsError as error:
        problems.append(error)
    try:
        if isinstance(tables, dict) and all(isinstance(table, dict) for table in tables.values()):
            registered = load(tables)
    except SettingsError as error:
        problems.append(error)
    if problems:
        raise SettingsError("\n".join(map(str, problems)), hint="config/default.toml shows every setting.")
    return Home(settings, document.base, document.origin, registered, clock)
