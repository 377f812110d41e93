"""What a shell proposes for an unfinished word."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from tests.support.home import Home


def proposals(home: Home, line: str, *, config: Path | None = None) -> list[str]:
    """What bash is given for a command line whose last word is unfinished."""
    words = f"pattern-aggregates --config {config or home.config} {line}"
    variables = {
        "_PATTERN_AGGREGATES_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    result = CliRunner().invoke(app.app, [], env=variables, prog_name="pattern-aggregates")
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sta", ["status"]),
        ("query co_", ["co_occurrence_daily"]),
        ("explain anom", ["anomaly_daily"]),
        ("query time_based -7d --where ", ["entity_id=", "domain="]),
        ("query time_based -7d --by w", ["week"]),
        ("query duration -7d --by entity_id --sum ep", ["episodes"]),
        ("query duration -7d --sort ep", ["episodes"]),
        ("backfill -7d --detector room", ["room_based"]),
        ("query time_bsed -7d --where ", []),
        ("query time_based -7d --where color=r", []),
    ],
)
def test_a_shell_proposes_commands_measurements_tags_fields_and_detectors(
    home: Home, line: str, expected: list[str]
) -> None:
    assert proposals(home, line) == expected


def test_a_shell_proposes_values_of_tags_that_the_store_has(tmp_path: Path) -> None:
    home = Home(tmp_path, '[home]\ntime_zone = "Europe/Berlin"\n[source]\nkind = "simulated_home"\n', events=None)
    assert proposals(home, "query time_based -7d --where entity_id=light.k") == []  # there is no store yet
    assert home.call("backfill", "yesterday").exit_code == 0
    assert "entity_id=light.kitchen" in proposals(home, "query time_based -7d --where entity_id=light.k")
    assert "light.kitchen" in proposals(home, "mute light.k")
    assert "domain=light" in proposals(home, "explain time_based yesterday --where domain=l")


def test_where_settings_or_store_cannot_be_read_nothing_is_proposed_and_nothing_printed(home: Home) -> None:
    assert proposals(home, "mute light.k", config=home.folder / "none.toml") == []
    home.config.write_text("[home", encoding="utf-8")
    assert proposals(home, "mute light.k") == []
    assert proposals(home, "query time_based -7d --where ") == []
