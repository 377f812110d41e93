"""``export``: write stored rows into a folder of Parquet files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.app import First, Json, Last, command, days_of, home_of, print_json, print_line, print_message
from storage.dates import DateRange
from storage.drivers.file_systems import without_secrets
from storage.errors import SettingsError, UsageError
from storage.models import DetectorRunDaily
from storage.plurals import counted
from storage.query_homes import no_such_home
from storage.store import AggregateStore

MAX_NAMED = 5


@command("pattern-aggregates export last-month --parquet rows", takes_days=True)
def export(
    context: typer.Context,
    first: First,
    last: Last = None,
    parquet: Annotated[
        str, typer.Option("--parquet", metavar="DIR", help="The folder; created if there is none.")
    ] = "",
    names: Annotated[
        list[str] | None, typer.Option("--home", metavar="NAME", help="Of this home; may be repeated.")
    ] = None,
    all_homes: Annotated[bool, typer.Option("--all-homes", help="Of every home that the store holds.")] = False,
    as_json: Json = False,
) -> None:
    """Write stored rows into a folder of Parquet files, for duckdb, polars, Spark and `storage.query`.

    Files lie in measurement=.../month=.../ and are replaced whole. Exporting days again replaces their rows; rows of
    other days and homes stay.
    """
    if not parquet:
        raise UsageError("no folder to write to is named", hint="Name it with --parquet DIR.")
    if "://" in parquet:
        raise UsageError(
            f"{without_secrets(parquet)} is not a folder", hint="Export into a local folder, and copy that to the URL."
        )
    if names and all_homes:
        raise UsageError("not both --home and --all-homes", hint="Name homes, or export all of them.")
    home = home_of(context)
    days = days_of(home, first, last)
    try:
        from storage.parquet_export import export_rows  # noqa: PLC0415 - loads pyarrow
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"export --parquet needs {error.name}, which is not installed", hint="Install pattern-aggregates[parquet]."
        ) from error
    with closing(home.open_reader()) as store:
        chosen = store.homes() if all_homes else _check_names(store, names or [home.settings.home.name])
        models = [one.detector.model for one in home.registered]
        exported = export_rows(store, Path(parquet), models, days, chosen)
        if len(chosen) == 1:
            _mention_missing(store.for_home(chosen[0]), days)
    if as_json:
        print_json(
            {
                "folder": parquet,
                "first": days.first,
                "last": days.last,
                "homes": len(chosen),
                "files": exported.files,
                "rows": exported.rows,
            }
        )
        return
    total = sum(exported.rows.values())
    of_homes = f" of {counted(len(chosen), 'home')}" if len(chosen) != 1 else ""
    print_line(f"{parquet}: {counted(total, 'row')}{of_homes}, {days}, in {counted(exported.files, 'file')}")


def _check_names(store: AggregateStore, names: list[str]) -> list[str]:
    """Return the names of homes, if the store has them.

    Raises:
        UsageError: It has not.
    """
    held = store.homes()
    for name in names:
        if held and name not in held:
            raise no_such_home(name, held, "name one with --home")
    return names


def _mention_missing(store: AggregateStore, days: DateRange) -> None:
    """Print which days were never computed: that they have no rows does not mean that nothing happened on them."""
    computed = store.count_by_day(DetectorRunDaily, days)
    missing = [day for day in days if day not in computed]
    if missing:
        named = ", ".join(map(str, missing[:MAX_NAMED])) + (", ..." if len(missing) > MAX_NAMED else "")
        print_message(f"{len(missing)} of {counted(len(days), 'day')} not computed ({named})", style="yellow")
