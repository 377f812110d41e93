"""The home that checked settings describe; see ``storage.described_home``."""

from __future__ import annotations

from pathlib import Path

from jobs.settings import Settings
from storage.described_home import describe_home
from storage.identity import HomeIdentity
from storage.settings import absolute_path


def home_in_settings(settings: Settings, base: Path) -> HomeIdentity:
    """Return the home that the settings describe; it has no id.

    Args:
        settings: The settings.
        base: The folder that relative paths start from.
    """
    ledger = None if settings.ledger.url else absolute_path(base, settings.ledger.path)
    home = describe_home(settings.home.time_zone, settings.source.model_dump(), base, ledger)
    assert home is not None  # noqa: S101 - checked settings say where the raw events are
    return home
