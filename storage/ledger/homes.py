"""What a ledger knows of many homes, by one question for all of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa

from storage.dates import DateRange
from storage.ledger.day import read_entries_of_homes
from storage.ledger.entry import Entry
from storage.ledger.place import LedgerPlace
from storage.ledger.places import open_place
from storage.ledger.schema import ENTRIES

ROWS_AT_ONCE: Final = 2_000  # of an answer: about 1 MB


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
