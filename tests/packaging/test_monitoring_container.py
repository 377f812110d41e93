"""Prometheus and Grafana of the compose file: who reaches whom, and with which rights."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from storage.settings_file import PREFIX
from tests.support.compose import Service, mounts, read_compose, settings_of
from tests.support.home import ROOT
from tests.support.monitoring import GRAFANA, PROMETHEUS, read_yaml


@pytest.fixture
def services() -> dict[str, Service]:
    found: dict[str, Service] = read_compose()["services"]
    return found


def test_monitoring_is_there_for_who_asks_for_it(services: dict[str, Service]) -> None:
    profiles = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    monitoring = {name for name, asked in profiles.items() if asked == ["monitoring"]}
    assert monitoring == {"prometheus", "grafana-token", "grafana"}


def test_prometheus_reaches_the_daemon_and_nobody_else_does(services: dict[str, Service]) -> None:
    (scraped,) = read_yaml("prometheus", "prometheus.yml")["scrape_configs"]
    ((target,),) = (one["targets"] for one in scraped["static_configs"])
    name, _, port = target.partition(":")
    listens = settings_of(services[name]["environment"]).health
    assert (listens.host, listens.port) == ("0.0.0.0", int(port))  # noqa: S104 - within the compose network
    assert "ports" not in services[name]
    assert settings_of({}).health.host == "127.0.0.1"
    assert "network_mode" not in services[name]


def test_grafana_reads_where_the_services_are_and_what_they_keep(services: dict[str, Service]) -> None:
    sources = {
        one["type"]: one
        for one in read_yaml("grafana", "provisioning", "datasources", "pattern-aggregates.yml")["datasources"]
    }
    job = services["daemon"]["environment"]
    assert (
        sources["influxdb"]["url"]
        == job[f"{PREFIX}STORE__URL"]
        == services["grafana-token"]["environment"]["INFLUX_HOST"]
    )
    assert sources["influxdb"]["jsonData"]["dbName"] == job[f"{PREFIX}STORE__BUCKET"]
    assert f"--name {job[f'{PREFIX}STORE__BUCKET']} " in services["grafana-token"]["command"][0]
    assert services["grafana-token"]["environment"]["INFLUX_ORG"] == job[f"{PREFIX}STORE__ORG"]
    assert sources["prometheus"]["url"] == "http://prometheus:9090"


def test_what_is_mounted_from_the_clone_is_there_and_read_only(services: dict[str, Service]) -> None:
    mounted = {
        target: (name, source, writable)
        for name, service in services.items()
        for target, (source, writable) in mounts(service).items()
        if source.startswith("./")
    }
    assert {target: name for target, (name, _, _) in mounted.items()} == {
        "/etc/prometheus": "prometheus",
        "/etc/grafana/provisioning": "grafana",
        "/etc/grafana/dashboards": "grafana",
    }
    for _, source, writable in mounted.values():
        assert any((ROOT / source).iterdir())
        assert not writable
    told = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    (dashboards,) = (source for _, source, _ in mounted.values() if source.endswith("dashboards"))
    assert (ROOT / dashboards / Path(told).name).is_file()
    assert f"--config.file=/etc/prometheus/{PROMETHEUS.name}.yml" in services["prometheus"]["command"]


INFLUX = """#!/bin/sh
test "$INFLUX_TOKEN" = the-operators || exit 1
case "$1 $2" in
  "bucket list") printf '%s\\n' '[' ' {' '  "id": "0123456789abcdef",' '  "orgID": "fedcba9876543210"' ' }' ']' ;;
  "auth create")
    echo "$*" >> asked
    printf '%s\\n' '{' ' "id": "00",' ' "token": "only-reads==",' ' "userID": "01"' '}'
    ;;
esac
"""


def make_token(service: Service, folder: Path, *, operator: str) -> subprocess.CompletedProcess[str]:
    """Run the service here, with a stand-in for InfluxDB's command."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "influx").write_text(INFLUX, encoding="utf-8")
    (folder / "bin" / "influx").chmod(0o700)
    (folder / "grafana").mkdir(exist_ok=True)
    (folder / "token").write_text(operator, encoding="utf-8")
    script = service["command"][0].replace("$$", "$").replace("/run/secrets/token", str(folder / "token"))
    script = script.replace("cd /grafana", f"cd {folder / 'grafana'}")
    environment = {**service["environment"], "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    command = [*service["entrypoint"], script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)


def test_grafanas_token_reads_one_bucket_is_made_once_and_is_for_its_group(
    services: dict[str, Service], tmp_path: Path
) -> None:
    for _ in range(2):
        assert make_token(services["grafana-token"], tmp_path, operator="the-operators").returncode == 0
    made = tmp_path / "grafana" / "influxdb_token"
    assert made.read_text(encoding="utf-8") == "only-reads==\n"
    assert made.stat().st_mode & 0o777 == 0o640
    (asked,) = (tmp_path / "grafana" / "asked").read_text(encoding="utf-8").splitlines()
    assert re.findall(r"--(read|write|all|operator)\S*( \S+)?", asked) == [("read", " 0123456789abcdef")]
    _, group = services["grafana-token"]["user"].split(":")
    assert services["grafana"]["user"].split(":")[1] == group


def test_without_a_token_grafana_does_not_start(services: dict[str, Service], tmp_path: Path) -> None:
    assert make_token(services["grafana-token"], tmp_path, operator="somebody-else").returncode != 0
    assert not (tmp_path / "grafana" / "influxdb_token").exists()
    reader = re.search(r"\$__file\{(.*)\}", (GRAFANA / "provisioning/datasources/pattern-aggregates.yml").read_text())
    assert reader is not None
    source, writable = mounts(services["grafana"])[str(Path(reader[1]).parent)]
    assert (source, writable) == (mounts(services["grafana-token"])["/grafana"][0], False)
    assert f"mv .new {Path(reader[1]).name}\n" in services["grafana-token"]["command"][0]
