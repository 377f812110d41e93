"""Nights leave nothing behind: no descriptor, no thread, no ledger row that is older than it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.dates import ONE_DAY
from storage.ledger.ledger import DAYS_KEPT_AFTER_RETENTION
from tests.soak.nights import FIRST, soak

DAILY, WEEKLY, MONTHLY = 8, 3, 2  # detectors
RETENTION_DAYS = 5
SUNDAY = 7


@pytest.mark.slow
def test_forty_nights_leave_nothing_open_and_a_ledger_that_is_bounded(tmp_path: Path) -> None:
    traces, problem = soak(tmp_path, 40, retention_days=RETENTION_DAYS)
    assert problem == ""
    assert [one.nights for one in traces] == list(range(1, 41))
    assert {one.descriptors for one in traces[2:]} == {traces[2].descriptors}
    assert {one.threads for one in traces[2:]} == {traces[2].threads}
    rows = [one.ledger_rows for one in traces]
    assert rows[:30] == [DAILY * nights + rows_of_rollups(nights) for nights in range(1, 31)]
    assert rows[-1] == DAILY * (RETENTION_DAYS + DAYS_KEPT_AFTER_RETENTION) + rows_of_rollups(40)


def rows_of_rollups(nights: int) -> int:
    """Return how many rows weeks and months have after some nights; they are kept for years."""
    days = [FIRST + night * ONE_DAY for night in range(nights)]
    return WEEKLY * sum(day.isoweekday() == SUNDAY for day in days) + MONTHLY * sum(
        (day + ONE_DAY).day == 1 for day in days
    )
