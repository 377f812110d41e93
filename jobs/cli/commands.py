"""The list of commands. Each is imported only when it is called, so that ``--help`` and ``health`` load little."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

HELP: Final[Mapping[str, str]] = {
    "demo": "Simulate a home, run the real job over it, and show what it found.",
    "setup": "Find Home Assistant's recorder database, ask three questions, write settings, and check everything.",
    "init": "Create what store and ledger need, or upgrade them.",
    "run": "Compute every day that is due, including missed days and days with late events.",
    "backfill": "Compute a range of days.",
    "serve": "Run the nightly job now and then every night.",
    "status": "Show for each day and detector whether it is written, staged, failed (why), missing or out of reach.",
    "query": "Print rows, or summaries if a function such as --sum is given.",
    "explain": "Show what a row means and the evidence for it.",
    "report": "Write a report of the home as one HTML file.",
    "export": "Write stored rows into a folder of Parquet files, for duckdb, polars, Spark and `storage.query`.",
    "away": "Enter days on which nobody is home: they are no baseline, and only movement inside is reported.",
    "mute": "Mute anomalies of an entity: they are stored and marked as muted, but nobody is notified.",
    "fleet": "Run many homes: the nightly job for each, in processes or on the workers of a Dask scheduler.",
    "forget": "Delete everything of a home from store and ledger, count what is left, and print both counts.",
    "detectors": "Show name, version, settings and origin of each registered detector.",
    "health": "Exit 0 if the newest due day is written and the store has lost nothing.",
    "doctor": "Check settings, time zone, source, store, ledger and versions.",
}


class LazyCommand(TyperCommand):
    """A command of which only name and short help are known until it is called.

    Args:
        name: The name; the command is the object of this name in ``jobs/cli/NAME.py``.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, help=HELP[name])

    def load(self) -> TyperCommand | TyperGroup:
        """Import the command."""
        command: TyperCommand | TyperGroup = getattr(import_module(f"jobs.cli.{self.name}"), str(self.name))
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the library's own signature
        """Parse the command line as the command itself does."""
        return self.load().make_context(*args, **kwargs)


class LazyGroup(TyperGroup):
    """All commands, in the order in which a new user needs them."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - the library's own options
        super().__init__(**settings)
        self.commands = {name: LazyCommand(name) for name in HELP}

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - the library's signature
        """Return the names in their order."""
        return list(self.commands)
