"""Read the rows of a day, as fast as each database gives them.

Each value that a driver makes costs time, in a hundred thousand rows. So the number of a row, what caused it and its
metadata id come as one number (``Packing``), and SQLite tests the length of a state only where one is far too long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from jobs.activity.window import HOUR, SECOND, DayWindow, Instants
from jobs.sources.home_assistant_db.causes import cause_of
from jobs.sources.home_assistant_db.row_order import Integers
from jobs.sources.home_assistant_db.schema import IS_KNOWN, MYSQL, SQLITE, STATE, STATES, UPDATED, Schema, within

_CHUNK: Final = 500  # rows asked of the driver at once
_CAUSE_BITS: Final = 2
_MAX_PACKED: Final = 2**62
MAX_METADATA_ID: Final = 2**20  # of ids that are packed: they are the index into a table
_MAX_SPARSENESS: Final = 4  # numbers for each row of an hour, up to which its rows are read in order of their numbers
_NEXT_ROW: Final = "\x1e"  # ASCII's own separator of records
_FIRST_LETTER: Final = "A"  # every database orders digits and signs before it
_NO_STATE: Final = "\x1d"
_MAX_TEXT_BYTES: Final = 1 << 30
_MAX_SQLITE_TEXT_BYTES: Final = (
    1 << 14
)  # of a state that gets into memory; ``Columns`` leaves out more than 255 letters
_NUMBER: Final = STATES.c.state_id


class DayRows(NamedTuple):
    """Some rows of a day in order of time, in columns of shape (n,).

    Attributes:
        state_id: Their numbers.
        cause: What caused them, as far as their own context says.
        metadata_id: The numbers of their entities, as an array if these are 0 to ``MAX_METADATA_ID``.
        texts: Their states; None for a removed entity.
        at: When they were written.
    """

    state_id: Integers
    cause: NDArray[np.int8]
    metadata_id: Sequence[int] | Integers
    texts: Sequence[str | None]
    at: Instants


class Packing(NamedTuple):
    """How several small numbers of a row become one.

    Attributes:
        bits: How many bits every metadata id fits into; None if they do not fit beside the numbers of rows.
    """

    bits: int | None

    @classmethod
    def read(cls, connection: sa.Connection) -> Packing:
        """Return the packing for the numbers that a database holds."""
        whose = STATES.c.metadata_id
        bounds = (sa.func.min(whose), sa.func.max(whose), sa.func.max(_NUMBER))
        lowest, highest, newest = connection.execute(
            sa.select(*(sa.select(one).select_from(STATES).scalar_subquery() for one in bounds))
        ).one()
        if not all(isinstance(one, int) for one in (lowest, highest, newest)):
            return cls(None)
        bits = max(1, highest.bit_length())
        fits = 0 <= lowest <= highest <= MAX_METADATA_ID and (newest + 1) << (bits + _CAUSE_BITS) < _MAX_PACKED
        return cls(bits if fits else None)

    def columns(self, schema: Schema) -> tuple[sa.ColumnElement[Any], ...]:
        """Return what to select of each row to get its numbers."""
        # State ids may be of 32 bits, this number is of 64.
        number = _NUMBER * sa.literal(1 << _CAUSE_BITS, sa.BigInteger) + cause_of(schema)
        if self.bits is None:
            return number, STATES.c.metadata_id
        return (number * sa.literal(1 << self.bits, sa.BigInteger) + STATES.c.metadata_id,)

    def unpack(
        self, numbers: Integers, metadata_ids: Sequence[int] = ()
    ) -> tuple[Integers, NDArray[np.int8], Sequence[int] | Integers]:
        """Return state ids, causes and metadata ids from the values of ``columns``."""
        metadata_id: Sequence[int] | Integers = metadata_ids
        if self.bits is not None:
            metadata_id = numbers & ((1 << self.bits) - 1)
            numbers = numbers >> self.bits
        return numbers >> _CAUSE_BITS, (numbers & ((1 << _CAUSE_BITS) - 1)).astype(np.int8), metadata_id


def fetch(
    connection: sa.Connection,
    schema: Schema,
    window: DayWindow,
    left_out: Collection[int],
    readings: Collection[int] = (),
) -> Iterator[DayRows]:
    """Yield a day's rows that have a metadata id, in order of time.

    Args:
        connection: To the database.
        schema: What the database offers.
        window: The day.
        left_out: Metadata ids of entities that cannot be activity.
        readings: Those of them whose rows are yielded all the same where the state is a word.
    """
    whose = STATES.c.metadata_id
    chosen: sa.ColumnElement[bool] = whose.not_in(sorted(left_out)) if left_out else whose.is_not(None)
    if readings:  # the state is compared first: that costs less, and almost all readings are numbers
        chosen = sa.or_(chosen, sa.and_(STATES.c.state >= _FIRST_LETTER, whose.in_(sorted(readings)), IS_KNOWN))
    packing = Packing.read(connection)
    if connection.dialect.name in MYSQL:
        joined = _fetch_joined(connection, schema, window, chosen, packing)
        if joined is not None:
            yield from joined
            return
    is_sqlite = connection.dialect.name == SQLITE
    state = STATES.c.state if is_sqlite else STATE
    rows = sa.select(*packing.columns(schema), state, UPDATED).where(within(window), chosen).order_by(UPDATED, _NUMBER)
    count = 0
    try:
        with _bounded_texts(connection if is_sqlite else None):
            for some in _fetch_ordered(connection, rows, packing):
                count += len(some.at)
                yield some
    except (
        sqlite3.DataError,
        sa.exc.DataError,
    ):  # a state is longer than the bound: SQLite tests each of the rows that are left
        tested = rows.with_only_columns(*packing.columns(schema), STATE, UPDATED).offset(count)
        yield from _fetch_ordered(connection, tested, packing)


def _fetch_ordered(connection: sa.Connection, query: sa.Select[Any], packing: Packing) -> Iterator[DayRows]:
    # Rows come as the driver's own tuples, made faster than a toolkit's, and few at once, to stay in a cache.
    cursor = connection.execute(query).cursor
    while rows := cursor.fetchmany(_CHUNK):
        numbers, *metadata_ids, texts, seconds = zip(*rows, strict=True)
        unpacked = packing.unpack(np.fromiter(numbers, np.int64, len(rows)), *metadata_ids)
        instants = np.rint(np.fromiter(seconds, np.float64, len(rows)) * SECOND).astype(np.int64)
        yield DayRows(*unpacked, texts, instants)


@contextmanager
def _bounded_texts(connection: sa.Connection | None) -> Iterator[None]:
    """Let an SQLite connection refuse longer texts than the bound, with ``sqlite3.DataError``."""
    driver: Any = None if connection is None else connection.connection.driver_connection
    if driver is None:
        yield
        return
    before = driver.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_SQLITE_TEXT_BYTES)
    try:
        yield
    finally:
        driver.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)


def _fetch_joined(
    connection: sa.Connection, schema: Schema, window: DayWindow, chosen: sa.ColumnElement[bool], packing: Packing
) -> list[DayRows] | None:
    """Return the rows of each hour; None if the server cut a text short, or a state holds the separator.

    PyMySQL spends 10 µs on each row and more on each value, so MariaDB and MySQL join the values of an hour into one
    text a column. They read rows by their numbers three times as fast as by their times. So the index on time is only
    asked between which numbers the rows of an hour lie, unless few of the rows between these are of that hour.
    """
    connection.exec_driver_sql(f"SET SESSION group_concat_max_len = {_MAX_TEXT_BYTES:d}")
    # The server rounds as numpy does, half to even. To write whole numbers costs it less.
    instant = sa.cast(UPDATED * SECOND, sa.BigInteger)
    values = (*packing.columns(schema), instant)
    texts = (
        *(sa.func.aggregate_strings(value, ",") for value in values),
        sa.func.aggregate_strings(sa.func.coalesce(STATES.c.state, _NO_STATE), _NEXT_ROW),
    )
    first, end = (sa.bindparam(name, type_=sa.Double) for name in ("first", "end"))
    by_time = sa.and_(first <= UPDATED, end > UPDATED)
    is_time = sa.and_(first <= UPDATED + 0, end > UPDATED + 0)  # which the index on time cannot serve
    by_number = sa.and_(_NUMBER.between(sa.bindparam("lowest"), sa.bindparam("highest")), is_time)
    bounds_of = sa.select(sa.func.count(), sa.func.min(_NUMBER), sa.func.max(_NUMBER)).where(by_time)
    queries = [sa.select(sa.func.count(), *texts).where(where, chosen) for where in (by_time, by_number)]
    portions = []
    for start in range(window.start, window.end, HOUR):
        bounds = {"first": start / SECOND, "end": min(start + HOUR, window.end) / SECOND}
        count, lowest, highest = connection.execute(bounds_of, bounds).one()
        if not count:
            continue
        is_dense = highest - lowest < _MAX_SPARSENESS * count
        bounds |= {"lowest": lowest, "highest": highest} if is_dense else {}
        count, *joined = connection.execute(queries[is_dense], bounds).one()
        if count:
            portion = _split(joined, packing)
            if any(len(column) != count for column in portion):
                return None
            portions.append(portion)
    return portions


def _split(joined: Sequence[str], packing: Packing) -> DayRows:
    """Return rows, given as one text a column and in any order, as columns in order of time."""
    numbers, *others, instants = (np.fromstring(text, np.int64, sep=",") for text in joined[:-1])
    texts = [None if state == _NO_STATE else state for state in joined[-1].split(_NEXT_ROW)]
    if {len(numbers), len(texts), *map(len, others)} != {len(instants)}:
        return DayRows(*packing.unpack(numbers, *(other.tolist() for other in others)), texts, instants)
    order = np.lexsort((numbers, instants))
    unpacked = packing.unpack(numbers[order], *(other[order].tolist() for other in others))
    return DayRows(*unpacked, [texts[place] for place in order.tolist()], instants[order])
