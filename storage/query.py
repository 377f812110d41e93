"""Queries to stored aggregates, for other programs.

::

    from storage.query import DurationDaily, TimeBasedDaily, open_query

    with open_query() as aggregates:  # the job's own settings, or open_query(config="home.toml")
        rows = aggregates.daily(TimeBasedDaily, "-7d", "yesterday", entity_id="light.kitchen")
        weekly = aggregates.summarize(
            DurationDaily, "-7d", by=["entity_id"], fields={"episodes": "sum", "avg_duration_seconds": ["mean", "max"]}
        )
        longest = max(weekly, key=lambda one: one.values["avg_duration_seconds_max"])

Where a store holds several homes, ``open_query(home="north")`` or ``home=["north", "south"]`` in a call says which, and
``by=["home"]`` keeps them apart; rows of several homes are never mixed unless that is asked for.

A day is a date, ``YYYY-MM-DD``, ``yesterday`` or ``-7d``; a single day stands for both ends, and so does a range: a
``DateRange``, or a text such as ``last-week``, ``2026-W47`` or ``2026-11``. Other keywords than the parameters are tags
of the model, in every call.

Three answers are kept apart: nothing found is an empty list, not computed raises ``DaysMissing``, and a store that
cannot be reached raises ``StoreUnavailable``. Importing this module loads no database driver.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from storage.aggregate_query import AggregateQuery, Day
from storage.checked_store import CheckedStore
from storage.completeness import Completeness, State
from storage.connect import open_store
from storage.daily_aggregate import home_name_fault
from storage.dates import DateRange
from storage.described_home import DEFAULT_TIME_ZONE, home_in_document
from storage.errors import (
    DaysMissing,
    HomeMismatch,
    PatternAggregatesError,
    SettingsError,
    StoreCorrupt,
    StoreError,
    StoreMissing,
    StoreUnavailable,
    UsageError,
)
from storage.identity import HomeIdentity, refuse_other_home, refuse_store_of_others
from storage.ledger.home_id import read_ledger_home
from storage.models import (
    AGGREGATES,
    ActiveTimeDaily,
    AnomalyDaily,
    CoOccurrenceDaily,
    DailyAggregate,
    DetectorRunDaily,
    DurationDaily,
    RoomBasedDaily,
    SequenceDaily,
    Severity,
    TimeBasedDaily,
)
from storage.query_homes import ALL_HOMES, AllHomes, HomeChoice
from storage.rollup_models import (
    ROLLUPS,
    BoutTimesDaily,
    DriftWeekly,
    HabitMonthly,
    HabitWeekly,
    RoutineMonthly,
    RoutineWeekly,
)
from storage.settings import SqlStoreSettings, StoreSettings, ledger_path, ledger_url, store_settings
from storage.settings_file import load_document, naming_origin
from storage.store import AggregateReader, AggregateStore, Fields, Function, Summary, Where

__all__ = [
    "AGGREGATES",
    "ALL_HOMES",
    "ROLLUPS",
    "ActiveTimeDaily",
    "AggregateQuery",
    "AggregateReader",
    "AggregateStore",
    "AllHomes",
    "AnomalyDaily",
    "BoutTimesDaily",
    "CoOccurrenceDaily",
    "Completeness",
    "DailyAggregate",
    "DateRange",
    "Day",
    "DaysMissing",
    "DetectorRunDaily",
    "DriftWeekly",
    "DurationDaily",
    "Fields",
    "Function",
    "HabitMonthly",
    "HabitWeekly",
    "HomeChoice",
    "HomeMismatch",
    "PatternAggregatesError",
    "RoomBasedDaily",
    "RoutineMonthly",
    "RoutineWeekly",
    "SequenceDaily",
    "SettingsError",
    "Severity",
    "State",
    "StoreCorrupt",
    "StoreError",
    "StoreMissing",
    "StoreUnavailable",
    "Summary",
    "TimeBasedDaily",
    "UsageError",
    "Where",
    "open_query",
    "to_json",
]


def _system_clock() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def open_query(
    url: str | None = None,
    *,
    config: str | Path | None = None,
    home: str | AllHomes | None = None,
    time_zone: str | None = None,
    clock: Callable[[], dt.datetime] = _system_clock,
) -> AggregateQuery:
    """Open the store for reading.

    Args:
        url: A database URL, ``sqlite:///folder/file.db`` for a file; without it the job's own settings decide.
        config: The configuration file; else that in ``PATTERN_AGGREGATES_CONFIG``, else
            ``pattern-aggregates.toml``, else ``config/default.toml``.
        home: The name of the home whose rows are read, or ``ALL_HOMES``. By default that of the settings; with ``url``
            the home without a name.
        time_zone: The home's time zone, such as ``Europe/Berlin``, by which ``yesterday`` and ``-7d`` are counted. By
            default that of the settings; with ``url`` it is not known, and such days are refused.
        clock: Returns the present instant.

    Before the first answer, what the store knows of the home of the settings is compared with their ledger, or without
    a ledger with their ``[home]`` and ``[source]``.

    Raises:
        StoreMissing: There is no such store: an error, never an empty answer.
        SettingsError: The settings are not valid, the home's name is not, or the time zone is not known.
        HomeMismatch: At the first query: the store belongs to another home than the settings or their ledger.
        StoreUnavailable: The store cannot be reached now.
    """
    settings: StoreSettings
    overrides: Mapping[str, str] = {}
    known: HomeIdentity | None = None
    described: HomeIdentity | None = None
    name = "" if home is None else None if isinstance(home, AllHomes) else home
    if url is not None:
        settings = SqlStoreSettings(url=url)
    else:
        document = load_document(Path(config) if config is not None else None)
        settings, overrides = store_settings(document), document.overrides
        section = document.values.get("home")
        section = section if isinstance(section, dict) else {}
        configured = str(section.get("name", ""))
        name = configured if home is None else name
        if name is not None:
            known = read_ledger_home(ledger_path(document), name, url=ledger_url(document))
            described = home_in_document(document) if name == configured else None
        named = section.get("time_zone")
        if name != configured and known is not None:
            time_zone = time_zone or known.time_zone
        time_zone = time_zone or (DEFAULT_TIME_ZONE if named is None else str(named))
    if name is not None and (fault := home_name_fault(name)):
        raise SettingsError(fault)
    zone = None if time_zone is None else _zone(time_zone)
    with naming_origin(overrides):
        store = open_store(settings, home=name, read_only=True)
    if known is not None or described is not None:
        store = CheckedStore(store, partial(_check_home, store, known, described, f"the store of {document.origin}"))
    return AggregateQuery(store, today=None if zone is None else lambda: clock().astimezone(zone).date())


def _check_home(store: AggregateStore, ledger: HomeIdentity | None, described: HomeIdentity | None, name: str) -> None:
    stored = store.read_home()
    if ledger is not None:
        refuse_other_home(stored, ledger, name)
    elif described is not None:
        refuse_store_of_others(stored, described, name)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # not in the database, not a name, a folder of names
        raise SettingsError(
            f"{name!r} is not a known time zone", hint="Write home.time_zone, or time_zone, like Europe/Berlin."
        ) from error


def to_json(rows: Iterable[DailyAggregate]) -> str:
    """Return rows as a JSON list of objects: one key for each field, lists and dicts as JSON, ``date`` as text."""
    return json.dumps([row.model_dump(mode="json") for row in rows], ensure_ascii=False)
