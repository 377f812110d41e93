"""Which home a store and a ledger belong to.

The first run gives both the same random id, and what a person recognises the home by: its time zone and where its raw
events come from. Both are compared whenever they are used, so that the rows of two homes never get into one store.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from storage.errors import HomeMismatch

OWN_STORE_HINT: Final = "If this is another home, name a store of its own in [store]"

_SHOWN_ID_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source or a store is.

    Attributes:
        text: Its kind and address, without user, password or token.
        from_ledger: For a file, its path as seen from the ledger's folder, which stays the same when everything is
            moved together; empty for a server.
    """

    text: str
    from_ledger: str = ""

    def is_same(self, other: Place) -> bool:
        """Return whether both name the same place, or one that was moved together with the ledger."""
        return self.text == other.text or (self.from_ledger != "" and self.from_ledger == other.from_ledger)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class HomeIdentity:
    """A home.

    Attributes:
        time_zone: The zone whose calendar days are stored.
        source: Where its raw events come from.
        instance: The id that Home Assistant has given itself; empty if it is not known.
        id: A random id, the same in the ledger and the store of one home; empty for a home that has none yet.
    """

    time_zone: str
    source: Place
    instance: str = ""
    id: str = field(default="", kw_only=True)

    def __str__(self) -> str:
        name = f"home {self.id[:_SHOWN_ID_CHARACTERS]} " if self.id else ""
        return f"{name}({self.time_zone}, {self.source})"

    def with_new_id(self) -> Self:
        """Return this home with a random id."""
        return replace(self, id=uuid.uuid4().hex)

    def has_same_source(self, other: HomeIdentity) -> bool:
        """Return whether the raw events of both come from one home, as far as the settings tell."""
        if self.instance and other.instance:
            return self.instance == other.instance
        return self.source.is_same(other.source)

    def is_at(self, other: HomeIdentity) -> bool:
        """Return whether the raw events of both come from one home or place, whichever ledger it is seen from."""
        if self.instance and other.instance:
            return self.instance == other.instance
        return self.source.text == other.source.text

    def is_described_by(self, described: HomeIdentity) -> bool:
        """Return whether settings describe this home, whichever ledger they are seen from."""
        return described.is_at(self) and described.time_zone == self.time_zone

    def to_json(self) -> str:
        """Return the home as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return a home from the text of ``to_json``.

        Raises:
            ValueError: It is not such a text.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            return cls(**{**values, "source": Place(**values["source"])})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a valid home: {text:.80}") from error


def refuse_store_of_others(store: HomeIdentity | None, described: HomeIdentity, store_name: str) -> None:
    """Refuse a store that belongs to another home than the settings describe.

    Args:
        store: The home of the store; None if it has none yet.
        described: The home of the settings. A path that only looks the same from the ledger's folder does not count.
        store_name: What to call the store in the message.

    Raises:
        HomeMismatch: They differ.
    """
    if store is not None and not store.is_described_by(described):
        raise HomeMismatch(
            f"{store_name} belongs to {store}, but the settings describe another home: {described}",
            hint=f"{OWN_STORE_HINT}. If it is the same home, run `pattern-aggregates init --adopt ledger "
            "--adopt source --adopt zone`.",
        )


def refuse_other_home(store: HomeIdentity | None, ledger: HomeIdentity | None, store_name: str) -> None:
    """Refuse a store that belongs to another home than the ledger.

    Args:
        store: The home of the store; None if it has none yet.
        ledger: The home of the ledger; None if it has none yet.
        store_name: What to call the store in the message.

    Raises:
        HomeMismatch: They differ.
    """
    if store is not None and ledger is not None and store.id != ledger.id:
        raise other_home(store, ledger, store_name)


def other_home(store: HomeIdentity, ledger: HomeIdentity, store_name: str) -> HomeMismatch:
    """Return the error for a store that belongs to another home than the ledger; see ``refuse_other_home``."""
    return HomeMismatch(
        f"{store_name} belongs to {store}, but the ledger to {ledger}",
        hint="Name the store or the ledger of this home in the settings. If they do belong together, run "
        "`pattern-aggregates init --adopt store` to make the store that of the ledger's home, or "
        "`pattern-aggregates init --adopt ledger` to make the ledger that of the store's home.",
    )
