"""A fleet whose homes share a bucket: each has the rows that it has in an SQLite file, told apart by a tag."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from jobs.cli import app
from jobs.outcome import Outcome
from tests.integration.test_fleet import CONFIG, Homes, some_homes
from tests.support.influxdb import LiveServer

SQLITE: Final = 'url = "sqlite:///aggregates.db"\nretention_days = 0'


def fleet_in(server: LiveServer, folder: Path) -> Homes:
    folder.mkdir()
    bucket = f"{server.new_bucket()}_daily"
    store = (
        f'kind = "influxdb"\nurl = "{server.url}"\nbucket = "{bucket}"\nretention_days = 0\nrollup_retention_days = 0'
    )
    if server.org:
        store += f'\norg = "{server.org}"\ntoken = "{server.token}"'
    assert SQLITE in CONFIG
    return Homes(folder, CONFIG.replace(SQLITE, store))


def test_each_home_has_the_rows_of_an_sqlite_fleet(influxdb: LiveServer, tmp_path: Path) -> None:
    shared, expected = fleet_in(influxdb, tmp_path / "influxdb"), Homes(tmp_path)
    for homes in (shared, expected):
        report = homes.run(homes.catalogue(some_homes()))
        assert (report.outcome, report.done) == (Outcome.DONE, 4)
        again = homes.run(homes.catalogue(some_homes()))
        assert (again.due, again.nothing_due) == (0, 4)
    assert shared.rows() == expected.rows()
    assert {row[2] for row in shared.rows()} == {*some_homes()}


def test_one_home_is_forgotten_and_the_others_stay(influxdb: LiveServer, tmp_path: Path) -> None:
    homes = fleet_in(influxdb, tmp_path / "influxdb")
    homes.run(homes.catalogue(some_homes(3)))
    before = homes.rows()
    of_one_home = homes.folder / "home.toml"
    of_one_home.write_text(homes.config.read_text(encoding="utf-8").replace('"{seed}"', "1"), encoding="utf-8")
    words = ["--config", str(of_one_home), "forget", "h1", "--yes"]
    result = CliRunner().invoke(app.app, words, prog_name=app.NAME)
    assert result.exit_code == 0, result.output
    assert homes.rows() == [row for row in before if row[2] != "h1"]
    assert {row[2] for row in homes.rows()} == {"h0", "h2"}
    report = homes.run(homes.catalogue(some_homes(3)))
    assert (report.due, report.done) == (1, 1)
    assert homes.rows() == before
