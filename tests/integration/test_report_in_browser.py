"""The report in a real browser: axe-core, which knows what keeps people from reading a page, finds nothing in it."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.names import NO_NAMES
from jobs.report.one_day import find_one_day
from jobs.report.page import render_one_day
from jobs.report.report import fit_period
from jobs.report.stored_rows import StoredRows
from storage.dates import DateRange
from tests.support.browser import find_violations
from tests.support.report_rows import DETECTORS, LAST, WEEKS, anomaly, busy_home, query, runs
from tests.support.rollup_rows import week

ZONE = ZoneInfo("Europe/Berlin")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """A range of days and a day of a home with everything a report can show, and of a home of which little is known."""
    muted = [anomaly("light.muted", LAST, muted="on purpose", severity="critical")]
    full = query([*busy_home(12, DateRange.ending(LAST, 56)), *muted, *week()])
    poor = query(runs(list(WEEKS)[:3], reason="not judged: the baseline has 3 of the 14 complete days"))
    day = DateRange(LAST, LAST)
    return {
        "period": fit_period(full, StoredRows(full, WEEKS, DETECTORS), NO_NAMES, ZONE),
        "one day": render_one_day(find_one_day(full, StoredRows(full, day, DETECTORS), NO_NAMES, ZONE)),
        "little known": fit_period(poor, StoredRows(poor, WEEKS, DETECTORS), NO_NAMES, ZONE),
    }


@pytest.mark.parametrize(
    ("name", "width", "is_dark"),
    [
        ("period", 1200, False),
        ("period", 1200, True),
        ("period", 500, False),
        ("one day", 1200, False),
        ("one day", 500, True),
        ("little known", 500, True),
    ],
)
def test_axe_finds_nothing(pages: dict[str, str], tmp_path: Path, name: str, width: int, *, is_dark: bool) -> None:
    assert find_violations(pages[name], tmp_path, width=width, is_dark=is_dark) == []


def test_axe_finds_what_is_wrong(pages: dict[str, str], tmp_path: Path) -> None:
    broken = pages["one day"].replace('<html lang="en">', "<html>")
    assert [rule for rule, *_ in find_violations(broken, tmp_path)] == ["html-has-lang"]
