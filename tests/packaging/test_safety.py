"""What ``docs/threats.md`` says of the code and of what it rests on."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jobs.settings import HealthSettings
from tests.support.compose import read_compose
from tests.support.home import ROOT

SOURCES = sorted(file for package in ("jobs", "storage") for file in (ROOT / package).rglob("*.py"))
RUNS_WHAT_IT_READS = {
    *("ctypes", "dill", "joblib", "marshal", "multiprocessing", "pickle", "pty", "runpy", "shelve", "subprocess"),
}
CALLS = {"__import__", "compile", "eval", "exec", "input"}
OF_OS = re.compile(r"system|popen|exec[lv].*|spawn.*|posix_spawn.*|fork")
HARMLESS = {
    "jobs/fleet/executors.py": ["multiprocessing"],  # starts processes of this program, and hands them its own tasks
    "jobs/time_limit.py": ["ctypes"],  # interrupts a thread by its number, and with nothing that was read
    "jobs/cli/recorder_search.py": ["load"],  # with a loader that makes plain values only
}
YAML = {"load", "load_all", "unsafe_load"}


def faults(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.partition(".")[0] in RUNS_WHAT_IT_READS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in RUNS_WHAT_IT_READS:
            yield str(node.module)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield node.func.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "os" and OF_OS.fullmatch(node.attr):
                yield f"os.{node.attr}"
            if (node.value.id == "yaml" and node.attr in YAML) or node.attr == "allow_pickle":
                yield node.attr
        elif isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
            yield str(node.arg)


@pytest.mark.parametrize(
    "text", ["import pickle", "from subprocess import run", "eval('1')", "os.system('ls')", "f(shell=True)"]
)
def test_the_search_finds_what_it_looks_for(text: str) -> None:
    assert list(faults(ast.parse(text)))


def test_nothing_that_is_read_can_be_run() -> None:
    assert len(SOURCES) > 50
    found = {str(file.relative_to(ROOT)): list(faults(ast.parse(file.read_text(encoding="utf-8")))) for file in SOURCES}
    assert {name: what for name, what in found.items() if what} == HARMLESS


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(extras: tuple[str, ...]) -> set[str]:
    """Every package that the program needs at run time on this machine, the indirect ones too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    todo = [Requirement(text) for text in texts]
    seen: set[tuple[str, str]] = set()
    while todo:
        wanted = todo.pop()
        for extra in wanted.extras or {""}:
            if (normal(wanted.name), extra) in seen:
                continue
            seen.add((normal(wanted.name), extra))
            rest = [Requirement(text) for text in metadata.requires(wanted.name) or []]
            todo += [one for one in rest if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


def test_every_package_that_the_program_needs_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    pinned = {normal(name): version for name, _, version in (line.partition("==") for line in lines)}
    assert all(re.fullmatch(r"\d[\w.]*", version) for version in pinned.values())
    everything = needed(("influxdb", "postgresql"))
    assert everything - set(pinned) == set()
    assert len(needed(())) <= 27  # influxdb-client brings four, jinja2 one
    assert len(everything) <= 30


def test_the_health_port_is_for_this_machine_only_unless_told_otherwise() -> None:
    assert HealthSettings().host == "127.0.0.1"
    for file in ("config/default.toml", "config/container.toml", "config/example.env"):
        assert not re.search(r"(?m)^[^#\n]*\b0\.0\.0\.0", (ROOT / file).read_text(encoding="utf-8"))
    services = read_compose()["services"]
    assert "ports" not in services["daemon"]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))


def test_no_file_of_the_packages_may_be_written_by_others() -> None:
    assert [file for file in SOURCES if Path(file).stat().st_mode & 0o002] == []
