"""Prometheus' own programs, for tests that let them read what this project says and what it is watched with."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def program(name: str) -> str:
    """``prometheus`` or ``promtool``; skips the test where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"not here: {name} on PATH (Debian's package prometheus)")
    return found


def promtool(*arguments: object, said: str | None = None) -> subprocess.CompletedProcess[str]:
    """What promtool makes of something."""
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, input=said, capture_output=True, text=True, check=False, timeout=60)
