"""The Home Assistant app's folder holds what the Supervisor demands, and agrees with the program."""

from __future__ import annotations

import re
import struct
import subprocess
import tomllib
from ipaddress import ip_address
from typing import Any, Final

import pytest
import yaml

from jobs.home_assistant_app.__main__ import Places
from jobs.home_assistant_app.options import Options
from jobs.home_assistant_app.settings import INGRESS, PORT
from storage.settings_file import CONFIG_VARIABLE
from tests.support.home import ROOT

APP: Final = ROOT / "config" / "home-assistant-app"

# The keys of https://developers.home-assistant.io/docs/apps/configuration (August 2026) that an app like this may use.
REQUIRED: Final = {"name", "version", "slug", "description", "arch"}
OPTIONAL: Final = {
    *("backup", "hassio_api", "homeassistant_api", "image", "ingress", "ingress_port", "init", "map", "options"),
    *("panel_admin", "panel_icon", "panel_title", "schema", "services", "startup", "timeout", "url", "watchdog"),
}
ELEMENT: Final = re.compile(
    r"(?:bool|email|url|port|str(?:\(\d*,\d*\))?|password(?:\(\d*,\d*\))?|int(?:\(-?\d*,-?\d*\))?"
    r"|float(?:\([\d.-]*,[\d.-]*\))?|match\(.*\)|list\(.+\))\??"
)
WATCHDOG: Final = re.compile(r"(?:https?|\[PROTO:\w+\]|tcp)://\[HOST\]:(?:\[PORT:\d+\]|\d+).*")


def read(name: str) -> Any:
    return yaml.safe_load((APP / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    found: dict[str, Any] = read("config.yaml")
    return found


def test_the_description_has_the_documented_keys_only(config: dict[str, Any]) -> None:
    assert set(config) >= REQUIRED
    assert set(config) - REQUIRED - OPTIONAL == set()
    assert re.fullmatch(r"[-_.a-z0-9]+", config["slug"])
    assert set(config["arch"]) == {"aarch64", "amd64"}
    assert config["startup"] == "application"
    assert set(config["services"]) == {"mqtt:want", "mysql:want"}
    assert 10 < config["timeout"] <= 300  # the daemon stops within 10 s


def test_home_assistants_folder_is_mounted_read_only_where_the_app_looks_for_it(config: dict[str, Any]) -> None:
    (mapped,) = config["map"]
    assert mapped == {"type": "homeassistant_config", "read_only": True, "path": str(Places().home_assistant)}


def test_ingress_and_the_watchdog_reach_the_port_that_the_daemon_listens_on(config: dict[str, Any]) -> None:
    assert config["ingress"] is True
    assert config.get("ingress_port", 8099) == PORT
    assert WATCHDOG.fullmatch(config["watchdog"])
    assert f"[HOST]:{PORT}/readyz" in config["watchdog"]
    assert ip_address(INGRESS) == ip_address("172.30.32.2")
    assert "ports" not in config


def test_options_are_those_of_the_program_with_the_same_defaults(config: dict[str, Any]) -> None:
    assert set(config["schema"]) == set(Options.model_fields)
    assert Options(**config["options"]) == Options()
    for name, element in config["schema"].items():
        text = element[0] if isinstance(element, list) else element
        assert ELEMENT.fullmatch(text), name
        assert text.endswith("?") or name in config["options"], f"{name} can be left out"
    (choices,) = config["schema"]["adopt"]
    assert set(re.findall(r"\w+(?=[|)])", choices)) == {"source", "zone", "store", "ledger"}


def test_secrets_are_masked_in_the_form(config: dict[str, Any]) -> None:
    hidden = {name for name, field in Options.model_fields.items() if not field.repr} - {"settings"}
    assert {name for name, element in config["schema"].items() if str(element).startswith("password")} == hidden


def test_every_option_has_a_name_and_a_description() -> None:
    translations = read("translations/en.yaml")["configuration"]
    assert list(translations) == list(read("config.yaml")["schema"])
    assert all(set(one) == {"name", "description"} and all(one.values()) for one in translations.values())
    documented = (APP / "DOCS.md").read_text(encoding="utf-8")
    assert all(one["name"] in documented for one in translations.values())


def test_no_other_file_would_be_taken_for_an_app() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S607 - of the PATH
    if listed.returncode:
        pytest.skip("not here: git and a clone")
    taken = re.findall(r"^(?:.*/)?config\.(?:ya?ml|json)$", listed.stdout, flags=re.MULTILINE)
    assert taken == ["config/home-assistant-app/config.yaml"]


def test_the_repository_has_a_name_and_the_apps_address(config: dict[str, Any]) -> None:
    repository = yaml.safe_load((ROOT / "repository.yaml").read_text(encoding="utf-8"))
    assert set(repository) == {"name", "url", "maintainer"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert repository["url"] == config["url"] == project["urls"]["Source"]
    assert config["version"] == project["version"]


def dockerfile(text: str) -> list[str]:
    return re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()


def test_the_image_is_made_like_the_other_one_of_the_release_that_is_named(config: dict[str, Any]) -> None:
    ours = dockerfile((APP / "Dockerfile").read_text(encoding="utf-8"))
    other = dockerfile((ROOT / "Dockerfile").read_text(encoding="utf-8"))

    def lines(of: list[str], start: str) -> list[str]:
        return [line for line in of if line.startswith(start)]

    assert lines(ours, "FROM") == lines(other, "FROM")
    install = [line for line in lines(other, "RUN") if "--only-binary" in line]
    assert install == [line for line in lines(ours, "RUN") if "--only-binary" in line]
    extras, of_other = (set(lines(of, "ARG EXTRAS=")[0].partition("=")[2].split(",")) for of in (ours, other))
    assert extras == of_other | {"app", "apprise"}
    assert set(lines(ours, "ARG BUILD_VERSION=")) == {f"ARG BUILD_VERSION={config['version']}"}
    assert f"ARG SOURCE={config['url']}.git#v${{BUILD_VERSION}}" in ours
    (labels,) = lines(ours, "LABEL")
    assert {"io.hass.version", "io.hass.type", "io.hass.arch"} <= set(re.findall(r"([\w.]+)=", labels))
    assert not lines(ours, "USER")  # the options belong to root
    assert f"{CONFIG_VARIABLE}={Places().settings}" in "\n".join(lines(ours, "ENV"))
    assert not {"COPY", "ADD"} & {
        line.partition(" ")[0] for line in ours if "--from=builder" not in line and "SOURCE" not in line
    }


def test_the_profile_has_the_one_name_that_the_supervisor_replaces() -> None:
    text = (APP / "apparmor.txt").read_text(encoding="utf-8")
    assert re.findall(r"^profile ([^ ]+)", text, flags=re.MULTILINE) == [read("config.yaml")["slug"]]
    assert text.count("{\n") == text.count("}\n") == 1
    rules = re.findall(r"^\s+/homeassistant/\S* (\w+),$", text, flags=re.MULTILINE)
    assert rules == ["r", "rk"]


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_the_pictures_have_the_size_that_is_shown(name: str, size: tuple[int, int]) -> None:
    content = (APP / name).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == size
    assert len(content) < 10_000


@pytest.mark.parametrize("name", ["README.md", "DOCS.md", "CHANGELOG.md"])
def test_the_pages_that_are_shown_are_there(name: str) -> None:
    text = (APP / name).read_text(encoding="utf-8")
    assert text.startswith("# ")
    if name == "CHANGELOG.md":
        assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE)[0] == read("config.yaml")["version"]
