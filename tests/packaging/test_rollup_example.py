"""The example of a rollup of one's own in docs/rollups.md satisfies mypy strictly and does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from storage.dates import DateRange
from storage.query import AggregateQuery
from tests.support.weeks_of_rows import FIRST, curve, last_day, store_of

ROOT = Path(__file__).resolve().parents[2]


def example() -> str:
    page = (ROOT / "docs/rollups.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return str(code)


def test_the_example_satisfies_mypy_strictly(tmp_path: Path) -> None:
    file = tmp_path / "busiest_hour.py"
    file.write_text(example(), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", str(tmp_path), str(file)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_the_example_finds_the_busiest_hour_and_counts_its_days() -> None:
    scope: dict[str, object] = {"__name__": "example"}
    exec(compile(example(), "docs/rollups.md", "exec"), scope)  # noqa: S102 - our own page
    store = store_of({"light.a": np.tile(curve([8], 2).astype(np.int64), (7, 1))})
    found = scope["busiest_hour"](AggregateQuery(store), DateRange(FIRST, last_day(7)))  # type: ignore[operator]
    assert found == (8, 7)
