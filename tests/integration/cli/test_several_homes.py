"""Commands about one of several homes that share a store and a ledger."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from storage.backends.parquet import ParquetStore
from storage.query import ALL_HOMES, TimeBasedDaily, open_query
from tests.support.home import CSV_CONFIG, EVENTS, Home

DAYS = ("2026-03-01", "2026-03-03")
QUERY = ("query", "time_based_daily", "2026-03-02", "2026-03-02", "--where", "entity_id=light.kitchen")


def named(folder: Path, name: str, *, zone: str = "Europe/Berlin", events: str = EVENTS) -> Home:
    """A home of its own name, in the store and the ledger of the folder."""
    config = CSV_CONFIG.replace("[home]\n", f'[home]\nname = "{name}"\n').replace("events.csv", f"{name}.csv")
    home = Home(folder, config.replace("Europe/Berlin", zone), events=None)
    home.config = home.config.rename(folder / f"{name}.toml")
    (folder / f"{name}.csv").write_text(events)
    return home


@pytest.fixture
def north(tmp_path: Path) -> Home:
    return named(tmp_path, "north")


@pytest.fixture
def south(tmp_path: Path, north: Home) -> Home:
    """A second home in another zone, both computed."""
    made = named(tmp_path, "south", zone="Asia/Tokyo", events=EVENTS.replace("light.kitchen", "light.hall"))
    for home in (north, made):
        assert home.call("backfill", *DAYS).exit_code == 0
    return made


def test_each_home_prints_its_own_rows_with_its_name(north: Home, south: Home) -> None:
    (row,) = north.json(*QUERY, "--json")
    assert (row["home"], row["entity_id"]) == ("north", "light.kitchen")
    assert list(row)[:2] == ["date", "home"]
    (record,) = csv.DictReader(io.StringIO(north.call(*QUERY, "--csv").stdout))
    assert record["home"] == "north"
    assert {row["home"] for row in south.json("query", "detector_run_daily", *DAYS, "--json")} == {"south"}
    with open_query(config=north.config, home=ALL_HOMES) as aggregates:
        homes = [row.home for row in aggregates.daily(TimeBasedDaily, "2026-03-02", allow_missing=True)]
    assert set(homes) == {"north", "south"}


def test_another_home_than_that_of_the_settings_can_be_named(north: Home, south: Home) -> None:
    expected = south.json("query", "time_based_daily", *DAYS, "--json")
    assert north.json("query", "time_based_daily", *DAYS, "--json", "--home", "south") == expected
    own = south.json("status", *DAYS, "--json")
    other = north.json("status", *DAYS, "--json", "--home", "south")
    assert {line["home"] for line in own} == {"south"}
    for mine, line in zip(own, other, strict=True):
        found = {name: cell["status"] for name, cell in line["detectors"].items()}
        written = {name for name, cell in mine["detectors"].items() if cell["status"] == "written"}
        assert {name for name, status in found.items() if status == "written"} == written
    words = ("explain", "time_based_daily", "2026-03-02", "--where", "entity_id=light.hall", "--json")
    (explained,) = north.json(*words, "--home", "south")
    assert explained["row"]["home"] == "south"
    assert "do not name the source" in str(explained["evidence"])
    (explained,) = south.json(*words)
    assert "do not name the source" not in str(explained["evidence"])
    out = north.folder / "south.html"
    assert north.json("report", *DAYS, "--out", str(out), "--json", "--home", "south")["home"] == "south"
    assert "hall" in out.read_text()
    assert "light.kitchen" not in out.read_text()


@pytest.mark.parametrize("words", [QUERY[:4], ("status",), ("explain", *QUERY[1:3]), ("report",)])
def test_a_home_that_is_not_stored_is_refused_with_the_nearest(
    north: Home, south: Home, words: tuple[str, ...]
) -> None:
    assert south.config.exists()
    result = north.call(*words, "--home", "nort")
    assert result.exit_code == 2
    assert "the store holds no home 'nort'" in result.stderr
    assert "Did you mean 'north'?" in result.stderr


def test_an_unnamed_home_among_named_ones_is_never_mixed_with_them(north: Home, south: Home) -> None:
    assert south.config.exists()
    unnamed = Home(north.folder)
    result = unnamed.call("query", "time_based_daily", *DAYS)
    assert result.exit_code == 2
    assert "no home without a name" in result.stderr
    assert unnamed.call("backfill", *DAYS).exit_code == 0
    (row,) = unnamed.json(*QUERY, "--json")
    assert "home" not in row
    assert len(north.json(*QUERY, "--json")) == 1


def test_a_forgotten_home_leaves_nothing_and_the_other_keeps_everything(north: Home, south: Home) -> None:
    before = south.json("query", "detector_run_daily", *DAYS, "--json"), south.json("status", *DAYS, "--json")
    assert north.call("away", "2026-03-02").exit_code == 0
    refused = south.call("forget", "north")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert len(north.json(*QUERY, "--json")) == 1
    found = south.json("forget", "north", "--yes", "--json")
    assert found["left"] == {"store": 0, "ledger": 0, "files": 0}
    assert found["deleted"]["files"] == 1
    assert found["deleted"]["store"] > 0
    assert found["deleted"]["ledger"] > 0
    assert south.call("forget", "north", "--yes").exit_code == 2
    assert south.json("query", "detector_run_daily", *DAYS, "--json") == before[0]
    assert south.json("status", *DAYS, "--json") == before[1]
    assert north.call("backfill", *DAYS).exit_code == 0
    assert len(north.json(*QUERY, "--json")) == 1


def test_a_home_is_forgotten_in_a_folder_of_exported_rows_too_also_when_the_store_has_forgotten_it(
    north: Home, south: Home
) -> None:
    rows = str(north.folder / "rows")
    assert south.call("export", *DAYS, "--parquet", rows, "--all-homes").exit_code == 0
    missing = south.call("forget", "north", "--yes", "--parquet", str(north.folder / "none"))
    assert missing.exit_code == 2
    assert "is not a folder" in missing.stderr
    assert len(north.json(*QUERY, "--json")) == 1
    assert south.call("forget", "north", "--yes").exit_code == 0
    found = south.json("forget", "north", "--yes", "--parquet", rows, "--json")
    assert found["left"] == {"store": 0, "ledger": 0, "files": 0, "exported": 0}
    assert found["deleted"]["exported"] > 0
    assert found["deleted"]["store"] == 0
    assert ParquetStore(rows, home=None).homes() == ["south"]


def test_a_name_that_no_store_could_keep_is_refused_in_settings_and_options(tmp_path: Path, north: Home) -> None:
    assert "not a valid name of a home" in north.call("status", "--home", "a\nb").stderr
    (tmp_path / "odd.toml").write_text('[home]\nname = "ends\\\\"\n')
    odd = Home(tmp_path)
    odd.config = tmp_path / "odd.toml"
    result = odd.call("status")
    assert result.exit_code == 78
    assert "not a valid name of a home" in result.stderr


def test_a_home_that_gets_a_name_is_told_that_its_days_until_then_have_none(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG)
    home.call("backfill", *DAYS)
    home.config.write_text(home.config.read_text().replace("[home]\n", '[home]\nname = "north"\n'))
    said = "the ledger has 3 days of this home without a name, up to 2026-03-03; with the name north it begins anew"
    assert said in home.call("backfill", *DAYS).stderr
    assert said not in home.call("init").stderr
    other = named(tmp_path, "south")
    assert "without a name" not in other.call("init").output
