"""A home whose ledger and store version 0.1.0 made: upgraded by the first command that writes, with the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa

from storage.ledger.schema import SCHEMA_VERSION
from tests.support.earlier_version import (
    CHAINS,
    DIALECTS,
    FORMER,
    PAIRS,
    PRESENT,
    TABLES,
    chain,
    pair,
    staged,
    write_ledger,
)
from tests.support.home import CSV_CONFIG, Home

WRITTEN_DAY: Final = "2026-03-02"
STAGED_DAY: Final = "2026-03-03"
DAYS: Final = (WRITTEN_DAY, STAGED_DAY)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A day that is written, a day that is staged, with each former value, and no raw events any more."""
    keys = [(str(place), wired) for place, wired in enumerate(FORMER)]
    write_ledger(
        tmp_path / "ledger.db",
        [
            *({"day": WRITTEN_DAY, "detector": one, "rows": len(keys)} for one in ("co_occurrence", "sequence")),
            {"day": WRITTEN_DAY, "detector": "duration", "kept": "1 def"},
            staged("co_occurrence", STAGED_DAY, [pair(*one) for one in keys]),
            staged("sequence", STAGED_DAY, [chain(*one) for one in keys]),
        ],
    )
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'aggregates.db'}")
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(sa.text(statement.format(**DIALECTS["sqlite"])))
        for insert in (PAIRS, CHAINS):
            connection.execute(insert, [{"date": WRITTEN_DAY, "key": key, "wired": wired} for key, wired in keys])
    engine.dispose()
    return Home(tmp_path, CSV_CONFIG, events=None)


def rows(home: Home, measurement: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.json("query", measurement, *DAYS, "--format", "json")
    return found


def test_the_first_command_that_writes_upgrades_both_and_the_rows_are_the_same(home: Home) -> None:
    report = home.json("run", "--json", exit_code=75)  # there is no source, which is said; what was staged is written
    (day,) = (day for day in report["days"] if day["day"] == STAGED_DAY)
    assert {day["detectors"][name]["status"] for name in ("co_occurrence", "sequence")} == {"written"}
    pairs, chains = rows(home, "co_occurrence"), rows(home, "sequence")
    assert [(row["date"], row["linked_by"]) for row in pairs] == [(one, link) for one in DAYS for link in PRESENT]
    assert [(row["date"], row["linked_by"]) for row in chains] == [(one, link) for one in DAYS for link in PRESENT]
    assert {tuple(map(str, (row["co_occurrence_count"], row["typical_hours"]))) for row in pairs} == {("3", "[7]")}
    assert [row["confidence"] for row in pairs] == [0.5] * 4 + [0.1 + 0.2] * 4
    assert chains[-1]["sequence"] == ["light.küche:on", "light.b:on"]
    grid = home.json("status", *DAYS, "--json", exit_code=75)
    assert [line["detectors"]["sequence"]["status"] for line in grid] == ["written", "written"]


def test_init_upgrades_both_and_says_so_once(home: Home) -> None:
    first = home.call("init").stdout
    assert "renamed column sequence_daily.wired to linked_by" in first
    assert f"from schema version 1 to {SCHEMA_VERSION}" in first
    assert home.call("init").stdout == "nothing to change\n"


@pytest.mark.parametrize("command", ["status", "health", "doctor"])
def test_a_command_that_only_looks_says_how_to_upgrade_and_changes_nothing(home: Home, command: str) -> None:
    before = (home.folder / "ledger.db").read_bytes()
    looked = home.call(command)
    assert looked.exit_code == 1
    assert f"has schema version 1, this program uses version {SCHEMA_VERSION}" in looked.output
    assert "database answers" not in looked.output
    assert (home.folder / "ledger.db").read_bytes() == before
