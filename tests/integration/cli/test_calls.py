"""Invalid calls exit 2 and say why; the help shows an example of each command."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli import app
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
        (("query", "time_based", "..2026-03-02"), "its first day is missing"),
        (("query", "time_based", "-7d", "--limit", "0"), "--limit 0 is not a valid number of rows"),
        (("query", "time_based", "-7d", "--top", "-1"), "--top -1 is not a valid number of rows"),
        (("query", "time_based", "-7d", "--limit", "many"), "invalid value for '--limit': not a valid integer"),
        (("query", "time_based", "-7d", "--format", "xml"), "invalid value for '--format': 'xml' is not one of"),
        (("query", "time_based", "-7d", "--limt", "3"), "no such option: --limt (Possible options: --limit)"),
        (("query", "time_based"), "missing argument 'FIRST'"),
        (("report", "--ou", "report.html"), "no such option: --ou"),
        (("report", "--day", "-90d"), "nothing was computed for 2"),
        (("run", "yesterday"), "got unexpected extra argument(s) (yesterday)"),
        (("demo", "--days", "0"), "--days 0 is not a valid number of days"),
        (("demo", "--days", "91"), "--days 91 is not a valid number of days"),
        (("setup", "/", "--time-zone", "UTC", "--retention-days", "-1", "--yes"), "error: "),
        (("explain", "routine_weekly", "2026-03-03"), "Name 2026-03-08"),
        (("no-such-command",), "no such command 'no-such-command'"),
        (("run", "--no-such-option"), "no such option: --no-such-option"),
    ],
)
def test_an_invalid_call_exits_2_and_says_why(home: Home, words: tuple[str, ...], message: str) -> None:
    home.call("init")
    result = home.call(*words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stderr.startswith("error: ")
    assert "\nhint: " in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("words", [("query", "time_based", "-7d", "--limit", "many"), ("status", "--no-such-option")])
def test_an_invalid_call_that_asks_for_json_gets_its_error_as_json(home: Home, words: tuple[str, ...]) -> None:
    document = home.json(*words, "--json", exit_code=2)
    assert document["error"]
    assert "--help` shows how it is called" in document["hint"]


def test_a_call_without_words_shows_the_help_and_exits_2() -> None:
    result = CliRunner().invoke(app.app, [])
    assert result.exit_code == 2
    assert "Usage: " in result.stdout


def test_the_former_name_of_the_option_that_changes_a_retention_is_named_with_its_new_name(home: Home) -> None:
    result = home.call("init", "--mend")
    assert result.exit_code == 2
    assert "now called '--update-retention'" in result.stderr
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
