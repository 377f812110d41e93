"""Make the settings of the job from the options of the app and the services that other apps provide."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from jobs.home_assistant_app.options import Options
from jobs.home_assistant_app.supervisor import Service
from storage.errors import SettingsError

PORT: Final = 8099  # of ingress, unless config.yaml says otherwise
INGRESS: Final = "172.30.32.2"  # the Supervisor, in the network of all apps

Table = dict[str, Any]


def settings_of(
    options: Options, *, time_zone: str, recorder_url: str, home_assistant: Path, data: Path, mqtt: Service | None
) -> Table:
    """Return the settings as tables of a settings file; the option ``settings`` counts before all others.

    Args:
        options: The options.
        time_zone: The home's time zone.
        recorder_url: The recorder database.
        home_assistant: The folder of Home Assistant's configuration.
        data: The app's own folder.
        mqtt: The MQTT broker that another app provides; None if there is none, or it is not wanted.

    Raises:
        SettingsError: A line of the option ``settings`` is not valid.
    """
    settings: Table = {
        "home": {"time_zone": time_zone},
        "source": {
            "kind": "home_assistant_db",
            "url": recorder_url,
            "registry_dir": str(home_assistant / ".storage"),
        },
        "store": {
            "kind": "sql",
            "url": f"sqlite:///{data / 'aggregates.db'}",
            "retention_days": options.retention_days,
        },
        "ledger": {"path": str(data / "ledger.db")},
        "schedule": {"at": options.run_at},
        # Only the Supervisor is answered, whoever else can reach the port in the network of all apps.
        "health": {"host": "0.0.0.0", "port": PORT, "ingress": INGRESS},  # noqa: S104 - see above
        "entities": {"exclude": list(options.exclude)},
    }
    if options.calendar:
        settings["away"] = {"calendar": options.calendar, "events": list(options.calendar_events)}
    if mqtt is not None:
        settings["mqtt"] = {
            "host": mqtt.host,
            "port": mqtt.port,
            "username": mqtt.username,
            "password": mqtt.password,
            "tls": mqtt.ssl,
        }
    for name, table in _parsed(options.settings).items():
        if name in ("source", "store") and isinstance(table, dict) and "kind" in table:
            settings[name] = table  # another kind has other keys
        else:
            _merge(settings, name, table)
    return settings


def _parsed(lines: Iterable[str]) -> Table:
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"the option settings is not valid: {error}",
            hint='Write one setting a line, like entities.include = ["light.*"]; texts need quotes.',
        ) from error


def _merge(table: Table, name: str, value: object) -> None:
    """Set a value in a table; of two tables, the keys of the new one are added to the old."""
    old = table.get(name)
    if isinstance(old, dict) and isinstance(value, dict):
        for key, inner in value.items():
            _merge(old, key, inner)
    else:
        table[name] = value
