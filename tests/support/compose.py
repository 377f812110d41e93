"""Read docker-compose.yml for tests."""

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
    """Return the whole file."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return document


def mounts(service: Service) -> dict[str, tuple[str, bool]]:
    """Return source and whether it is writable, by the path in the container."""
    found = {}
    for volume in service["volumes"]:
        (source, target, mode) = re.fullmatch(r"(\$\{[^}]*\}|[^:]*):([^:]*)(:ro)?", volume).groups()  # type: ignore[union-attr]
        found[target] = (source, mode is None)
    return found


def settings_of(environ: dict[str, str], secrets: Path = Path("/nowhere")) -> Settings:
    return check(Settings, load_document(CONFIG, environ=environ, secrets=secrets))
