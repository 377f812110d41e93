"""`setup`: from a recorder database to settings that work."""

from __future__ import annotations

import datetime as dt
import json
import stat
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobs.activity.window import HOUR, to_instant
from jobs.cli import app
from tests.support.recorder import RecorderDatabase, StateRow


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    """Home Assistant's configuration folder; its recorder wrote a row an hour for three days, until a minute ago."""
    folder = tmp_path / "homeassistant"
    folder.mkdir()
    now = dt.datetime.now(dt.UTC)
    with RecorderDatabase(folder / "home-assistant_v2.db") as database:
        start = to_instant(now - dt.timedelta(days=3))
        database.run(start, None)
        rows = [StateRow(start + hour * HOUR, "light.hall", "on" if hour % 2 else "off") for hour in range(72)]
        database.write([*rows, StateRow(to_instant(now - dt.timedelta(minutes=1)), "light.hall", "on")])
    return folder


def call(folder: Path, *words: str, answers: str = "") -> Result:
    words = ("setup", *words, "--file", str(folder / "home.toml"))
    return CliRunner().invoke(app.app, words, input=answers, prog_name="pattern-aggregates")


def written(folder: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((folder / "home.toml").read_text(encoding="utf-8"))


def test_three_answers_make_settings_with_which_every_command_works(tmp_path: Path, recorder: Path) -> None:
    result = call(tmp_path, answers=f"{recorder}\nEurope/Madrid\n0\n")
    assert result.exit_code == 0, result.output
    assert written(tmp_path)["home"] == {"time_zone": "Europe/Madrid"}
    assert written(tmp_path)["source"] == {
        "kind": "home_assistant_db",
        "url": f"sqlite:///{recorder}/home-assistant_v2.db",
    }
    assert written(tmp_path)["store"]["retention_days"] == 0
    assert "source: the newest row is of" in result.stdout
    assert "1 of 1 active entity has no area" in result.stdout
    run = CliRunner().invoke(app.app, ["--config", str(tmp_path / "home.toml"), "run", "--json"])
    assert (run.exit_code, {day["status"] for day in json.loads(run.stdout)["days"]}) == (0, {"written"})


def test_flags_answer_the_questions(tmp_path: Path, recorder: Path) -> None:
    words = (str(recorder), "--time-zone", "Europe/Rome", "--retention-days", "30")
    result = call(tmp_path, *words)
    assert result.exit_code == 0, result.output
    assert (written(tmp_path)["home"], written(tmp_path)["store"]["retention_days"]) == (
        {"time_zone": "Europe/Rome"},
        30,
    )


def test_settings_can_be_read_by_their_owner_only_and_show_no_password(tmp_path: Path) -> None:
    words = ("mysql://ha:hunter2hunter2@127.0.0.1:1/ha", "--yes", "--time-zone", "Europe/Rome")
    result = call(tmp_path, *words, "--json")
    assert result.exit_code == 1  # nobody listens there
    assert stat.S_IMODE((tmp_path / "home.toml").stat().st_mode) == 0o600
    assert written(tmp_path)["source"]["url"] == words[0]
    assert "hunter2" not in result.output
    assert {check["verdict"] for check in json.loads(result.stdout)["checks"]} >= {"problem"}


def test_settings_that_exist_are_left_as_they_are_unless_asked(tmp_path: Path, recorder: Path) -> None:
    (tmp_path / "home.toml").write_text("# mine\n", encoding="utf-8")
    words = (str(recorder), "--yes", "--time-zone", "Europe/Rome")
    for refused in (call(tmp_path, *words), call(tmp_path, str(recorder), answers="\n\n")):
        assert refused.exit_code == 2
        assert "--replace" in refused.stderr
        assert (tmp_path / "home.toml").read_text(encoding="utf-8") == "# mine\n"
    assert call(tmp_path, *words, "--replace").exit_code == 0
    assert written(tmp_path)["home"] == {"time_zone": "Europe/Rome"}


def test_nothing_is_written_where_an_answer_is_not_valid_or_missing(tmp_path: Path, recorder: Path) -> None:
    for answers, message in (
        (f"{recorder}\nEurope/Atlantis\n", "not a valid time zone"),
        (f"{recorder}\nEurope/Rome\nmany\n", "not a valid number of days"),
        (f"{tmp_path}\n", "has neither"),
        (f"{recorder}\n", "nobody answered"),
    ):
        result = call(tmp_path, answers=answers)
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "home.toml").exists()


def test_settings_in_the_present_folder_need_not_be_named(
    tmp_path: Path, recorder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PATTERN_AGGREGATES_CONFIG", raising=False)
    without = CliRunner().invoke(app.app, ["run"])
    assert without.exit_code == 78
    assert "`pattern-aggregates setup`" in without.stderr
    assert "`pattern-aggregates demo`" in without.stderr
    words = ["setup", str(recorder), "--yes", "--time-zone", "Europe/Rome"]
    result = CliRunner().invoke(app.app, words, prog_name="pattern-aggregates")
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(app.app, ["run"]).exit_code == 0
    assert (tmp_path / "data/aggregates.db").is_file()
