"""A source or store that is missing, locked or foreign loses nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from storage.drivers import sql
from tests.support.home import Home


def test_a_source_that_is_not_there_exits_75_and_loses_nothing(home: Home) -> None:
    (home.folder / "events.csv").rename(home.folder / "elsewhere.csv")
    report = home.json("backfill", "2026-03-01", "2026-03-03", "--json", exit_code=75)
    assert "no file matches" in report["notices"][0]
    (home.folder / "elsewhere.csv").rename(home.folder / "events.csv")
    assert len(home.json("backfill", "2026-03-01", "2026-03-03", "--json")["days"]) == 3


def test_a_store_that_is_locked_exits_75_and_the_day_is_staged(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.call("init")
    monkeypatch.setattr(sql, "MAX_LOCK_WAIT_SECONDS", 0.1)
    other = sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    report = home.json("backfill", "2026-03-02", "2026-03-02", "--json", exit_code=75)
    assert report["days"][0]["status"] == "staged"
    assert "locked" in report["days"][0]["error"]
    (line,) = home.json("status", "2026-03-02", "--json")
    assert line["detectors"]["time_based"]["status"] == "staged"
    other.execute("ROLLBACK")
    other.close()
    assert home.json("backfill", "2026-03-02", "2026-03-02", "--json")["days"][0]["status"] == "written"


def test_another_programs_database_is_not_taken_for_the_store(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with sqlite3.connect(tmp_path / "aggregates.db") as other:
        other.execute("CREATE TABLE states (state_id INTEGER)")
    other.close()
    before = (tmp_path / "aggregates.db").read_bytes()
    assert "another program" in home.json("backfill", "2026-03-02", "2026-03-02", "--json", exit_code=78)["error"]
    assert home.call("query", "time_based", "2026-03-02", "2026-03-02").exit_code == 78
    assert (tmp_path / "aggregates.db").read_bytes() == before
    with sqlite3.connect(tmp_path / "aggregates.db") as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("states",)]
    other.close()


@pytest.mark.parametrize("name", ["aggregates.db", "ledger.db"])
def test_another_programs_database_ends_every_command_alike_whichever_file_it_is(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path)
    with sqlite3.connect(tmp_path / name) as other:
        other.execute("CREATE TABLE theirs (number INTEGER)")
    other.close()
    before = (tmp_path / name).read_bytes()
    for words in (["run"], ["backfill", "2026-03-02"], ["init"], ["status"], ["health"], ["doctor"]):
        result = home.call(*words)
        assert result.exit_code == 78, (words, result.output)
        said = " ".join(result.output.split())
        assert "names a database of another program" in said, words
        assert "(it has theirs ...)" in said, words
    assert (tmp_path / name).read_bytes() == before
