"""`demo` runs the real job."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from jobs.cli.demo import MARK
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
    assert re.search(r"binary_sensor.pantry_door(, usually active| was silent, usually) \d+ times a day", shown)
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


def test_the_demo_overwrites_no_file_of_somebody_else(tmp_path: Path) -> None:
    def theirs(config: Path) -> None:
        config.write_text("[store]\n")

    def link(config: Path) -> None:
        (config.parent / "theirs.toml").write_text(f"{MARK}\nsomething of theirs\n")
        config.symlink_to("theirs.toml")

    makers: tuple[Callable[[Path], None], ...] = (theirs, link, os.mkfifo, Path.mkdir)
    for number, make in enumerate(makers):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / "config.toml")
        before = {file: file.read_text() for file in folder.iterdir() if file.is_file()}
        result = Home(tmp_path, events=None).call("demo", "--days", "1", "--dir", str(folder))
        assert result.exit_code == 2, result.output
        assert "--dir" in result.output
        assert {file: file.read_text() for file in folder.iterdir() if file.is_file()} == before
