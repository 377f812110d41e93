"""Find Home Assistant's recorder database: in a folder that is named, or in the usual places.

Which database Home Assistant records to is in its ``configuration.yaml`` (``recorder: db_url``, perhaps in
``secrets.yaml``); without an entry there, it is ``home-assistant_v2.db`` in the same folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml

from storage.errors import UsageError
from storage.regular_file import read_regular_text
from storage.settings import sqlite_file

DATABASE: Final = "home-assistant_v2.db"
REGISTRIES: Final = ".storage"
USUAL_FOLDERS: Final = (
    "/homeassistant",
    "/config",
    "~/.homeassistant",
    "~/homeassistant",
    "/home/homeassistant/.homeassistant",
    "/srv/homeassistant/.homeassistant",
    "/var/lib/homeassistant",
    "/var/lib/hass",
    "/usr/share/hassio/homeassistant",
    "/mnt/data/supervisor/homeassistant",
    "/opt/homeassistant",
    "/opt/homeassistant/config",
)
VOLUMES: Final = ("/var/lib/docker/volumes", "~/.local/share/containers/storage/volumes")  # each has a folder _data

_CONFIGURATION: Final = "configuration.yaml"
_MAX_INCLUDES: Final = 3  # of a file that includes a file


@dataclass(frozen=True, slots=True)
class FoundRecorder:
    """A recorder database and what belongs to it.

    Attributes:
        url: Its SQLAlchemy URL, perhaps with a password.
        origin: Where it was found, for people.
        registry_dir: Home Assistant's folder with areas, devices and names; None if it was not found.
        time_zone: The time zone of the home, if Home Assistant's settings say it.
    """

    url: str
    origin: str
    registry_dir: Path | None = None
    time_zone: str | None = None


def find_recorders() -> list[FoundRecorder]:
    """Return the recorder databases in the usual places; what cannot be read there is passed over."""
    found = []
    for folder in _usual_folders():
        try:
            found.append(recorder_in(folder))
        except UsageError:
            continue
    return list({one.url: one for one in found}.values())


def recorder_at(place: str) -> FoundRecorder:
    """Return the recorder database that somebody named.

    Args:
        place: Home Assistant's configuration folder, an SQLite file, or a database URL.

    Raises:
        UsageError: There is no such folder or file, or it names no database.
    """
    if "://" in place:
        return FoundRecorder(place, "the URL")
    path = Path(place).expanduser().resolve()
    if path.is_dir():
        return recorder_in(path)
    if not path.is_file():
        raise UsageError(f"{place} does not exist", hint="Name Home Assistant's folder, its database file, or a URL.")
    return FoundRecorder(_file_url(path), str(path), _registries(path.parent), _time_zone(path.parent))


def recorder_in(folder: Path) -> FoundRecorder:
    """Return the recorder database of a configuration folder of Home Assistant.

    Raises:
        UsageError: There is none.
    """
    url = _configured_url(folder)
    if url is not None:
        file = sqlite_file(url)
        if file is not None and not file.is_file():  # the path is that inside a container
            url = _file_url(folder / file.name)
        return FoundRecorder(url, f"recorder.db_url in {folder}", _registries(folder), _time_zone(folder))
    if not os.path.isfile(folder / DATABASE):  # noqa: PTH113 - Path.is_file raises an error where nobody may look
        raise UsageError(
            f"{folder} has neither {DATABASE} nor a recorder.db_url in {_CONFIGURATION}",
            hint="Name Home Assistant's configuration folder, its database file, or a database URL.",
        )
    return FoundRecorder(_file_url(folder / DATABASE), str(folder / DATABASE), _registries(folder), _time_zone(folder))


def _usual_folders() -> Iterator[Path]:
    yield from (Path(folder).expanduser() for folder in USUAL_FOLDERS)
    for volumes in VOLUMES:
        try:
            yield from sorted(Path(volumes).expanduser().glob("*/_data"))
        except OSError:  # nobody but root may look into it
            continue


def _file_url(file: Path) -> str:
    return f"sqlite:///{quote(str(file))}"


def _registries(folder: Path) -> Path | None:
    registries = folder / REGISTRIES
    return registries if os.path.isfile(registries / "core.entity_registry") else None  # noqa: PTH113 - as above


def _time_zone(folder: Path) -> str | None:
    """Return the time zone that Home Assistant was set to, in its dialogs or in its file."""
    try:
        stored = json.loads(read_regular_text(folder / REGISTRIES / "core.config"))["data"]["time_zone"]
    except (OSError, ValueError, KeyError, TypeError):
        core = _mapping(_mapping(_read(folder / _CONFIGURATION)).get("homeassistant"))
        stored = core.get("time_zone")
    return stored if isinstance(stored, str) else None


def _configured_url(folder: Path) -> str | None:
    """Return the ``db_url`` of the recorder; None if the configuration names none.

    Raises:
        UsageError: It names one in a way that cannot be followed.
    """
    file = folder / _CONFIGURATION
    url = _mapping(_resolved(_mapping(_read(file)).get("recorder"), folder)).get("db_url")
    if isinstance(url, _Tagged):
        url = _resolved(url, folder)
        if not isinstance(url, str):
            raise UsageError(
                f"{file}: the recorder.db_url cannot be followed", hint="Name the database's URL instead of the folder."
            )
    return url if isinstance(url, str) else None


def _resolved(value: Any, folder: Path, depth: int = 0) -> Any:  # noqa: ANN401 - any YAML value
    """Return what ``!secret`` and ``!include`` stand for."""
    if not isinstance(value, _Tagged) or depth > _MAX_INCLUDES:
        return value
    if value.tag == "!secret":
        return _mapping(_read(folder / "secrets.yaml")).get(value.text)
    return _resolved(_read(folder / value.text), folder, depth + 1) if value.tag == "!include" else None


def _mapping(value: Any) -> dict[Any, Any]:  # noqa: ANN401 - any YAML value
    return value if isinstance(value, dict) else {}


def _read(file: Path) -> Any:  # noqa: ANN401 - any YAML value
    """Return the contents of a YAML file; None if it cannot be read."""
    try:
        return yaml.load(read_regular_text(file), _Loader)  # noqa: S506 - a safe loader that keeps Home Assistant's tags
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return None


@dataclass(frozen=True, slots=True)
class _Tagged:
    """A value with a tag of Home Assistant's, such as ``!secret recorder_url``."""

    tag: str
    text: str


class _Loader(yaml.SafeLoader):
    """Reads plain values, and keeps tags that are not YAML's own."""


def _keep_tag(_loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> _Tagged:
    return _Tagged(f"!{suffix}", node.value if isinstance(node, yaml.ScalarNode) else "")


_Loader.add_multi_constructor("!", _keep_tag)
