"""A pipe or a device where a file is expected ends the command at once: opening it could wait, reading it never end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.home import CSV_CONFIG, Home

RECORDER = 'kind = "home_assistant_db"\nurl = "sqlite:///{file}"'
REGISTRY = 'kind = "home_assistant_db"\nurl = "sqlite:///events.db"\nregistry_dir = "."'
CSV = 'kind = "csv_files"\npath = "events.csv"'
INFLUX = 'kind = "influxdb"\nurl = "https://127.0.0.1:1"\nbucket = "b"\nca_file = "{file}"'


@pytest.fixture(params=["pipe", "/dev/zero"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A pipe into which nobody writes, or a device that never ends."""
    if request.param != "pipe":
        return Path(request.param)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def home_with(folder: Path, *changes: tuple[str, str]) -> Home:
    text = CSV_CONFIG
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return Home(folder, text)


def ends(home: Home, *words: str) -> tuple[int, str]:
    """Run a command in a process of its own, which is killed if it does not end."""
    process = home.process(*words)
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, output + errors


@pytest.mark.parametrize(
    ("before", "after", "exit_code"),
    [
        pytest.param("events.csv", "{file}", 78, id="CSV source"),
        pytest.param(CSV, RECORDER, 78, id="recorder database"),
        pytest.param(CSV, INFLUX, 78, id="certificate"),
        pytest.param("sqlite:///aggregates.db", "sqlite:///{file}", 78, id="store"),
        pytest.param('"ledger.db"', '"{file}"', 78, id="ledger"),
    ],
)
def test_a_run_over_it_ends_and_names_it(tmp_path: Path, file: Path, before: str, after: str, exit_code: int) -> None:
    home = home_with(tmp_path, (before, after.format(file=file)))
    code, output = ends(home, "backfill", "2026-03-02", "2026-03-02")
    assert code == exit_code, output
    assert "not a regular file" in output
    assert str(file) in output


def test_settings_in_it_are_refused(tmp_path: Path, file: Path) -> None:
    home = Home(tmp_path)
    home.config = file
    code, output = ends(home, "status")
    assert code == 78
    assert "not a regular file" in output


def test_a_registry_in_it_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "core.entity_registry")
    code, output = ends(home_with(tmp_path, (CSV, REGISTRY)), "backfill", "2026-03-02", "2026-03-02")
    assert code == 78, output
    assert "not a regular file" in output


@pytest.mark.parametrize("command", [("query", "time_based", "2026-03-02"), ("status",)])
def test_commands_that_only_read_end_too(tmp_path: Path, command: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe")
    home = home_with(tmp_path, ("aggregates.db", "pipe"), ("ledger.db", "pipe"))
    code, output = ends(home, *command)
    assert code == 78, output
    assert "not a regular file" in output
