"""Which findings people have been told of, over each channel: so that each is announced once, and none is lost.

A channel is MQTT or messages. For each, the ledger holds of which days it has looked at the anomalies, what became of
each anomaly, and how the channel itself is doing. An anomaly that waits stays until it was delivered, however long a
broker is down.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Final, NamedTuple

import sqlalchemy as sa

from storage.dates import DateRange
from storage.drivers.upserts import insert_missing, insert_or_replace
from storage.ledger import names

_METADATA: Final = sa.MetaData()
DAYS: Final = sa.Table(
    "announced_day",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("judged", sa.Text, nullable=False),  # which judgement of the day was looked at
    sqlite_with_rowid=False,
)
ANNOUNCEMENTS: Final = sa.Table(
    "announcement",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("entity_id", sa.Text, primary_key=True),
    sa.Column("anomaly_type", sa.Text, primary_key=True),
    sa.Column("status", sa.String(10), nullable=False),
    sqlite_with_rowid=False,
)
CHANNELS: Final = sa.Table(
    "announcement_channel",
    _METADATA,
    sa.Column("home", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("delivered_at", sa.String(32)),
    sa.Column("sent_on", sa.String(10)),
    sa.Column("error", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
TABLES: Final = (DAYS, ANNOUNCEMENTS, CHANNELS)


class Announced(StrEnum):
    """What became of an anomaly over one channel."""

    WAITING = "waiting"  # to be delivered
    DELIVERED = "delivered"
    KNOWN = "known"  # not announced: it goes on from the day before, or is older than the channel


class AnomalyKey(NamedTuple):
    """An anomaly of a day: the identity of its row in the store."""

    day: dt.date
    entity_id: str
    anomaly_type: str


class ChannelState(NamedTuple):
    """How a channel is doing.

    Attributes:
        delivered_at: When something was last delivered, in ISO format; empty if nothing was yet.
        sent_on: The local day on which a message was last sent; None if none was yet.
        error: Why the last attempt failed; empty if it did not.
        waiting: How many anomalies wait.
    """

    delivered_at: str = ""
    sent_on: dt.date | None = None
    error: str = ""
    waiting: int = 0


Transaction = Callable[[], AbstractContextManager[sa.Connection]]


def read_channels(connection: sa.Connection, home: str) -> dict[str, ChannelState]:
    """Return how each channel of a home is doing, by its name."""
    is_waiting = (ANNOUNCEMENTS.c.home == home, ANNOUNCEMENTS.c.status == Announced.WAITING)
    query = sa.select(ANNOUNCEMENTS.c.channel, sa.func.count()).where(*is_waiting).group_by(ANNOUNCEMENTS.c.channel)
    waiting = {row[0]: int(row[1]) for row in connection.execute(query)}
    channels = sa.select(CHANNELS).where(CHANNELS.c.home == home).order_by(CHANNELS.c.channel)
    return {
        row.channel: ChannelState(
            row.delivered_at or "",
            dt.date.fromisoformat(row.sent_on) if row.sent_on else None,
            row.error,
            waiting.get(row.channel, 0),
        )
        for row in connection.execute(channels)
    }


class Announcements:
    """What has been announced of a home over one channel.

    Args:
        home: The name of the home.
        channel: The name of the channel.
        transaction: Opens a transaction on the ledger.
        clock: Returns the present instant, for ``delivered_at``.
    """

    def __init__(self, home: str, channel: str, transaction: Transaction, clock: Callable[[], dt.datetime]) -> None:
        self.home = home
        self.channel = channel
        self._transaction = transaction
        self._clock = clock

    def judged(self) -> dict[dt.date, str]:
        """Return which judgement of each day was looked at."""
        query = sa.select(DAYS.c.day, DAYS.c.judged).where(*self._own(DAYS))
        with self._transaction() as connection:
            return {dt.date.fromisoformat(row.day): row.judged for row in connection.execute(query)}

    def statuses(self, days: DateRange | None = None) -> dict[AnomalyKey, Announced]:
        """Return what became of each anomaly of some days, under the present names of entities; of all by default."""
        conditions = self._own(ANNOUNCEMENTS)
        if days is not None:
            conditions += (ANNOUNCEMENTS.c.day.between(days.first.isoformat(), days.last.isoformat()),)
        with self._transaction() as connection:
            self._rename(connection)
            rows = connection.execute(sa.select(ANNOUNCEMENTS).where(*conditions)).all()
        return {
            AnomalyKey(dt.date.fromisoformat(row.day), row.entity_id, row.anomaly_type): Announced(row.status)
            for row in rows
        }

    def waiting(self) -> set[AnomalyKey]:
        """Return the anomalies that wait."""
        return {key for key, status in self.statuses().items() if status is Announced.WAITING}

    def replace_day(self, day: dt.date, judged: str, statuses: Mapping[AnomalyKey, Announced]) -> None:
        """Note that a day was looked at, and what is to become of its anomalies.

        Args:
            day: The day.
            judged: Which judgement of it was looked at.
            statuses: Its anomalies; what waited before and is not among them is no longer found, and forgotten.
        """
        here = (*self._own(ANNOUNCEMENTS), ANNOUNCEMENTS.c.day == day.isoformat())
        with self._transaction() as connection:
            connection.execute(sa.delete(ANNOUNCEMENTS).where(*here, ANNOUNCEMENTS.c.status == Announced.WAITING))
            self._save(connection, statuses)
            insert_or_replace(connection, DAYS, [{**self._key, "day": day.isoformat(), "judged": judged}])

    def mark(self, keys: Iterable[AnomalyKey], status: Announced) -> None:
        """Note what became of some anomalies."""
        with self._transaction() as connection:
            self._save(connection, dict.fromkeys(keys, status))

    def state(self) -> ChannelState:
        """Return how the channel is doing."""
        with self._transaction() as connection:
            return read_channels(connection, self.home).get(self.channel, ChannelState())

    def note_delivery(self, sent_on: dt.date | None = None) -> None:
        """Note that everything was delivered; ``sent_on`` is the local day of a message, None if there was none."""
        at = self._clock().isoformat(timespec="seconds")
        self._note({"delivered_at": at, "error": ""} | ({"sent_on": sent_on.isoformat()} if sent_on else {}))

    def note_error(self, error: str) -> None:
        """Note why a delivery failed."""
        self._note({"error": error})

    def forget(self) -> None:
        """Forget the channel, with all that was announced over it."""
        with self._transaction() as connection:
            for table in (ANNOUNCEMENTS, DAYS, CHANNELS):
                connection.execute(sa.delete(table).where(*self._own(table)))

    def forget_before(self, day: dt.date) -> None:
        """Forget days that are long past; what waits stays."""
        is_old = (*self._own(ANNOUNCEMENTS), ANNOUNCEMENTS.c.day < day.isoformat())
        with self._transaction() as connection:
            connection.execute(sa.delete(ANNOUNCEMENTS).where(*is_old, ANNOUNCEMENTS.c.status != Announced.WAITING))
            connection.execute(sa.delete(DAYS).where(*self._own(DAYS), DAYS.c.day < day.isoformat()))

    def _note(self, values: dict[str, str]) -> None:
        with self._transaction() as connection:
            insert_missing(connection, CHANNELS, [{**self._key, "error": ""}])
            connection.execute(sa.update(CHANNELS).where(*self._own(CHANNELS)).values(**values))

    def _save(self, connection: sa.Connection, statuses: Mapping[AnomalyKey, Announced]) -> None:
        rows = [
            {**self._key, **key._asdict(), "day": key.day.isoformat(), "status": status.value}
            for key, status in statuses.items()
        ]
        insert_or_replace(connection, ANNOUNCEMENTS, rows)

    def _rename(self, connection: sa.Connection) -> None:
        """Bring anomalies of renamed entities under the present names, so that they are not announced twice."""
        columns = [ANNOUNCEMENTS.c.day, ANNOUNCEMENTS.c.entity_id, ANNOUNCEMENTS.c.anomaly_type, ANNOUNCEMENTS.c.status]
        for former, present in names.read_renames(connection, self.home).items():
            here = (*self._own(ANNOUNCEMENTS), ANNOUNCEMENTS.c.entity_id == former)
            found = connection.execute(sa.select(*columns).where(*here)).all()
            connection.execute(sa.delete(ANNOUNCEMENTS).where(*here))
            rows = [{**self._key, **row._asdict(), "entity_id": present} for row in found]
            insert_or_replace(connection, ANNOUNCEMENTS, rows)

    @property
    def _key(self) -> dict[str, str]:
        return {"home": self.home, "channel": self.channel}

    def _own(self, table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
        """Return the conditions that a row of a table is of this home and channel."""
        return (table.c.home == self.home, table.c.channel == self.channel)
