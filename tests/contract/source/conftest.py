"""Every source of raw events: the suites beside this file run on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from jobs.sources.base import EventSource
from tests.support.scenario_sources import WITH_ANY_ROW, WITH_RUNS, Load, Maker, influxdb_events
from tests.support.scenarios import Scenario


def _loader(maker: Maker, folder: Path) -> Iterator[Load]:
    opened: list[EventSource] = []

    def load(scenario: Scenario) -> EventSource:
        opened.append(maker(scenario, folder))
        return opened[-1]

    yield load
    for source in opened:
        source.close()
        source.close()  # safe to repeat


@pytest.fixture(params=[*WITH_ANY_ROW, "influxdb_1", "influxdb_2"], ids=lambda maker: getattr(maker, "__name__", maker))
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Load]:
    """Each source that a scenario without runs can be loaded into."""
    maker = request.param
    if isinstance(maker, str):
        maker = partial(influxdb_events, server=request.getfixturevalue(maker))
    yield from _loader(maker, tmp_path)


@pytest.fixture(params=WITH_ANY_ROW, ids=lambda maker: maker.__name__)
def load_rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Load]:
    """Each source that keeps any row; InfluxDB keeps one an instant, and none whose id no tag can hold."""
    yield from _loader(request.param, tmp_path)


@pytest.fixture(params=WITH_RUNS, ids=lambda maker: maker.__name__)
def load_runs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Load]:
    """Each source that knows when a recorder ran."""
    yield from _loader(request.param, tmp_path)
