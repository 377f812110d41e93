"""Which homes a query is about, and what a store holds of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum, auto
from typing import Final, Protocol, Self, runtime_checkable

from storage.columns import HOME, closest
from storage.errors import MAX_LISTED_HOMES, UsageError
from storage.store import NO_FILTER, AggregateReader, Where, as_values


class AllHomes(Enum):
    """The type of ``ALL_HOMES``."""

    ALL_HOMES = auto()


ALL_HOMES: Final = AllHomes.ALL_HOMES
"""Stands for every home that a store holds."""

HomeChoice = str | Collection[str] | AllHomes | None
"""One home, several, or all; None is the home that the store was opened for."""


@runtime_checkable
class ManyHomes(AggregateReader, Protocol):
    """A reader that can be asked for several homes; see ``AggregateStore``."""

    @property
    def home(self) -> str | None:
        """The home that is read; None for all."""
        ...

    def for_home(self, home: str | None) -> Self:
        """Return the same for another home."""
        ...

    def homes(self) -> list[str]:
        """Return the names of all homes."""
        ...


class QueriedHomes:
    """The homes of one query.

    Args:
        store: What is queried: a store, or any other reader, which is then asked for homes like for a tag.
        choice: Which homes.

    Attributes:
        reader: Reads the rows of these homes and, where several are named, of others.
        where: What leaves the others out.
    """

    def __init__(self, store: AggregateReader, choice: HomeChoice) -> None:
        self._store = store
        self._choice = choice
        self.reader: AggregateReader = store
        self.where: Where = NO_FILTER
        if choice is None:
            return
        if not isinstance(choice, AllHomes) and not (isinstance(store, ManyHomes) and isinstance(choice, str)):
            self.where = {HOME: choice}
        if isinstance(store, ManyHomes):
            self.reader = store.for_home(choice if isinstance(choice, str) else None)

    @property
    def have_names(self) -> bool:
        """Whether any of the homes may have a name."""
        home = self._store.home if isinstance(self._store, ManyHomes) else ""
        return home != "" if self._choice is None else self._choice != ""

    def names(self) -> list[str]:
        """Return the names of the homes, sorted.

        Raises:
            StoreUnavailable: The store cannot be reached now.
        """
        if isinstance(self._choice, AllHomes) or (self._choice is None and self._is_of_all):
            return self._store.homes() if isinstance(self._store, ManyHomes) else [""]
        if self._choice is None:
            return [self._store.home or ""] if isinstance(self._store, ManyHomes) else [""]
        return as_values(self._choice)

    @property
    def _is_of_all(self) -> bool:
        return isinstance(self._store, ManyHomes) and self._store.home is None

    def refuse_unknown(self) -> None:
        """Refuse a home that the store does not hold, while it holds others. To be called if nothing was found.

        Raises:
            UsageError: It does not hold it; the hint names some that it holds.
            StoreUnavailable: The store cannot be reached now.
        """
        if not isinstance(self._store, ManyHomes):
            return
        held = self._store.homes()
        for name in self.names():
            if held and name not in held:
                raise no_such_home(name, held, "name one as home (--home NAME), or ALL_HOMES")


def no_such_home(name: str, held: Sequence[str], how: str) -> UsageError:
    """Return the error for a home that a store does not hold.

    Args:
        name: The name of the home.
        held: The names of the homes that it holds, of which the hint lists some.
        how: What to do in order to choose one of them.
    """
    what = f"no home {name!r}" if name else "no home without a name"
    listed = ", ".join(repr(one) if one else "one without a name" for one in held[:MAX_LISTED_HOMES]) or "none"
    more = f" and {len(held) - MAX_LISTED_HOMES} more" if len(held) > MAX_LISTED_HOMES else ""
    near = closest(name, held).replace("did", "Did", 1)
    return UsageError(f"the store holds {what}", hint=f"{near} It holds {listed}{more}; {how}.".strip())
