"""``demo``: simulate a home, run the real job over it, and show what it found."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from jobs import nightly
from jobs.cli.app import Json, command, out, print_json, print_line, program
from jobs.cli.demo_findings import show_findings
from jobs.cli.run_report import document, progress_bar
from jobs.outcome import Outcome
from jobs.run_report import RunReport
from jobs.wiring import open_home, system_clock
from storage.dates import ONE_DAY, DateRange
from storage.errors import UsageError
from storage.plurals import counted
from storage.regular_file import read_regular_text, replace_file

MARK = "# Made by `pattern-aggregates demo`."
ZONE = "Europe/Berlin"
MAX_DAYS = 90  # as many as the store of the demo keeps
SEED = 5  # a home whose pantry door sensor dies in its fourth week


@command("pattern-aggregates demo --days 30 --dir ./demo-home")
def demo(
    days: Annotated[int, typer.Option(help=f"How many days to simulate, at most {MAX_DAYS}.")] = 30,
    directory: Annotated[Path, typer.Option("--dir", help="Folder for settings, store and ledger.")] = Path(
        "demo-home"
    ),
    as_json: Json = False,
) -> Outcome:
    """Simulate a home, run the real job over it, and show what it found."""
    if not 1 <= days <= MAX_DAYS:
        raise UsageError(f"--days {days} is not a valid number of days", hint=f"Give 1 to {MAX_DAYS}.")
    config = directory / "config.toml"
    yesterday = system_clock().astimezone(ZoneInfo(ZONE)).date() - ONE_DAY
    span = DateRange.ending(yesterday, days)
    _write_config(config, span)
    home = open_home(config)
    with home.open_pipeline() as pipeline, progress_bar("demo") as progress:
        report = nightly.backfill(
            pipeline,
            span,
            yesterday=yesterday,
            retention_days=home.store_settings.kept_days,
            rollup_retention_days=home.store_settings.kept_rollup_days,
            progress=progress,
        )
    if as_json:
        print_json({"settings": str(config), **document(report)})
        return report.outcome
    with home.open_query() as aggregates:
        show_findings(aggregates, span, home.enabled_detectors)
    _next_steps(config, span, report)
    return report.outcome


def _write_config(config: Path, span: DateRange) -> None:
    """Write the settings of a home that is simulated from the first day on.

    Raises:
        UsageError: The folder has settings that are not from a demo, or cannot be written to.
    """
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(config) and not _is_of_a_demo(config):
            raise UsageError(f"{config} is not from an earlier demo", hint="Name another folder with --dir.")
        replace_file(
            config,
            f"""{MARK}

[home]
time_zone = "{ZONE}"

[source]
kind = "simulated_home"
seed = {SEED}
first_day = {span.first}
unusual_days = true

[store]
url = "sqlite:///aggregates.db"

[ledger]
path = "ledger.db"
""",
        )
    except OSError as error:
        raise UsageError(f"{config}: {error.strerror}", hint="Name another folder with --dir.") from error


def _is_of_a_demo(config: Path) -> bool:
    """Return whether a file is one that an earlier demo has written, and no link to another file."""
    if config.is_symlink():
        return False
    try:
        return read_regular_text(config).startswith(MARK)
    except UnicodeDecodeError:
        return False


def _next_steps(config: Path, span: DateRange, report: RunReport) -> None:
    """Print how much was computed, where it is, and which commands to try next."""
    if report.days:
        events = sum(day.events for day in report.days)
        rows = sum(one.rows for day in report.days for one in day.detectors.values())
        seconds = sum(day.seconds for day in report.days)
        days = counted(len(report.days), "day")
        print_line("")
        print_line(f"{days}: {counted(events, 'activity event')} became {counted(rows, 'row')} in {seconds:.1f} s.")
    else:
        print_line("")
        print_line("Nothing was due: an earlier demo has computed these days.")
    command_line = f"{program()} --config {shlex.quote(str(config))}"
    print_line(f"The aggregates are in {config.parent / 'aggregates.db'}. To go on:")
    for words in (
        f"report --out {shlex.quote(str(config.with_name('report.html')))}",
        "status",
        f"query time_based_daily {span.last} {span.last}",
        f"query duration_daily {span.first} {span.last} --by entity_id --mean avg_duration_seconds --sum episodes",
        "doctor",
    ):
        out.print(Text(f"  {command_line} {words}"), soft_wrap=True)  # in one line, for copying
