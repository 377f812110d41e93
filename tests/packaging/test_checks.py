"""What ``.ci/run`` checks is what the README tells everybody to run, on the versions that pyproject.toml allows."""

from __future__ import annotations

import runpy
import subprocess
import tomllib
from collections.abc import Callable

import pytest

from tests.support.home import ROOT

LowestVersions = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def lowest_versions() -> LowestVersions:
    found: LowestVersions = runpy.run_path(str(ROOT / ".ci" / "lowest_versions.py"))["lowest_versions"]
    return found


def test_the_checks_run_the_readmes_test_command_and_then_the_slow_tests() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line.split() for line in lines if line.startswith("make test")]
    assert [command[:2] for command in commands] == [["make", "test"], ["make", "test-slow"]]
    assert "--cov-fail-under=90" in commands[0][-1]
    assert "\nmake test " in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["run", "servers", "versions"])
def test_the_scripts_have_no_mistake_in_their_syntax(name: str) -> None:
    subprocess.run(["bash", "-n", ROOT / ".ci" / name], check=True)  # noqa: S607


def test_every_dependency_has_one_lower_bound(lowest_versions: LowestVersions) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = lowest_versions(text)
    assert {"numpy", "pydantic", "psycopg", "pytest"} <= set(found)
    assert len(found) > len(tomllib.loads(text)["project"]["dependencies"])


@pytest.mark.parametrize(
    ("dependencies", "message"),
    [('["numpy"]', "'numpy' has no lower bound"), ('["numpy>=2", "numpy>=1"]', "numpy has two lower bounds")],
)
def test_a_dependency_without_one_lower_bound_is_named(
    lowest_versions: LowestVersions, dependencies: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lowest_versions(f'[project]\nname = "x"\ndependencies = {dependencies}\n')


def test_the_lowest_versions_are_those_of_the_project_and_its_extras(lowest_versions: LowestVersions) -> None:
    text = """
        [project]
        name = "x"
        dependencies = ["psycopg[binary]>=3.2.1,<4"]
        [project.optional-dependencies]
        all = ["x[test]"]
        test = ["pytest >= 8.3"]
        lint = ["ruff"]
    """
    assert lowest_versions(text) == {"psycopg": "3.2.1", "pytest": "8.3"}
