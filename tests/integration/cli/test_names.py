"""People read names, programs read ids; and a mistyped entity or area is no empty answer."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Final

import pytest

from jobs.activity.window import to_instant
from tests.support.home import CSV_CONFIG, Home
from tests.support.recorder import RecorderDatabase, StateRow

START: Final = to_instant(dt.datetime(2026, 3, 1, 22, tzinfo=dt.UTC))
HOUR: Final = 3_600_000_000
RECORDER_CONFIG: Final = CSV_CONFIG.replace(
    'kind = "csv_files"\npath = "events.csv"',
    'kind = "home_assistant_db"\nurl = "sqlite:///home-assistant_v2.db"\nregistry_dir = "storage"',
)


@pytest.fixture
def recorded(tmp_path: Path) -> Home:
    """A home of three days in a recorder database; one entity is in the registry, the other has its attribute only."""
    with RecorderDatabase(tmp_path / "home-assistant_v2.db") as recorder:
        recorder.run(START, START + 72 * HOUR)
        recorder.describe("light.kitchen", {"friendly_name": "An old name"})
        recorder.describe("light.desk", {"friendly_name": "Desk \x1b[31mlamp"})
        recorder.write(
            StateRow(START + number * HOUR // 2, entity_id, ("on", "off")[number % 2])
            for number in range(140)
            for entity_id in ("light.kitchen", "light.desk")
        )
    storage = tmp_path / "storage"
    storage.mkdir()
    entity = {"entity_id": "light.kitchen", "device_id": "d", "original_name": "Ceiling", "has_entity_name": True}
    for name, key, entries in (
        ("entity", "entities", [entity]),
        ("device", "devices", [{"id": "d", "name": "Hue 7", "name_by_user": "Kitchen", "area_id": "galley"}]),
        ("area", "areas", [{"id": "galley", "name": "Kitchen and pantry"}]),
    ):
        (storage / f"core.{name}_registry").write_text(json.dumps({"data": {key: entries}}), encoding="utf-8")
    home = Home(tmp_path, RECORDER_CONFIG, events=None)
    assert home.call("backfill", "2026-03-02", "2026-03-03").exit_code == 0
    return home


def test_tables_and_sentences_have_names_and_json_and_csv_have_ids(recorded: Home) -> None:
    words = ("query", "time_based", "2026-03-02")
    assert "Kitchen Ceiling" in recorded.call(*words).stdout
    assert "light.kitchen" not in recorded.call(*words).stdout
    rooms = recorded.call("query", "room_based", "2026-03-02").stdout
    assert ("Kitchen and pantry" in rooms, "Kitchen Ceiling" in rooms, "light.kitchen" in rooms) == (True, True, False)
    assert {row["entity_id"] for row in recorded.json(*words, "--format", "json")} == {"light.kitchen", "light.desk"}
    assert "light.kitchen" in recorded.call(*words, "--format", "csv").stdout
    assert "Kitchen Ceiling was active" in recorded.call("explain", "time_based", "2026-03-02").stdout
    (one, *_) = recorded.json("explain", "time_based", "2026-03-02", "--json")
    assert one["sentence"].startswith("light.desk was active")


def test_escape_sequences_in_a_name_never_reach_the_terminal(recorded: Home) -> None:
    shown = recorded.call("query", "time_based", "2026-03-02").stdout
    assert "Desk \\x1b[31mlamp" in shown
    assert "\x1b[31m" not in shown


def test_a_database_that_is_gone_leaves_the_names_of_the_registry(recorded: Home) -> None:
    (recorded.folder / "home-assistant_v2.db").unlink()
    result = recorded.call("query", "time_based", "2026-03-02")
    assert (result.exit_code, "Kitchen Ceiling" in result.stdout, "light.desk" in result.stdout) == (0, True, True)


@pytest.mark.parametrize("command", ["query", "explain"])
@pytest.mark.parametrize(
    ("measurement", "where", "hint"),
    [
        ("time_based", "entity_id=light.kitchn", "did you mean light.kitchen?"),
        ("time_based", "entity_id=Kitchen ceiling", "did you mean light.kitchen?"),
        ("room_based", "area_id=gally", "did you mean galley?"),
        ("time_based", "entity_id=zzz", "Known are light.desk and light.kitchen."),
    ],
)
def test_a_mistyped_entity_or_area_is_an_error_with_the_nearest_one(
    recorded: Home, command: str, measurement: str, where: str, hint: str
) -> None:
    result = recorded.call(command, measurement, "2026-03-02", "--where", where)
    assert (result.exit_code, hint in result.stderr) == (2, True), result.output


def test_an_entity_that_is_known_but_has_no_rows_on_the_days_is_no_error(recorded: Home) -> None:
    result = recorded.call("query", "time_based", "2026-02-01", "--where", "entity_id=light.kitchen")
    assert (result.exit_code, result.stdout.strip()) == (0, "no rows")


def test_an_entity_without_anomalies_is_no_unknown_entity(recorded: Home) -> None:
    result = recorded.call("query", "anomaly", "2026-03-02", "--where", "entity_id=light.kitchen")
    assert (result.exit_code, result.stdout.strip()) == (0, "no rows")


@pytest.mark.parametrize(
    ("pair", "exit_code"), [("light.desk|light.kitchen", 0), ("light.desk|light.kitchn", 2), ("light.desk", 0)]
)
def test_both_entities_of_a_pair_are_checked(recorded: Home, pair: str, exit_code: int) -> None:
    result = recorded.call("query", "co_occurrence", "2026-02-01", "--where", f"device_pair={pair}")
    assert result.exit_code == exit_code, result.output


def test_muting_proposes_the_id_for_a_name(recorded: Home) -> None:
    result = recorded.call("mute", "Kitchen ceiling")
    assert (result.exit_code, "did you mean light.kitchen?" in result.stderr) == (2, True)
