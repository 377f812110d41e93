"""``detectors``: show the registered detectors."""

from __future__ import annotations

import typer
from rich.text import Text

from jobs.cli.app import Json, command, home_of, print_json
from jobs.cli.tables import print_table
from jobs.detector import HistoryDetector
from storage.clean_text import clean_lines


@command("pattern-aggregates detectors --json")
def detectors(context: typer.Context, as_json: Json = False) -> None:
    """Show name, version, settings and origin of each registered detector."""
    registered = [
        {
            "name": one.detector.name,
            "version": one.detector.version,
            "enabled": one.enabled,
            "reads": "history" if isinstance(one.detector, HistoryDetector) else "events",
            "measurement": one.detector.model.measurement,
            "settings": one.parameters,
            "origin": one.origin,
        }
        for one in home_of(context).registered
    ]
    if as_json:
        print_json(registered)
        return
    rows = []
    for one in registered:
        settings = one["settings"]
        values = (
            "\n".join(f"{key} = {_plain(value)}" for key, value in settings.items())
            if isinstance(settings, dict)
            else ""
        )
        enabled = "yes" if one["enabled"] else "no"
        cells = (one["name"], one["version"], enabled, one["reads"], values, one["origin"])
        rows.append([Text(clean_lines(str(cell))) for cell in cells])
    print_table(("name", "version", "enabled", "reads", "settings", "origin"), rows, numbers=("version",))


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
