"""What a command loads before it does anything: only what it needs. And the options that all commands share."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

import jobs.cli
from jobs.cli.app import app
from jobs.cli.commands import HELP, LazyCommand
from tests.support.home import CSV_CONFIG, ROOT, Home


def loaded(*words: str) -> set[str]:
    """The modules that a call of the command loads, in a process of its own."""
    code = (
        "import sys\nfrom jobs.cli.app import app\n"
        f"try:\n    app({list(words)!r}, prog_name='pattern-aggregates')\n"
        "except SystemExit:\n    pass\nprint('\\n' + ' '.join(sys.modules))"
    )
    return modules_after(code)


def modules_after(code: str) -> set[str]:
    """The modules that a program has loaded, which prints their names in its last line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


SERVERS = {"apscheduler", "influxdb_client", "prometheus_client", "urllib3", "reactivex"}


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("-h",)])
def test_help_and_version_load_nothing_but_the_command_line(words: tuple[str, ...]) -> None:
    found = loaded(*words)
    assert "typer" in found
    assert not found & {"numpy", "sqlalchemy", "pydantic", "tomllib", "storage.dates", "jobs.wiring", *SERVERS}


def test_the_help_of_a_command_loads_only_that_command() -> None:
    commands = {name.removeprefix("jobs.cli.") for name in loaded("init", "--help") if name.startswith("jobs.cli.")}
    assert commands & set(HELP) == {"init"}


def test_health_loads_neither_detectors_nor_sources_nor_servers(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG)
    found = loaded("--config", str(home.config), "health")
    assert "jobs.daemon.health" in found
    assert not found & {"numpy", "jobs.pipeline", "jobs.detectors.anomaly", *SERVERS}
    assert not [name for name in found if name.startswith(("jobs.sources", "storage.backends"))]


def test_status_loads_its_source_but_no_detectors_and_no_servers(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG)
    home.call("init")
    found = loaded("--config", str(home.config), "status")
    assert {"jobs.sources.csv_files", "jobs.cli.status"} <= found
    assert not found & {"jobs.pipeline", "jobs.detectors.anomaly", "jobs.sources.simulated_home", *SERVERS}


def test_a_single_home_in_files_loads_nothing_that_is_for_many_homes_or_servers(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG)
    found = loaded("--config", str(home.config), "run")
    assert "jobs.pipeline" in found
    assert not found & {"pyarrow", "fsspec", "distributed", "psycopg", "sqlalchemy.dialects.postgresql", *SERVERS}
    assert not [name for name in found if name.startswith(("jobs.fleet", "storage.ledger.server"))]


def test_reading_aggregates_loads_no_driver_until_a_store_is_opened() -> None:
    found = modules_after("import sys, storage.query\nprint(' '.join(sys.modules))")
    assert not found & {"numpy", "sqlalchemy", "sqlite3", *SERVERS}


def test_each_command_has_a_file_and_its_short_help_is_how_its_help_begins() -> None:
    names = [module.name for module in pkgutil.iter_modules(jobs.cli.__path__)]
    modules = {name: import_module(f"jobs.cli.{name}") for name in names}
    assert {name for name in names if isinstance(getattr(modules[name], name, None), TyperCommand | TyperGroup)} == set(
        HELP
    )
    for name, text in HELP.items():
        assert (LazyCommand(name).load().help or "").startswith(text.rstrip("."))


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"pattern-aggregates {project['version']}\n")


def test_h_is_help_everywhere() -> None:
    for words in ([], ["status"]):
        short, long = (CliRunner().invoke(app, [*words, option]) for option in ("-h", "--help"))
        assert short.exit_code == 0
        assert "Usage" in short.stdout
        assert short.stdout == long.stdout
