"""Odd folders, files that only their owner may read, outputs that take nothing, and secrets that are never told."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.window import MINUTE, DayWindow
from storage.dates import parse_day
from storage.query import DetectorRunDaily, open_query
from tests.support.home import CSV_CONFIG, EVENTS, ROOT, Home
from tests.support.recorder import RecorderDatabase, StateRow

DAY = "2026-03-02"
ODD = ["what?", "100%", "50%25 and %3F", "a#b", "two words ", "küche 💡", "[a-z]*", "a&b=c;d'e\"f"]
EVERY = [
    ["status", "2026-03-01", DAY],
    ["query", "time_based", DAY, DAY],
    ["query", "detector_run", DAY, DAY, "--format", "csv"],
    ["query", "detector_run", DAY, DAY, "--format", "json"],
    ["run", "--json"],
    ["detectors"],
    ["doctor", "--json"],
    ["doctor"],
    ["health"],
    ["init"],
    ["--help"],
]


def recorder(folder: Path) -> str:
    window = DayWindow(parse_day(DAY), ZoneInfo("Europe/Berlin"))
    with RecorderDatabase(folder / "recorder.db") as made:
        made.run(window.start, window.end)
        made.write(StateRow(window.start + at * MINUTE, "light.a", ("off", "on")[at % 2]) for at in range(30))
    return 'kind = "home_assistant_db"\nurl = "sqlite:///recorder.db"'


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kind", ["csv_files", "home_assistant_db"])
def test_a_home_may_lie_in_a_folder_of_any_name(tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    config = CSV_CONFIG
    if kind == "home_assistant_db":
        config = config.replace('kind = "csv_files"\npath = "events.csv"', recorder(folder))
    home = Home(folder, config, EVENTS)
    assert home.json("backfill", DAY, DAY, "--json")["days"][0]["status"] == "written"
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert {"aggregates.db", "ledger.db", "ledger.db.lock"} <= {one.name for one in folder.iterdir()}
    with open_query(config=home.config) as aggregates:
        assert len(aggregates.daily(DetectorRunDaily, DAY, DAY)) == 8
    assert {check["verdict"] for check in home.json("doctor", "--json")["checks"]} <= {"ok", "note"}


def test_what_is_made_may_be_read_by_its_owner_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs", "demo", "--days", "2", "--dir", str(tmp_path / "demo")]
    reader = "import time, sys; from storage.query import *; q = open_query(config=sys.argv[1]); time.sleep(30)"
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, umask=0)
    config = tmp_path / "demo" / "config.toml"
    with subprocess.Popen(
        [sys.executable, "-c", reader, str(config)], cwd=ROOT
    ) as reading:  # keeps -wal and -shm there
        subprocess.run(
            [*command[:3], "--config", str(config), "run"], cwd=ROOT, check=True, capture_output=True, umask=0
        )
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in config.parent.iterdir()}
        reading.kill()
    assert {"aggregates.db", "ledger.db", "ledger.db.lock", "config.toml"} <= set(modes)
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("words", [EVERY[number] for number in (0, 2, 4, 7, 10)], ids=" ".join)
def test_an_output_that_takes_nothing_is_no_traceback(tmp_path: Path, words: list[str]) -> None:
    home = Home(tmp_path)
    home.call("backfill", "2026-03-01", DAY)
    command = [sys.executable, "-m", "jobs", "--config", str(home.config), *words]
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1] == "error: the output cannot be written: No space left on device"
    assert "Traceback" not in told.stderr
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as closed:
        assert closed.stdout is not None
        assert closed.stderr is not None
        closed.stdout.close()
        stderr = closed.stderr.read()
    assert closed.returncode == 1
    assert "Traceback" not in stderr
    assert "roken" not in stderr


SECRETS = ["hunter2-of-the-source", "a-token-of-the-store", "hunter3-of-the-proxy"]
UNREACHABLE = """
[home]
time_zone = "Europe/Berlin"
[source]
kind = "home_assistant_db"
url = "postgresql+psycopg://home:hunter2-of-the-source@127.0.0.1:9/recorder?password=hunter2-of-the-source"
[store]
kind = "influxdb"
url = "http://127.0.0.1:9"
proxy = "http://me:hunter3-of-the-proxy@127.0.0.1:9"
org = "home"
token = "a-token-of-the-store"
[ledger]
path = "ledger.db"
[health]
port = 0
"""


def test_no_command_tells_a_password_or_a_token(tmp_path: Path) -> None:
    home = Home(tmp_path, UNREACHABLE, None)
    told = ""
    for words in [*EVERY, ["backfill", DAY, DAY], ["explain", "time_based", DAY], ["doctor", "--rebuild-ledger"]]:
        for verbose in ([], ["--verbose"]):
            result = home.call(*verbose, *words)
            assert not isinstance(result.exception, Exception), result.exception
            told += result.output
    daemon = home.process("--verbose", "serve")
    lines = []
    assert daemon.stderr is not None
    for line in daemon.stderr:
        lines.append(line)
        if "the next try is at" in line:
            daemon.terminate()
    daemon.communicate(timeout=60)
    told += "".join(lines)
    assert told.count("cannot be used now") > len(EVERY)  # all of them had much to tell
    assert [secret for secret in SECRETS if secret in told] == []
