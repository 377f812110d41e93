"""A home in a folder: settings, raw events, and the commands run on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from jobs.cli import app

ROOT = Path(__file__).resolve().parents[2]

CSV_CONFIG = """
[home]
time_zone = "Europe/Berlin"
[source]
kind = "csv_files"
path = "events.csv"
[store]
url = "sqlite:///aggregates.db"
retention_days = 0
[ledger]
path = "ledger.db"
"""

EVENTS = """time,entity_id,state,area,device_class
2026-03-01T22:00:00,light.kitchen,off,kitchen,
2026-03-01T22:00:00,binary_sensor.motion,off,kitchen,motion
2026-03-02T07:00:00,binary_sensor.motion,on,,
2026-03-02T07:00:05,light.kitchen,on,,
2026-03-02T07:10:00,binary_sensor.motion,off,,
2026-03-02T07:30:05,light.kitchen,off,,
2026-03-02T19:00:00,light.kitchen,on,,
2026-03-02T23:30:00,light.kitchen,unavailable,,
2026-03-03T08:00:00,light.kitchen,off,,
"""


class Home:
    """A folder with a settings file; commands are run on it as a user would."""

    def __init__(self, folder: Path, config: str = CSV_CONFIG, events: str | None = EVENTS) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.config.write_text(config, encoding="utf-8")
        if events is not None:
            (folder / "events.csv").write_text(events, encoding="utf-8")

    def call(self, *words: str) -> Result:
        """Run a command in this process."""
        return CliRunner().invoke(app.app, ["--config", str(self.config), *words], prog_name="pattern-aggregates")

    def json(self, *words: str, exit_code: int = 0) -> Any:
        """Run a command and return the JSON it prints; there must be nothing else on standard output."""
        result = self.call(*words)
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)

    def process(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "jobs", "--config", str(self.config), *words],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
