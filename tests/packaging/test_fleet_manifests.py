"""The manifests for Kubernetes are valid by its schema, few rights each, and agree with the program."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from jobs.cli.fleet import fleet
from jobs.fleet.template import check_template, with_defaults
from tests.support.home import ROOT

FOLDER = ROOT / "config" / "fleet"
VERSION = "1.33"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text(encoding="utf-8")))


def ids(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def pods() -> Iterator[dict[str, Any]]:
    for manifest in MANIFESTS:
        if manifest["kind"] == "Deployment":
            yield manifest["spec"]["template"]["spec"]
        elif manifest["kind"] == "CronJob":
            yield manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=ids)
def test_each_manifest_is_valid_by_the_schema_of_kubernetes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_manifest_that_is_not_valid_would_be_found() -> None:
    wrong = {**MANIFESTS[1], "spec": {**MANIFESTS[1]["spec"], "replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_no_container_has_more_rights_than_it_needs() -> None:
    found = list(pods())
    assert len(found) == 3
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"]
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert not security["allowPrivilegeEscalation"]
            assert container["resources"]["limits"]["memory"]


def test_what_is_mounted_is_there_and_workers_have_one_thread() -> None:
    for pod in pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes
            if "worker" in container["command"]:
                assert container["command"][container["command"].index("--nthreads") + 1] == "1"


def test_the_cron_job_calls_the_command_with_options_that_it_has() -> None:
    (pod,) = (pod for pod in pods() if pod["containers"][0]["name"] == "run")
    command = pod["containers"][0]["command"]
    known = {option for parameter in fleet.commands["run"].params for option in parameter.opts}
    assert {word for word in command if word.startswith("--")} - {"--config"} <= known
    assert command[3:5] == ["fleet", "run"]


def test_the_example_of_settings_fits_the_example_of_a_catalogue() -> None:
    source = tomllib.loads((FOLDER / "fleet.toml").read_text(encoding="utf-8"))["source"]
    with (FOLDER / "homes.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    check_template(with_defaults(source), columns)
