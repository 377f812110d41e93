"""Secrets and control characters leave the program by no way: consoles, logs, pages, JSON, CSV, ledger."""

from __future__ import annotations

import io
import logging
import os
import pty
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console
from rich.text import Text

from jobs.cli.app import CleanOutput
from jobs.logs import TextFormatter
from tests.support.daemon import wait_for
from tests.support.home import CSV_CONFIG, EVENTS, ROOT, Home
from tests.support.influxdb import free_port
from tests.support.packages import write_package

DAY = "2026-03-02"
TOKEN, PASSWORD = "a-token-of-the-store-0123", "hunter3-of-the-proxy"
LEAKING = f"""
from dataclasses import dataclass
from typing import ClassVar
from jobs.detector import detector
from storage.models import DailyAggregate, Tag

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
        raise RuntimeError("refused {TOKEN} and {PASSWORD} \x1b[2J\x07\x9b31m\\u202e\\ud800 end")
"""
STORE = f"""
kind = "influxdb"
url = "http://127.0.0.1:9"
proxy = "http://me:{PASSWORD}@127.0.0.1:9"
org = "home"
token = "{TOKEN}"
"""
UNREACHABLE = CSV_CONFIG.replace('url = "sqlite:///aggregates.db"\n', STORE) + "[health]\nport = {port}\n"
CONTROL = ["\x1b", "\x07", "\x9b", "\u202e", "\ud800", "\x00"]


def assert_clean(text: str) -> None:
    assert [one for one in (TOKEN, PASSWORD, *CONTROL) if one in text] == []
    assert text.replace("\n", "").replace("\r", "").isprintable()


@pytest.fixture
def leaking(tmp_path: Path) -> Home:
    """A home with a store that cannot be reached, and a detector that fails with its token in the message."""
    write_package(tmp_path, LEAKING, "Visits")
    return Home(tmp_path, UNREACHABLE.replace("{port}", str(free_port())))


def environment(home: Home) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join((str(home.folder / "visitors"), str(ROOT)))}


@pytest.mark.slow
def test_a_secret_in_an_error_of_a_detector_is_shown_by_no_command_and_kept_by_no_file(leaking: Home) -> None:
    ways = (
        ["backfill", DAY, DAY],
        ["--verbose", "backfill", DAY, DAY, "--redo", "all", "--json"],
        ["run", "--day", DAY, "--json"],
        ["status", DAY, DAY],
        ["status", DAY, DAY, "--json"],
        ["doctor"],
        ["doctor", "--json"],
        ["health"],
    )
    told = 0
    for words in ways:
        out, err = leaking.process(*words, **environment(leaking)).communicate(timeout=60)
        assert_clean(out)
        assert_clean(err)
        told += "RuntimeError: refused *** and *** \\x1b[2J\\x07\\x9b31m\\u202e\\ud800 end" in out.replace("\\\\", "\\")
    assert told >= 6
    with closing(sa.create_engine(f"sqlite:///{leaking.folder / 'ledger.db'}").raw_connection()) as connection:
        cursor = connection.cursor()
        (error,) = cursor.execute("SELECT error FROM entry WHERE detector = 'visits'").fetchone()
    assert_clean(error)
    for file in leaking.folder.glob("ledger.db*"):
        assert TOKEN.encode() not in file.read_bytes()


def test_a_secret_in_an_error_is_shown_by_no_page_and_no_log_of_the_daemon(leaking: Home) -> None:
    port = int(leaking.config.read_text().rpartition("port = ")[2])
    daemon = leaking.process("--verbose", "serve", **environment(leaking))
    try:
        page = wait_for(port, "/healthz", lambda _status, body: "visits" in body or "is not computed: " in body)
        metrics = wait_for(port, "/metrics", lambda status, _body: status == 200)
    finally:
        daemon.terminate()
        _, err = daemon.communicate(timeout=30)
    for text in (page, metrics, err):
        assert_clean(text)
    assert "refused ***" in err


