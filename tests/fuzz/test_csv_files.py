"""Whatever is in a CSV file: the rows of other entities are as they would be without it."""

from __future__ import annotations

import gzip
from functools import cache

import hypothesis
import hypothesis.strategies as st

from tests.fuzz.promises import FIRST, LAST, call, check_files, examples, new_home, rows
from tests.support.home import CSV_CONFIG, EVENTS

# No comma, quote or line break, with which a line could be read as that of another entity.
CELLS = st.one_of(
    st.text(alphabet=st.characters(exclude_characters=',";\t\r\n\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e'), max_size=20),
    st.sampled_from(["", "nan", "inf", "1e999", "unavailable", "None", "on", "\x00", "\ufeff", "=1+1", "9" * 400]),
)
TIMES = st.one_of(
    CELLS,
    st.sampled_from(
        [
            *(
                "2026-03-02T24:00:00",
                "2026-03-29T02:30:00",
                "0001-01-01T00:00:00",
                "9999-12-31T23:59:59Z",
                "1772409600",
            ),
            *(
                "1e18",
                "-1",
                "2026-03-02T07:00:00+99:00",
                "02.03.2026 07:00",
                "2026-3-2 7:0",
                "\u0662\u0660\u0662\u0666-03-02T07:00:00",
                "NaT",
            ),
        ]
    ),
)
LINES = st.lists(st.tuples(TIMES, CELLS), max_size=4)


def stored(csv: bytes, *, name: str = "events.csv") -> list[dict[str, object]]:
    """Return the rows of all entities but the disturbed one that the job stores."""
    with new_home(CSV_CONFIG.replace("events.csv", name), None) as home:
        (home.folder / name).write_bytes(csv)
        call(home, "backfill", FIRST, LAST, "--json")
        call(home, "doctor", "--json")
        check_files(home)
        return [row for row in rows(home) if row["entity_id"] != "light.disturbed"]


@cache
def undisturbed() -> list[dict[str, object]]:
    """Return the rows of the file as it should be."""
    return stored(EVENTS.encode())


@examples(3)
@hypothesis.given(lines=LINES, at=st.integers(1, EVENTS.count("\n")))
def test_a_line_costs_its_own_entity_only(lines: list[tuple[str, str]], at: int) -> None:
    whole = EVENTS.splitlines()
    whole[at:at] = [f"{time},light.disturbed,{state},," for time, state in lines]
    assert stored("\n".join(whole).encode("utf-8", "surrogatepass")) == undisturbed()


@examples(3)
@hypothesis.given(
    at=st.integers(0, len(EVENTS)), cut=st.integers(0, 40), new=st.binary(max_size=8), zipped=st.booleans()
)
def test_whatever_bytes_a_file_holds_a_run_ends_as_documented(at: int, cut: int, new: bytes, zipped: bool) -> None:
    whole = EVENTS.encode()
    if zipped:
        whole = gzip.compress(whole, mtime=0)
        at = at % len(whole)
    stored(whole[:at] + new + whole[at + cut :], name="events.csv.gz" if zipped else "events.csv")


def test_there_are_rows_that_could_be_disturbed() -> None:
    assert len(undisturbed()) >= 2
