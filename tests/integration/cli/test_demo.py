"""`demo` runs the real job."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.home import ROOT, Home


def test_the_demo_runs_the_real_job_and_leaves_a_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "demo home"
    command = [sys.executable, "-m", "jobs", "demo", "--days", "30", "--dir", str(folder)]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "What was used when" in shown
    assert "What was on for how long" in shown
    assert "What is used together" in shown
    assert "Where things happened" in shown
    assert re.search(r"binary_sensor.fridge_door was active \d\d+ times, usually \d+ times a day", shown)
    assert re.search(r"binary_sensor.pantry_door(, | was silent, )usually active \d+ times a day", shown)
    assert "anomaly found nothing on" in shown
    assert max(len(line) for line in shown.partition("The aggregates are in")[0].splitlines()) <= 100
    assert "To go on" in shown
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "Nothing was due" in again
    home = Home.__new__(Home)
    home.folder, home.config = folder, folder / "config.toml"
    assert len(home.json("status", "-30d", "yesterday", "--json")) == 30
    home.config.write_text("# mine\n")
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "not from an earlier demo" in refused.stderr
