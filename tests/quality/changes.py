"""How often the report's "what changed" is right: homes in which nothing changes, and homes with a planted change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from jobs.names import NO_NAMES
from jobs.report.changes import find_changes
from jobs.report.stored_rows import COMPARED_DAYS, StoredRows
from storage.dates import DateRange
from storage.models import DailyAggregate, TimeBasedDaily
from tests.support.homes.home import LivedHome
from tests.support.homes.lives import LIVES
from tests.support.report_rows import DETECTORS, query, runs

MIN_TIMES_A_DAY: Final = 3  # of devices whose use is changed
_ONE_IN: Final = 10  # of these


class Unchanged(NamedTuple):
    """What was reported in homes in which nothing changes."""

    homes: int
    homes_with_changes: int
    changes: int
    tests: int


class Multiplied(NamedTuple):
    """How many of the devices whose use was changed were found."""

    found: int
    planted: int


def unchanged(seeds: Iterable[int]) -> Unchanged:
    """Return what is reported in homes in which nothing changes."""
    reports = [find_changes(_stored(home, rows), NO_NAMES) for home, rows in map(_home, seeds)]
    counts = [len(report.found) + report.left_out for report in reports]
    return Unchanged(len(counts), sum(map(bool, counts)), sum(counts), sum(report.tests for report in reports))


def multiplied(seeds: Iterable[int], factor: float) -> Multiplied:
    """Return what is found where one in ten of the devices in regular use is used so many times as often."""
    found = planted = 0
    for seed in seeds:
        home, rows = _home(seed)
        days = DateRange.ending(max(home.days), COMPARED_DAYS)
        chosen = _chosen(rows, days)
        rng = np.random.default_rng(seed)
        changed = [
            row.model_copy(update={"bouts": (row.bouts or 0) + int(rng.poisson((factor - 1) * (row.bouts or 0)))})
            if isinstance(row, TimeBasedDaily) and row.entity_id in chosen and row.date in days
            else row
            for row in rows
        ]
        reported = {change.id for change in find_changes(_stored(home, changed), NO_NAMES).found}
        found, planted = found + len(chosen & reported), planted + len(chosen)
    return Multiplied(found, planted)


def _home(seed: int) -> tuple[LivedHome, list[DailyAggregate]]:
    home = LivedHome(LIVES["regular"], seed=seed, judged=COMPARED_DAYS)
    rows = [row for of_day in home.rows_by_day.values() for row in of_day]
    return home, [*rows, *runs(home.days, ["active_time"])]


def _stored(home: LivedHome, rows: list[DailyAggregate]) -> StoredRows:
    return StoredRows(query(rows), DateRange.ending(max(home.days), COMPARED_DAYS), DETECTORS)


def _chosen(rows: Iterable[DailyAggregate], days: DateRange) -> set[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, TimeBasedDaily) and row.date not in days:
            counts[row.entity_id] += row.bouts or 0
    return set(sorted(one for one, count in counts.items() if count >= MIN_TIMES_A_DAY * COMPARED_DAYS)[::_ONE_IN])