def test_a_console_cleans_also_what_a_command_has_forgotten_to_clean() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=80)
    console.push_render_hook(CleanOutput())
    console.print(Text("token=abc \x1b[2J", style="red"), "\u202e")
    assert written.getvalue() == "\x1b[31mtoken=*** \\x1b[2J\x1b[0m \\u202e\n"


HOSTILE_ID = "light.\x1b[31mred\x07\x9b1m\u202e"


@pytest.mark.parametrize(
    "words",
    [
        ["query", "time_based", DAY, DAY],
        ["query", "time_based", DAY, DAY, "--format", "csv"],
        ["query", "time_based", DAY, DAY, "--format", "json"],
        ["explain", "time_based", DAY],
        ["explain", "duration", DAY],
        ["explain", "duration", DAY, "--json"],
        ["doctor"],
        ["doctor", "--json"],
        ["status", DAY, DAY],
    ],
)
def test_what_a_device_is_called_controls_no_terminal(tmp_path: Path, words: list[str]) -> None:
    home = Home(tmp_path, events=EVENTS.replace("light.kitchen", HOSTILE_ID))
    home.call("backfill", DAY, DAY)
    assert_clean(home.call(*words).output)


def test_json_gives_a_program_the_name_as_it_is(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS.replace("light.kitchen", HOSTILE_ID))
    home.call("backfill", DAY, DAY)
    rows = home.json("query", "duration", DAY, DAY, "--format", "json")
    assert HOSTILE_ID in {row["entity_id"] for row in rows}


def test_a_formula_in_a_name_is_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS.replace("light.kitchen", "=cmd|' /C calc'!A0"))
    home.call("backfill", DAY, DAY)
    table = home.call("query", "time_based", DAY, DAY, "--format", "csv").stdout
    assert ",'=cmd|" in table
    assert ",=" not in table


def test_a_file_whose_name_controls_a_terminal_is_named_harmlessly(tmp_path: Path) -> None:
    missing = tmp_path / "no\x1b[2J\u202e\udcff.toml"
    command = [sys.executable, "-m", "jobs", "--config", str(missing), "health"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 78
    assert_clean(done.stderr.decode())
    assert rb"no\x1b[2J\u202e\udcff.toml" in done.stderr


def test_on_a_real_terminal_only_our_own_colours_are_escape_sequences(tmp_path: Path) -> None:
    home = Home(tmp_path, events=EVENTS.replace("light.kitchen", HOSTILE_ID))
    home.call("backfill", DAY, DAY)
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "jobs", "--config", str(home.config), "explain", "duration", DAY]
    with subprocess.Popen(command, cwd=ROOT, stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        written = b""
        while chunk := _read(leader):
            written += chunk
        assert process.wait(timeout=60) == 0
    os.close(leader)
    text = written.decode()
    assert "\\x1b[31mred" in text
    assert "\x1b[31mred" not in text
    assert not {"\x07", "\x9b", "\u202e"} & set(text)


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 4096)
    except OSError:  # how Linux reports that the other end is closed
        return b""


UNCAUGHT = """
import sys
from jobs import logs
from storage.clean_text import remember_secrets
remember_secrets({"token": "the-secret-token"})
sys.excepthook = logs.print_uncaught
raise RuntimeError("the-secret-token \\x1b[2J")
"""


def test_an_error_that_nothing_catches_is_printed_cleaned_with_its_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", UNCAUGHT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("Traceback")
    assert done.stderr.splitlines()[-1] == "RuntimeError: *** \\x1b[2J"


def test_a_line_break_in_a_message_looks_like_no_record_of_its_own() -> None:
    record = logging.LogRecord("x", logging.ERROR, "x", 1, "a\n2026-03-02 00:00:00 ERROR forged", (), None)
    assert TextFormatter().format(record).splitlines()[1].startswith("    2026")
