"""``report``: write what stored rows show of a home into one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.app import Json, Last, command, day_of, days_of, print_json, print_message
from jobs.cli.named_home import HomeOption, named_home
from storage.dates import DateRange
from storage.errors import UsageError
from storage.plurals import counted
from storage.regular_file import replace_file


@command("pattern-aggregates report --out report.html", takes_days=True)
def report(
    context: typer.Context,
    first: Annotated[
        str | None,
        typer.Argument(metavar="FIRST", help="First day, or a range such as last-month. Left out: the last 4 weeks."),
    ] = None,
    last: Last = None,
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", help="Where to write it; - for standard output.")
    ] = "report.html",
    day: Annotated[str | None, typer.Option("--day", metavar="DAY", help="One day in detail instead.")] = None,
    as_json: Json = False,
    home_name: HomeOption = None,
) -> None:
    """Write a report of the home as one HTML file, which needs no network and no script.

    It shows what was unusual, the rhythm of the week, what is on for how long, what goes together, what changed, and
    what is missing.
    """
    if as_json and out == "-":
        raise UsageError(
            "--json and the report itself cannot both go to standard output", hint="Name a file with --out."
        )
    home = named_home(context, home_name)
    from jobs.report.report import default_days, make_report  # noqa: PLC0415 - loads numpy and Jinja2

    if day is not None:
        if first is not None:
            raise UsageError("--day comes with a range of days", hint="Give either a range or --day.")
        days = DateRange.parse(day_of(home, day))
    elif first is not None:
        days = days_of(home, first, last)
    else:
        days = default_days(home)
        if days.last != home.yesterday():
            print_message(f"nothing was computed after {days.last}: the four weeks up to it are shown", style="yellow")
    html = make_report(home, days, in_detail=day is not None)
    size = len(html.encode())
    if out == "-":
        sys.stdout.buffer.write(html.encode())
        return
    _write(Path(out), html)
    if as_json:
        named = {"home": home.settings.home.name} if home.settings.home.name else {}
        print_json({**named, "file": out, "first": days.first, "last": days.last, "bytes": size})
    else:
        print_message(f"{out}: {days}, {counted(size // 1000 + 1, 'KB', 'KB')}")


def _write(path: Path, html: str) -> None:
    try:
        replace_file(path, html)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="Name another file with --out.") from error
