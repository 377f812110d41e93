"""What the documents name is there: commands, options, settings, files, tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.core import TyperGroup
from typer.main import get_command

from jobs.cli.app import app
from jobs.settings import (
    CsvFilesSettings,
    EntitiesSettings,
    HealthSettings,
    HomeAssistantDatabaseSettings,
    HomeSettings,
    InfluxSourceSettings,
    LedgerSettings,
    ParquetFilesSettings,
    ScheduleSettings,
    SimulatedHomeSettings,
)
from storage.settings import InfluxStoreSettings, ParquetStoreSettings, SqlStoreSettings
from tests.support.home import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = getattr(get_command(app), "commands", {})
CODE = re.compile(r"`[^`\n]+`|^ {4}.+$|(?<=^```sh\n)(?:.+\n|\n)*?(?=```)", re.MULTILINE)
CALL = re.compile(r"\bpattern-aggregates(?: --config \S+)? ([a-z]+)(?=[\s`]|$)([^`|#\n]*)")
SECTIONS: dict[str, tuple[type[BaseModel], ...]] = {
    "home": (HomeSettings,),
    "source": (
        SimulatedHomeSettings,
        HomeAssistantDatabaseSettings,
        CsvFilesSettings,
        ParquetFilesSettings,
        InfluxSourceSettings,
    ),
    "store": (SqlStoreSettings, InfluxStoreSettings, ParquetStoreSettings),
    "ledger": (LedgerSettings,),
    "schedule": (ScheduleSettings,),
    "health": (HealthSettings,),
    "entities": (EntitiesSettings,),
}
SETTING = re.compile(rf"`({'|'.join(SECTIONS)})\.([a-z_]+)\b(?!\.)")
FILES = re.compile(r"\b((?:config|docs|jobs|storage|tests)/[\w./-]+\.(?:py|md|toml|yml|json|env|service))\b")


def ids(document: Path) -> str:
    return document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_each_command_and_option_that_a_document_shows_exists(document: Path) -> None:
    code = "\n".join(CODE.findall(document.read_text(encoding="utf-8")))
    for name, words in CALL.findall(code):
        assert name in COMMANDS
        command = COMMANDS[name].load()
        if isinstance(command, TyperGroup) and words.split():
            command = command.commands[words.split()[0]]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"--[a-z-]+", words)) <= known, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_each_setting_that_a_document_names_exists(document: Path) -> None:
    known = {(name, key) for name, kinds in SECTIONS.items() for kind in kinds for key in kind.model_fields}
    files = {("ledger", "db"), ("ledger", "damaged"), ("home", "toml")}
    assert set(SETTING.findall(document.read_text(encoding="utf-8"))) - files <= known


def test_the_search_finds_commands_in_each_form_of_code() -> None:
    text = (
        "`pattern-aggregates run`\n\n    pattern-aggregates status -7d\n\n```sh\ncd x\npattern-aggregates init\n```\n"
    )
    assert [name for name, _ in CALL.findall("\n".join(CODE.findall(text)))] == ["run", "status", "init"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids)
def test_each_file_that_a_document_names_is_there(document: Path) -> None:
    assert [name for name in FILES.findall(document.read_text(encoding="utf-8")) if not (ROOT / name).exists()] == []


def test_each_threat_names_a_test_that_is_there() -> None:
    text = (ROOT / "docs/threats.md").read_text(encoding="utf-8")
    written = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| who could")]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert all(named)
    assert {name for names in named for name in names} <= written


def test_the_unit_starts_the_daemon_as_the_document_installs_it() -> None:
    unit = (ROOT / "config/systemd/pattern-aggregates.service").read_text(encoding="utf-8")
    document = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    lines = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))
    program, option, config, command = lines["ExecStart"].split()
    assert (option, command) == ("--config", "serve")
    assert f"sudo python3 -m venv {program.removesuffix('/bin/pattern-aggregates')}\n" in document
    assert f"home.toml {config}\n" in document
    assert document.count(f"/var/lib/{lines['StateDirectory']}") > 1
    assert lines["RestartPreventExitStatus"] == "78"
