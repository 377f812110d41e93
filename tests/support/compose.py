"""The compose file as tests read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from jobs.settings import Settings
from storage.settings_check import check
from storage.settings_file import load_document
from tests.support.home import ROOT

CONFIG = ROOT / "config" / "container.toml"

Service = dict[str, Any]


def read_compose() -> dict[str, Any]:
    """All of it."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return document


def mounts(service: Service) -> dict[str, tuple[str, bool]]:
    """What is mounted where, and whether it can be written to."""
    found = {}
    for volume in service["volumes"]:
        (source, target, mode) = re.fullmatch(r"(\$\{[^}]*\}|[^:]*):([^:]*)(:ro)?", volume).groups()  # type: ignore[union-attr]
        found[target] = (source, mode is None)
    return found


def settings_of(environ: dict[str, str], secrets: Path = Path("/nowhere")) -> Settings:
    return check(Settings, load_document(CONFIG, environ=environ, secrets=secrets))
