"""A real Prometheus watches a real daemon with this project's settings, alerts and dashboard."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from storage.dates import ONE_DAY
from tests.support.daemon import serve
from tests.support.influxdb import LiveServer, free_port
from tests.support.monitoring import METRIC, RULES, queries
from tests.support.prometheus import Prometheus, program, watching
from tests.support.rows import batch, duration, finding

ASKED = {
    name for text in [*queries("expr"), *(rule["expr"] for rule in RULES.values())] for name in METRIC.findall(text)
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has seen a daemon catch up three days, and then some."""
    program("prometheus")
    port = free_port()
    daemon = serve(tmp_path_factory.mktemp("home"), port, days=3)
    try:
        with watching(port, tmp_path_factory.mktemp("prometheus")) as server:
            runs = 'pattern_aggregates_runs_total{exit_code="0"}'
            server.wait_until(lambda: server.query(f"{runs} > 0 and count_over_time({runs}[5m]) > 2"))
            yield server
    finally:
        daemon.kill()
        daemon.communicate()


def test_the_daemon_is_seen_and_no_alert_is_about_to_fire(prometheus: Prometheus) -> None:
    def rules(key: str) -> dict[str, str]:
        return {rule["name"]: rule[key] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]}

    disk = "PatternAggregatesDiskNearlyFull"  # this machine's is not the daemon's affair
    prometheus.wait_until(lambda: {name for name, state in rules("state").items() if state != "inactive"} <= {disk})
    prometheus.wait_until(lambda: prometheus.ask("targets")["activeTargets"][0]["health"] == "up")
    assert rules("health") == dict.fromkeys(RULES, "ok")


def test_every_metric_that_is_asked_for_is_there(prometheus: Prometheus) -> None:
    there = set(prometheus.ask("label/__name__/values"))
    assert len(ASKED) > 10
    assert ASKED - there == set()


def test_every_metric_that_the_daemon_has_is_shown_or_alerted_on(prometheus: Prometheus) -> None:
    there = {name for name in prometheus.ask("label/__name__/values") if METRIC.fullmatch(name)}
    assert there - ASKED == set()


@pytest.mark.parametrize("expression", queries("expr"))
def test_every_panel_has_something_to_show(prometheus: Prometheus, expression: str) -> None:
    assert prometheus.query(expression)


@pytest.mark.parametrize("query", queries("query"))
def test_the_store_has_what_grafana_asks_it_for(influxdb: LiveServer, query: str) -> None:
    yesterday = dt.datetime.now(dt.UTC).date() - ONE_DAY
    connection = influxdb.connection()
    with influxdb.new_store() as store:
        for day in (yesterday - ONE_DAY, yesterday):
            row = duration(day=day)
            store.replace_day(batch(finding(type(row), [row], day, known_seconds=43_200.0)))
        parameters = {"db": store.bucket, "q": query.replace("$timeFilter", "time > now() - 14d")}
        (result,) = connection.request("POST", "/query?" + urlencode(parameters)).json()["results"]
    connection.close()
    (series,) = result["series"]
    assert "GROUP BY time" in query or series["tags"] == {"detector": "duration"}
    assert [value for _, value in series["values"]] == ([0.5, 0.5] if "/" in query else [1, 1])
