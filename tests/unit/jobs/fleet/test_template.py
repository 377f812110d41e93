"""``{column}`` in ``[source]`` is filled in from the catalogue; what cannot be filled in is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.fleet.catalogue import CatalogueHome
from jobs.fleet.template import check_template, fill, with_defaults
from storage.errors import SettingsError
from storage.settings import sqlite_file

COLUMNS = ("home", "time_zone", "folder", "seed")


def home(name: str = "flat 1", **columns: str) -> CatalogueHome:
    return CatalogueHome(name, "UTC", {"home": name, "time_zone": "UTC", **columns})


def test_each_text_is_filled_in_and_other_values_stay() -> None:
    source = {"kind": "csv_files", "path": "{folder}/{home}.csv", "fields": ["{home}", 3], "lookback_days": 7}
    assert fill(source, home(folder="data")) == {
        "kind": "csv_files",
        "path": "data/flat 1.csv",
        "fields": ["flat 1", 3],
        "lookback_days": 7,
    }


def test_a_brace_is_written_twice_and_a_single_one_stays() -> None:
    assert fill({"bucket": "{{home}} {home} }{"}, home())["bucket"] == "{home} flat 1 }{"


def test_a_value_of_the_catalogue_is_not_filled_in_again() -> None:
    assert fill({"bucket": "{folder}"}, home(folder="{home}"))["bucket"] == "{home}"


@pytest.mark.parametrize(
    ("source", "key", "name"),
    [
        ({"path": "{hom}/a.csv"}, "path", "hom"),
        ({"path": "{home}", "bucket": "{}"}, "bucket", ""),
        ({"fields": ["{home}", "{field}"]}, "fields", "field"),
    ],
)
def test_a_placeholder_that_the_catalogue_does_not_have_is_named(source: dict[str, Any], key: str, name: str) -> None:
    with pytest.raises(SettingsError, match=rf"source\.{key}: the catalogue has no column '{name}'"):
        check_template(source, COLUMNS)


def test_a_source_without_a_placeholder_is_refused_as_all_homes_would_be_one() -> None:
    with pytest.raises(SettingsError, match="every home would read the same raw events"):
        check_template({"kind": "csv_files", "path": "events/{{home}}.csv"}, COLUMNS)
    check_template({"kind": "csv_files", "path": "events/{home}.csv"}, COLUMNS)


def test_a_name_with_a_glob_reads_its_own_files_only() -> None:
    assert fill({"path": "events/{home}/*.csv"}, home("*"))["path"] == "events/[*]/*.csv"
    assert fill({"path": "{folder}/*.csv"}, home(folder="flats/?"))["path"] == "flats/?/*.csv"
    assert fill({"registry_dir": "{home}"}, home("*"))["registry_dir"] == "*"


def test_a_name_is_quoted_in_a_url_and_another_column_is_taken_as_it_is() -> None:
    url = fill({"url": "sqlite:////homes/{home}/home-assistant_v2.db"}, home("why? 100%"))["url"]
    assert sqlite_file(url) == Path("/homes/why? 100%/home-assistant_v2.db")
    assert fill({"url": "{folder}"}, home(folder="sqlite:////a/b.db?mode=ro"))["url"] == "sqlite:////a/b.db?mode=ro"


@pytest.mark.parametrize("name", ["..", ".", "../other", "/etc"])
def test_a_name_that_would_leave_its_folder_is_refused_in_a_path(name: str) -> None:
    for key in ("path", "registry_dir", "url"):
        with pytest.raises(SettingsError, match="cannot be part of a path"):
            fill({key: "events/{home}/x"}, home(name))
    assert fill({"bucket": "{home}"}, home(name))["bucket"] == name


def test_a_fleet_in_parquet_files_reads_each_home_by_its_name_unless_set() -> None:
    assert with_defaults({"kind": "parquet_files", "path": "x"})["home"] == "{home}"
    assert with_defaults({"kind": "parquet_files", "home": "{folder}"})["home"] == "{folder}"
    assert "home" not in with_defaults({"kind": "csv_files", "path": "x"})
