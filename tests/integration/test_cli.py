"""The commands as a person and as a machine use them: words, documents and exit codes."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from jobs.settings import Settings
from storage.query import DurationDaily, TimeBasedDaily, open_query
from tests.support.home import CSV_CONFIG, EVENTS, ROOT, Home

SIX = ["co_occurrence", "duration", "room_based", "sequence", "time_based", "anomaly"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_backfill_writes_what_was_found_and_the_same_again_does_nothing(home: Home) -> None:
    report = home.json("backfill", "2026-03-01", "2026-03-03", "--json")
    assert [day["status"] for day in report["days"]] == ["written"] * 3
    middle = report["days"][1]
    assert middle["detectors"]["time_based"] == {
        "status": "written",
        "version": 1,
        "rows": 2,
        "error": None,
        "reason": "2 entities had 5 activity events; none with a peak hour",
    }
    assert (middle["events"], middle["error"]) == (5, None)
    assert report["plan"][0] == {"day": "2026-03-01", "detectors": SIX, "recheck": False}
    again = home.json("backfill", "2026-03-01", "2026-03-03", "--json")
    assert (again["days"], again["plan"]) == ([], [])
    assert "Nothing is due." in home.call("backfill", "2026-03-01", "2026-03-03").stdout


def test_what_is_written_can_be_queried_from_other_code(home: Home) -> None:
    home.json("backfill", "2026-03-01", "2026-03-03", "--json")
    with open_query(config=home.config) as aggregates:
        (light,) = aggregates.daily(TimeBasedDaily, "2026-03-02", "2026-03-02", entity_id="light.kitchen")
        (burned,) = aggregates.daily(DurationDaily, "2026-03-02", "2026-03-03", entity_id="light.kitchen")
    assert {hour: count for hour, count in enumerate(light.hourly_distribution) if count} == {7: 2, 19: 1}
    # The second episode ran into an outage and is not measured. Motion was seen until 07:10, and for ten minutes more;
    # of the hours since 19:00 nothing moved.
    assert (burned.episodes, burned.avg_duration_seconds) == (1, 1800.0)
    assert burned.efficiency_score == pytest.approx((20 * 60 - 5) / (1800 + 4.5 * 3600))


def test_query_prints_json_csv_and_tables(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    words = ("query", "time_based_daily", "2026-03-02", "2026-03-02", "--where", "entity_id=light.kitchen")
    (row,) = home.json(*words, "--format", "json")
    assert list(row) == list(TimeBasedDaily.model_fields)
    assert (row["date"], row["peak_hours"], row["bouts"]) == ("2026-03-02", [], 3)
    (record,) = csv.DictReader(io.StringIO(home.call(*words, "--format", "csv").stdout))
    assert json.loads(record["hourly_distribution"]) == row["hourly_distribution"]
    assert "light.kitchen" in home.call(*words).stdout
    (total,) = home.json(
        "query", "time_based", "2026-03-01", "2026-03-03", "--by", "domain", "--sum", "occurrences", "--format", "json",
        "--where", "domain=light", "--where", "domain=switch", "--mean", "frequency",
    )  # fmt: skip
    assert total == {"domain": "light", "occurrences": 3, "frequency": pytest.approx(2 / 24)}
    assert "no rows" in home.call(*words[:4], "--where", "entity_id=light.none").stdout


def test_query_gives_several_functions_of_one_field_under_names_of_their_own(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    words = ("--sum", "occurrences", "--max", "occurrences", "--max", "occurrences", "--min", "bouts")
    (total,) = home.json("query", "time_based", "2026-03-02", *words, "--format", "json")
    assert total == {"occurrences_sum": 5, "occurrences_max": 3, "bouts": 2}


def test_commands_take_one_day_or_the_days_counted_back_without_a_last_day(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    one_day = ("query", "time_based", "--by", "date", "--count", "bouts", "--format", "json", "2026-03-02")
    assert [record["date"] for record in home.json(*one_day)] == ["2026-03-02"]
    result = home.call("query", "time_based", "-7d", "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert "7 of 7 days are not computed" in result.stderr
    assert [day["day"] for day in home.json("status", "2026-03-02", "--json")] == ["2026-03-02"]
    assert len(home.json("status", "-7d", "--json")) == 7
    assert [day["day"] for day in home.json("backfill", "2026-03-02", "--redo", "all", "--json")["days"]] == [
        "2026-03-02"
    ]


def test_query_says_on_the_side_which_days_were_never_computed(home: Home) -> None:
    home.call("backfill", "2026-03-02", "2026-03-02")
    result = home.call("query", "time_based", "2026-03-01", "2026-03-03", "--format", "json")
    assert "2 of 3 days are not computed" in result.stderr
    assert len(json.loads(result.stdout)) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("query", "time_basd_daily", "2026-03-02", "2026-03-02"), "did you mean 'time_based_daily'"),
        (("query", "time_based", "2026-03-02", "2026-03-02", "--where", "entity=x"), "did you mean 'entity_id'"),
        (("query", "time_based", "2026-03-02", "2026-03-02", "--where", "entity_id"), "Write it as TAG=VALUE"),
        (("query", "time_based", "2026-03-02", "2026-03-02", "--by", "domain"), "--by groups summaries"),
        (("query", "time_based", "2026-03-02", "--sum", "peak_hours"), "peak_hours is not a number"),
        (("query", "time_based", "2026-W10"), "is not a valid day"),
        (("backfill", "2026-03-03", "2026-03-01"), "before it begins"),
        (("backfill", "2026-03-01", "2126-03-01"), "not over yet"),
        (("backfill", "2026-13-01", "2026-03-01"), "is not a valid day"),
        (("backfill", "2026-03-01", "2026-03-01", "--detector", "durations"), "no detector 'durations'"),
        (("run", "--day", "tomorrow"), "is not a valid day"),
        (("status", "2026-03-03", "2026-03-01"), "before it begins"),
        (("no-such-command",), "No such command"),
        (("run", "--no-such-option"), "No such option"),
    ],
)
def test_a_call_that_cannot_be_meant_exits_2_and_says_why(home: Home, words: tuple[str, ...], told: str) -> None:
    home.call("init")
    result = home.call(*words)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_the_former_name_of_the_option_that_changes_a_retention_is_named_with_its_new_name(home: Home) -> None:
    result = home.call("init", "--mend")
    assert result.exit_code == 2
    assert "now called '--update-retention'" in " ".join(result.stderr.replace("│", "").split())
    assert "--mend" not in home.call("init", "--help").stdout


def test_a_range_past_the_retention_exits_2_and_names_the_setting(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG.replace("retention_days = 0", "retention_days = 30"))
    result = home.call("backfill", "2020-01-01", "2020-01-02")
    assert result.exit_code == 2
    assert "store.retention_days" in result.stderr


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('[home]\ntime_zone = "Europe/Berln"', "did you mean 'Europe/Berlin'?"),
        ("[sourse]\n", "sourse: unknown key; did you mean 'source'?"),
        ('[source]\nkind = "csv_files"\npath = "x"\npaht = "y"', "source.paht: unknown key; did you mean 'path'?"),
        (
            '[source]\nkind = "csv"',
            "source.kind: not a valid kind; use one of 'simulated_home', 'home_assistant_db', 'csv_files'",
        ),
        ("[detectors.duratoin]\nenabled = false", "no such detector; did you mean 'duration'?"),
        ("[detectors.duration]\naround = 3", "detectors.duration.around: unknown key; did you mean 'around_seconds'?"),
        ("[detectors.duration]\naround_seconds = -1", "detectors.duration.around_seconds"),
        ("[schedule]\nat = '3 o clock'", "is not a valid time of day"),
        ("this is no TOML", "cannot be read as TOML"),
    ],
)
def test_wrong_settings_exit_78_and_say_what_was_meant(tmp_path: Path, config: str, told: str) -> None:
    result = Home(tmp_path, config).call("run")
    assert result.exit_code == 78
    assert told in result.stderr


def test_days_counted_back_are_no_options(home: Home) -> None:
    home.call("init")
    for words in (("query", "time_based", "-7d", "yesterday"), ("status", "-3d", "yesterday")):
        assert home.call(*words).exit_code == 0
    assert "out of reach" in home.call("backfill", "-3d", "yesterday").stdout
    assert home.call("query", "time_based", "-7d", "--no-such-option").exit_code == 2


@pytest.mark.parametrize("value", ["true", "1.5", "'many'"])
def test_a_number_of_days_is_a_whole_number(tmp_path: Path, value: str) -> None:
    home = Home(tmp_path, f"[store]\nretention_days = {value}")
    result = home.call("run")
    assert result.exit_code == 78
    assert "store.retention_days" in result.stderr


def test_a_source_without_a_kind_is_told_so(tmp_path: Path) -> None:
    assert "source.kind: is missing" in Home(tmp_path, "[source]\nseed = 1").call("run").stderr


def test_a_name_that_a_question_has_already_is_refused_like_any_other(home: Home) -> None:
    home.call("init")
    for words in (("--where", "model=x"), ("--sum", "by")):
        assert home.call("query", "time_based", "2026-03-02", "2026-03-02", *words).exit_code == 2


def test_what_does_not_print_is_spelled_out_on_a_terminal(tmp_path: Path) -> None:
    events = EVENTS.replace("light.kitchen", "light.\x1b[31mred")
    home = Home(tmp_path, events=events)
    home.call("backfill", "2026-03-02", "2026-03-02")
    for words in (("query", "time_based", "2026-03-02", "2026-03-02"), ("doctor",)):
        assert "light.\\x1b[31mred" in home.call(*words).stdout


def test_events_from_the_future_are_bad_rows_and_make_no_day(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS + "2999-01-01T00:00:00,light.kitchen,on\n")
    assert len(home.json("status", "--json")) == 3
    report = home.json("backfill", "2026-03-03", "2026-03-03", "--json")
    assert "lies in the future" in report["days"][0]["detectors"]["time_based"]["reason"]


def test_an_id_whose_first_part_no_tag_can_hold_costs_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS.replace("light.kitchen", "light\\.kitchen"))
    home.json("backfill", "2026-03-02", "2026-03-02", "--json")
    rows = home.json("query", "time_based", "2026-03-02", "2026-03-02", "--format", "json")
    assert {row["domain"] for row in rows} == {"binary_sensor", "other"}


def test_a_quote_that_is_never_closed_costs_its_line(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS.replace("07:00:05,light.kitchen,on", '07:00:05,"light.kitchen,on'))
    reason = home.json("backfill", "2026-03-02", "2026-03-02", "--json")["days"][0]["detectors"]["time_based"]["reason"]
    assert "3 activity events" in reason
    assert "1 bad rows: events.csv line 5" in reason


def test_all_problems_with_the_settings_are_told_at_once(tmp_path: Path) -> None:
    config = '[home]\nzone = "x"\n[schedule]\nrecheck_days = -1\n[detectors.nothing]\n[store]\nretention_days = "many"'
    told = Home(tmp_path, config).call("run").stderr
    for name in ("home.zone", "schedule.recheck_days", "detectors.nothing", "store.retention_days"):
        assert name in told


def test_a_configuration_that_is_named_but_missing_is_an_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config.unlink()
    result = home.call("status")
    assert result.exit_code == 78
    assert "there is no configuration file" in result.stderr


def test_a_source_that_is_not_there_exits_75_and_loses_nothing(home: Home) -> None:
    (home.folder / "events.csv").rename(home.folder / "elsewhere.csv")
    report = home.json("backfill", "2026-03-01", "2026-03-03", "--json", exit_code=75)
    assert "no file matches" in report["notices"][0]
    (home.folder / "elsewhere.csv").rename(home.folder / "events.csv")
    assert len(home.json("backfill", "2026-03-01", "2026-03-03", "--json")["days"]) == 3


def test_a_store_that_is_locked_exits_75_and_the_day_is_staged(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3  # noqa: PLC0415 - only here

    from storage.drivers import sql  # noqa: PLC0415 - only here

    home.call("init")
    monkeypatch.setattr(sql, "MAX_LOCK_WAIT_SECONDS", 0.1)
    other = sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    report = home.json("backfill", "2026-03-02", "2026-03-02", "--json", exit_code=75)
    assert report["days"][0]["status"] == "staged"
    assert "locked" in report["days"][0]["error"]
    (line,) = home.json("status", "2026-03-02", "--json")
    assert line["detectors"]["time_based"]["status"] == "staged"
    other.execute("ROLLBACK")
    other.close()
    assert home.json("backfill", "2026-03-02", "2026-03-02", "--json")["days"][0]["status"] == "written"


def test_a_store_that_cannot_be_made_is_a_matter_of_settings(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG.replace("sqlite:///aggregates.db", "sqlite:///events.csv/aggregates.db"))
    result = home.call("run")
    assert result.exit_code == 78
    assert "store.url" in result.stderr


def test_another_programs_database_is_not_taken_for_the_store(tmp_path: Path) -> None:
    import sqlite3  # noqa: PLC0415 - only here

    home = Home(tmp_path)
    with sqlite3.connect(tmp_path / "aggregates.db") as other:
        other.execute("CREATE TABLE states (state_id INTEGER)")
    other.close()
    before = (tmp_path / "aggregates.db").read_bytes()
    assert "another program" in home.json("backfill", "2026-03-02", "2026-03-02", "--json", exit_code=78)["error"]
    assert home.call("query", "time_based", "2026-03-02", "2026-03-02").exit_code == 78
    assert (tmp_path / "aggregates.db").read_bytes() == before
    with sqlite3.connect(tmp_path / "aggregates.db") as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("states",)]
    other.close()


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
    assert "written 2" in shown
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


def test_a_dry_run_prints_the_plan_and_touches_nothing(home: Home) -> None:
    before = sorted(path.name for path in home.folder.iterdir())
    result = home.call("backfill", "2026-03-01", "2026-03-03", "--dry-run")
    assert f"2026-03-02  {', '.join(SIX)}" in result.stdout
    assert "3 days would be worked on" in result.stdout
    plan = home.json("backfill", "2026-03-01", "2026-03-03", "--dry-run", "--json")
    assert (len(plan["plan"]), plan["days"]) == (3, [])
    assert sorted(path.name for path in home.folder.iterdir()) == before


def test_detectors_shows_names_versions_and_settings(tmp_path: Path) -> None:
    home = Home(
        tmp_path, CSV_CONFIG + "[detectors.duration]\naround_seconds = 60\n[detectors.time_based]\nenabled = false"
    )
    listed = {one["name"]: one for one in home.json("detectors", "--json")}
    assert listed["duration"]["settings"] == {"around_seconds": 60}
    assert listed["duration"]["origin"] == "jobs.detectors.duration"
    assert (listed["time_based"]["enabled"], listed["duration"]["enabled"]) == (False, True)
    assert "around_seconds = 60" in home.call("detectors").stdout
    report = home.json("backfill", "2026-03-02", "2026-03-02", "--json")
    assert set(report["days"][0]["detectors"]) == {*SIX} - {"time_based"}


def test_explain_shows_what_speaks_for_a_row(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    hours = home.json("explain", "time_based", "2026-03-02", "--where", "entity_id=light.kitchen", "--json")
    (one,) = hours
    assert one["evidence"]["columns"] == ["hour", "events", "expected", "p", ""]
    assert [line[1] for line in one["evidence"]["lines"]] == one["row"]["hourly_distribution"]
    assert sum(line[2] for line in one["evidence"]["lines"]) == pytest.approx(3, abs=0.2)
    (lit,) = home.json("explain", "duration", "2026-03-02", "--where", "entity_id=light.kitchen", "--json")
    assert [line[2:] for line in lit["evidence"]["lines"]] == [[1800.0, "measured"], [16200.0, "not finished"]]
    (room,) = home.json("explain", "room_based", "2026-03-02", "--json")
    assert sum(line[1] for line in room["evidence"]["lines"]) == 5
    assert "measured" in home.call("explain", "duration", "2026-03-02").stdout


def test_explain_says_why_there_is_no_row_or_that_nothing_was_computed(home: Home) -> None:
    home.call("backfill", "2026-03-02", "2026-03-02")
    assert "the baseline has 0 of the 14" in home.call("explain", "anomaly", "2026-03-02").stderr
    missing = home.call("explain", "anomaly", "2026-03-03")
    assert (missing.exit_code, "was not computed" in missing.stderr) == (2, True)


def test_explain_tells_what_is_stored_where_raw_events_are_gone(home: Home) -> None:
    home.call("backfill", "2026-03-02", "2026-03-02")
    (home.folder / "events.csv").write_text("time,entity_id,state\n2026-05-01T00:00:00,light.kitchen,off\n")
    (one,) = home.json("explain", "time_based", "2026-03-02", "--where", "entity_id=light.kitchen", "--json")
    assert one["evidence"]["notes"] == ["as stored: the raw events are gone"]
    assert ["occurrences", "3"] in one["evidence"]["lines"]


def test_explain_shows_matches_and_baseline_days(tmp_path: Path) -> None:
    source = 'kind = "simulated_home"\nevents_per_day = 2000\nfirst_day = 2025-03-01'
    home = Home(tmp_path, CSV_CONFIG.replace('kind = "csv_files"\npath = "events.csv"', source))
    home.call("backfill", "2025-03-01", "2025-03-31")
    pairs = home.json("query", "co_occurrence", "2025-03-31", "2025-03-31", "--format", "json")
    explained = home.json("explain", "co_occurrence", "2025-03-31", "--json")
    assert [len(one["evidence"]["lines"]) for one in explained] == [row["co_occurrence_count"] for row in pairs]
    assert pairs
    assert all("p = " in one["evidence"]["notes"][0] for one in explained)
    chains = home.json("query", "sequence", "2025-03-01", "2025-03-31", "--format", "json")
    assert chains
    for row in chains[:2]:
        (one,) = home.json("explain", "sequence", row["date"], "--where", f"sequence_id={row['sequence_id']}", "--json")
        counted = [line for line in one["evidence"]["lines"] if line[-1] == ""]
        assert len(counted) == one["row"]["frequency"]
        assert sum(line[-2] for line in counted) / len(counted) == pytest.approx(
            one["row"]["avg_duration_seconds"], abs=0.1
        )
    unlike = home.json("query", "anomaly", "2025-03-01", "2025-03-31", "--format", "json")
    for row in unlike[:1]:
        (one, *_) = home.json("explain", "anomaly", row["date"], "--where", f"entity_id={row['entity_id']}", "--json")
        assert len(one["evidence"]["lines"]) == 28
        assert "used" in {line[2] for line in one["evidence"]["lines"]}


def test_doctor_finds_nothing_wrong_in_a_home_that_is_well(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    found = home.json("doctor", "--json")
    assert {check["verdict"] for check in found["checks"]} <= {"ok", "note"}
    classes = {one["entity_id"]: one for one in found["entities"]}
    assert classes["binary_sensor.motion"]["presence"] is True
    assert classes["light.kitchen"]["active_states"] == ["on"]
    assert "light.kitchen" in home.call("doctor").stdout


def test_doctor_tells_every_problem_with_a_hint(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG, events="when,what\n1,2\n")
    (tmp_path / "ledger.db").write_bytes(b"not a database, whatever its name may say" * 100)
    result = home.call("doctor", "--json")
    problems = {check["about"]: check for check in json.loads(result.stdout)["checks"] if check["verdict"] == "problem"}
    assert result.exit_code == 1
    assert set(problems) == {"ledger", "source"}
    assert all(check["hint"] for check in problems.values())


def test_doctor_tells_of_days_that_the_ledger_calls_written_and_the_store_has_lost(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    for file in home.folder.glob("aggregates.db*"):
        file.unlink()
    found = home.json("doctor", "--json", exit_code=1)["checks"]
    (problem,) = [check for check in found if check["verdict"] == "problem"]
    assert problem["found"] == "lacks 18 of 18 detector days that the ledger calls written"
    assert "backfill 2026-03-01 2026-03-03 --redo all" in problem["hint"]
    home.call("backfill", "2026-03-01", "2026-03-03", "--redo", "all")
    assert {check["verdict"] for check in home.json("doctor", "--json")["checks"]} <= {"ok", "note"}


def test_doctor_rebuilds_a_lost_ledger_so_that_nothing_is_due(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    for file in home.folder.glob("ledger.db*"):
        file.unlink()
    assert home.json("doctor", "--rebuild-ledger", "--json") == {
        "rebuilt": {"restored": 18, "completed": 0, "kept": 0, "first": "2026-03-01", "last": "2026-03-03"}
    }
    assert home.json("backfill", "2026-03-01", "2026-03-03", "--json")["plan"] == []
    again = home.call("doctor", "--rebuild-ledger")
    assert again.stdout.endswith("0 detector days of 2026-03-01 to 2026-03-03 restored, 18 were known\n")
    assert {check["verdict"] for check in home.json("doctor", "--json")["checks"]} <= {"ok", "note"}


def test_a_ledger_cannot_be_rebuilt_from_a_store_that_is_not_there(home: Home) -> None:
    assert "error" in home.json("doctor", "--rebuild-ledger", "--json", exit_code=1)
    assert not (home.folder / "ledger.db").exists()


def test_bad_rows_are_counted_and_said_and_cost_nothing_else(tmp_path: Path) -> None:
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
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in told
    done = _written_days(home)
    assert 3 <= len(done) < 90
    days = home.json("backfill", "2025-02-01", "2025-05-01", "--json")["days"]
    assert len(done) + len(days) in (90, 91)  # one may have been staged but not yet written


def _written_days(home: Home) -> list[str]:
    grid = home.json("status", "2025-02-01", "2025-05-01", "--json")
    return [line["day"] for line in grid if {cell["status"] for cell in line["detectors"].values()} == {"written"}]


def test_the_demo_runs_the_real_job_and_leaves_a_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "demo home"
    command = [sys.executable, "-m", "jobs", "demo", "--days", "30", "--dir", str(folder)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "What was used when" in shown
    assert "What was on for how long" in shown
    assert "What is used together" in shown
    assert "Where things happened" in shown
    assert re.search(r"binary_sensor.fridge_door was active \d\d+ times, usually \d+ times a day", shown)
    assert re.search(r"binary_sensor.pantry_door(, | was silent, )usually active \d+ times a day", shown)
    assert "anomaly found nothing on" in shown
    assert max(len(line) for line in shown.partition("The aggregates are in")[0].splitlines()) <= 100
    assert "To go on" in shown
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Nothing was due" in again
    home = Home.__new__(Home)
    home.folder, home.config = folder, folder / "config.toml"
    assert len(home.json("status", "-30d", "yesterday", "--json")) == 30
    home.config.write_text("# mine\n")
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "not from an earlier demo" in refused.stderr


def test_every_command_shows_an_example_in_its_help(home: Home) -> None:
    for command in (
        "demo",
        "init",
        "run",
        "backfill",
        "status",
        "query",
        "explain",
        "detectors",
        "doctor",
        "serve",
        "health",
    ):
        result = home.call(command, "--help")
        assert result.exit_code == 0
        assert f"pattern-aggregates {command}" in result.stdout.split("Example:")[1]


def test_the_default_configuration_shows_every_setting_with_its_default() -> None:
    shown = tomllib.loads((ROOT / "config/default.toml").read_text(encoding="utf-8"))
    defaults = Settings().model_dump(mode="json", exclude={"detectors"})
    defaults["source"].pop("last_day")
    assert {**shown.pop("source"), "first_day": "2025-01-01"} == defaults.pop("source")
    assert defaults["entities"].pop("override") == {}
    from jobs.registry import load  # noqa: PLC0415 - only here

    detectors = {one.detector.name: {"enabled": True, **one.parameters} for one in load()}
    detectors["anomaly"]["types"] = list(detectors["anomaly"]["types"])
    assert shown.pop("detectors") == detectors
    assert shown == defaults
