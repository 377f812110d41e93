"""No test is skipped unnoticed: reasons are stated, missing servers counted, and what CI installs is required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.home import ROOT
from tests.support.skips import HOW_TO_GET_THEM, REQUIRED_VARIABLE, SERVERS, skip_without, summarize

IMPORTS = "import pytest\nfrom tests.support.skips import skip_without\n"
STATED = "def test_stated() -> None:\n    pytest.skip('not here: a mountain')\n"
UNSTATED = "def test_unstated() -> None:\n    pytest.skip('some other day')\n"
SERVER = """
@pytest.mark.parametrize("number", range(3))
def test_server(number: int) -> None:
    skip_without("PostgreSQL", "nobody installed it")
"""


def run(folder: Path, tests: str, *arguments: str, required: str = "") -> subprocess.CompletedProcess[str]:
    """Run some tests in a process of its own, with this project's plugin and without its settings."""
    (folder / "test_them.py").write_text(IMPORTS + tests, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.support.skips", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "-c", os.devnull, f"--rootdir={folder}", *arguments, str(folder)],
        cwd=ROOT,
        env={**os.environ, REQUIRED_VARIABLE: required, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_ends_with_the_missing_servers_the_tests_left_out_and_how_to_get_them(tmp_path: Path) -> None:
    done = run(tmp_path, STATED + SERVER)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert done.stdout.splitlines()[-4:-1] == [
        "    1 left out for a mountain",
        "    3 left out for PostgreSQL, which is not here",
        HOW_TO_GET_THEM,
    ]


def test_a_skip_without_a_stated_reason_fails_the_run_also_with_workers(tmp_path: Path) -> None:
    done = run(tmp_path, STATED + UNSTATED + SERVER, "-n1")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "1 tests skipped without a reason" in done.stdout
    assert "    3 left out for PostgreSQL, which is not here" in done.stdout


def test_a_required_server_that_is_missing_fails_its_tests_and_no_others(tmp_path: Path) -> None:
    done = run(tmp_path, STATED + SERVER, required="MariaDB, PostgreSQL")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "PostgreSQL is required" in done.stdout
    assert run(tmp_path, STATED + SERVER, required="MariaDB").returncode == pytest.ExitCode.OK


def test_a_run_that_skips_nothing_says_nothing_about_it() -> None:
    assert summarize([]) == []


def test_an_unknown_server_is_refused() -> None:
    with pytest.raises(ValueError, match=f"'Postgres' is not one of {SERVERS[0]}"):
        skip_without("Postgres")
