"""Many homes: each has what it would have alone, each local day once, and a broken one costs nobody else."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from jobs.cli import app
from jobs.fleet.catalogue import Catalogue, CatalogueHome
from jobs.fleet.dispatch import OpenEngine
from jobs.fleet.executors import process_pool
from jobs.fleet.fleet import Fleet, open_fleet
from jobs.fleet.report import FleetReport
from jobs.fleet.run import FleetRun
from jobs.outcome import Outcome
from storage.connect import open_store
from storage.dates import DateRange
from storage.errors import SettingsError
from storage.models import DetectorRunDaily, TimeBasedDaily
from storage.query import open_query
from tests.support.fleet_engine import in_this_process

NOW = dt.datetime(2026, 3, 4, 5, 30, tzinfo=dt.UTC)
"""In Apia it is the 4th, 18:30; in Berlin 06:30; in Honolulu still the 3rd, 19:30."""

CONFIG = """
[source]
kind = "simulated_home"
seed = "{seed}"
events_per_day = 500
first_day = 2026-03-01
[store]
url = "sqlite:///aggregates.db"
retention_days = 0
[ledger]
path = "ledger.db"
"""
ZONES = ("Pacific/Apia", "Europe/Berlin", "Pacific/Honolulu", "UTC")
DAYS = DateRange(dt.date(2026, 3, 1), dt.date(2026, 3, 10))


class Homes:
    """A folder with the settings of a fleet."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder = folder
        self.config = folder / "fleet.toml"
        self.config.write_text(config, encoding="utf-8")

    def catalogue(self, rows: Mapping[str, tuple[str, str]]) -> Catalogue:
        """Return homes by their names, each with zone and seed."""
        homes = {
            name: CatalogueHome(name, zone, {"home": name, "time_zone": zone, "seed": seed})
            for name, (zone, seed) in rows.items()
        }
        return Catalogue(homes, {}, ("home", "time_zone", "seed"))

    def fleet(self, now: dt.datetime = NOW) -> Fleet:
        return open_fleet(self.config, clock=lambda: now)

    def run(
        self, catalogue: Catalogue, now: dt.datetime = NOW, days: DateRange | None = None, **options: Any
    ) -> FleetReport:
        return self.prepared(catalogue, now).run(None if days is None else lambda _today: days, **options)

    def prepared(self, catalogue: Catalogue, now: dt.datetime = NOW, engine: OpenEngine = in_this_process) -> FleetRun:
        return FleetRun(self.fleet(now), catalogue, engine, 1, self.config)

    def rows(self) -> list[tuple[Any, ...]]:
        """All rows of two kinds, without the instants at which they were computed."""
        store = open_store(self.fleet().common.store_settings, home=None, read_only=True)
        try:
            found = [*store.read(TimeBasedDaily, DAYS), *store.read(DetectorRunDaily, DAYS)]
        finally:
            store.close()
        return sorted((row.measurement, *map(str, row.model_dump(exclude={"computed_at"}).values())) for row in found)

    def call(self, *words: str) -> Result:
        return CliRunner().invoke(app.app, ["--config", str(self.config), "fleet", *words], prog_name=app.NAME)


def some_homes(count: int = 4) -> dict[str, tuple[str, str]]:
    return {f"h{number}": (ZONES[number % len(ZONES)], str(number)) for number in range(count)}


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    return Homes(tmp_path)


def test_each_home_has_the_rows_that_it_would_have_alone(tmp_path: Path) -> None:
    together = Homes(_folder(tmp_path, "together"))
    assert together.run(together.catalogue(some_homes())).outcome is Outcome.DONE
    alone = []
    for name, about in some_homes().items():
        one = Homes(_folder(tmp_path, name))
        one.run(one.catalogue({name: about}))
        alone += one.rows()
    assert together.rows() == sorted(alone)
    assert together.rows()


def test_each_home_has_every_local_day_once_from_apia_to_honolulu(homes: Homes) -> None:
    catalogue = homes.catalogue(some_homes())
    worked: dict[str, list[str]] = {}
    hour = dt.timedelta(hours=1)
    for hours in range(0, 49, 6):
        report = homes.run(catalogue, NOW + hours * hour)
        assert report.outcome is Outcome.DONE
        worked[str(hours)] = sorted(report.days)
    with closing(sqlite3.connect(homes.folder / "aggregates.db")) as database:
        counted = database.execute(
            "SELECT home, detector, date, count(*) FROM detector_run_daily "
            "WHERE detector = 'time_based' GROUP BY 1, 2, 3"
        ).fetchall()
    assert {count for *_, count in counted} == {1}
    last = {home: max(day for name, _, day, _ in counted if name == home) for home in some_homes()}
    assert last == {"h0": "2026-03-05", "h1": "2026-03-05", "h2": "2026-03-04", "h3": "2026-03-05"}
    first = {home: min(day for name, _, day, _ in counted if name == home) for home in some_homes()}
    assert set(first.values()) == {"2026-03-01"}


