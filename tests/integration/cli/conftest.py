"""A home in a folder of its own for each test of a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with CSV files of three days, of which nothing is computed yet."""
    return Home(tmp_path)
