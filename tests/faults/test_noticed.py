"""``make faults`` can fail: what is wrong with a store, a ledger or a status is noticed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_harm_done_on_purpose_is_noticed() -> None:
    command = [sys.executable, "-m", "tests.faults", "noticed", "--only-sqlite"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "| 4 | 0 | all noticed |" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
