"""``backfill``: plan a range of days and work on it."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from jobs import nightly
from jobs.cli import completion
from jobs.cli.app import First, Json, Last, command, days_of, home_of, print_line
from jobs.cli.run_report import plan, print_report, progress_bar
from jobs.due import Redo
from jobs.outcome import Outcome
from jobs.publish.publishing import Publishing
from storage.plurals import counted


@command("pattern-aggregates backfill 2026-10-01 yesterday --detector time_based", takes_days=True)
def backfill(
    context: typer.Context,
    first: First,
    last: Last = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(
            "--detector", help="Compute only this detector; may be repeated.", autocompletion=completion.detectors
        ),
    ] = None,
    redo: Annotated[
        Redo | None,
        typer.Option("--redo", help="Compute only what is missing, failed or lost by the store, or all again."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace even rows that were computed from more data than the source has now."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")] = False,
    as_json: Json = False,
) -> Outcome:
    """Compute a range of days. After an interruption, the same command without --redo continues where it stopped."""
    home = home_of(context)
    days = days_of(home, first, last)
    yesterday = home.yesterday()
    with home.open_pipeline(dry=dry_run) as pipeline, progress_bar("backfill") as progress:
        report = nightly.backfill(
            pipeline,
            days,
            yesterday=yesterday,
            retention_days=home.store_settings.kept_days,
            rollup_retention_days=home.store_settings.kept_rollup_days,
            detectors=detector,
            redo=redo,
            force=force,
            dry_run=dry_run,
            progress=progress,
        )
    if not dry_run:
        with closing(Publishing(home)) as publishing:  # without pings: a monitor watches the nightly run
            publishing.end_run(report)
    if not dry_run or as_json:
        return print_report(report, as_json=as_json)
    for planned in plan(report):
        print_line(f"{planned['day']}  {', '.join(planned['detectors']) or 'write what is staged'}")
    print_line(f"{counted(len(report.plan), 'day')} would be worked on; nothing was changed.")
    for notice in report.notices:
        print_line(notice)
    return report.outcome
