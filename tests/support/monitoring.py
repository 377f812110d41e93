"""Read the settings of Prometheus and Grafana for tests."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.support.home import ROOT

PROMETHEUS = ROOT / "config" / "prometheus"
GRAFANA = ROOT / "config" / "grafana"
METRIC = re.compile(r"\bpattern_aggregates_\w+")


def read_yaml(*path: str) -> Any:
    """Return the contents of a YAML file below ``config``."""
    return yaml.safe_load(ROOT.joinpath("config", *path).read_text(encoding="utf-8"))


RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in read_yaml("prometheus", "alerts.yml")["groups"] for rule in group["rules"]
}
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "pattern-aggregates.json").read_text(encoding="utf-8"))
PANELS: dict[str, dict[str, Any]] = {panel["title"]: panel for panel in DASHBOARD["panels"]}


def queries(language: str) -> list[str]:
    """Return the dashboard's queries in ``expr`` (Prometheus) or ``query`` (InfluxDB)."""
    return [target[language] for panel in PANELS.values() for target in panel["targets"] if language in target]
