"""The alerts fire when they should and have their section in the operator's page; the dashboard holds together."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.home import ROOT
from tests.support.monitoring import DASHBOARD, GRAFANA, PANELS, PROMETHEUS, RULES, read_yaml
from tests.support.prometheus import promtool

PAGE = "docs/alerts.md"


def sections() -> dict[str, str]:
    """The text of each third-level section of the operator's page, by title."""
    parts = re.split(r"^### (.*)\n", (ROOT / PAGE).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        title: re.split(r"^##? ", text, flags=re.MULTILINE)[0]
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_prometheus_accepts_settings_and_rules() -> None:
    checked = promtool("check", "config", PROMETHEUS / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    tested = promtool("test", "rules", PROMETHEUS / "alerts_test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_no_alert_is_left_out_of_that() -> None:
    fired = set(re.findall(r'alertname="(\w+)"', (PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8")))
    assert fired == set(RULES)
    for story in read_yaml("prometheus", "alerts_test.yml")["tests"]:
        assert any(not asked["exp_samples"] for asked in story["promql_expr_test"]), story["name"]


@pytest.mark.parametrize("name", RULES)
def test_it_says_how_grave_it_is_what_to_do_and_where_to_read_on(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    told = rule["annotations"]
    assert set(told) == {"summary", "description", "runbook"}
    assert not told["summary"].endswith(".")
    assert len(re.findall(r"[.;] ", told["description"] + " ")) >= 2, "what is wrong, and what to do"
    assert told["runbook"] == f"{PAGE}#{name.lower()}"
    assert len(sections()[name].split()) > 20


def test_the_page_has_no_section_of_an_alert_that_is_gone() -> None:
    assert {title for title in sections() if title.startswith("PatternAggregates")} == set(RULES)


def test_the_alerts_go_by_the_jobs_name() -> None:
    (scraped,) = read_yaml("prometheus", "prometheus.yml")["scrape_configs"]
    for rule in RULES.values():
        assert set(re.findall(r'job="([^"]*)"', rule["expr"])) <= {scraped["job_name"]}


# Grafana, which is not to be had where these tests run: its files are read as it would


def provisioned() -> dict[str, dict[str, Any]]:
    """The data sources by uid."""
    sources = read_yaml("grafana", "provisioning", "datasources", "pattern-aggregates.yml")["datasources"]
    return {source["uid"]: source for source in sources}


def test_the_dashboard_is_found_by_a_name_that_stays() -> None:
    assert DASHBOARD["uid"] == "pattern-aggregates"
    assert "id" not in DASHBOARD, "the number belongs to the Grafana that imports it"
    assert len(PANELS) == len(DASHBOARD["panels"]) == len({panel["id"] for panel in PANELS.values()})
    (provider,) = read_yaml("grafana", "provisioning", "dashboards", "pattern-aggregates.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert [file.name for file in (GRAFANA / "dashboards").iterdir()] == ["pattern-aggregates.json"]


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_from_where(title: str) -> None:
    panel = PANELS[title]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in ("s", "short", "bytes", "percentunit")
    source = provisioned()[panel["datasource"]["uid"]]
    assert panel["datasource"]["type"] == source["type"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
        assert ("expr" if source["type"] == "prometheus" else "query") in target


def test_a_day_of_the_store_is_drawn_on_its_date_wherever_it_is_looked_at() -> None:
    stored = [panel for panel in PANELS.values() if panel["datasource"]["type"] == "influxdb"]
    assert stored
    assert all(panel["options"]["timezone"] == ["utc"] for panel in stored)


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS.values():
        at = panel["gridPos"]
        cells = {(at["x"] + right, at["y"] + down) for right in range(at["w"]) for down in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_the_token_of_the_store_comes_from_a_file() -> None:
    for source in provisioned().values():
        for secret in source.get("secureJsonData", {}).values():
            assert re.fullmatch(r"Token \$__file\{/run/secrets/\w+\}", secret)
        assert source["editable"] is False
