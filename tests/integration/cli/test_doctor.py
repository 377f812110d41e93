"""`doctor` finds problems and rebuilds a lost ledger."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.home import CSV_CONFIG, Home


def test_doctor_finds_nothing_wrong_in_a_home_that_is_well(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    found = home.json("doctor", "--json")
    assert {check["verdict"] for check in found["checks"]} <= {"ok", "note"}
    classes = {one["entity_id"]: one for one in found["entities"]}
    assert classes["binary_sensor.motion"]["presence"] is True
    assert classes["light.kitchen"]["active_states"] == ["on"]
    assert "light.kitchen" in home.call("doctor").stdout


def test_doctor_reports_every_problem_with_a_hint(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG, events="when,what\n1,2\n")
    (tmp_path / "ledger.db").write_bytes(b"not a database, whatever its name may say" * 100)
    result = home.call("doctor", "--json")
    problems = {check["about"]: check for check in json.loads(result.stdout)["checks"] if check["verdict"] == "problem"}
    assert result.exit_code == 1
    assert set(problems) == {"ledger", "source"}
    assert all(check["hint"] for check in problems.values())


def test_doctor_reports_days_that_the_ledger_calls_written_and_the_store_has_lost(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    for file in home.folder.glob("aggregates.db*"):
        file.unlink()
    found = home.json("doctor", "--json", exit_code=1)["checks"]
    (problem,) = [check for check in found if check["verdict"] == "problem"]
    lacking = r"lacks (\d+) of \1 detector days that the ledger lists as written \(2026-03-01 to 2026-03-03\)"
    assert re.search(lacking, problem["found"])
    assert "backfill 2026-03-01 2026-03-03 --redo lost" in problem["hint"]
    home.call("backfill", "2026-03-01", "2026-03-03", "--redo", "lost")
    assert {check["verdict"] for check in home.json("doctor", "--json")["checks"]} <= {"ok", "note"}


def test_doctor_rebuilds_a_lost_ledger_so_that_nothing_is_due(home: Home) -> None:
    home.call("backfill", "2026-03-01", "2026-03-03")
    written = sum(len(day["detectors"]) for day in home.json("status", "2026-03-01..2026-03-03", "--json"))
    for file in home.folder.glob("ledger.db*"):
        file.unlink()
    rebuilt = home.json("doctor", "--rebuild-ledger", "--json")["rebuilt"]
    assert rebuilt == {
        "restored": written, "completed": 0, "kept": 0, "first": "2026-03-01", "last": "2026-03-03",
    }  # fmt: skip
    assert home.json("backfill", "2026-03-01", "2026-03-03", "--json")["plan"] == []
    again = home.call("doctor", "--rebuild-ledger")
    assert again.stdout.endswith(f"0 detector days of 2026-03-01 to 2026-03-03 restored, {written} were known\n")
    assert {check["verdict"] for check in home.json("doctor", "--json")["checks"]} <= {"ok", "note"}


def test_a_ledger_cannot_be_rebuilt_from_a_store_that_is_not_there(home: Home) -> None:
    assert "error" in home.json("doctor", "--rebuild-ledger", "--json", exit_code=1)
    assert not (home.folder / "ledger.db").exists()


@pytest.mark.parametrize(
    ("mode", "line", "is_reported"),
    [
        (0o644, 'proxy = "http://me:hush-hush@proxy"', True),
        (0o604, 'token = "hush-hush"', True),
        (0o640, 'token = "hush-hush"', False),
        (0o644, 'token = ""', False),
        (0o644, 'proxy = "http://proxy"', False),
    ],
)
def test_a_secret_that_every_user_can_read_is_noted(tmp_path: Path, mode: int, line: str, *, is_reported: bool) -> None:
    store = f'kind = "influxdb"\nurl = "http://127.0.0.1:1"\norg = "o"\n{line}'
    home = Home(tmp_path, CSV_CONFIG.replace('url = "sqlite:///aggregates.db"', store))
    home.config.chmod(mode)
    result = home.call("doctor", "--json")
    (about, *more) = [check for check in json.loads(result.stdout)["checks"] if check["about"] == "settings"]
    assert about["verdict"] == "ok"
    assert [check["verdict"] for check in more] == (["note"] if is_reported else [])
    assert all(f"store.{line.split(maxsplit=1)[0]}" in check["found"] for check in more)
    assert "hush-hush" not in result.output


@pytest.mark.parametrize(("zone", "verdict"), [("Etc/UTC", "note"), ("UTC", "note"), ("Europe/London", "ok")])
def test_doctor_notes_a_home_in_utc_under_each_of_its_names(tmp_path: Path, zone: str, verdict: str) -> None:
    home = Home(tmp_path, CSV_CONFIG.replace("Europe/Berlin", zone))
    (check,) = [one for one in home.json("doctor", "--json")["checks"] if one["about"] == "time zone"]
    assert check["verdict"] == verdict
    assert zone in check["found"]
