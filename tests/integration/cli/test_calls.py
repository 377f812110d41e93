"""Invalid calls exit 2 and say why; the help shows an example of each command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.home import CSV_CONFIG, Home


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("query", "time_basd_daily", "2026-03-02", "2026-03-02"), "did you mean 'time_based_daily'"),
        (("query", "time_based", "2026-03-02", "2026-03-02", "--where", "entity=x"), "did you mean 'entity_id'"),
        (("query", "time_based", "2026-03-02", "2026-03-02", "--where", "entity_id"), "Write it as TAG=VALUE"),
        (("query", "time_based", "2026-03-02", "2026-03-02", "--by", "domain"), "--by groups summaries"),
        (("query", "time_based", "2026-03-02", "--sum", "peak_hours"), "peak_hours is not a number"),
        (("query", "time_based", "2026-W54"), "is not a valid day"),
        (("backfill", "2026-03-03", "2026-03-01"), "before it begins"),
        (("backfill", "2026-03-01", "2126-03-01"), "not over yet"),
        (("backfill", "2026-13-01", "2026-03-01"), "is not a valid day"),
        (("backfill", "2026-03-01", "2026-03-01", "--detector", "durations"), "unknown detector 'durations'"),
        (("run", "--day", "tomorrow"), "is not a valid day"),
        (("status", "2026-03-03", "2026-03-01"), "before it begins"),
        (("no-such-command",), "No such command"),
        (("run", "--no-such-option"), "No such option"),
    ],
)
def test_an_invalid_call_exits_2_and_says_why(home: Home, words: tuple[str, ...], message: str) -> None:
    home.call("init")
    result = home.call(*words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_the_former_name_of_the_option_that_changes_a_retention_is_named_with_its_new_name(home: Home) -> None:
    result = home.call("init", "--mend")
    assert result.exit_code == 2
    assert "now called '--update-retention'" in " ".join(result.stderr.replace("│", "").split())
    assert "--mend" not in home.call("init", "--help").stdout


def test_a_range_past_the_retention_exits_2_and_names_the_setting(tmp_path: Path) -> None:
    home = Home(tmp_path, CSV_CONFIG.replace("retention_days = 0", "retention_days = 30"))
    result = home.call("backfill", "2020-01-01", "2020-01-02")
    assert result.exit_code == 2
    assert "store.retention_days" in result.stderr


def test_days_counted_back_are_not_taken_for_options(home: Home) -> None:
    home.call("init")
    for words in (("query", "time_based", "-7d", "yesterday"), ("status", "-3d", "yesterday")):
        assert home.call(*words).exit_code == 0
    assert "out of reach" in home.call("backfill", "-3d", "yesterday").stdout
    assert home.call("query", "time_based", "-7d", "--no-such-option").exit_code == 2


def test_every_command_shows_an_example_in_its_help(home: Home) -> None:
    for command in (
        "demo",
        "setup",
        "init",
        "run",
        "backfill",
        "status",
        "query",
        "explain",
        "detectors",
        "doctor",
        "serve",
        "health",
    ):
        result = home.call(command, "--help")
        assert result.exit_code == 0
        assert f"pattern-aggregates {command}" in result.stdout.split("Example:")[1]
