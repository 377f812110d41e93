"""What a ledger knows of many homes, each question asked once for all of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa

from storage.dates import DateRange
from storage.ledger.day import read_entries_of_homes
from storage.ledger.entry import Entry, Status
from storage.ledger.place import LedgerPlace
from storage.ledger.places import open_place
from storage.ledger.schema import ENTRIES

MAX_REASONS: Final = 20
ROWS_AT_ONCE: Final = 2_000  # of an answer: about 1 MB

_BY_SEVERITY: Final = (Status.FAILED, Status.LOST, Status.DEFERRED, Status.STAGED, Status.EXPIRED, Status.WRITTEN)
_DONE: Final = (Status.WRITTEN, Status.EXPIRED)  # what is not tried again by itself


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something of some homes is not written.

    Attributes:
        error: The error, as the entry has it.
        homes: How many homes have it.
        example: The name of one of them.
    """

    error: str
    homes: int
    example: str


@dataclass(frozen=True, slots=True)
class HomeStates:
    """How the homes of a ledger are doing.

    Attributes:
        homes: How many homes are in each state: that of their worst entry. Homes without an entry are not counted.
        oldest_due: The oldest day of which an entry is to be computed or written again; None if there is none.
        home_of_oldest_due: The name of a home with that day.
        reasons: The most frequent errors, at most ``MAX_REASONS``.
    """

    homes: Mapping[Status, int]
    oldest_due: dt.date | None
    home_of_oldest_due: str
    reasons: tuple[Reason, ...]


class LedgerOfHomes:
    """All homes of a ledger, for reading.

    Args:
        place: As for ``Ledger``; a ledger that does not exist reads as empty.
    """

    def __init__(self, place: Path | sa.URL | LedgerPlace) -> None:
        self._is_owner = isinstance(place, Path | sa.URL)
        self._place = open_place(place, read_only=True) if isinstance(place, Path | sa.URL) else place

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the place, unless it was open before."""
        if self._is_owner:
            self._place.close()

    def names(self) -> list[str]:
        """Return the names of all homes that have an entry, sorted."""
        if not self._place.is_there:
            return []
        with self._place.transaction() as connection:
            return list(connection.execute(sa.select(ENTRIES.c.home).distinct().order_by(ENTRIES.c.home)).scalars())

    def entries(self, homes: Collection[str] | None, days: DateRange) -> Iterator[tuple[str, Entry]]:
        """Yield the entries of some days, by home, day and detector, as they arrive: never all at once.

        The answer is that of one moment. Consume it soon, or close it: it keeps a transaction open.

        Args:
            homes: The names of the homes; None for all.
            days: The days.

        Raises:
            LedgerCorrupt: An entry holds a value that the program never writes.
        """
        if not self._place.is_there:
            return
        with self._place.transaction() as connection:
            connection.execution_options(stream_results=True, max_row_buffer=ROWS_AT_ONCE)
            conditions = [_within(days)]
            if homes is not None:
                conditions.append(_is_among(connection, homes))
            yield from read_entries_of_homes(connection, *conditions)

    def states(self, days: DateRange) -> HomeStates:
        """Return how the homes are doing on some days; counted by the database."""
        if not self._place.is_there:
            return HomeStates({}, None, "", ())
        rank = sa.case({status: number for number, status in enumerate(_BY_SEVERITY)}, value=ENTRIES.c.status)
        worst = sa.select(sa.func.min(rank).label("rank")).where(_within(days)).group_by(ENTRIES.c.home).subquery()
        counts = sa.select(worst.c.rank, sa.func.count()).group_by(worst.c.rank).order_by(worst.c.rank)
        is_due = (_within(days), sa.or_(ENTRIES.c.status.not_in(_DONE), ENTRIES.c.redo))
        oldest = sa.select(ENTRIES.c.day, ENTRIES.c.home).where(*is_due).order_by(ENTRIES.c.day, ENTRIES.c.home)
        number = sa.func.count(ENTRIES.c.home.distinct())
        reasons = (
            sa.select(ENTRIES.c.error, number, sa.func.min(ENTRIES.c.home))
            .where(_within(days), ENTRIES.c.error != "")
            .group_by(ENTRIES.c.error)
            .order_by(number.desc(), ENTRIES.c.error)
            .limit(MAX_REASONS)
        )
        with self._place.transaction() as connection:
            first = connection.execute(oldest.limit(1)).first()
            return HomeStates(
                {_BY_SEVERITY[place]: count for place, count in connection.execute(counts)},
                dt.date.fromisoformat(first.day) if first else None,
                first.home if first else "",
                tuple(Reason(*row) for row in connection.execute(reasons)),
            )


def _within(days: DateRange) -> sa.ColumnElement[bool]:
    return ENTRIES.c.day.between(days.first.isoformat(), days.last.isoformat())


def _is_among(connection: sa.Connection, homes: Collection[str]) -> sa.ColumnElement[bool]:
    """Return the condition that an entry is of one of some homes, as one value: there is no limit to their number."""
    names = sa.literal(json.dumps(list(homes)))
    if connection.dialect.name == "postgresql":
        found: Any = sa.func.json_array_elements_text(sa.cast(names, sa.JSON)).table_valued("value")
    else:
        found = sa.func.json_each(names).table_valued("value")
    return ENTRIES.c.home.in_(sa.select(found.c.value))
