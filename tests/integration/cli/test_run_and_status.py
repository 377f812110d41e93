"""`run`, `status` and `init`."""

from __future__ import annotations

from tests.support.home import Home


def test_run_finds_every_due_day_and_says_that_the_source_is_stale(home: Home) -> None:
    report = home.json("run", "--json", exit_code=1)
    assert [day["day"] for day in report["days"]] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert any("stale source" in notice for notice in report["notices"])


def test_run_of_one_day_leaves_the_others(home: Home) -> None:
    report = home.json("run", "--day", "2026-03-02", "--json")
    assert [day["day"] for day in report["days"]] == ["2026-03-02"]


def test_status_shows_each_day_and_detector(home: Home) -> None:
    home.call("backfill", "2026-03-02", "2026-03-02")
    grid = home.json("status", "2026-02-28", "2026-03-02", "--json")
    assert [line["detectors"]["duration"]["status"] for line in grid] == ["out of reach", "missing", "written"]
    shown = home.call("status").stdout
    assert "2026-03-02  written: 8 detectors, 9 rows" in shown
    assert "2026-03-03" in shown


def test_status_before_anything_has_happened_makes_no_file(home: Home) -> None:
    grid = home.json("status", "--json")
    assert {cell["status"] for line in grid for cell in line["detectors"].values()} == {"missing"}
    assert not (home.folder / "ledger.db").exists()


def test_init_says_what_it_made_and_is_safe_to_repeat(home: Home) -> None:
    first = home.call("init")
    assert "made table time_based_daily" in first.stdout
    assert "made ledger" in first.stdout
    assert home.call("init").stdout == "nothing to change\n"
