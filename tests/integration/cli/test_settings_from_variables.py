"""A value that turns out wrong only when it is used is traced to the environment variable that has set it."""

from __future__ import annotations

import pytest

from tests.support.home import Home

WRONG_URL = "nonsense-with-hush-hush"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("store.url", WRONG_URL), ("ledger.path", "/dev/null"), ("store.url", "sqlite:////dev/null")],
)
@pytest.mark.parametrize("command", [("run", "--day", "2026-03-02"), ("init",)])
def test_the_hint_names_the_variable(
    home: Home, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, command: tuple[str, ...]
) -> None:
    section, _, key = setting.partition(".")
    variable = f"PATTERN_AGGREGATES__{section}__{key}".upper()
    monkeypatch.setenv(variable, value)
    result = home.call(*command)
    assert result.exit_code == 78
    assert f"{setting} is set by {variable}." in result.output
    assert WRONG_URL not in result.output


def test_a_variable_is_not_named_for_what_the_file_has_set(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERN_AGGREGATES__STORE__RETENTION_DAYS", "30")
    home.config.write_text(home.config.read_text().replace("sqlite:///aggregates.db", "nonsense"))
    result = home.call("init")
    assert result.exit_code == 78
    assert "is set by" not in result.output


def test_a_query_names_it_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERN_AGGREGATES__STORE__URL", "nonsense")
    result = home.call("query", "time_based", "2026-03-02")
    assert "store.url is set by PATTERN_AGGREGATES__STORE__URL." in result.output


def test_doctor_lists_the_variables_in_use_without_their_values(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERN_AGGREGATES__STORE__URL", WRONG_URL)
    result = home.call("doctor")
    assert "store.url is set by PATTERN_AGGREGATES__STORE__URL" in result.output
    assert WRONG_URL not in result.output
