"""Whatever is in the ledger's or the store's tables: an error that names it, and other days' rows stay."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import hypothesis
import hypothesis.strategies as st

from tests.fuzz.promises import FIRST, LAST, call, examples, new_home, rows
from tests.support.home import Home

COMMANDS = (
    ("status", FIRST, LAST, "--json"),
    ("health",),
    ("doctor", "--json"),
    ("run", "--json"),
    ("backfill", FIRST, LAST, "--json"),
    ("backfill", FIRST, LAST, "--redo", "all", "--json"),
    ("init",),
    ("doctor", "--rebuild-ledger", "--json"),
)
READERS = (
    ("query", "time_based", FIRST, LAST, "--format", "json"),
    ("query", "time_based", FIRST, LAST, "--sum", "occurrences", "--mean", "confidence", "--by", "entity_id"),
    ("query", "duration", FIRST, LAST, "--format", "csv"),
    ("explain", "time_based", FIRST),
    ("status", FIRST, LAST),
    ("doctor",),
    ("run", "--json"),
)
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=12),
    st.binary(max_size=20),
    st.sampled_from(
        ["", "written", "staged", "failed", "9999-99-99", "2026-03-02", "{}", "[]", "null", 0, 1, -1, b"\xff"]
    ),
)


@cache
def computed() -> Path:
    """Return a folder with a home of which two days are computed, one of them staged only."""
    folder = Path(mkdtemp(prefix="fuzz-computed"))
    with new_home() as home:
        assert call(home, "backfill", FIRST, FIRST).exit_code == 0
        unreachable = home.config.read_text(encoding="utf-8").replace(
            "sqlite:///aggregates.db", "postgresql://127.0.0.1:1/x"
        )
        home.config.write_text(unreachable, encoding="utf-8")
        assert call(home, "backfill", LAST, LAST).exit_code == 75  # the second day is staged
        shutil.copytree(home.folder, folder, dirs_exist_ok=True)
    return folder


@contextmanager
def computed_home() -> Iterator[Home]:
    with new_home() as home:
        shutil.copytree(computed(), home.folder, dirs_exist_ok=True)
        yield home


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [one[1] for one in connection.execute(f"PRAGMA table_info({table})")]


def put(file: Path, table: str, number: int, value: Any, day: str) -> None:
    """Set one column of a day's rows."""
    with closing(sqlite3.connect(file)) as connection:
        names = columns(connection, table)
        name = names[number % len(names)]
        where = "day" if "day" in names else "date"
        try:
            connection.execute(f'UPDATE {table} SET "{name}" = ? WHERE "{where}" = ?', (value, day))  # noqa: S608 - ours
        except sqlite3.IntegrityError:
            hypothesis.reject()
        connection.commit()


@examples(4)
@hypothesis.given(
    number=st.integers(0, 40), value=VALUES, day=st.sampled_from([FIRST, LAST]), words=st.sampled_from(COMMANDS)
)
@hypothesis.example(number=0, value=0, day=FIRST, words=COMMANDS[0])
@hypothesis.example(number=2, value="unknown", day=FIRST, words=COMMANDS[3])
def test_whatever_an_entry_of_the_ledger_holds_a_command_ends_as_documented(
    number: int, value: Any, day: str, words: tuple[str, ...]
) -> None:
    with computed_home() as home:
        put(home.folder / "ledger.db", "entry", number, value, day)
        call(home, *words)
        call(home, "status", FIRST, LAST, "--json")


@examples(3)
@hypothesis.given(data=st.data())
def test_whatever_staged_rows_are_the_other_day_stays_and_a_run_ends_as_documented(data: st.DataObject) -> None:
    with computed_home() as home:
        before = [row for row in rows(home) if row["date"] == FIRST]
        with closing(sqlite3.connect(home.folder / "ledger.db")) as connection:
            found = connection.execute("SELECT day, detector, payload FROM entry WHERE payload IS NOT NULL").fetchall()
            assert found
            day, detector, payload = data.draw(st.sampled_from(found))
            packed = data.draw(changed(json.loads(payload)))
            new = data.draw(st.just(json.dumps(packed)) | st.just(payload[: len(payload) // 2]) | VALUES)
            here = (new, day, detector)
            connection.execute("UPDATE entry SET payload = ? WHERE day = ? AND detector = ?", here)
            connection.commit()
        call(home, "run", "--json")
        call(home, "backfill", LAST, LAST, "--json")
        assert [row for row in rows(home) if row["date"] == FIRST] == before
        call(home, "query", "time_based", FIRST, LAST, "--format", "json")


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """Return a JSON document with one value somewhere in it replaced or taken away."""
    if isinstance(document, dict) and document and draw(st.booleans() | st.just(True)):
        key = draw(st.sampled_from(sorted(document)))
        choice = draw(st.sampled_from(["inside", "replace", "remove"]))
        if choice == "remove":
            return {one: of for one, of in document.items() if one != key}
        new = draw(changed(document[key])) if choice == "inside" else draw(JSON)
        return {**document, key: new}
    if isinstance(document, list) and document:
        number = draw(st.integers(0, len(document) - 1))
        return [draw(changed(of)) if one == number else of for one, of in enumerate(document)]
    return draw(JSON)


JSON = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.just([]), st.just({})),
    st.sampled_from(["2026-03-02", "9999-99-99", 10**400, -1, "x" * 2000, [[]], {"": 1}]),
)


@examples(4)
@hypothesis.given(
    table=st.sampled_from(["time_based_daily", "duration_daily", "detector_run_daily"]),
    number=st.integers(0, 40),
    value=VALUES,
    words=st.sampled_from(READERS),
)
def test_whatever_a_stored_row_holds_a_reader_ends_as_documented(
    table: str, number: int, value: Any, words: tuple[str, ...]
) -> None:
    with computed_home() as home:
        put(home.folder / "aggregates.db", table, number, value, FIRST)
        call(home, *words)
