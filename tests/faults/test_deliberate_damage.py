"""``make faults`` can fail: a wrong store, ledger or status is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_damage_done_on_purpose_is_noticed() -> None:
    command = [sys.executable, "-m", "tests.faults", "deliberate_damage", "--only-sqlite"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "| 4 | 0 | all detected |" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
