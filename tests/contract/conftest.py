"""Every implementation of each contract: the suites beside this file run on all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.backends.memory import MemoryStore
from storage.backends.sql import SqlStore
from storage.store import AggregateStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AggregateStore]:
    """An empty, prepared store of each backend."""
    makers: dict[str, Callable[[], AggregateStore]] = {
        "memory": MemoryStore,
        "sqlite": lambda: SqlStore(f"sqlite:///{tmp_path / 'aggregates.db'}"),
    }
    opened = makers[request.param]()
    opened.prepare()
    yield opened
    opened.close()
