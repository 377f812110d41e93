"""Where the recorder database of a home is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs.cli.recorder_search import recorder_at, recorder_in
from storage.errors import UsageError


def folder(path: Path, *, configuration: str = "", secrets: str = "", database: bool = False) -> Path:
    """A configuration folder of Home Assistant."""
    if configuration:
        (path / "configuration.yaml").write_text(configuration, encoding="utf-8")
    if secrets:
        (path / "secrets.yaml").write_text(secrets, encoding="utf-8")
    if database:
        (path / "home-assistant_v2.db").touch()
    return path


def test_without_an_entry_in_the_configuration_it_is_the_file_in_the_folder(tmp_path: Path) -> None:
    home = folder(tmp_path, configuration="default_config:\nautomation: !include automations.yaml\n", database=True)
    assert recorder_in(home).url == f"sqlite:///{home}/home-assistant_v2.db"
    assert recorder_at(str(home / "home-assistant_v2.db")).url == recorder_at(str(home)).url


@pytest.mark.parametrize(
    ("configuration", "secrets"),
    [
        ("recorder:\n  db_url: mysql://ha:pw@db/ha?charset=utf8mb4\n", ""),
        ("recorder:\n  db_url: !secret recorder_url\n", "recorder_url: mysql://ha:pw@db/ha?charset=utf8mb4\n"),
        ("recorder: !include recorder.yaml\n", ""),
    ],
)
def test_the_url_in_the_configuration_is_followed_through_secrets_and_includes(
    tmp_path: Path, configuration: str, secrets: str
) -> None:
    (tmp_path / "recorder.yaml").write_text("db_url: mysql://ha:pw@db/ha?charset=utf8mb4\n", encoding="utf-8")
    found = recorder_in(folder(tmp_path, configuration=configuration, secrets=secrets, database=True))
    assert found.url == "mysql://ha:pw@db/ha?charset=utf8mb4"
    assert "pw" not in found.origin


@pytest.mark.parametrize("reference", ["!secret gone", "!env_var RECORDER_URL", "!include gone.yaml"])
def test_a_url_that_cannot_be_followed_is_an_error_and_no_other_database_is_taken(
    tmp_path: Path, reference: str
) -> None:
    home = folder(tmp_path, configuration=f"recorder:\n  db_url: {reference}\n", database=True)
    with pytest.raises(UsageError, match="cannot be followed"):
        recorder_in(home)


def test_a_path_that_holds_inside_a_container_only_is_looked_for_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "big.db").touch()
    home = folder(tmp_path, configuration="recorder:\n  db_url: sqlite:////config/big.db\n")
    assert recorder_in(home).url == f"sqlite:///{home}/big.db"


def test_what_home_assistant_knows_of_zone_and_areas_is_taken_over(tmp_path: Path) -> None:
    home = folder(tmp_path, configuration="homeassistant:\n  time_zone: Europe/Rome\n", database=True)
    assert (recorder_in(home).time_zone, recorder_in(home).registry_dir) == ("Europe/Rome", None)
    (home / ".storage").mkdir()
    (home / ".storage/core.entity_registry").touch()
    (home / ".storage/core.config").write_text(json.dumps({"data": {"time_zone": "Europe/Paris"}}), encoding="utf-8")
    assert (recorder_in(home).time_zone, recorder_in(home).registry_dir) == ("Europe/Paris", home / ".storage")


@pytest.mark.parametrize(
    "broken", ["a: [", "\x00", "- recorder\n", "recorder: [1]\n", "recorder:\n  db_url: 5\n", "&a [*a]"]
)
def test_a_broken_configuration_does_not_hide_the_file_beside_it(tmp_path: Path, broken: str) -> None:
    assert recorder_in(folder(tmp_path, configuration=broken, database=True)).url.endswith("home-assistant_v2.db")


def test_a_folder_without_a_recorder_and_a_missing_path_are_errors_that_name_what_to_give(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UsageError) as refused:
            recorder_at(str(place))
        assert str(place) in str(refused.value)
        assert "URL" in refused.value.hint


def test_characters_that_mean_something_in_a_url_are_escaped(tmp_path: Path) -> None:
    home = tmp_path / "what?#100%"
    home.mkdir()
    assert recorder_in(folder(home, database=True)).url.endswith("/what%3F%23100%25/home-assistant_v2.db")
