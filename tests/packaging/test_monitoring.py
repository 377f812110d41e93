"""The alerts fire when they should, say what to do, and have their section in the operator's page."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.support.home import ROOT
from tests.support.prometheus import promtool

PROMETHEUS = ROOT / "config" / "prometheus"
PAGE = "docs/operations.md"


def document(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8"))


RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in document("alerts.yml")["groups"] for rule in group["rules"]
}


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
    for story in document("alerts_test.yml")["tests"]:
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
    (scraped,) = document("prometheus.yml")["scrape_configs"]
    for rule in RULES.values():
        assert set(re.findall(r'job="([^"]*)"', rule["expr"])) <= {scraped["job_name"]}
