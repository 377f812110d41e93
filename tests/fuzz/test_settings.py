"""Whatever the settings file, the environment and secret files say: an error that names the setting, or a run."""

from __future__ import annotations

import copy
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from tests.fuzz.promises import FIRST, LAST, call, examples, new_home
from tests.support.home import CSV_CONFIG, ROOT

COMMANDS = (
    ("detectors", "--json"),
    ("status", FIRST, LAST, "--json"),
    ("health",),
    ("doctor", "--json"),
    ("query", "duration", FIRST, LAST, "--format", "json"),
    ("init",),
    ("backfill", FIRST, LAST, "--json"),
)
DEFAULTS: dict[str, Any] = {
    **tomllib.loads((ROOT / "config/default.toml").read_text(encoding="utf-8")),
    **tomllib.loads(CSV_CONFIG),
}
# What is tried as an address is on this machine, and what is tried as a file is in the home's folder or a device.
TEXTS = (
    *(
        "",
        " ",
        "events.csv",
        "*.csv",
        "[",
        "nothing.csv",
        "pipe",
        ".",
        "/dev/zero",
        "/dev/null",
        "sqlite:///events.csv",
    ),
    *("sqlite://", "sqlite:///", "sqlite:///.", "sqlite:///pipe", "sqlite:////dev/zero", "sqlite:///new/deep/x.db"),
    *(
        "sqlite:///a.db?mode=memory",
        "sqlite+aiosqlite:///x.db",
        "postgresql://127.0.0.1:1/x",
        "mysql://u:p@127.0.0.1:1/x",
    ),
    *("http://127.0.0.1:1", "https://127.0.0.1:1", "http://", "ftp://127.0.0.1", "http://127.0.0.1:99999", "://"),
    *("postgresql://127.0.0.1:1/x?connect_timeout=abc", "postgresql://127.0.0.1:port/x", "oracle://127.0.0.1/x"),
    *(
        "sql",
        "influxdb",
        "csv_files",
        "home_assistant_db",
        "simulated_home",
        "memory",
        "Europe/Berlin",
        "../UTC",
        "UTC\x00",
    ),
    *(
        "03:30",
        "25:00",
        "03:30+01:00",
        "all",
        "1e309",
        "nan",
        "true",
        "0",
        "-1",
        "[1",
        "{a=1}",
        "\x1b[31m",
        "\ud800",
        "é" * 300,
    ),
)
leaf = st.one_of(
    st.sampled_from(TEXTS),
    st.text(alphabet=st.characters(exclude_characters="/\\:"), max_size=8),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 90, 2**31, 2**63]),
    st.floats(),
    st.booleans(),
    st.none(),  # the key is taken away
)
value = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "a", "*"]), inner, max_size=3),
)


def places(table: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, inner in table.items():
        found.append((*above, key))
        if isinstance(inner, dict):
            found += places(inner, (*above, key))
    return found


PLACES = [
    *places(DEFAULTS),
    *(("source", key) for key in ("url", "kind", "registry_dir", "bucket", "layout", "fields", "seed", "first_day")),
    *(("store", key) for key in ("org", "token", "bucket", "kind", "timeout_seconds", "ca_file", "proxy", "compress")),
    *(("detectors", name, key) for name in ("anomaly", "sequence", "nothing") for key in ("enabled", "max_rows", "x")),
    *(("entities", "override", "*", key) for key in ("kind", "active_states", "presence", "area")),
    *(
        (name,)
        for name in ("home", "source", "store", "ledger", "schedule", "health", "entities", "detectors", "x", "")
    ),
]
changes = st.lists(st.tuples(st.sampled_from(PLACES), value), min_size=1, max_size=3)


def put(table: dict[str, Any], place: tuple[str, ...], new: Any) -> None:
    """Put a value in its place, through whatever stands there."""
    for key in place[:-1]:
        if not isinstance(table.get(key), dict):
            table[key] = {}
        table = table[key]
    table[place[-1]] = new


def toml(new: Any) -> str:
    """Write a value as TOML, tables inline."""
    if isinstance(new, dict):
        return "{" + ", ".join(f"{key(one)} = {toml(of)}" for one, of in new.items() if of is not None) + "}"
    if isinstance(new, list):
        return "[" + ", ".join(toml(one) for one in new if one is not None) + "]"
    if isinstance(new, bool):
        return str(new).lower()
    if isinstance(new, str):
        return key(new)
    return str(new)


def key(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode()).replace("\x7f", "\\u007f")


def document(table: dict[str, Any]) -> str:
    return "\n".join(f"{key(name)} = {toml(of)}" for name, of in table.items() if of is not None)


def prepare(folder: Path) -> None:
    """Make what some of the texts name."""
    os.mkfifo(folder / "pipe")


@examples(4)
@hypothesis.given(changes=changes, words=st.sampled_from(COMMANDS))
def test_whatever_a_setting_is_a_command_ends_as_documented(
    changes: list[tuple[tuple[str, ...], Any]], words: tuple[str, ...]
) -> None:
    settings = copy.deepcopy(DEFAULTS)
    for place, new in changes:
        put(settings, place, new)
    with new_home(document(settings)) as home:
        prepare(home.folder)
        call(home, *words)


@examples(2)
@hypothesis.given(
    at=st.integers(0, len(CSV_CONFIG)),
    cut=st.integers(0, 30),
    new=st.binary(max_size=6),
    words=st.sampled_from(COMMANDS),
)
def test_whatever_bytes_are_in_the_settings_file_a_command_ends_as_documented(
    at: int, cut: int, new: bytes, words: tuple[str, ...]
) -> None:
    with new_home() as home:
        whole = CSV_CONFIG.encode()
        home.config.write_bytes(whole[:at] + new + whole[at + cut :])
        call(home, *words)


@examples(3)
@hypothesis.given(
    place=st.sampled_from([place for place in PLACES if all(place)]), new=value, words=st.sampled_from(COMMANDS)
)
def test_whatever_an_environment_variable_is_a_command_ends_as_documented(
    place: tuple[str, ...], new: Any, words: tuple[str, ...]
) -> None:
    text = new if isinstance(new, str) else toml(new) if new is not None else ""
    hypothesis.assume("\x00" not in text)
    text = text.encode("utf-8", "surrogateescape" if text.isascii() else "replace").decode("utf-8", "surrogateescape")
    with new_home() as home:
        prepare(home.folder)
        call(home, *words, environment={"PATTERN_AGGREGATES__" + "__".join(place).upper(): text})


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_settings_that_are_changed_are_valid_before(words: tuple[str, ...]) -> None:
    with new_home(document(DEFAULTS)) as home:
        assert call(home, *words).exit_code in (0, 1)
