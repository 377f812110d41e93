"""Keep source, ledger and store of one home together, and those of different homes apart.

The first run gives ledger and store the same identity. From then on each use compares them with each other and with the
settings; what does not belong together is refused, and only ``adopt`` changes what belongs together. A store or ledger
of an earlier version, which has no identity yet, gets one if the two agree: the store holds the records of the runs
that the ledger lists as written.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from jobs.ledger_agreement import agree_by_rows, agree_by_runs
from jobs.lost_days import find_lost_days
from storage.dates import ALL_DAYS
from storage.errors import HomeMismatch, UsageError
from storage.identity import (
    OWN_STORE_HINT,
    HomeIdentity,
    Place,
    other_home,
    refuse_other_home,
    refuse_store_of_others,
)
from storage.ledger.entry import Entry
from storage.ledger.home import LedgerHome
from storage.ledger.ledger import Ledger
from storage.models import DetectorRunDaily, DurationDaily, TimeBasedDaily
from storage.plurals import counted
from storage.store import AggregateReader, AggregateStore

_log = logging.getLogger(__name__)


class Adoption(StrEnum):
    """What can be adopted, in the order in which it is."""

    LEDGER = "ledger"
    STORE = "store"
    SOURCE = "source"
    ZONE = "zone"


_REBUILD: Final = "If this home's ledger was lost, run `pattern-aggregates doctor --rebuild-ledger`"


@dataclass(frozen=True, slots=True)
class Belonging:
    """Whether source, ledger and store are of one home.

    Attributes:
        ledger: The ledger.
        store: The store.
        described: The home as the settings describe it, without an id.
        place: Where the settings say that the store is.
        oldest_kept_day: The oldest day that the store keeps.
    """

    ledger: Ledger
    store: AggregateStore
    described: HomeIdentity
    place: Place
    oldest_kept_day: dt.date

    def check(self) -> None:
        """Check that settings, ledger and store are of one home. Changes nothing.

        Raises:
            HomeMismatch: They are not.
            StoreError: The store cannot be read.
        """
        self._compared()

    def check_settings(self, noted: LedgerHome | None) -> None:
        """Check that the settings describe the home that the ledger belongs to.

        Raises:
            HomeMismatch: They describe another one.
        """
        if noted is not None:
            refuse_other_settings(self.described, noted.identity, f"the ledger {self.ledger.where}")

    def settle(self) -> list[str]:
        """Check, and give an identity to what has none. Returns a sentence for each change.

        Raises:
            HomeMismatch: Settings, ledger and store are not of one home; nothing is changed.
            StoreError: The store cannot be used.
        """
        noted, stored = self._compared()
        present = noted.identity if noted is not None else stored
        wanted = self._as_described(present) if present is not None else self.described.with_new_id()
        changes = []
        if noted is None:
            changes += self._days_without_name()
            self.ledger.add_entities(_stored_entities(self.store))
            wanted = self.ledger.write_home(wanted, self.place)  # another process may have been first
            changes.append(f"the ledger belongs to {wanted} now")
        elif noted != (wanted, self.place):
            if stored is not None:  # before the ledger, so that the store is never behind both ledger and settings
                self.store.write_home(wanted, replace=True)
            self.ledger.write_home(wanted, self.place, replace=True)
        if stored is None:
            refuse_other_home(self.store.write_home(wanted), wanted, self._store_name)
            changes.append(f"the store belongs to {wanted} now")
        elif stored != wanted:
            self.store.write_home(wanted, replace=True)
        return changes

    def note_without_store(self) -> None:
        """Give a ledger without identity one, although the store cannot be read now.

        Raises:
            HomeMismatch: The settings describe another home than the ledger's.
        """
        noted = self.ledger.read_home()
        self.check_settings(noted)
        if noted is None and not self.ledger.entries():
            self.ledger.write_home(self.described.with_new_id(), self.place)

    def is_ledger_lost(self) -> bool:
        """Return whether the ledger is new although the store is certainly of the home in the settings.

        Raises:
            StoreError: The store cannot be read.
        """
        if self.ledger.read_home() is not None or self.ledger.entries():
            return False
        stored = self.store.read_home()
        return stored is not None and stored.is_described_by(self.described)

    def is_store_of_another(self) -> bool:
        """Return whether the store names another home than the settings describe.

        Raises:
            StoreError: The store cannot be read.
        """
        stored = self.store.read_home()
        return stored is not None and not stored.is_described_by(self.described)

    def take_home_of_store(self) -> None:
        """Give a ledger that is rebuilt the identity of its store.

        Raises:
            HomeMismatch: The ledger or the settings are of another home.
            StoreError: The store cannot be read.
        """
        noted, stored = self.ledger.read_home(), self.store.read_home()
        self.check_settings(noted)
        if stored is None:
            return
        if noted is not None:
            refuse_other_home(stored, noted.identity, self._store_name)
            return
        self._refuse_store_of_others(stored)
        self.ledger.add_entities(_stored_entities(self.store))
        self.ledger.write_home(stored, self.place)

    def adopt(self, adoption: Adoption) -> str:
        """Change what belongs together. Returns in words what was changed.

        Args:
            adoption: ``ledger`` makes the ledger that of the store's home. ``store`` makes the store that of the
                ledger's home. ``source`` and ``zone`` make the home's what the settings say.

        Raises:
            UsageError: There is nothing to adopt.
            StoreError: The store cannot be used.
        """
        if adoption is Adoption.LEDGER:
            return self._adopt_ledger()
        if adoption is Adoption.STORE:
            return self._adopt_store()
        noted, stored = self.ledger.read_home(), self.store.read_home()
        before = noted.identity if noted is not None else stored
        if before is None:
            raise UsageError("ledger and store belong to no home yet", hint="Run `pattern-aggregates init`.")
        if adoption is Adoption.SOURCE:
            after = replace(before, source=self.described.source, instance=self.described.instance)
            self.ledger.forget_entities()
            change = f"the raw events of {before} come from {after.source} now"
        else:
            after = replace(before, time_zone=self.described.time_zone)
            change = (
                f"the days of {before} are counted in {after.time_zone} now; stored days stay as they are: "
                "`backfill FIRST LAST --redo all` computes those again that the source still holds"
            )
        if stored is not None and stored.id == after.id:
            self.store.write_home(after, replace=True)
        if noted is not None:
            self.ledger.write_home(after, noted.store, replace=True)
        return change

    def _adopt_ledger(self) -> str:
        stored = self.store.read_home()
        if stored is None:
            raise UsageError(f"{self._store_name} belongs to no home yet", hint="Run `pattern-aggregates init`.")
        self.ledger.forget_entities()
        self.ledger.add_entities(_stored_entities(self.store))
        self.ledger.write_home(stored, self.place, replace=True)
        return f"the ledger {self.ledger.where} belongs to {stored} now, as the store does{self._mark_lost()}"

    def _adopt_store(self) -> str:
        noted = self.ledger.read_home()
        identity = noted.identity if noted is not None else self.described.with_new_id()
        self.ledger.write_home(identity, self.place, replace=True)
        self.store.write_home(identity, replace=True)
        entries = self.ledger.entries()
        others = {
            run.date for run in self.store.read(DetectorRunDaily, ALL_DAYS) if (run.date, run.detector) not in entries
        }
        more = f"; it keeps {counted(len(others), 'day')} that the ledger does not list" if others else ""
        return f"{self._store_name} belongs to {identity} now{more}{self._mark_lost()}"

    def _mark_lost(self) -> str:
        """Note what the ledger lists as written and the store does not hold. Returns in words how much."""
        entries = self.ledger.entries()
        found = find_lost_days(entries.values(), self.store, self.oldest_kept_day, max_days=len(entries))
        if not found:
            return ""
        self.ledger.mark_lost(found.lost)
        days = found.days
        return (
            f"; it lacks {counted(len(found.lost), 'detector day')} of {days[0]} to {days[-1]} that the ledger listed "
            "as written: the next run computes those of which the source still holds the day, the others are lost"
        )

    def _days_without_name(self) -> list[str]:
        """Return a sentence if this home has got a name, and its days until then have none."""
        nameless = self.ledger.for_home("")
        before = nameless.read_home() if self.ledger.home else None
        if before is None or not self.described.is_at(before.identity):
            return []
        days = {day for day, _ in nameless.entries()}
        if not days:
            return []
        sentence = (
            f"the ledger has {counted(len(days), 'day')} of this home without a name, up to {max(days)}; with the name "
            f"{self.ledger.home} it begins anew, without them: `backfill FIRST LAST` computes what its source still has"
        )
        _log.warning("%s", sentence)
        return [sentence]

    def _compared(self) -> tuple[LedgerHome | None, HomeIdentity | None]:
        """Return the homes of ledger and store, once they are checked."""
        noted = self.ledger.read_home()
        self.check_settings(noted)
        stored = self.store.read_home()
        if noted is None and stored is not None:  # by now perhaps noted by another process, which began with the ledger
            noted = self.ledger.read_home()
            self.check_settings(noted)
        if noted is not None:
            refuse_other_home(stored, noted.identity, self._store_name)
        if stored is None:
            self._check_unmarked_store(noted)
        elif noted is None:
            self._check_new_ledger(stored)
        else:
            self._check_only_ledger(noted.identity, stored)
        return noted, stored

    @property
    def _store_name(self) -> str:
        return f"the store {self.place}"

    def _as_described(self, present: HomeIdentity) -> HomeIdentity:
        instance = self.described.instance or present.instance
        return replace(present, source=self.described.source, instance=instance)

    def _check_only_ledger(self, noted: HomeIdentity, stored: HomeIdentity) -> None:
        """Check that no other ledger of the same identity has adopted another source for the store.

        Raises:
            HomeMismatch: The store's source is neither that of the ledger nor that of the settings.
        """
        if stored.source.text not in (noted.source.text, self.described.source.text) and (
            not stored.instance or stored.instance != noted.instance
        ):
            raise other_home(stored, noted, self._store_name)

    def _check_new_ledger(self, stored: HomeIdentity) -> None:
        """Check that a ledger without identity may take that of the store.

        Raises:
            HomeMismatch: It lists other runs than the store holds, or none although the store holds some.
        """
        runs = self.store.read(DetectorRunDaily, ALL_DAYS)
        entries = self.ledger.entries()
        if self._claimed(entries) and agree_by_runs(entries, runs):
            self._refuse_store_of_others(stored)
            return
        is_described = stored.is_described_by(self.described)
        if not self._claimed(entries) and not runs and is_described:
            return
        names = f"belongs to {stored} and holds the results of {_days_in_words(runs)}"
        raise HomeMismatch(
            f"{self._store_name} {names}, but the ledger {self.ledger.where} of {self.described} lists none of them",
            hint=f"{_REBUILD}. {OWN_STORE_HINT}."
            if is_described
            else f"{OWN_STORE_HINT}. If it is the same home, run `pattern-aggregates init --adopt ledger "
            "--adopt source`.",
        )

    def _check_unmarked_store(self, noted: LedgerHome | None) -> None:
        """Check that a store without identity may take that of the ledger.

        Raises:
            HomeMismatch: It holds other runs than the ledger lists, or none although the ledger lists some elsewhere.
        """
        entries = self.ledger.entries()
        claimed = self._claimed(entries)
        identity = noted.identity if noted is not None else self.described
        runs = self.store.read(DetectorRunDaily, ALL_DAYS)
        if runs and not agree_by_runs(entries, runs):
            raise HomeMismatch(
                f"{self._store_name} holds the results of {_days_in_words(runs)}, which the ledger {self.ledger.where} "
                f"of {identity} has not written",
                hint=f"{OWN_STORE_HINT}. {_REBUILD}. To go on with both, run `pattern-aggregates init --adopt store`.",
            )
        if runs or not claimed or (noted is not None and noted.store.is_same(self.place)):
            return
        if not agree_by_rows(claimed, self.store):
            written_to = noted.store if noted is not None else "another store"
            raise HomeMismatch(
                f"{self._store_name} is empty and belongs to no home, but the ledger {self.ledger.where} of {identity} "
                f"lists {counted(len({entry.day for entry in claimed}), 'day')} as written, to {written_to}",
                hint="Name that store in [store]. If it is lost or this one takes its place, run `pattern-aggregates "
                "init --adopt store`: it marks what this store lacks, to be computed again.",
            )

    def _refuse_store_of_others(self, stored: HomeIdentity) -> None:
        refuse_store_of_others(stored, self.described, self._store_name)

    def _claimed(self, entries: Mapping[tuple[dt.date, str], Entry]) -> list[Entry]:
        return [
            entry
            for (day, _), entry in entries.items()
            if entry.written_version is not None and day >= self.oldest_kept_day
        ]


def refuse_other_settings(described: HomeIdentity, identity: HomeIdentity, owner: str) -> None:
    """Refuse settings that describe another home than the one that something belongs to.

    Args:
        described: The home of the settings.
        identity: The home of the ledger or the store.
        owner: What belongs to ``identity``, for the message.

    Raises:
        HomeMismatch: Zone or source differ.
    """
    for what, differs in (
        ("source", not described.has_same_source(identity)),
        ("zone", described.time_zone != identity.time_zone),
    ):
        if differs:
            setting = "[source]" if what == "source" else "home.time_zone"
            raise HomeMismatch(
                f"{owner} belongs to {identity}, but the settings describe another home: {described}",
                hint=f"Correct {setting}, or give this home a ledger and a store of its own. If it is the same home, "
                f"run `pattern-aggregates init --adopt {what}`.",
            )


def _stored_entities(store: AggregateReader) -> Collection[str]:
    """Return the entities that the store has rows about."""
    return {
        *(row.entity_id for row in store.read(TimeBasedDaily, ALL_DAYS)),
        *(row.entity_id for row in store.read(DurationDaily, ALL_DAYS)),
    }


def _days_in_words(runs: Sequence[DetectorRunDaily]) -> str:
    days = sorted({run.date for run in runs})
    return f"{counted(len(days), 'day')} ({days[0]} to {days[-1]})" if days else "no day"
