"""What the daemon's page shows of the nights, whatever the time of day."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from jobs.daemon.findings import NO_FINDINGS
from jobs.daemon.overview import NIGHTS, RunState, read_overview
from storage.dates import ONE_DAY
from tests.support.published_home import TODAY, YESTERDAY, PublishedHome


def nights(made: PublishedHome) -> list[dt.date]:
    run = RunState(None, made.now + dt.timedelta(hours=1), "", None, "")
    return [night.day for night in read_overview(made.home, run, NO_FINDINGS).nights]


@pytest.mark.parametrize("hour", [1, 12])
def test_a_day_that_is_computed_is_shown_even_before_it_is_due(tmp_path: Path, hour: int) -> None:
    made = PublishedHome(tmp_path)
    for number in (2, 1, 0):
        made.write(day=YESTERDAY - number * ONE_DAY)
    made.now = dt.datetime.combine(TODAY, dt.time(hour), dt.UTC)
    assert nights(made) == [YESTERDAY - number * ONE_DAY for number in range(3)]


@pytest.mark.parametrize(("hour", "newest"), [(1, YESTERDAY - ONE_DAY), (12, YESTERDAY)])
def test_a_day_that_is_not_computed_is_shown_once_it_is_due(tmp_path: Path, hour: int, newest: dt.date) -> None:
    made = PublishedHome(tmp_path)
    made.write(day=YESTERDAY - 2 * ONE_DAY)
    made.now = dt.datetime.combine(TODAY, dt.time(hour), dt.UTC)
    assert nights(made)[0] == newest


def test_no_more_than_a_fortnight_is_shown(tmp_path: Path) -> None:
    made = PublishedHome(tmp_path)
    for number in range(NIGHTS + 3):
        made.write(day=YESTERDAY - number * ONE_DAY)
    made.now = dt.datetime.combine(TODAY, dt.time(12), dt.UTC)
    assert nights(made) == [YESTERDAY - number * ONE_DAY for number in range(NIGHTS)]
