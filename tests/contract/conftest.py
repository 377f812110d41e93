"""Every implementation of each contract: the suites beside this file run on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.backends.memory import MemoryStore
from storage.backends.sql import SqlStore
from storage.ledger.ledger import Ledger
from storage.store import AggregateStore
from tests.support.exported_store import ExportedStore
from tests.support.influxdb import VERSIONS, new_store
from tests.support.postgresql import new_database
from tests.support.rows import COMPUTED_AT


@pytest.fixture(params=["memory", "sqlite", "postgresql", "parquet", *VERSIONS])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AggregateStore]:
    """An empty, prepared store of each backend."""
    opened: AggregateStore
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param == "sqlite":
        opened = SqlStore(f"sqlite:///{tmp_path / 'aggregates.db'}")
    elif request.param == "parquet":
        opened = ExportedStore(tmp_path / "exported")
    elif request.param == "postgresql":
        opened = SqlStore(new_database(request.getfixturevalue("postgresql").url).render_as_string())
    else:
        opened = new_store(request)
    opened.prepare()
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | sa.URL:
    """Return where a ledger may be made, of each kind."""
    if request.param == "sqlite":
        return tmp_path / "ledger.db"
    return new_database(request.getfixturevalue("postgresql").url)


@pytest.fixture
def ledger(ledger_place: Path | sa.URL) -> Iterator[Ledger]:
    """An empty ledger in each kind of place."""
    with Ledger(ledger_place, clock=lambda: COMPUTED_AT) as opened:
        yield opened
