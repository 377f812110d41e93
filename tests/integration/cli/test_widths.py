"""What commands print fits the terminal, whatever its width, colours and encoding."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from rich.cells import cell_len

from jobs.cli.app import UNLIMITED_WIDTH, err, out
from tests.support.home import CSV_CONFIG, EVENTS, ROOT, Home

ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ENTITIES: Final = ("light.kitchen", "binary_sensor.motion", "light.living_room_floor_lamp_beside_the_window")
DAYS: Final = ("2026-03-01", "2026-03-02", "2026-03-03")
HOSTILE: Final = "light.\x1b[31mred\x07"
COMMANDS: Final = [
    ("init",),
    ("backfill", DAYS[0], DAYS[2]),
    ("backfill", DAYS[0], DAYS[2], "--dry-run"),
    ("run",),
    ("status", DAYS[0], DAYS[2]),
    ("status", "2026-02-20..2026-03-03"),
    ("query", "time_based", "2026-03-02"),
    ("query", "duration", "2026-03-02"),
    ("query", "room_based", "2026-03-02"),
    ("query", "detector_run", "2026-03-02"),
    ("query", "time_based", "2026-03", "--by", "entity_id", "--by", "week", "--sum", "occurrences", "--max", "bouts"),
    ("explain", "duration", "2026-03-02"),
    ("explain", "time_based", "2026-03-02", "--where", "entity_id=light.kitchen"),
    ("away", "--list"),
    ("mute", "--list"),
    ("detectors",),
    ("health",),
    ("doctor",),
    ("--help",),
    ("query", "--help"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with long names, a name that controls terminals, a day away and a mute, of which all days are written."""
    long = EVENTS.replace("light.kitchen", ENTITIES[2]).split("\n", 1)[1]
    hostile = EVENTS.replace("light.kitchen", HOSTILE).split("\n", 1)[1]
    home = Home(tmp_path_factory.mktemp("home"), CSV_CONFIG, EVENTS + long + hostile)
    home.call("backfill", DAYS[0], DAYS[2])
    home.call("away", "2026-03-01", "--note", "at the sea, for a long weekend with friends")
    home.call("mute", f"{ENTITIES[2]}:count_low", "--from", DAYS[0], "--reason", "the lamp is being repaired")
    return home


@contextmanager
def terminal_of(width: int) -> Iterator[None]:
    """Let commands of this process believe that they print to a terminal of a width."""
    out.width = err.width = width
    try:
        yield
    finally:
        out.width = err.width = UNLIMITED_WIDTH


def visible(text: str) -> list[str]:
    """The lines of an output as a terminal shows them."""
    return ESCAPE.sub("", text).splitlines()


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_fits_the_terminal_and_breaks_no_id_and_no_day(
    home: Home, words: tuple[str, ...], width: int
) -> None:
    with terminal_of(width):
        result = home.call(*words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    if "--help" not in words:  # whose width is that of the test's own terminal
        longest = max(visible(result.output), key=cell_len, default="")
        assert cell_len(longest) <= width or " " not in longest.strip(), longest  # one word may be longer: a path
    assert "\x1b[31m" not in result.output
    assert "\x07" not in result.output
    assert "…" not in result.output
    for word in (*ENTITIES, *DAYS):  # no piece of one stands alone at the end of a line
        for cut in range(max(len(word) // 2, word.find(".") + 2), len(word)):
            assert not re.search(rf"(?<![\w.]){re.escape(word[:cut])}[ │]*$", result.output, re.MULTILINE), word


def test_a_row_that_needs_a_block_of_lines_is_named_by_its_day_and_its_tags(home: Home) -> None:
    with terminal_of(80):
        result = home.call("query", "time_based", "2026-03-02", "--where", f"entity_id={ENTITIES[1]}")
    title, *lines = visible(result.stdout)
    assert title.split() == ["2026-03-02", ENTITIES[1], "binary_sensor"]
    assert not any(line.split()[0] in ("date", "entity_id", "domain") for line in lines)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_status_shows_each_day_in_full_and_names_what_is_not_done(home: Home, width: int) -> None:
    with terminal_of(width):
        result = home.call("status", "2026-02-28..2026-03-03")
    for day in ("2026-02-28", *DAYS):
        assert sum(day in line for line in visible(result.stdout)) == 1
    assert "out of reach" in result.stdout


def on_terminal(home: Home, *words: str, **environment: str) -> tuple[int, bytes]:
    """Run a command on a terminal of 80 columns; returns its exit code and all that it prints."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    variables = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs", "--config", str(home.config), *words],
        cwd=ROOT,
        env={**variables, "TERM": "xterm-256color", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # as Linux says that nobody holds the other end
            break
        if not part:
            break
        printed += part
    os.close(ours)
    return process.wait(timeout=60), printed


QUERY: Final = ("query", "time_based", "2026-03-02")
ASCII: Final = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"}


def test_a_terminal_gets_colours_by_meaning_and_none_where_no_color_is_set(home: Home) -> None:
    code, coloured = on_terminal(home, "status", DAYS[2])
    assert code == 0
    assert b"\x1b[32m" in coloured
    code, plain = on_terminal(home, "status", DAYS[2], NO_COLOR="1")
    assert code == 0
    assert not re.search(rb"\x1b\[[0-9;]*3[0-9]", plain)
    assert visible(plain.decode()) == visible(coloured.decode())


@pytest.mark.parametrize("words", [QUERY, ("status", DAYS[2]), ("doctor",), ("explain", "duration", "2026-03-02")])
def test_a_terminal_that_has_ascii_only_gets_ascii(tmp_path: Path, words: tuple[str, ...]) -> None:
    home = Home(tmp_path, CSV_CONFIG, EVENTS.replace("light.kitchen", "light.küche_💡"))
    home.call("backfill", DAYS[0], DAYS[2])
    _, printed = on_terminal(home, *words, **ASCII)
    assert b"Traceback" not in printed
    assert printed.isascii()
    assert b"\x1b" not in printed
    assert rb"light.k\xfcche_\U0001f4a1" in printed or words[0] == "status"


def test_json_stays_json_where_there_is_ascii_only(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG, EVENTS.replace("light.kitchen", "light.küche_💡"))
    home.call("backfill", DAYS[1])
    with home.process(*QUERY, "--json", **ASCII) as process:
        printed, _ = process.communicate(timeout=60)
    assert printed.isascii()
    assert rb"light.k\u00fcche_\ud83d\udca1".decode() in printed


@pytest.mark.parametrize(("columns", "width"), [("", 80), ("120", 120)])
def test_status_in_a_pipe_is_no_wider_than_80_columns_or_what_columns_says(
    home: Home, columns: str, width: int
) -> None:
    with home.process("status", "2026-03-02..2026-03-05", COLUMNS=columns) as process:
        printed, _ = process.communicate(timeout=60)
    assert DAYS[2] in printed
    assert max(map(cell_len, printed.splitlines())) <= width


def test_what_goes_to_a_pipe_has_no_escape_sequences_and_is_not_wrapped(home: Home) -> None:
    with home.process("query", "detector_run", "2026-03-02") as process:
        printed, _ = process.communicate(timeout=60)
    assert "\x1b" not in printed
    assert any(cell_len(line) > 80 for line in printed.splitlines())
