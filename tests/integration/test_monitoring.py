"""A real Prometheus watches a real daemon with this project's settings, alerts and dashboard."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from storage.dates import ONE_DAY
from tests.support.daemon import CONFIG, serve
from tests.support.influxdb import LiveServer, free_port
from tests.support.monitoring import METRIC, RULES, queries
from tests.support.prometheus import Prometheus, program, watching
from tests.support.rows import batch, duration, finding

ASKED = {
    name for text in [*queries("expr"), *(rule["expr"] for rule in RULES.values())] for name in METRIC.findall(text)
}


DISK = "PatternAggregatesDiskNearlyFull"  # this machine's is not the daemon's affair


@contextmanager
def watched(folder: Path, config: str = CONFIG) -> Iterator[Prometheus]:
    """A Prometheus that watches a daemon over three days of a simulated home."""
    program("prometheus")
    port = free_port()
    daemon = serve(folder, port, 3, config)
    try:
        with watching(port, folder) as server:
            yield server
    finally:
        daemon.kill()
        daemon.communicate()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has seen a daemon catch up, and then some."""
    with watched(tmp_path_factory.mktemp("home")) as server:
        runs = 'pattern_aggregates_runs_total{exit_code="0"}'
        server.wait_until(lambda: server.query(f"{runs} > 0 and count_over_time({runs}[5m]) > 2"))
        yield server


def rules(server: Prometheus, key: str) -> dict[str, str]:
    """What it says of each alert."""
    return {rule["name"]: rule[key] for group in server.ask("rules")["groups"] for rule in group["rules"]}


def active(server: Prometheus) -> set[str]:
    """The alerts that fire, or will unless things change."""
    return {name for name, state in rules(server, "state").items() if state != "inactive"} - {DISK}


def test_of_a_daemon_without_trouble_no_alert_is_about_to_fire(prometheus: Prometheus) -> None:
    prometheus.wait_until(lambda: not active(prometheus))
    prometheus.wait_until(lambda: prometheus.ask("targets")["activeTargets"][0]["health"] == "up")
    assert rules(prometheus, "health") == dict.fromkeys(RULES, "ok")


def test_a_store_that_is_not_there_is_what_an_alert_begins_with(tmp_path: Path) -> None:
    nowhere = f'kind = "influxdb"\nurl = "http://127.0.0.1:{free_port()}"'
    with watched(tmp_path, CONFIG.replace('url = "sqlite:///aggregates.db"', nowhere)) as server:
        server.wait_until(lambda: "PatternAggregatesDaysStaged" in active(server))
        assert server.query('pattern_aggregates_errors_total{of="store"} > 0')


def test_every_metric_that_is_asked_for_is_there(prometheus: Prometheus) -> None:
    there = set(prometheus.ask("label/__name__/values"))
    assert len(ASKED) > 10
    assert ASKED - there == {"pattern_aggregates_findings_waiting"}  # this home publishes nothing


def test_every_metric_that_the_daemon_has_is_shown_or_alerted_on(prometheus: Prometheus) -> None:
    there = {name for name in prometheus.ask("label/__name__/values") if METRIC.fullmatch(name)}
    assert there - ASKED == set()


@pytest.mark.parametrize("expression", queries("expr"))
def test_every_panel_has_something_to_show(prometheus: Prometheus, expression: str) -> None:
    assert prometheus.query(expression)


@pytest.mark.parametrize("query", queries("query"))
def test_a_token_that_only_reads_gets_from_the_store_what_grafana_asks_it_for(influxdb: LiveServer, query: str) -> None:
    yesterday = dt.datetime.now(dt.UTC).date() - ONE_DAY
    with influxdb.new_store() as store:
        for day in (yesterday - ONE_DAY, yesterday):
            row = duration(day=day)
            store.replace_day(batch(finding(type(row), [row], day, known_seconds=43_200.0)))
        reader = replace(influxdb, token=influxdb.token_for(store.bucket, "read")) if influxdb.org else influxdb
        parameters = {"db": store.bucket, "q": query.replace("$timeFilter", "time > now() - 14d")}
        (result,) = reader.post("/query?" + urlencode(parameters))["results"]
    (series,) = result["series"]
    assert "GROUP BY time" in query or series["tags"] == {"detector": "duration"}
    assert [value for _, value in series["values"]] == ([0.5, 0.5] if "/" in query else [1, 1])
