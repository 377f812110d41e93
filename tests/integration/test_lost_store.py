"""A store that was lost, emptied or restored from a backup is noticed, and the command that is named repairs it."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.home import EVENTS, Home

FIRST, DAY = "2026-03-02", "2026-03-03"
MORE = """2026-03-03T09:00:00,light.kitchen,on,,
2026-03-03T09:30:00,light.kitchen,off,,
2026-03-04T08:00:00,light.kitchen,on,,
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose two days are computed; a copy of its store was made after the first."""
    home = Home(tmp_path, events=EVENTS + MORE)
    assert home.call("backfill", FIRST).exit_code == 0
    home.call("health")  # closes the store's log
    shutil.copy(tmp_path / "aggregates.db", tmp_path / "backup.db")
    result = home.call("backfill", FIRST, DAY)
    assert result.exit_code == 0, result.output
    return home


def rows_of(home: Home) -> dict[str, list[tuple[object, ...]]]:
    """The rows of both days but for when they were computed."""
    queries = {
        "runs": "SELECT date, detector, version, rows, events, reason FROM detector_run_daily "
        "WHERE date BETWEEN ? AND ? ORDER BY date, detector",
        "hours": "SELECT * FROM time_based_daily WHERE date BETWEEN ? AND ? ORDER BY date, entity_id",
        "episodes": "SELECT * FROM duration_daily WHERE date BETWEEN ? AND ? ORDER BY date, entity_id",
    }
    with closing(sqlite3.connect(home.folder / "aggregates.db")) as connection:
        return {name: connection.execute(query, (FIRST, DAY)).fetchall() for name, query in queries.items()}


def remove(home: Home) -> None:
    for file in home.folder.glob("aggregates.db*"):
        file.unlink()


def empty(home: Home) -> None:
    with closing(sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%_daily'")]
        for name in names:
            connection.execute(f"DELETE FROM {name}")  # noqa: S608 - the store's own tables


def restore_backup(home: Home) -> None:
    remove(home)
    shutil.copy(home.folder / "backup.db", home.folder / "aggregates.db")


@pytest.mark.parametrize(("lose", "count"), [(remove, 16), (empty, 16), (restore_backup, 8)])
def test_a_store_that_lost_days_is_noticed_everywhere_and_the_command_repairs_it(
    home: Home, lose: Callable[[Home], None], count: int
) -> None:
    expected = rows_of(home)
    lose(home)
    command = f"pattern-aggregates backfill {DAY if count == 8 else FIRST} {DAY} --redo lost"
    for words in (("status",), ("health",), ("doctor",), ("run",)):
        result = home.call(*words)
        said = " ".join(result.output.split())
        assert result.exit_code == 1, (words, said)
        assert f"the store lacks {count} of {35 if words == ('run',) else 16} detector days" in said, words
        assert command in said, words
    repaired = home.call(*command.split()[1:])
    assert repaired.exit_code == 0, repaired.output
    assert rows_of(home) == expected
    for calm in (["status", FIRST, DAY], ["run", "--day", DAY]):
        assert home.call(*calm).exit_code == 0


def test_older_results_of_a_day_that_was_computed_again_are_noticed(home: Home) -> None:
    home.call("health")
    shutil.copy(home.folder / "aggregates.db", home.folder / "backup.db")
    with (home.folder / "events.csv").open("a") as file:
        file.write("2026-03-03T12:00:00,light.kitchen,on,,\n2026-03-03T12:30:00,light.kitchen,off,,\n")
    assert home.call("backfill", DAY, "--redo", "all").exit_code == 0
    expected = rows_of(home)
    restore_backup(home)
    result = home.call("status", DAY)
    assert result.exit_code == 1
    assert "restored from an older backup" in result.output
    assert home.call("backfill", DAY, "--redo", "lost").exit_code == 0
    assert rows_of(home) == expected


def test_a_store_that_is_newer_than_the_ledger_has_lost_nothing(home: Home) -> None:
    ledger = home.folder / "ledger.db"
    with closing(sqlite3.connect(ledger)) as connection, closing(sqlite3.connect(home.folder / "old.db")) as old:
        connection.backup(old)
    with (home.folder / "events.csv").open("a") as file:
        file.write("2026-03-03T12:00:00,light.kitchen,on,,\n2026-03-03T12:30:00,light.kitchen,off,,\n")
    with closing(sqlite3.connect(home.folder / "old.db", isolation_level=None)) as old:
        old.execute("UPDATE entry SET updated_at = '2026-03-05T03:30:00+00:00'")
    assert home.call("backfill", DAY, "--redo", "all").exit_code == 0
    for left in home.folder.glob("ledger.db*"):
        left.unlink()
    shutil.move(home.folder / "old.db", ledger)
    assert home.call("status", FIRST, DAY).exit_code == 0


def test_days_that_the_source_no_longer_holds_are_reported_as_lost_and_never_silently(home: Home) -> None:
    remove(home)
    lines = (home.folder / "events.csv").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not re.match(r"2026-03-0[12]", line)]  # FIRST is purged
    (home.folder / "events.csv").write_text("".join(kept))
    found = home.call("backfill", FIRST, DAY, "--redo", "lost")
    said = " ".join(found.output.split())
    assert found.exit_code == 1
    assert f"1 day of what the store has lost ({FIRST} to {FIRST}) cannot be computed again" in said
    grid = {day: {cell["status"] for cell in detectors.values()} for day, detectors in status(home).items()}
    assert grid == {FIRST: {"lost"}, DAY: {"written"}}


def test_planning_a_repair_changes_nothing(home: Home) -> None:
    remove(home)
    planned = home.call("backfill", FIRST, DAY, "--redo", "lost", "--dry-run")
    assert "2 days would be worked on" in planned.output, planned.output
    assert {cell["status"] for day in status(home, exit_code=1).values() for cell in day.values()} == {"written"}
    assert not (home.folder / "aggregates.db").exists()


def status(home: Home, exit_code: int = 0) -> dict[str, dict[str, dict[str, str]]]:
    """What ``status`` says of each detector, by day."""
    result = home.call("status", FIRST, DAY, "--json")
    assert result.exit_code == exit_code, result.output
    return {day["day"]: day["detectors"] for day in json.loads(result.stdout)}


def drop_table(home: Home) -> None:
    with closing(sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE time_based_daily")


def delete_rows_of_a_day(home: Home) -> None:
    with closing(sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM time_based_daily WHERE date = ?", (DAY,))


def delete_a_row(home: Home) -> None:
    with closing(sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM time_based_daily WHERE date = ? AND entity_id = 'light.kitchen'", (DAY,))


@pytest.mark.parametrize(("lose", "count"), [(drop_table, 2), (delete_rows_of_a_day, 1), (delete_a_row, 1)])
def test_rows_that_are_gone_while_the_records_of_their_runs_stay_are_noticed_everywhere(
    home: Home, lose: Callable[[Home], None], count: int
) -> None:
    expected = rows_of(home)
    home.call("health")  # closes the store's log
    lose(home)
    command = f"pattern-aggregates backfill {FIRST if count == 2 else DAY} {DAY} --redo lost"
    for words in (("status",), ("health",), ("doctor",), ("run",)):
        result = home.call(*words)
        said = " ".join(result.output.split())
        assert result.exit_code == 1, (words, said)
        assert f"the store lacks {count} of " in said, words
        assert f"; of {count} of them it lacks only rows)" in said, words
        assert command in said, words
    repaired = home.call(*command.split()[1:])
    assert repaired.exit_code == 0, repaired.output
    assert rows_of(home) == expected
    assert home.call("status", FIRST, DAY).exit_code == 0
