"""Fill in ``{column}`` in the texts of ``[source]`` from a home's row of the catalogue.

``{{`` and ``}}`` stand for braces. A number may be written as a placeholder too: settings take a number as text.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import quote

from jobs.fleet.catalogue import HOME, CatalogueHome
from storage.columns import closest
from storage.errors import SettingsError

_PATHS: Final = ("path", "registry_dir", "url")  # a URL may be that of a file
_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def with_defaults(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``[source]`` with the placeholders that a kind has where nothing is set."""
    values = dict(source)
    if values.get("kind") == "parquet_files":
        values.setdefault("home", "{home}")
    return values


def check_template(source: Mapping[str, Any], columns: Collection[str]) -> None:
    """Check that the catalogue has every placeholder, and that there is one.

    Args:
        source: The table ``[source]``.
        columns: The columns of the catalogue.

    Raises:
        SettingsError: It names a column that the catalogue does not have, or none at all.
    """
    used: set[str] = set()
    for key, value in source.items():
        for name in _placeholders(value):
            if name not in columns:
                hint = closest(name, columns)
                raise SettingsError(
                    f"source.{key}: the catalogue has no column {name!r}" + (f"; {hint}" if hint else ""),
                    hint=f"It has {', '.join(columns)}. A brace that is meant is written twice: {{{{.",
                )
            used.add(name)
    if not used:
        raise SettingsError(
            "[source] has no placeholder, so every home would read the same raw events",
            hint='Name a column of the catalogue where homes differ, such as path = "events/{home}/*.csv".',
        )


def fill(source: Mapping[str, Any], home: CatalogueHome) -> dict[str, Any]:
    """Return ``[source]`` of one home.

    Args:
        source: The table with placeholders, checked.
        home: The home.

    Raises:
        SettingsError: The home's name cannot be part of a path.
    """
    return {key: _filled(value, home, key) for key, value in source.items()}


def _filled(value: Any, home: CatalogueHome, key: str) -> Any:  # noqa: ANN401 - any TOML value
    if isinstance(value, list):
        return [_filled(one, home, key) for one in value]
    if isinstance(value, Mapping):
        return {name: _filled(one, home, key) for name, one in value.items()}
    if not isinstance(value, str):
        return value

    def column(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return _name_in(key, home.name) if match[1] == HOME else home.columns[match[1]]

    return _PLACEHOLDER.sub(column, value)


def _name_in(key: str, name: str) -> str:
    """Return the name of a home as a setting takes it, so that it never leads to the events of another home.

    Raises:
        SettingsError: It cannot be part of a path.
    """
    if key in _PATHS and ("/" in name or name in (".", "..")):
        raise SettingsError(f"source.{key}: {name!r} cannot be part of a path; use another column")
    if key == "path":
        return glob.escape(name)
    return quote(name, safe="") if key == "url" else name


def _placeholders(value: Any) -> list[str]:  # noqa: ANN401 - any TOML value
    if isinstance(value, str):
        return [match[1] for match in _PLACEHOLDER.finditer(value) if match[1] is not None]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [name for one in value for name in _placeholders(one)] if isinstance(value, list) else []
