"""A kill -9 at any point, then the same run again, ends in the same store and ledger as an undisturbed run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("kind", "places"),
    [
        ("statements", 20),
        ("lines", 6),
        pytest.param("statements", 60, marks=pytest.mark.slow),
        pytest.param("lines", 50, marks=pytest.mark.slow),
    ],
)
def test_a_kill_anywhere_is_healed_by_the_next_run(tmp_path: Path, kind: str, places: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.crash_runner", str(tmp_path), kind, str(places)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []
