"""A home as its settings describe it: paths, zone, detectors. Nothing is opened; ``jobs.wiring`` does that."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from jobs.activity.entities import EntityRules, Override
from jobs.ledger_wiring import ledger_place
from jobs.registry import Registered, enabled_names, foreign_models, load
from jobs.settings import Settings
from storage.dates import ONE_DAY
from storage.errors import SettingsError
from storage.identity import HomeIdentity
from storage.ledger.file_place import file_of_home
from storage.models import AGGREGATES, DailyAggregate
from storage.rollup_models import ROLLUPS
from storage.settings import StoreSettings, absolute_path

Clock = Callable[[], dt.datetime]


@dataclass(frozen=True)
class DescribedHome:
    """A home as its settings describe it.

    Attributes:
        settings: The settings, checked.
        base: The folder that relative paths start from.
        origin: The configuration file, for messages.
        clock: Returns the current instant.
        overrides: The settings that environment variables or secret files have set, with the names of those.
        is_source_named: Whether the settings name a source; if not, no command reads or computes anything.
        identity: What the ledger knows of the home, if that and not the settings says where its events come from.
    """

    settings: Settings
    base: Path
    origin: str
    clock: Clock
    overrides: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    is_source_named: bool = field(default=True, kw_only=True)
    identity: HomeIdentity | None = field(default=None, kw_only=True)

    @cached_property
    def registered(self) -> list[Registered]:
        """Every registered detector with its parameters; they are imported when this is first read."""
        return load(self.settings.detectors)

    @cached_property
    def enabled_detectors(self) -> list[str]:
        """The names of the enabled detectors, sorted; the package's own are not imported."""
        return enabled_names(self.settings.detectors)[0]

    @cached_property
    def stored_models(self) -> tuple[type[DailyAggregate], ...]:
        """The models whose rows the store may hold, also of other packages; our own detectors are not imported."""
        return (*AGGREGATES, *ROLLUPS, *foreign_models())

    @property
    def zone(self) -> ZoneInfo:
        """The home's time zone."""
        return ZoneInfo(self.settings.home.time_zone)

    @property
    def rules(self) -> EntityRules:
        """The rules by which entities are classified."""
        entities = self.settings.entities
        override = {glob: Override(**about.model_dump()) for glob, about in entities.override.items()}
        return EntityRules(entities.include, entities.exclude, override)

    @property
    def ledger_path(self) -> Path | None:
        """The file of the ledger; None if it is in a database."""
        settings = self.settings.ledger
        return None if settings.url else absolute_path(self.base, settings.path)

    @property
    def ledger_place(self) -> Path | sa.URL:
        """The file or the database of the ledger."""
        return ledger_place(self.settings.ledger, self.base)

    @property
    def files_beside(self) -> Path | None:
        """The path beside which further files of the home lie; None if its ledger is in a database, as they are."""
        return None if self.ledger_path is None else file_of_home(self.ledger_path, self.settings.home.name)

    @property
    def has_ledger(self) -> bool:
        """Whether there may be a ledger: that of a database shows only when it is opened."""
        return self.ledger_path is None or self.ledger_path.exists()

    @property
    def store_settings(self) -> StoreSettings:
        """``[store]`` with absolute paths: which file it is, how long it keeps a day."""
        return self.settings.store.with_base(self.base)

    @property
    def folders(self) -> dict[str, Path]:
        """The folders in which the ledger and, if it is a file, the store lie."""
        files = {"ledger": self.ledger_path, "store": self.store_settings.file}
        return {name: file.parent for name, file in files.items() if file is not None}

    def yesterday(self) -> dt.date:
        """Return the newest local day that is over."""
        return self.today() - ONE_DAY

    def oldest_kept_day(self) -> dt.date:
        """Return the oldest day that the store keeps."""
        return self.store_settings.oldest_kept_day(self.yesterday())

    def today(self) -> dt.date:
        """Return the current local day."""
        return self.clock().astimezone(self.zone).date()

    def require_source(self) -> None:
        """Refuse settings that name no source: a simulated home must not be taken for the real one.

        Raises:
            SettingsError: They name none.
        """
        if not self.is_source_named:
            raise SettingsError(
                f"no source of raw events is named: there is no [source] in {self.origin}",
                hint="To see what this program does, run `pattern-aggregates demo`. For your home, run "
                "`pattern-aggregates setup`, or name its source in a settings file and pass that with --config.",
            )
