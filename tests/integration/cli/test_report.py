"""``report`` writes one HTML file, of a range of days or of one day in detail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from freezegun import freeze_time

from tests.support.home import CSV_CONFIG, Home


@pytest.fixture
def written(tmp_path: Path) -> Home:
    home = Home(tmp_path, CSV_CONFIG)
    home.call("backfill", "2026-03-01", "2026-03-03")
    return home


def test_a_report_of_a_range_is_one_file_and_its_place_and_size_are_printed(written: Home) -> None:
    file = written.folder / "home.html"
    result = written.call("report", "2026-03-01", "2026-03-03", "--out", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{file}: 2026-03-01 to 2026-03-03, " in result.stderr
    html = file.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert "Your home, 1 to 3 March 2026" in html
    assert "light.kitchen" in html  # in a tooltip
    assert file.stat().st_mode & 0o077 == 0  # it shows when people are at home


def test_a_report_of_the_first_days_says_at_its_top_why_none_was_judged(written: Home) -> None:
    html = written.call("report", "2026-03-01", "2026-03-03", "--out", "-").stdout
    top, _, _ = html.partition("<h2")
    assert re.search(r"None of the 3 days was judged, so what was unusual is not known: .+ that are needed\.", top)


def test_a_second_report_of_the_same_rows_has_the_same_bytes(written: Home) -> None:
    first, second = written.folder / "1.html", written.folder / "2.html"
    for file in (first, second):
        assert written.call("report", "2026-03", "--out", str(file)).exit_code == 0
    assert first.read_bytes() == second.read_bytes()


def test_json_names_the_file_its_days_and_its_size(written: Home) -> None:
    file = written.folder / "home.html"
    document = written.json("report", "2026-03", "--out", str(file), "--json")
    assert document == {
        "file": str(file),
        "first": "2026-03-01",
        "last": "2026-03-31",
        "bytes": len(file.read_bytes()),
    }


def test_one_day_is_shown_in_detail(written: Home) -> None:
    result = written.call("report", "--day", "2026-03-02", "--out", "-")
    assert result.exit_code == 0
    assert "Your home, Monday 2 March 2026" in result.stdout
    assert "What each detector reported" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-28d",), "nothing was computed for"),
        (("2026-02-01", "2026-02-10"), "The store has days from 2026-03-01 to 2026-03-03"),
        (("2026-03-01", "--day", "2026-03-02"), "Give either a range or --day"),
        (("2026-03-01", "--json", "--out", "-"), "Name a file with --out"),
        (("2026-03-99",), "not a valid day"),
        (("2026-03-01", "--out", "/nowhere/report.html"), "/nowhere/report.html cannot be written"),
    ],
)
def test_a_call_that_is_not_valid_says_what_to_do(written: Home, words: tuple[str, ...], message: str) -> None:
    result = written.call("report", *words)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_without_days_the_newest_weeks_that_there_are_are_shown_and_it_is_said_if_they_are_old(written: Home) -> None:
    result = written.call("report", "--out", "-")
    assert result.exit_code == 0, result.stderr
    assert "Your home, 1 to 3 March 2026" in result.stdout
    assert "nothing was computed after 2026-03-03" in result.stderr


def test_without_days_the_last_four_weeks_reach_to_yesterday_whether_it_is_computed_or_not(written: Home) -> None:
    with freeze_time("2026-03-05 12:00"):
        result = written.call("report", "--out", "-")
    assert "Your home, 1 to 4 March 2026" in result.stdout
    assert "Nothing was computed" in result.stdout
    assert "nothing was computed after" not in result.stderr


def test_before_the_first_run_the_hint_is_to_run_it(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG)
    home.call("init")
    result = home.call("report")
    assert (result.exit_code, "pattern-aggregates run" in result.stderr) == (2, True), result.stderr


def test_a_file_that_cannot_be_replaced_is_left_as_it_was(written: Home) -> None:
    folder = written.folder / "taken"
    folder.mkdir()
    result = written.call("report", "2026-03", "--out", str(folder))
    assert (result.exit_code, folder.is_dir()) == (2, True)
