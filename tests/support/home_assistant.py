"""Run with a Python that has Home Assistant: its MQTT integration discovers a device at a broker, and it shows it.

    python tests/support/home_assistant.py FOLDER PORT

The folder becomes its configuration. Each line of standard input is a service to call, as JSON: domain, service, data;
it ends with standard input. What it prints is one JSON document: its version, and all changes of states.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, const, loader  # type: ignore[import-not-found]
from homeassistant.core import Event, HomeAssistant  # type: ignore[import-not-found]

ENTRY: dict[str, Any] = {
    "created_at": "2026-01-01T00:00:00+00:00",
    "modified_at": "2026-01-01T00:00:00+00:00",
    "data": {"broker": "127.0.0.1", "discovery": True},
    "disabled_by": None,
    "discovery_keys": {},
    "domain": "mqtt",
    "entry_id": "0123456789abcdef0123456789abcdef",
    "minor_version": 2,
    "options": {},
    "pref_disable_new_entities": False,
    "pref_disable_polling": False,
    "source": "user",
    "subentries": [],
    "title": "broker",
    "unique_id": None,
    "version": 1,
}


async def main(folder: Path, port: int) -> None:
    """Run Home Assistant and print what it knows in the end."""
    entry = {**ENTRY, "data": {**ENTRY["data"], "port": port}}
    (folder / ".storage").mkdir(parents=True, exist_ok=True)
    (folder / "configuration.yaml").write_text("", encoding="utf-8")
    stored = {"version": 1, "minor_version": 4, "key": "core.config_entries", "data": {"entries": [entry]}}
    (folder / ".storage" / "core.config_entries").write_text(json.dumps(stored), encoding="utf-8")
    hass = HomeAssistant(str(folder))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    changes: list[dict[str, Any]] = []

    def note(event: Event) -> None:
        new = event.data.get("new_state")
        if new is not None:
            changes.append({"entity_id": new.entity_id, "state": new.state, "attributes": dict(new.attributes)})

    hass.bus.async_listen(const.EVENT_STATE_CHANGED, note)
    if await bootstrap.async_from_config_dict({"homeassistant": {"time_zone": "Europe/Berlin"}}, hass) is None:
        raise SystemExit("Home Assistant has not started")
    await hass.async_start()
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    while line := await asyncio.to_thread(sys.stdin.readline):
        call = json.loads(line)
        await hass.services.async_call(call["domain"], call["service"], call["data"], blocking=True)
    sys.stdout.write(json.dumps({"version": const.__version__, "changes": changes}, default=str) + "\n")
    sys.stdout.flush()
    await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
