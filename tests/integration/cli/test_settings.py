"""Wrong settings exit 78, all of them named at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from jobs.registry import load
from jobs.settings import Settings
from tests.support.home import CSV_CONFIG, ROOT, Home


@pytest.mark.parametrize(
    ("config", "message"),
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
def test_wrong_settings_exit_78_and_say_what_is_valid(tmp_path: Path, config: str, message: str) -> None:
    result = Home(tmp_path, config).call("run")
    assert result.exit_code == 78
    assert message in result.stderr


@pytest.mark.parametrize("value", ["true", "1.5", "'many'"])
def test_a_number_of_days_is_a_whole_number(tmp_path: Path, value: str) -> None:
    home = Home(tmp_path, f"[store]\nretention_days = {value}")
    result = home.call("run")
    assert result.exit_code == 78
    assert "store.retention_days" in result.stderr


def test_a_source_without_a_kind_is_reported(tmp_path: Path) -> None:
    assert "source.kind: is missing" in Home(tmp_path, "[source]\nseed = 1").call("run").stderr


def test_all_problems_with_the_settings_are_reported_at_once(tmp_path: Path) -> None:
    config = '[home]\nzone = "x"\n[schedule]\nrecheck_days = -1\n[detectors.nothing]\n[store]\nretention_days = "many"'
    message = Home(tmp_path, config).call("run").stderr
    for name in ("home.zone", "schedule.recheck_days", "detectors.nothing", "store.retention_days"):
        assert name in message


def test_a_configuration_that_is_named_but_missing_is_an_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config.unlink()
    result = home.call("status")
    assert result.exit_code == 78
    assert "does not exist" in result.stderr


def test_a_store_that_cannot_be_made_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG.replace("sqlite:///aggregates.db", "sqlite:///events.csv/aggregates.db"))
    result = home.call("run")
    assert result.exit_code == 78
    assert "store.url" in result.stderr


def test_the_default_configuration_shows_every_setting_with_its_default() -> None:
    shown = tomllib.loads((ROOT / "config/default.toml").read_text(encoding="utf-8"))
    defaults = Settings().model_dump(mode="json", exclude={"detectors"})
    defaults["source"].pop("last_day")
    assert {**shown.pop("source"), "first_day": "2025-01-01"} == defaults.pop("source")
    assert defaults["entities"].pop("override") == {}
    detectors = {one.detector.name: {"enabled": True, **one.parameters} for one in load()}
    detectors["anomaly"]["types"] = list(detectors["anomaly"]["types"])
    assert shown.pop("detectors") == detectors
    assert shown == defaults
