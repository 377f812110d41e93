"""What a fleet leaves in its ledger and its database: entries, locks, sessions, tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import psutil
import sqlalchemy as sa
from sqlalchemy import exc

from storage.ledger.entry import Entry, Status
from storage.ledger.homes import LedgerOfHomes
from storage.ledger.server_schema import SCHEMA
from tests.fleet.simulated_fleet import SimulatedFleet

_AT_WORK: Final = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
HOLDS_A_LOCK: Final = "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted)"
_LEFT_OVERS: Final = {
    "locks": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
    "sessions": "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    "prepared transactions": "SELECT count(*) FROM pg_prepared_xacts",
}
_RELATIONS: Final = (
    "SELECT nspname || '.' || relname || ' ' || relkind::text FROM pg_class "
    "JOIN pg_namespace ON relnamespace = pg_namespace.oid WHERE nspname <> 'information_schema' "
    "AND nspname NOT LIKE 'pg\\_%' ORDER BY 1"
)


def ledger_entries(fleet: SimulatedFleet) -> list[tuple[str, Entry]]:
    """Return all entries of a fleet's ledger, without the instants at which they were changed."""
    place = sa.make_url(fleet.store) if fleet.is_on_server else fleet.folder / "ledger.db"
    with LedgerOfHomes(place) as ledger:
        return [(home, replace(entry, updated_at="")) for home, entry in ledger.entries(None, fleet.days)]


def left_overs(fleet: SimulatedFleet) -> list[str]:
    """Return what a fleet that has ended should not have left: entries not written, staged rows, locks, sessions."""
    found = [
        f"{home} {entry.day} {entry.detector}: {entry.status}, {entry.attempts} attempts"
        for home, entry in ledger_entries(fleet)
        if entry.status is not Status.WRITTEN or entry.redo
    ]
    found += [f"staged rows: {count}" for count in _values(fleet, _ledger_query(fleet, "payload IS NOT NULL")) if count]
    if fleet.is_on_server:
        found += [f"{what}: {count}" for what, query in _LEFT_OVERS.items() for count in _values(fleet, query) if count]
    return found


def relations(fleet: SimulatedFleet) -> Sequence[str]:
    """Return the names of all tables, indexes and sequences in a fleet's database; none for files."""
    return _values(fleet, _RELATIONS) if fleet.is_on_server else []


def count_written(fleet: SimulatedFleet) -> int | None:
    """Return how many entries the ledger has as written; None while it cannot be read."""
    try:
        (count,) = _values(fleet, _ledger_query(fleet, "status = 'written'"))
    except exc.SQLAlchemyError:
        return None
    return int(count)


def homes_at_work(fleet: SimulatedFleet) -> int:
    """Return how many homes are locked by a worker; 0 for files, or while the server cannot be reached."""
    try:
        return int(_values(fleet, _AT_WORK)[0]) if fleet.is_on_server else 0
    except exc.SQLAlchemyError:
        return 0


def _ledger_query(fleet: SimulatedFleet, condition: str) -> str:
    table = f"{SCHEMA}.entry" if fleet.is_on_server else "entry"
    return f"SELECT count(*) FROM {table} WHERE {condition}"  # noqa: S608 - conditions of this file


def _values(fleet: SimulatedFleet, query: str) -> Sequence[Any]:
    with _connected(fleet) as connection:
        return connection.execute(sa.text(query)).scalars().all()


@contextmanager
def _connected(fleet: SimulatedFleet) -> Iterator[sa.Connection]:
    """Connect to the database of the ledger."""
    url = fleet.store if fleet.is_on_server else f"sqlite:///{fleet.folder}/ledger.db"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def lock_holders(fleet: SimulatedFleet) -> list[int]:
    """Return the processes of this machine that have the lock of a home."""
    ports = set(_values(fleet, f"SELECT client_port FROM pg_stat_activity WHERE {HOLDS_A_LOCK}"))  # noqa: S608 - of this file
    connections = psutil.net_connections("tcp4")
    return [one.pid for one in connections if one.laddr.port in ports and one.pid is not None]


def end_sessions(fleet: SimulatedFleet, process: int, *, only_with_lock: bool) -> int:
    """End a process's sessions as if their connections had broken; returns how many these were.

    Args:
        fleet: Whose database it is.
        process: The process.
        only_with_lock: Only the session that has the lock of a home.
    """
    ports = [one.laddr.port for one in psutil.Process(process).net_connections("tcp4")]
    condition = f"client_port IN ({', '.join(map(str, ports))})" + (f" AND {HOLDS_A_LOCK}" if only_with_lock else "")
    query = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {condition}"  # noqa: S608 - of this file
    return len(_values(fleet, query))


def changes(fleet: SimulatedFleet) -> Sequence[Any]:
    """Return when each run was computed and each entry was changed: anything that is written shows there."""
    runs = _values(fleet, "SELECT home || date || detector || computed_at FROM detector_run_daily ORDER BY 1")
    entries = f"SELECT home || day || detector || updated_at || status FROM {SCHEMA}.entry ORDER BY 1"  # noqa: S608 - of this file
    return [*runs, *_values(fleet, entries)]