def test_a_home_is_due_when_its_own_day_is_over_and_not_before(homes: Homes) -> None:
    catalogue = homes.catalogue(some_homes())
    homes.run(catalogue)
    again = homes.run(catalogue)
    assert (again.due, again.nothing_due) == (0, 4)
    midnight_in_honolulu = dt.datetime(2026, 3, 4, 10, 0, tzinfo=dt.UTC)
    before = homes.run(catalogue, midnight_in_honolulu - dt.timedelta(seconds=1))
    assert (before.due, before.nothing_due) == (0, 4)
    after = homes.run(catalogue, midnight_in_honolulu + dt.timedelta(seconds=1))
    assert (after.due, after.done) == (1, 1)


def test_days_of_the_far_future_are_left_for_later_in_every_zone(homes: Homes) -> None:
    report = homes.run(homes.catalogue(some_homes()), days=DateRange(dt.date.max, dt.date.max))
    assert (report.due, report.not_over) == (0, 4)


def test_days_that_are_not_over_in_a_zone_are_left_for_later(homes: Homes) -> None:
    named = DateRange(dt.date(2026, 3, 3), dt.date(2026, 3, 3))
    report = homes.run(homes.catalogue(some_homes()), days=named)
    assert (report.done, report.not_over) == (3, 1)
    assert report.outcome is Outcome.DONE
    late = homes.run(homes.catalogue(some_homes()), NOW + dt.timedelta(hours=5), days=named)
    assert (late.done, late.nothing_due, late.not_over) == (1, 3, 0)


def test_broken_homes_are_named_with_their_reasons_and_the_others_are_written(homes: Homes) -> None:
    rows = some_homes(12)
    rows["not a seed"] = ("UTC", "many")
    rows["twin"] = rows["h1"][0], "1"
    catalogue = homes.catalogue(rows)
    broken = Catalogue(catalogue.homes, {"lost": "line 9: 'Mars' is not a valid IANA time zone"}, catalogue.columns)
    report = homes.run(broken)
    assert report.outcome is Outcome.INCOMPLETE
    assert report.done == 12
    assert set(report.failing) == {"not a seed", "twin", "lost"}
    assert "source.seed" in report.failing["not a seed"]
    assert "the same raw events as h1" in report.failing["twin"]
    assert {row[2] for row in homes.rows()} == set(some_homes(12))
    again = homes.run(broken)
    assert (again.nothing_due, again.failed) == (12, 3)


def test_a_home_whose_history_is_not_its_own_is_refused(homes: Homes) -> None:
    homes.run(homes.catalogue({"a": ("UTC", "1")}))
    report = homes.run(homes.catalogue({"a": ("UTC", "2")}), NOW + dt.timedelta(days=1))
    assert set(report.failing) == {"a"}
    assert "seed 1" in report.failing["a"]


def test_days_past_the_retention_are_deleted_for_all_homes_unless_only_the_clock_is_ahead(tmp_path: Path) -> None:
    homes = Homes(tmp_path, CONFIG.replace("retention_days = 0", "retention_days = 3"))
    catalogue = homes.catalogue(some_homes())
    homes.run(catalogue)
    before = homes.rows()
    ahead = NOW + dt.timedelta(days=400)
    assert homes.prepared(catalogue, ahead).plan(FleetReport()).newest is None
    homes.fleet(ahead).prepare(None)
    assert homes.rows() == before
    homes.fleet().prepare(dt.date(2026, 3, 5))
    kept = {row[1] for row in homes.rows() if row[0] == TimeBasedDaily.measurement}
    assert kept == {"2026-03-02", "2026-03-03"}


@pytest.mark.timeout(240)
def test_two_fleets_at_once_end_in_the_rows_of_one(tmp_path: Path) -> None:
    alone = Homes(_folder(tmp_path, "alone"))
    alone.run(alone.catalogue(some_homes()))
    both = Homes(_folder(tmp_path, "both"))
    catalogue = both.catalogue(some_homes())
    reports: list[FleetReport] = []

    def run() -> None:
        reports.append(both.prepared(catalogue, engine=partial(process_pool, 1)).run())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.outcome for report in reports] == [Outcome.DONE] * 2
    assert both.rows() == alone.rows()


