"""``fleet serve`` runs each zone once its night has come, repeats what failed, and shows it to Prometheus."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from jobs.fleet.catalogue import Catalogue, CatalogueHome
from jobs.fleet.fleet import open_fleet
from jobs.fleet.run import FleetRun
from jobs.fleet.serve import MAX_RETRY_PAUSE, MIN_RETRY_PAUSE, READING_PAUSE, FleetServer
from jobs.fleet.tasks import HomeResult, Task
from jobs.outcome import Outcome
from storage.errors import SettingsError
from tests.support.fleet_engine import in_this_process

ZONES = {"apia": "Pacific/Apia", "berlin": "Europe/Berlin", "honolulu": "Pacific/Honolulu"}
BEGIN = dt.datetime(2026, 3, 4, 0, 0, tzinfo=dt.UTC)
CONFIG = """
[source]
kind = "csv_files"
path = "{home}.csv"
[store]
url = "sqlite:///aggregates.db"
[ledger]
path = "ledger.db"
[schedule]
at = "03:30"
"""


class Served:
    """A server whose work is only noted: the ledger never learns of it, so every home is due in each run."""

    def __init__(self, folder: Path) -> None:
        (folder / "fleet.toml").write_text(CONFIG, encoding="utf-8")
        self.now = BEGIN
        self.worked: list[str] = []
        self.failing: set[str] = set()
        self.broken: Exception | None = None
        self.zones = dict(ZONES)
        self.times_opened = 0
        self._folder = folder
        self.server = FleetServer(self._open, lambda: self.now)

    def _open(self) -> FleetRun:
        self.times_opened += 1
        if self.broken is not None:
            raise self.broken
        homes = {
            name: CatalogueHome(name, zone, {"home": name, "time_zone": zone}) for name, zone in self.zones.items()
        }
        fleet = open_fleet(self._folder / "fleet.toml", clock=lambda: self.now)
        return FleetRun(fleet, Catalogue(homes, {}, ("home", "time_zone")), in_this_process, 1, None, self._work)

    def _work(self, task: Task) -> list[HomeResult]:
        names = [due.home.name for due in task.homes]
        self.worked += names
        return [
            HomeResult(name, Outcome.INCOMPLETE if name in self.failing else Outcome.DONE, {"written": 1}, rows=3)
            for name in names
        ]

    def until(self, now: dt.datetime, every: dt.timedelta = dt.timedelta(minutes=10)) -> list[str]:
        """Let the time pass; return the homes that were worked on meanwhile."""
        self.worked = []
        while self.now < now:
            self.now += every
            self.server.step()
        return self.worked


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path)


def test_every_zone_is_run_at_the_start_and_then_once_a_night_when_its_time_has_come(served: Served) -> None:
    served.server.step()
    assert sorted(served.worked) == ["apia", "berlin", "honolulu"]
    assert served.until(BEGIN + dt.timedelta(hours=2, minutes=20)) == []
    assert served.until(BEGIN + dt.timedelta(hours=2, minutes=30)) == ["berlin"]
    assert served.until(BEGIN + dt.timedelta(hours=13, minutes=20)) == []
    assert served.until(BEGIN + dt.timedelta(hours=13, minutes=30)) == ["honolulu"]
    assert served.until(BEGIN + dt.timedelta(hours=14, minutes=30)) == ["apia"]
    next_night = served.until(BEGIN + dt.timedelta(hours=38, minutes=30), every=dt.timedelta(minutes=30))
    assert sorted(next_night) == ["apia", "berlin", "honolulu"]


def test_a_zone_with_a_home_that_failed_is_run_again_after_a_pause_that_grows(served: Served) -> None:
    served.failing = {"berlin"}
    served.server.step()
    assert served.until(served.now + MIN_RETRY_PAUSE / 2, MIN_RETRY_PAUSE / 2) == []
    assert served.until(served.now + MIN_RETRY_PAUSE / 2, MIN_RETRY_PAUSE / 2) == ["berlin"]
    assert served.until(served.now + MIN_RETRY_PAUSE, MIN_RETRY_PAUSE) == []
    assert served.until(served.now + MIN_RETRY_PAUSE, MIN_RETRY_PAUSE) == ["berlin"]
    served.failing = set()
    assert served.until(served.now + MAX_RETRY_PAUSE, MIN_RETRY_PAUSE) == ["berlin"]


def test_a_zone_that_is_gone_from_the_catalogue_is_not_tried_again_for_ever(served: Served) -> None:
    served.failing = {"berlin"}
    served.server.step()
    del served.zones["berlin"]
    served.until(served.now + MIN_RETRY_PAUSE, MIN_RETRY_PAUSE)
    served.times_opened = 0
    served.until(served.now + READING_PAUSE - MIN_RETRY_PAUSE, MIN_RETRY_PAUSE)
    assert served.times_opened == 0


def test_a_run_that_cannot_be_done_is_reported_and_tried_again(served: Served) -> None:
    served.broken = SettingsError("the catalogue homes.csv cannot be read")
    served.server.step()
    assert "homes.csv" in served.server.last_error
    assert served.server.routes()["/health"]().status == 503
    served.broken = None
    assert sorted(served.until(served.now + 2 * MIN_RETRY_PAUSE, MIN_RETRY_PAUSE)) == ["apia", "berlin", "honolulu"]
    assert served.server.last_error == ""
    assert served.server.routes()["/health"]().status == 200


def test_a_run_that_cannot_be_done_is_tried_again_after_a_pause_that_grows(served: Served) -> None:
    served.broken = SettingsError("the catalogue homes.csv cannot be read")
    served.server.step()
    for pause in (MIN_RETRY_PAUSE, 2 * MIN_RETRY_PAUSE, 4 * MIN_RETRY_PAUSE):
        served.times_opened = 0
        served.until(served.now + pause - MIN_RETRY_PAUSE / 2, MIN_RETRY_PAUSE / 2)
        assert served.times_opened == 0
        served.until(served.now + MIN_RETRY_PAUSE / 2, MIN_RETRY_PAUSE / 2)
        assert served.times_opened == 1


def test_the_catalogue_is_not_read_each_minute_and_a_new_zone_is_noticed_within_an_hour(served: Served) -> None:
    served.server.step()
    served.zones["tokyo"] = "Asia/Tokyo"
    minute = dt.timedelta(minutes=1)
    assert served.until(BEGIN + READING_PAUSE - minute, minute) == []
    assert served.times_opened == 1
    assert served.until(BEGIN + READING_PAUSE, minute) == ["tokyo"]
    assert served.times_opened == 2


def test_homes_are_noticed_that_a_catalogue_without_a_valid_row_gets(served: Served) -> None:
    served.zones = {}
    served.server.step()
    served.zones = dict(ZONES)
    assert sorted(served.until(BEGIN + READING_PAUSE)) == ["apia", "berlin", "honolulu"]


def test_the_health_says_that_the_first_run_has_not_ended_yet(served: Served) -> None:
    response = served.server.routes()["/health"]()
    assert response.status == 503
    assert "the first run has not ended yet" in response.body


def test_the_metrics_count_homes_by_state_and_have_no_series_for_a_home(served: Served) -> None:
    served.failing = {"berlin"}
    served.server.step()
    lines = served.server.routes()["/metrics"]().body.splitlines()
    prefix = "pattern_aggregates_fleet_"
    assert f'{prefix}homes{{state="done"}} 2.0' in lines
    assert f'{prefix}homes{{state="failed"}} 1.0' in lines
    assert f'{prefix}home_days_total{{status="written"}} 3.0' in lines
    assert f"{prefix}rows_total 9.0" in lines
    assert f'{prefix}runs_total{{outcome="incomplete"}} 1.0' in lines
    assert f"{prefix}running 0.0" in lines
    assert not [line for line in lines if "berlin" in line]


def metric(served: Served, name: str) -> float:
    lines = served.server.routes()["/metrics"]().body.splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(f"pattern_aggregates_fleet_{name} ")]
    return float(value)


def test_a_home_that_failed_is_counted_until_it_is_done_also_while_other_zones_are_run(served: Served) -> None:
    served.server.step()
    all_done = metric(served, "last_success_timestamp_seconds")
    served.failing = {"berlin"}
    served.until(BEGIN + dt.timedelta(hours=13, minutes=20))
    before_honolulu = served.server.routes()["/health"]().body
    assert "1 home failed" in before_honolulu
    assert served.until(BEGIN + dt.timedelta(hours=13, minutes=30), dt.timedelta(minutes=1)).count("honolulu") == 1
    assert metric(served, 'homes{state="failed"}') == 1
    assert "1 home failed" in served.server.routes()["/health"]().body
    assert metric(served, "last_success_timestamp_seconds") == all_done
    served.failing = set()
    served.until(served.now + MAX_RETRY_PAUSE)
    assert metric(served, 'homes{state="failed"}') == 0
    assert "failed" not in served.server.routes()["/health"]().body
    assert metric(served, "last_success_timestamp_seconds") > all_done


def test_a_home_that_failed_and_has_another_zone_now_is_tried_again_there(served: Served) -> None:
    served.failing = {"berlin"}
    served.server.step()
    served.failing, served.zones = set(), {**ZONES, "berlin": "Pacific/Apia"}
    assert "berlin" in served.until(served.now + MIN_RETRY_PAUSE, MIN_RETRY_PAUSE)


def test_a_home_that_failed_and_has_gone_from_the_catalogue_is_counted_no_more(served: Served) -> None:
    served.failing = {"berlin"}
    served.server.step()
    served.zones = {name: zone for name, zone in ZONES.items() if name != "berlin"}
    served.until(served.now + MIN_RETRY_PAUSE, MIN_RETRY_PAUSE)
    assert metric(served, 'homes{state="failed"}') == 0


def test_a_stop_ends_the_server_and_makes_it_not_ready(served: Served) -> None:
    assert served.server.routes()["/ready"]().status == 200
    served.server.stop()
    served.server.serve()
    assert served.worked == []
    assert served.server.routes()["/ready"]().status == 503
