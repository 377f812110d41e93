"""Whatever is typed: an answer or an error, and never a traceback."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pytest

from jobs.cli.commands import HELP
from tests.fuzz.promises import call, check_files, examples, new_home

OPTIONS = (
    *(
        "--json",
        "--help",
        "--day",
        "--detector",
        "--redo",
        "--force",
        "--dry-run",
        "--where",
        "--by",
        "--sum",
        "--mean",
    ),
    *(
        "--count",
        "--min",
        "--max",
        "--format",
        "--config",
        "--verbose",
        "--version",
        "--rebuild-ledger",
        "-h",
        "--",
        "-",
    ),
)
WORDS = (
    *(
        "2026-03-02",
        "2026-03-03",
        "yesterday",
        "-7d",
        "-1w",
        "last-week",
        "2026-W10",
        "2026-03",
        "2026-03-01..2026-03-03",
    ),
    *(
        "time_based_daily",
        "duration",
        "detector_run_daily",
        "entity_id=light.kitchen",
        "entity_id",
        "occurrences",
        "date",
    ),
    *(
        "csv",
        "json",
        "table",
        "all",
        "missing",
        "failed",
        "time_based",
        "anomaly",
        "",
        " ",
        "=",
        "-0d",
        "-99999999d",
        "0000-00-00",
    ),
    *(
        "9999-12-31",
        "0001-01-01",
        "2026-W99",
        "..",
        "2026-03-03..2026-03-01",
        "\x00",
        "\ud800",
        "[bold]",
        "9" * 400,
        "é" * 300,
    ),
)
word = st.one_of(st.sampled_from(OPTIONS), st.sampled_from(WORDS), st.text(max_size=12))
arguments = st.lists(word, max_size=7)


@pytest.mark.parametrize("command", sorted(set(HELP) - {"serve", "demo"}))
@examples(2)
@hypothesis.given(words=arguments)
def test_whatever_is_typed_behind_a_command_ends_as_documented(command: str, words: list[str]) -> None:
    with new_home() as home:
        call(home, command, *words)
        check_files(home)
