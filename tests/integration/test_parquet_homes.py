"""Homes whose raw events lie together in Parquet files, from settings to rows, to exported rows and back."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.window import to_instant
from tests.support.home import CSV_CONFIG, EVENTS, ROOT, Home
from tests.support.parquet_events import EventRow, write_events

DAYS = ("2026-03-01", "2026-03-03")
NAMES = ("north", "south")
CONFIG = CSV_CONFIG.replace(
    'kind = "csv_files"\npath = "events.csv"', 'kind = "parquet_files"\npath = "events"\nhome = "{home}"'
).replace("[home]\n", '[home]\nname = "{home}"\n')


def events_of(home: str, text: str) -> list[EventRow]:
    """Return the lines of a CSV file as rows of a home."""
    rows = []
    for line in text.splitlines()[1:]:
        time, entity_id, state, area, device_class = line.split(",")
        moment = dt.datetime.fromisoformat(time).replace(tzinfo=ZoneInfo("Europe/Berlin"))
        rows.append(EventRow(home, entity_id, to_instant(moment), state, area or None, device_class or None))
    return rows


def texts() -> dict[str, str]:
    return {"north": EVENTS, "south": EVENTS.replace("kitchen", "cellar").replace("T07:30", "T07:45")}


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, Home]:
    """Two homes with one folder of events, one store and one ledger."""
    write_events(tmp_path / "events", [row for name, text in texts().items() for row in events_of(name, text)])
    made = {}
    for name in NAMES:
        home = Home(tmp_path, CONFIG.replace("{home}", name), events=None)
        home.config = tmp_path / f"{name}.toml"
        (tmp_path / "config.toml").rename(home.config)
        made[name] = home
    return made


def test_each_home_has_the_rows_that_a_csv_file_of_its_own_gives(homes: dict[str, Home], tmp_path: Path) -> None:
    for home in homes.values():
        result = home.call("backfill", *DAYS)
        assert result.exit_code == 0, result.output
    for name, home in homes.items():
        folder = tmp_path / f"{name} alone"
        folder.mkdir()
        alone = Home(folder, events=texts()[name])
        assert alone.call("backfill", *DAYS).exit_code == 0
        for measurement in ("time_based_daily", "duration_daily", "active_time_daily", "room_based_daily"):
            expected = alone.json("query", measurement, *DAYS, "--json")
            found = home.json("query", measurement, *DAYS, "--json")
            assert [{**row, "home": name} for row in expected] == [dict(row) for row in found]
            assert found or measurement == "room_based_daily"
    again = homes["north"].call("run", "--day", DAYS[1])
    assert again.exit_code == 0


def test_rows_of_both_homes_are_exported_and_read_back(homes: dict[str, Home], tmp_path: Path) -> None:
    for home in homes.values():
        assert home.call("backfill", *DAYS).exit_code == 0
    document = homes["north"].json("export", *DAYS, "--parquet", str(tmp_path / "rows"), "--all-homes", "--json")
    assert document["homes"] == 2
    one = homes["south"].json("export", *DAYS, "--parquet", str(tmp_path / "one"), "--json")
    assert 0 < one["rows"]["time_based_daily"] < document["rows"]["time_based_daily"]
    for home in homes.values():
        before = home.json("query", "time_based_daily", *DAYS, "--json")
        exported = home.config.read_text().replace(
            '[store]\nurl = "sqlite:///aggregates.db"\nretention_days = 0', '[store]\nkind = "parquet"\npath = "rows"'
        )
        home.config.write_text(exported)
        assert home.json("query", "time_based_daily", *DAYS, "--json") == before != []


def test_a_home_that_the_files_do_not_hold_is_named_and_nothing_is_written(homes: dict[str, Home]) -> None:
    home = homes["north"]
    home.config.write_text(home.config.read_text().replace('home = "north"', 'home = "nroth"'))
    result = home.call("run")
    assert result.exit_code == 78
    assert "has no row of the home 'nroth'" in " ".join(result.output.split())
    assert "source.home" in result.output


def test_a_ledger_of_one_home_is_not_used_for_another_of_the_same_files(homes: dict[str, Home]) -> None:
    home = homes["north"]
    assert home.call("backfill", *DAYS).exit_code == 0
    home.config.write_text(home.config.read_text().replace('events"\nhome = "north"', 'events"\nhome = "south"'))
    result = home.call("backfill", *DAYS, "--redo", "all")
    assert result.exit_code == 78
    assert "another home" in " ".join(result.output.split())


def test_without_pyarrow_the_extra_is_named(homes: dict[str, Home]) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\nfrom jobs.cli import app\n"
        f"app.app(['--config', {str(homes['north'].config)!r}, 'run'])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 78
    assert "Install pattern-aggregates[parquet]" in " ".join(result.stderr.split())
