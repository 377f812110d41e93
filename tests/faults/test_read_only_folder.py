"""A folder that cannot be written to is a matter of settings: exit 78, and the hint names the folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.home import CSV_CONFIG, ROOT, Home

Shut = Callable[[Path], AbstractContextManager[None]]
AS_ROOT = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


@contextmanager
def by_mode(folder: Path) -> Iterator[None]:
    folder.chmod(0o500)
    yield
    folder.chmod(0o700)


@contextmanager
def by_mount(folder: Path) -> Iterator[None]:
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if mount is None or unmount is None or os.geteuid():
        pytest.skip("not here: the right to mount")
    bound = subprocess.run([mount, "--bind", str(folder), str(folder)], check=False, capture_output=True)
    if bound.returncode:
        pytest.skip("not here: the right to mount a folder")
    subprocess.run([mount, "-o", "remount,ro,bind", str(folder)], check=True)
    yield
    subprocess.run([unmount, str(folder)], check=True)


def call(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    """A command by a user whom permissions bind, which is not so of root."""
    prefix = AS_ROOT if os.geteuid() == 0 else ()
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip("not here: setpriv, to be a root whom permissions bind")
    command = [*prefix, sys.executable, "-m", "jobs", "--config", str(home.config), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shut", [by_mode, by_mount])
@pytest.mark.parametrize("name", ["ledger.db", "aggregates.db"])
@pytest.mark.parametrize("known", [True, False], ids=["with its file", "empty"])
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, name: str, shut: Shut, known: bool) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    home = Home(tmp_path, CSV_CONFIG.replace(name, f"books/{name}"))
    if known:
        assert home.call("backfill", "2026-03-02", "2026-03-02").exit_code == 0
    with shut(folder):
        refused = call(home, "backfill", "2026-03-01", "2026-03-02")
    assert refused.returncode == 78, refused.stderr
    assert f"Give the folder {folder}, and what is in it, to the user" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = home.call("backfill", "2026-03-01", "2026-03-02")
    assert done.exit_code == 0, done.output
