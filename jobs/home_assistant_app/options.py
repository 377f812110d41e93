"""The options of the app, as people set them in Home Assistant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from storage.errors import SettingsError
from storage.regular_file import read_regular_text
from storage.settings_check import Section, check
from storage.settings_file import Document


class Options(Section):
    """The options; ``config/home-assistant-app/config.yaml`` has the same, with their defaults.

    Attributes:
        run_at: When the nightly job runs, local time.
        retention_days: How many days of aggregates are kept; 0 for all.
        exclude: Globs of entities that are left out.
        mqtt: Whether findings are published by the MQTT service, where there is one.
        database_url: The recorder database; empty to find it.
        calendar: The address or file of a calendar with days away; empty for none.
        calendar_events: Globs of the titles of its events that count; none for all events.
        settings: Lines of a settings file, for everything else.
        adopt: What ``init --adopt`` joins at the next start.
    """

    run_at: str = "03:30"
    retention_days: int = 90
    exclude: tuple[str, ...] = ()
    mqtt: bool = True
    database_url: Annotated[str, Field(repr=False)] = ""  # it may hold a password
    calendar: Annotated[str, Field(repr=False)] = ""  # the address of a shared calendar is a password
    calendar_events: tuple[str, ...] = ()
    settings: Annotated[tuple[str, ...], Field(repr=False)] = ()
    adopt: tuple[Literal["store", "ledger", "source", "zone"], ...] = ()


def read_options(file: Path) -> Options:
    """Return the options that the Supervisor has written.

    Raises:
        SettingsError: The file cannot be read, or the options are not valid.
    """
    try:
        values = json.loads(read_regular_text(file))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the options of the app cannot be read: {error}", hint="Save them once more in Home Assistant."
        ) from error
    if not isinstance(values, dict):
        raise SettingsError(f"{file} does not hold options", hint="Save them once more in Home Assistant.")
    return check(Options, Document(values, file.parent, "the options of the app"))
