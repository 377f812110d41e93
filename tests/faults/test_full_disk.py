"""A disk that is full costs a run, never a row: what is there stays, and the next run with room completes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.backends.sql import SqlStore
from storage.dates import DateRange
from storage.models import TimeBasedDaily
from tests.support.home import CSV_CONFIG, Home

SIZE = 8_000_000
DAYS = DateRange.parse("2026-03-01", "2026-03-10")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own with room for a few days' rows."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    command = [mount or "", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if (
        os.geteuid()
        or mount is None
        or unmount is None
        or subprocess.run(command, check=False, capture_output=True).returncode
    ):
        pytest.skip("not here: the right to mount a small file system")
    yield folder
    subprocess.run([unmount, "--lazy", str(folder)], check=True)


def events() -> str:
    lines = ["time,entity_id,state"]
    for day in DAYS:
        for number in range(150):
            lines += [
                f"{day}T{hour:02}:00:00,light.{number},{state}" for hour, state in ((0, "off"), (7, "on"), (8, "off"))
            ]
    lines.append("2026-03-11T00:00:00,light.0,off")
    return "\n".join(lines)


@pytest.mark.parametrize("file", ["aggregates.db", "ledger.db"])
def test_a_full_disk_costs_a_run_and_never_a_row(tmp_path: Path, small_disk: Path, file: str) -> None:
    home = Home(tmp_path, CSV_CONFIG.replace(file, f"{small_disk}/{file}"), events())
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (SIZE - 200_000))
    words = ("backfill", str(DAYS.first), str(DAYS.last))
    stopped = home.call(*words)
    assert stopped.exit_code == 75
    assert "full" in stopped.output
    filler.unlink()
    assert home.call(*words).exit_code == 0
    place = small_disk if file == "aggregates.db" else tmp_path
    store = SqlStore(f"sqlite:///{place / 'aggregates.db'}", read_only=True)
    assert len(store.read(TimeBasedDaily, DAYS)) == 150 * len(DAYS)
    store.close()
