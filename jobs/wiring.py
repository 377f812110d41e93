"""The composition root: settings become a source, detectors, a store and a ledger. It shows which classes are used."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.belonging import Belonging
from jobs.described_home import Clock, DescribedHome
from jobs.home_identity import home_in_settings
from jobs.household import Household
from jobs.household_file import EnteredHousehold
from jobs.household_reading import read_household
from jobs.ledger_wiring import calendar_of, household_beside
from jobs.names import NO_NAMES, Names
from jobs.rebuild import rebuild_ledger
from jobs.registry import build, enabled_names
from jobs.settings import Settings
from storage.checked_store import CheckedStore
from storage.connect import open_store
from storage.described_home import store_in_settings
from storage.errors import DetectorInvalid, LedgerError, StoreError, StoreMissing
from storage.ledger.ledger import Ledger
from storage.settings_check import problems_error, validate
from storage.settings_file import Document, load_document, naming_origin
from storage.store import AggregateStore

if TYPE_CHECKING:  # these load numpy, which `status` and `health` do not need
    from jobs.pipeline import Pipeline
    from jobs.sources.base import EventSource
    from storage.query import AggregateQuery

_log = logging.getLogger(__name__)


def system_clock() -> dt.datetime:
    """Return the current instant."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Home(DescribedHome):
    """A home whose source, store and ledger can be opened; nothing is opened yet."""

    def open_source(self) -> EventSource:
        """Open the source of raw events; only the kind that is used is imported.

        Raises:
            SettingsError: The settings of the source are not valid, or name none.
        """
        self.require_source()
        from jobs.source_wiring import open_source  # noqa: PLC0415 - `status` and `health` need no source

        with naming_origin(self.overrides):
            return open_source(
                self.settings.source,
                self.base,
                zone=self.zone,
                rules=self.rules,
                clock=self.clock,
                yesterday=self.yesterday(),
            )

    @cached_property
    def names(self) -> Names:
        """The names of entities and areas; none where no source is named, or where it cannot be read."""
        if not self.is_source_named:
            return NO_NAMES
        from jobs.source_wiring import read_names  # noqa: PLC0415 - most commands need no names

        return read_names(self.settings.source, self.base, self.open_source)

    def open_store(self, *, read_only: bool = False) -> AggregateStore:
        """Open the store of aggregates."""
        with naming_origin(self.overrides):
            return open_store(self.store_settings, home=self.settings.home.name, read_only=read_only)

    def open_ledger(self, *, read_only: bool = False) -> Ledger:
        """Open the ledger."""
        with naming_origin(self.overrides):
            return Ledger(
                self.ledger_place,
                home=self.settings.home.name,
                clock=self.clock,
                read_only=read_only,
            )

    @property
    def household_file(self) -> EnteredHousehold:
        """What keeps days away and mutes: a file beside the ledger, or the database of the ledger."""
        return household_beside(self.files_beside, self.open_ledger)

    def read_household(self, ledger: Ledger) -> Household:
        """Return what is known of the household; see ``jobs.household_reading``."""
        calendar = calendar_of(self.settings.away, self.base, self.files_beside)
        entered = household_beside(self.files_beside, lambda: nullcontext(ledger))
        return read_household(entered, ledger, calendar, self.zone, self.today())

    def belonging(self, ledger: Ledger, store: AggregateStore) -> Belonging:
        """Return what compares the settings, a ledger and a store with each other."""
        described = self.identity or home_in_settings(self.settings, self.base)
        place = store_in_settings(self.store_settings, self.base, self.ledger_path)
        return Belonging(ledger, store, described, place, self.oldest_kept_day())

    def settle(self, ledger: Ledger, store: AggregateStore) -> list[str]:
        """Make sure that ledger and store are of this home, and rebuild a ledger that was lost.

        Nobody may be there when a night finds its ledger gone. Rebuilding it from the store of the same home adds what
        is known and changes nothing; without it, days might be replaced by what the source still has of them.

        Returns:
            A sentence for each change.

        Raises:
            HomeMismatch: They are not of this home; nothing is changed.
            StoreError: The store cannot be used.
        """
        belonging = self.belonging(ledger, store)
        changes = []
        if belonging.is_ledger_lost():
            detectors = [one.detector for one in self.registered]
            rebuilt = rebuild_ledger(store, ledger, detectors, yesterday=self.yesterday())
            if rebuilt.restored:
                changes.append(f"the ledger {ledger.where} was lost, and is rebuilt from the store: {rebuilt}")
                _log.warning("%s", changes[-1])
        return changes + belonging.settle()

    @contextmanager
    def open_checked(self) -> Iterator[tuple[Ledger, AggregateStore]]:
        """Open ledger and store for reading, once they are known to be of this home. One that is missing is empty.

        A store that cannot be reached now, or does not answer soon, raises its error when it is read.

        Raises:
            HomeMismatch: They are not of this home.
            LedgerError: The ledger cannot be read.
        """
        with ExitStack() as stack:
            ledger = stack.enter_context(self.open_ledger(read_only=True))
            try:
                store = self._checked(ledger, self.open_store(read_only=True), stack)
            except StoreMissing:  # a file, or a bucket
                from storage.backends.memory import MemoryStore  # noqa: PLC0415 - only where it is used

                store = self._checked(ledger, MemoryStore(home=self.settings.home.name), stack)
            yield ledger, store

    def _checked(self, ledger: Ledger, store: AggregateStore, stack: ExitStack) -> AggregateStore:
        """Return a store that is compared with the ledger; one that cannot be raises why. The stack closes it.

        Raises:
            HomeMismatch: It is not of the ledger's home.
            StoreMissing: It does not exist.
        """
        stack.callback(store.close)
        checked = CheckedStore(store, self.belonging(ledger, store).check)
        try:
            checked.verify_in_time()
        except StoreMissing:
            raise
        except StoreError as error:
            return CheckedStore(store, partial(_raise, error))
        return checked

    def open_reader(self) -> AggregateStore:
        """Open the store for reading; it is compared with settings and ledger before the first answer.

        Without a ledger, the rows of this home can still be read.

        Raises:
            SettingsError: The settings of the store are not valid.
            StoreMissing: There is no such file.
            StoreUnavailable: It cannot be reached now.
        """
        store = self.open_store(read_only=True)

        def check() -> None:
            try:
                ledger = self.open_ledger(read_only=True)
            except LedgerError:  # of an earlier version, for example: rows can be read without it
                return
            with ledger:
                belonging = self.belonging(ledger, store)
                if ledger.read_home() is not None or (self.is_source_named and belonging.is_store_of_another()):
                    belonging.check()

        return CheckedStore(store, check)

    def open_query(self) -> AggregateQuery:
        """Open the store for queries; see ``open_reader``."""
        from storage.query import AggregateQuery  # noqa: PLC0415 - loads more than `status` and `health` need

        return AggregateQuery(self.open_reader(), today=self.today)

    @contextmanager
    def open_pipeline(self, *, dry: bool = False) -> Iterator[Pipeline]:
        """Open everything that a run works with; ``dry`` only plans, so nothing is created or changed.

        Raises:
            HomeMismatch: Source, ledger and store are not of one home.
        """
        from jobs.pipeline import Pipeline  # noqa: PLC0415 - loads numpy

        with ExitStack() as stack:
            source = self.open_source()
            stack.callback(source.close)
            if dry:
                ledger, store = stack.enter_context(self.open_checked())
            else:
                ledger = stack.enter_context(self.open_ledger())
                store = self._settled(ledger, self.open_store(), stack)
            yield Pipeline(
                detectors=[one.detector for one in self.registered if one.enabled],
                source=source,
                store=store,
                ledger=ledger,
                zone=self.zone,
                clock=self.clock,
                models=[one.detector.model for one in self.registered],
                max_day_seconds=self.settings.schedule.max_day_minutes * 60,
                household=self.read_household(ledger),
                home=self.settings.home.name,
            )

    def _settled(self, ledger: Ledger, store: AggregateStore, stack: ExitStack) -> AggregateStore:
        """Return a store that is known to be of the ledger's home, or is checked as soon as it can be reached.

        Raises:
            HomeMismatch: It is not of the ledger's home.
        """
        stack.callback(store.close)
        checked = CheckedStore(store, partial(self.settle, ledger, store))
        try:
            checked.verify_in_time()
        except StoreError as error:
            _log.debug("the store cannot be compared with the ledger yet: %s", error)
            self.belonging(ledger, store).note_without_store()  # what is computed meanwhile waits in the ledger
        return checked


