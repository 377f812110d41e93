"""`backfill` and what interrupts it: each due day is computed once, and bad rows cost only themselves."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.support.home import CSV_CONFIG, EVENTS, Home

DETECTORS = [
    "active_time",
    "bout_times",
    "co_occurrence",
    "duration",
    "room_based",
    "sequence",
    "time_based",
    "anomaly",
]
ROLLUPS = ["drift_weekly", "habit_weekly", "routine_weekly"]  # 2026-03-01 is a Sunday


def test_a_backfill_writes_what_was_found_and_the_same_again_does_nothing(home: Home) -> None:
    report = home.json("backfill", "2026-03-01", "2026-03-03", "--json")
    assert [day["status"] for day in report["days"]] == ["written"] * 3
    middle = report["days"][1]
    assert middle["detectors"]["time_based"] == {
        "status": "written",
        "version": 3,
        "rows": 2,
        "error": None,
        "reason": "2 entities had 5 activity events; none with a peak hour",
    }
    assert (middle["events"], middle["error"]) == (5, None)
    assert report["plan"][0] == {"day": "2026-03-01", "detectors": [*DETECTORS, *ROLLUPS], "recheck": False}
    again = home.json("backfill", "2026-03-01", "2026-03-03", "--json")
    assert (again["days"], again["plan"]) == ([], [])
    assert "Nothing is due." in home.call("backfill", "2026-03-01", "2026-03-03").stdout


def test_events_from_the_future_are_bad_rows_and_make_no_day(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS + "2999-01-01T00:00:00,light.kitchen,on\n")
    assert len(home.json("status", "--json")) == 3
    report = home.json("backfill", "2026-03-03", "2026-03-03", "--json")
    assert "is in the future" in report["days"][0]["detectors"]["time_based"]["reason"]


def test_an_id_whose_first_part_no_tag_can_hold_costs_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS.replace("light.kitchen", "light\\.kitchen"))
    home.json("backfill", "2026-03-02", "2026-03-02", "--json")
    rows = home.json("query", "time_based", "2026-03-02", "2026-03-02", "--format", "json")
    assert {row["domain"] for row in rows} == {"binary_sensor", "other"}


def test_a_quote_that_is_never_closed_costs_its_line(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS.replace("07:00:05,light.kitchen,on", '07:00:05,"light.kitchen,on'))
    reason = home.json("backfill", "2026-03-02", "2026-03-02", "--json")["days"][0]["detectors"]["time_based"]["reason"]
    assert "3 activity events" in reason
    assert "1 bad row: events.csv line 5" in reason


def test_a_dry_run_prints_the_plan_and_touches_nothing(home: Home) -> None:
    before = sorted(path.name for path in home.folder.iterdir())
    result = home.call("backfill", "2026-03-01", "2026-03-03", "--dry-run")
    assert f"2026-03-02  {', '.join(DETECTORS)}" in result.stdout
    assert "3 days would be worked on" in result.stdout
    plan = home.json("backfill", "2026-03-01", "2026-03-03", "--dry-run", "--json")
    assert (len(plan["plan"]), plan["days"]) == (3, [])
    assert sorted(path.name for path in home.folder.iterdir()) == before


def test_bad_rows_are_counted_and_reported_and_cost_nothing_else(tmp_path: Path) -> None:
    bad = "2026-03-02T12:00:00,light.kitchen\nwhen,light.kitchen,on\n2026-03-02T12:00:00," + "x" * 300 + ",on\n"
    home = Home(tmp_path, events=EVENTS.replace("2026-03-02T19:00:00", bad + "2026-03-02T19:00:00"))
    report = home.json("backfill", "2026-03-02", "2026-03-02", "--json")
    reason = report["days"][0]["detectors"]["time_based"]["reason"]
    assert "3 bad rows: events.csv line 8: no state" in reason
    assert report["days"][0]["detectors"]["time_based"]["rows"] == 2


def test_a_second_run_beside_the_first_does_nothing_twice(home: Home) -> None:
    home.call("init")
    both = [home.process("backfill", "2026-03-01", "2026-03-03", "--json") for _ in range(2)]
    reports = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    written = [day["day"] for report in reports for day in report["days"] if day["status"] == "written"]
    assert sorted(written) == ["2026-03-01", "2026-03-02", "2026-03-03"]


@pytest.mark.slow
def test_an_interrupted_backfill_exits_130_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    config = CSV_CONFIG.replace(
        'kind = "csv_files"\npath = "events.csv"', 'kind = "simulated_home"\nevents_per_day = 500'
    )
    home = Home(tmp_path, config)
    process = home.process("backfill", "2025-02-01", "2025-05-01")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(_written_days(home)) < 3:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in message
    done = _written_days(home)
    assert 3 <= len(done) < 90
    days = home.json("backfill", "2025-02-01", "2025-05-01", "--json")["days"]
    assert len(done) + len(days) in (90, 91)  # one may have been staged but not yet written


def _written_days(home: Home) -> list[str]:
    grid = home.json("status", "2025-02-01", "2025-05-01", "--json")
    return [line["day"] for line in grid if {cell["status"] for cell in line["detectors"].values()} == {"written"}]
