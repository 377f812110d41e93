"""A detector of another package in the real program: it cannot end it, nor spoil its output."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.home import Home
from tests.support.packages import write_package

DAY = "2026-03-02"
NOISY = """
import os
from dataclasses import dataclass
from typing import ClassVar
from jobs.detector import Evidence, Finding, detector
from storage.models import DailyAggregate, Tag

print("noise at import")

class VisitsDaily(DailyAggregate):
    measurement: ClassVar[str] = "visits_daily"
    door: Tag
    visits: int

@detector
@dataclass(frozen=True)
class Visits:
    name: ClassVar = "visits"
    version: ClassVar = 1
    model: ClassVar = VisitsDaily

    def detect(self, log):
        print("noise")
        os.system("echo noise of a program")
        if os.environ.get("HARM"):
            raise SystemExit(0)
        return Finding([VisitsDaily(date=log.window.day, door="front", visits=1)], "counted")

    def explain(self, row, log):
        print("noise")
        raise SystemExit(0)
"""


def call(home: Home, package: Path, *words: str, harm: str = "") -> tuple[int, str, str]:
    process = home.process(*words, PYTHONPATH=os.pathsep.join((str(package), str(Path.cwd()))), HARM=harm)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_what_a_detector_prints_leaves_json_as_it_is(home: Home) -> None:
    package = write_package(home.folder, NOISY, "Visits")
    code, out, err = call(home, package, "backfill", DAY, DAY, "--json")
    (day,) = json.loads(out)["days"]
    assert (code, day["detectors"]["visits"]["status"]) == (0, "written")
    assert [line for line in err.splitlines() if line.startswith("noise")] == [
        "noise at import",
        "noise",
        "noise of a program",
    ]


def test_a_detector_that_calls_sys_exit_costs_its_own_rows_and_the_exit_code_says_so(home: Home) -> None:
    package = write_package(home.folder, NOISY, "Visits")
    code, out, _ = call(home, package, "backfill", DAY, DAY, "--json", harm="yes")
    assert code == 1
    detectors = json.loads(out)["days"][0]["detectors"]
    assert "SystemExit: 0, which would have ended the program" in detectors.pop("visits")["error"]
    assert {one["status"] for one in detectors.values()} == {"written"}


def test_a_detector_that_cannot_explain_a_row_is_named_beside_what_is_stored(home: Home) -> None:
    package = write_package(home.folder, NOISY, "Visits")
    call(home, package, "backfill", DAY, DAY)
    code, out, _ = call(home, package, "explain", "visits_daily", DAY, "--json")
    (one,) = json.loads(out)
    assert (code, one["row"]["visits"]) == (0, 1)
    assert "its detector cannot explain it: ExitAttempt: SystemExit: 0" in one["evidence"]["notes"][0]


@pytest.mark.parametrize("words", [["health"], ["run"], ["status"], ["detectors", "--json"]])
def test_a_package_that_calls_sys_exit_when_it_is_imported_is_a_bad_setting_for_every_command(
    home: Home, words: list[str]
) -> None:
    package = write_package(home.folder, "raise SystemExit(0)\n", "Visits")
    code, _, err = call(home, package, *words)
    assert code == 78
    assert "visitors_detectors:Visits of visitors: cannot be loaded: ExitAttempt: SystemExit: 0" in err


LEAVES_BEHIND = NOISY.replace(
    'print("noise at import")',
    """
import atexit, threading, time
atexit.register(print, "noise at the end")
threading.Thread(target=time.sleep, args=(10**6,)).start()
""",
)
SILENT = """
class Ending(Exception):
    def __str__(self):
        raise SystemExit(0)
"""


def test_what_a_package_leaves_behind_neither_holds_up_the_end_nor_spoils_the_output(home: Home) -> None:
    package = write_package(home.folder, LEAVES_BEHIND, "Visits")
    code, out, _ = call(home, package, "backfill", DAY, DAY, "--json", harm="yes")
    assert code == 1
    assert json.loads(out)["days"][0]["detectors"]["time_based"]["status"] == "written"


def test_an_error_whose_message_ends_the_program_costs_its_own_rows(home: Home) -> None:
    package = write_package(home.folder, SILENT + NOISY.replace("raise SystemExit(0)", "raise Ending"), "Visits")
    code, out, _ = call(home, package, "backfill", DAY, DAY, "--json", harm="yes")
    assert code == 1
    detectors = json.loads(out)["days"][0]["detectors"]
    assert detectors.pop("visits")["error"] == "Ending: its message cannot be read"
    assert {one["status"] for one in detectors.values()} == {"written"}


def test_rows_of_a_package_that_the_store_has_lost_are_noticed_and_repaired(home: Home) -> None:
    package = write_package(home.folder, NOISY, "Visits")
    call(home, package, "backfill", DAY, DAY)
    assert call(home, package, "status", DAY)[0] == 0
    with closing(sqlite3.connect(home.folder / "aggregates.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM visits_daily")
    for command in ("status", "health", "doctor"):
        code, out, err = call(home, package, command)
        assert code == 1
        assert "the store lacks 1 of " in " ".join((out + err).split())
    assert call(home, package, "backfill", DAY, DAY, "--redo", "lost")[0] == 0
    assert call(home, package, "status", DAY)[0] == 0