def _raise(error: Exception) -> None:
    raise error


def open_home(config: Path | None = None, *, clock: Clock = system_clock, check_parameters: bool = True) -> Home:
    """Return a home as its settings describe it.

    Args:
        config: The configuration file; see ``load_document``.
        clock: Returns the current instant.
        check_parameters: Whether to check the detectors' parameters too, for which they have to be imported.

    Raises:
        SettingsError: The settings are not valid; all problems at once.
    """
    return home_of_document(load_document(config), clock=clock, check_parameters=check_parameters)


def home_of_document(document: Document, *, clock: Clock = system_clock, check_parameters: bool = True) -> Home:
    """Return the home that settings describe which are read already; see ``open_home``.

    Raises:
        SettingsError: The settings are not valid; all problems at once.
    """
    settings, problems = validate(Settings, document)
    tables = document.values.get("detectors", {})
    if isinstance(tables, dict) and all(isinstance(table, dict) for table in tables.values()):
        try:
            problems = [*problems, *(build if check_parameters else enabled_names)(tables)[1]]
        except DetectorInvalid as error:
            problems = [*problems, ("detectors", str(error))]
    if settings is None or problems:
        raise problems_error(document, problems)
    return Home(
        settings,
        document.base,
        document.origin,
        clock,
        overrides=document.overrides,
        is_source_named="source" in document.values,
    )
