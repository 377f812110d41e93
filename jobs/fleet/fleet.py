"""The homes of a fleet as its settings and the catalogue describe them.

All homes share everything but ``[home]`` and ``[source]``: store, ledger and detectors are opened once, and each home
sees its own part of them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import Field

from jobs.described_home import Clock
from jobs.fleet.catalogue import CatalogueHome
from jobs.fleet.template import fill, with_defaults
from jobs.registry import Registered
from jobs.settings import HomeSettings, SourceSettings
from jobs.wiring import Home, home_of_document, system_clock
from storage.dates import ONE_DAY, DateRange, oldest_kept_day
from storage.described_home import store_in_settings
from storage.errors import SettingsError
from storage.ledger.entry import Entry
from storage.ledger.homes import LedgerOfHomes
from storage.ledger.ledger import Ledger
from storage.settings_check import Section, validate
from storage.settings_file import Document, load_document
from storage.store import AggregateStore

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class _SourceOnly(Section):
    """``[source]`` of one home, filled in."""

    source: Annotated[SourceSettings, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Shared:
    """What the homes of a fleet share in one process: open, for every home."""

    ledger: Ledger
    store: AggregateStore


@dataclass(frozen=True)
class FleetHome(Home):
    """One home of a fleet.

    Attributes:
        fleet: The fleet.
        shared: The ledger and the store of all homes, which stay open; None to open them for this home alone.
    """

    fleet: Fleet = field(kw_only=True)
    shared: Shared | None = field(default=None, kw_only=True)

    @cached_property
    def registered(self) -> list[Registered]:
        """Every registered detector with its parameters: those of the fleet."""
        return self.fleet.common.registered

    def open_store(self, *, read_only: bool = False) -> AggregateStore:
        """Return this home's part of the store."""
        if self.shared is None:
            return super().open_store(read_only=read_only)
        return self.shared.store.for_home(self.settings.home.name)

    def open_ledger(self, *, read_only: bool = False) -> Ledger:
        """Return this home's part of the ledger."""
        if self.shared is None:
            return super().open_ledger(read_only=read_only)
        return self.shared.ledger.for_home(self.settings.home.name)


@dataclass(frozen=True)
class Fleet:
    """A fleet as its settings describe it; nothing is opened yet.

    Attributes:
        common: What all homes have in common.
        source: The table ``[source]``, with placeholders.
        document: The settings without ``[source]``.
    """

    common: Home
    source: Mapping[str, Any] = field(repr=False)
    document: Document

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all settings that the result depends on, without secrets: the same on every worker."""
        settings = self.common.settings
        place = store_in_settings(self.common.store_settings, self.common.base, self.common.ledger_path)
        kept = settings.model_dump(exclude={"home", "source", "store", "ledger", "health", "mqtt", "messages", "ping"})
        source = {key: value for key, value in self.source.items() if key not in ("url", "token", "proxy", "ca_file")}
        store = (place.text, settings.store.retention_days, settings.store.rollup_retention_days)
        ledger = self.common.ledger_place
        address = str(ledger) if isinstance(ledger, Path) else (ledger.host, ledger.port, ledger.database)
        basis = (version("pattern-aggregates"), kept, sorted(source.items(), key=str), store, address)
        return hashlib.blake2b(repr(basis).encode(), digest_size=8).hexdigest()

    def home(self, one: CatalogueHome, shared: Shared | None = None) -> FleetHome:
        """Return a home of the catalogue with its settings.

        Args:
            one: The home.
            shared: What is open already.

        Raises:
            SettingsError: The source that its row gives is not valid.
        """
        filled = {"source": fill(self.source, one)}
        settings, problems = validate(_SourceOnly, replace(self.document, values=filled))
        if settings is None:
            raise SettingsError("; ".join(f"{name}: {what}" for name, what in problems))
        common = self.common
        home = HomeSettings(name=one.name, time_zone=one.time_zone)
        return FleetHome(
            settings=common.settings.model_copy(update={"home": home, "source": settings.source}),
            base=common.base,
            origin=common.origin,
            clock=common.clock,
            overrides=common.overrides,
            fleet=self,
            shared=shared,
        )

    def require_shared_storage(self, scheduler: str | None) -> None:
        """Refuse a store or a ledger in a file where workers may be on other machines.

        Args:
            scheduler: The address of the scheduler; None where all workers are on this machine.

        Raises:
            SettingsError: Other machines could not reach it.
        """
        host = (urlsplit(scheduler).hostname or "") if scheduler else ""
        if scheduler is None or host in LOOPBACK:
            return
        for name, folder in self.common.folders.items():
            raise SettingsError(
                f"the {name} of the fleet is a file in {folder}, which the workers of {host} may not share",
                hint=f"Use a server: {name}.url of a PostgreSQL database.",
            )

    def prepare(self, newest: dt.date | None) -> list[str]:
        """Create or upgrade ledger and store once, before many workers would, and delete what is past the retention.

        The retention is counted from a day that the ledger knows as done: a clock that is ahead deletes nothing.

        Args:
            newest: The newest day that is done in some home; None if none is known.

        Returns:
            A sentence for each thing that was deleted.

        Raises:
            LedgerError: The ledger cannot be used.
            StoreError: The store cannot be used.
        """
        with self.open_shared() as shared:
            shared.store.prepare()
            kept = self.common.store_settings
            if newest is None or not (kept.kept_days or kept.kept_rollup_days):
                return []
            newest -= ONE_DAY  # elsewhere it may not be over yet
            oldest = (oldest_kept_day(newest, days) for days in (kept.kept_days, kept.kept_rollup_days))
            return shared.store.expire_all(*oldest)

    def entries(self, homes: Sequence[str], days: DateRange) -> Iterator[tuple[str, Entry]]:
        """Yield what the ledger knows of some days of some homes, by one question.

        Raises:
            LedgerError: The ledger cannot be read.
        """
        with LedgerOfHomes(self.common.ledger_place) as ledger:
            yield from ledger.entries(homes, days)

    @contextmanager
    def open_shared(self) -> Iterator[Shared]:
        """Open the ledger and the store of all homes, for writing."""
        with self.common.open_ledger() as ledger:
            store = self.common.open_store()
            try:
                yield Shared(ledger, store)
            finally:
                store.close()


def open_fleet(config: Path | None = None, *, clock: Clock = system_clock) -> Fleet:
    """Return a fleet as its settings describe it.

    Args:
        config: The settings file; see ``load_document``.
        clock: Returns the current instant.

    Raises:
        SettingsError: They are not valid, name no source, or have something that only a single home can have.
    """
    document = load_document(config)
    values = dict(document.values)
    source = values.pop("source", None)
    common = home_of_document(replace(document, values=values), clock=clock)
    if not isinstance(source, Mapping):
        common.require_source()
        raise SettingsError("source: must be a table")
    if common.settings.home.name:
        raise SettingsError(
            "home.name is set, but the homes of a fleet have the names in its catalogue", hint="Remove it."
        )
    if common.settings.away.calendar:
        raise SettingsError(
            "away.calendar is set, but in a fleet it would say of every home that nobody is there",
            hint="Remove it; a home with a calendar needs settings of its own.",
        )
    return Fleet(common, with_defaults(source), replace(document, values=values))
