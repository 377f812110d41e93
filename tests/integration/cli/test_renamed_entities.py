"""After an entity was renamed in Home Assistant: its rows are found, and explained by the events they came from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.window import MINUTE, SECOND, midnight
from storage.query import open_query
from tests.support.home import CSV_CONFIG, Home
from tests.support.recorder import RecorderDatabase, StateRow

ZONE: Final = ZoneInfo("Europe/Berlin")
FIRST, LAST = dt.date(2026, 3, 2), dt.date(2026, 3, 3)
FORMER: Final = "light.hall"


def ways(day: dt.date, light: str) -> list[StateRow]:
    """Six times: the door opens, the light and the fan go on, and off half an hour later."""
    rows = [StateRow(midnight(day, ZONE) + n * 5 * MINUTE, "sensor.heartbeat", str(n % 7)) for n in range(288)]
    for number in range(6):
        at = midnight(day, ZONE) + (420 + 121 * number) * MINUTE
        for entity_id, on, off in (("binary_sensor.door", 0, 20), (light, 8, 1500), ("switch.fan", 15, 1320)):
            rows += [StateRow(at + on * SECOND, entity_id, "on"), StateRow(at + off * SECOND, entity_id, "off")]
    return sorted(rows, key=lambda row: row.at)


@pytest.fixture(params=["light.zz_new", "binary_sensor.aa", None], ids=["later in the order", "first", "removed"])
def present(request: pytest.FixtureRequest) -> str | None:
    """The name of the light from the second day on; None: it is gone."""
    name: str | None = request.param
    return name


@pytest.fixture
def home(tmp_path: Path, present: str | None) -> Home:
    """Two days, the second after the rename; both are computed, and the first is explained in each test."""
    source = 'kind = "home_assistant_db"\nurl = "sqlite:///home-assistant_v2.db"'
    home = Home(tmp_path, CSV_CONFIG.replace('kind = "csv_files"\npath = "events.csv"', source))
    with RecorderDatabase(tmp_path / "home-assistant_v2.db") as recorder:
        recorder.run(midnight(FIRST - dt.timedelta(1), ZONE), None)
        recorder.describe("sensor.heartbeat", {"unit_of_measurement": "°C"})
        recorder.describe("binary_sensor.door", {"device_class": "door"})
        for day in (FIRST - dt.timedelta(1), FIRST):
            recorder.write(ways(day, FORMER))
        assert home.call("backfill", str(FIRST), str(FIRST)).exit_code == 0
        if present is None:
            recorder.connection.execute(
                "DELETE FROM states WHERE metadata_id = (SELECT metadata_id FROM states_meta WHERE entity_id = ?)",
                (FORMER,),
            )
            recorder.connection.execute("DELETE FROM states_meta WHERE entity_id = ?", (FORMER,))
        else:
            recorder.connection.execute("UPDATE states_meta SET entity_id = ? WHERE entity_id = ?", (present, FORMER))
        recorder.connection.commit()
    with RecorderDatabase(tmp_path / "home-assistant_v2.db") as recorder:
        recorder.write(row for row in ways(LAST, present or "switch.fan"))
    assert home.call("backfill", str(LAST), str(LAST)).exit_code == 0
    return home


@pytest.mark.parametrize("measurement", ["time_based", "duration", "active_time", "co_occurrence", "sequence"])
def test_rows_of_the_former_name_are_explained_by_the_events_they_came_from(
    home: Home, present: str | None, measurement: str
) -> None:
    explained = home.json("explain", measurement, str(FIRST), "--json")
    about_light = [one for one in explained if FORMER in str(one["row"])]
    assert about_light
    for one in about_light:
        evidence, row = one["evidence"], one["row"]
        if present is None:
            assert evidence["notes"] == [f"as stored: the source now has no entity {FORMER}"]
        elif measurement == "time_based":
            assert [line[1] for line in evidence["lines"]] == row["hourly_distribution"]
        else:
            counts = {"duration": "episodes", "co_occurrence": "co_occurrence_count", "sequence": "frequency"}
            assert len(evidence["lines"]) >= row.get(counts.get(measurement, ""), 6)


def test_rows_of_both_names_are_found_by_asking_for_both(home: Home, present: str | None) -> None:
    names = [FORMER, *([present] if present else [])]
    with open_query(config=home.config) as aggregates:
        rows = aggregates.involving(names, FIRST, LAST)
    kinds = {f"{name}_daily" for name in ("time_based", "duration", "active_time", "bout_times")}
    kinds |= {"co_occurrence_daily", "sequence_daily"}
    for day in (FIRST, LAST) if present else (FIRST,):
        assert {row.measurement for row in rows if row.date == day} == kinds
    globs = [argument for name in names for argument in ("--where", f"device_pair=*{name}*")]
    pairs = home.json("query", "co_occurrence", str(FIRST), str(LAST), *globs, "--json")
    assert len(pairs) == sum(row.measurement == "co_occurrence_daily" for row in rows)
