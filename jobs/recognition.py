"""Notice that a source suddenly holds the events of another home, although the settings are the same.

A file was replaced, a path mounted from another machine. The ledger keeps the entities that the home has had. A day on
which hardly any of them is seen is of another home; a home that only gains, loses or renames some entities is not.
"""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow
from jobs.sources.base import EventSource
from storage.dates import DateRange
from storage.errors import HomeMismatch
from storage.ledger.ledger import Ledger

MIN_ENTITIES: Final = 3  # fewer, on either side, tell nothing
MIN_SHARED: Final = 0.2  # of the smaller side; less means another home

_NUMBERED_KEY: Final = "metadata_id "  # a recorder counts its entities, so every home has the same of these


def recognise(log: DayLog, ledger: Ledger) -> None:
    """Check that a day is of the ledger's home, and note the entities that are new.

    Raises:
        HomeMismatch: Hardly any of the day's entities is known; nothing is noted.
    """
    keys_of, known = check_entities(log, ledger)
    names = {*keys_of, *filter(None, keys_of.values())}
    if new := names - known:
        ledger.add_entities(sorted(new))


def check_source(source: EventSource, span: DateRange, ledger: Ledger, zone: ZoneInfo) -> None:
    """Check that a source still holds the events of the ledger's home. Changes nothing.

    The newest day that was computed is compared by its fingerprint; only if that has changed is a day read.

    Args:
        source: The source.
        span: The days that it holds.
        ledger: The ledger.
        zone: The home's time zone.

    Raises:
        HomeMismatch: Hardly any of the day's entities is known.
        SourceError: The source cannot be read.
    """
    computed = [entry for (day, _), entry in ledger.entries(span).items() if entry.has_finding and entry.samples]
    day = max((entry.day for entry in computed), default=span.last)
    window = DayWindow(day, zone)
    fingerprints = {entry.fingerprint for entry in computed if entry.day == day}
    if source.fingerprint(window) not in fingerprints:
        check_entities(source.read(window), ledger)


def check_entities(log: DayLog, ledger: Ledger) -> tuple[dict[str, str], frozenset[str]]:
    """Check that a day is of the ledger's home.

    Returns:
        The day's entities, each with what stays the same of it when it is renamed, and the names and keys that the
        ledger knows.

    Raises:
        HomeMismatch: Hardly any of the day's entities is known.
    """
    seen = np.union1d(log.events.entity, log.intervals.entity)
    keys_of = {log.entities[one].entity_id: _lasting_key(log, log.entities[one].entity_id) for one in seen}
    known = ledger.known_entities()
    known_count = sum(" " not in name for name in known)  # keys contain blanks, entity ids do not
    shared_count = sum(name in known or key in known for name, key in keys_of.items())
    smaller = min(known_count, len(keys_of))
    if smaller >= MIN_ENTITIES and shared_count < MIN_SHARED * smaller:
        noted = ledger.read_home()
        home = f" of {noted.identity}" if noted is not None else ""
        raise HomeMismatch(
            f"the source holds the events of another home on {log.window.day}: the ledger{home} knows {shared_count} "
            f"of the {len(keys_of)} entities, such as {min(keys_of)}; it has had {known_count}, such as {min(known)}",
            hint="Correct [source]. If the home has replaced or renamed its entities, run `pattern-aggregates init "
            "--adopt source`.",
        )
    return keys_of, known


def _lasting_key(log: DayLog, entity_id: str) -> str:
    """Return what stays the same of an entity when it is renamed; empty if that is not known."""
    key = log.keys.get(entity_id, "")
    return "" if key.startswith(_NUMBERED_KEY) else key