def test_only_the_zones_that_are_asked_for_are_worked_on(homes: Homes) -> None:
    report = homes.run(homes.catalogue(some_homes()), zones={"Pacific/Apia"})
    assert (report.due, report.done) == (1, 1)
    assert {row[2] for row in homes.rows()} == {"h0"}


def test_status_counts_homes_by_state_and_names_the_oldest_day_and_the_reasons(homes: Homes) -> None:
    catalogue = homes.catalogue(some_homes())
    run = homes.prepared(catalogue)
    assert run.status().document()["homes"]["due"] == 4
    homes.run(catalogue)
    assert run.status().document()["homes"] == {
        **dict.fromkeys(run.status().document()["homes"], 0),
        "done": 4,
    }
    assert run.status().document()["oldest_home"] is None
    with closing(sqlite3.connect(homes.folder / "ledger.db")) as ledger, ledger:
        ledger.execute(
            "UPDATE entry SET status = 'failed', error = 'no memory' "
            "WHERE home IN ('h0', 'h1') AND day = '2026-03-02' AND detector = 'duration'"
        )
    status = run.status()
    assert (status.homes["failed"], status.homes["done"]) == (2, 2)
    assert (status.oldest_due, status.oldest_home) == (dt.date(2026, 3, 2), "h0")
    assert status.document()["oldest_home"] == "h0"
    assert status.document()["reasons"] == [{"reason": "duration: no memory", "homes": 2, "example": "h0"}]


def test_a_worker_with_other_settings_computes_nothing(homes: Homes) -> None:
    catalogue = homes.catalogue(some_homes())
    run = homes.prepared(catalogue)
    assert run.fleet.fingerprint
    homes.config.write_text(CONFIG.replace("events_per_day = 500", "events_per_day = 600"), encoding="utf-8")
    report = run.run()
    assert report.done == 0
    assert report.outcome is Outcome.INVALID_SETTINGS
    assert "not those with which the fleet was planned" in report.failing["h0"]


@pytest.mark.parametrize("setting", ['[home]\nname = "a"', '[away]\ncalendar = "family.ics"'])
def test_what_only_a_single_home_can_have_is_refused_in_the_settings_of_a_fleet(tmp_path: Path, setting: str) -> None:
    with pytest.raises(SettingsError, match=r"(home\.name|away\.calendar) is set"):
        Homes(tmp_path, f"{setting}\n{CONFIG}").fleet()


def test_a_file_is_refused_where_workers_may_be_on_other_machines(homes: Homes) -> None:
    homes.fleet().require_shared_storage(None)
    homes.fleet().require_shared_storage("tcp://127.0.0.1:8786")
    with pytest.raises(SettingsError, match="is a file"):
        homes.fleet().require_shared_storage("tcp://scheduler.example:8786")


@pytest.mark.timeout(240)
def test_the_commands_run_processes_and_print_json(homes: Homes) -> None:
    file = homes.folder / "homes.csv"
    file.write_text("home,time_zone,seed\nh1,UTC,1\nh2,Europe/Berlin,2\nbad,Mars,3\n", encoding="utf-8")
    words = ("--homes", str(file))
    result = homes.call("run", "2026-03-01", "2026-03-02", *words, "--workers", "2", "--json")
    assert result.exit_code == 1, result.output
    document = json.loads(result.stdout)
    assert document["homes"] == {
        "catalogue": 3,
        "nothing_due": 0,
        "not_over": 0,
        "due": 3,
        "done": 2,
        "failed": 1,
    }
    assert document["home_days"] == {"planned": 4, "written": 4}
    assert document["failing"] == [{"home": "bad", "reason": "line 4: 'Mars' is not a valid IANA time zone"}]
    with open_query(url=f"sqlite:///{homes.folder}/aggregates.db", home="h2") as aggregates:
        assert aggregates.daily(TimeBasedDaily, "2026-03-01", "2026-03-02")
    shown = homes.call("status", "2026-03-01", "2026-03-02", *words)
    assert shown.exit_code == 0
    assert "2 done" in shown.stdout
    assert "1 invalid" in shown.stdout
    further = homes.call("status", "2026-02-27", "2026-03-02", *words).stdout
    assert "The oldest day that is due is 2026-02-27, of h1." in further
    newest = homes.call("status", *words).stdout  # by the clock of this machine
    assert "Of the newest 3 days, the oldest that is due is " in newest
    assert ", of h" in newest
    assert homes.call("run", *words, "--workers", "2", "--scheduler", "tcp://x:1").exit_code == 2
    assert homes.call("run", "--homes", str(homes.folder / "none.csv")).exit_code == 78
    assert homes.call("status", "0001-01-01", "9999-12-31", *words).exit_code == 2


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder
