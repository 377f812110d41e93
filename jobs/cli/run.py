"""``run``: the nightly job, once."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs import nightly
from jobs.cli.app import Json, command, day_of, home_of
from jobs.cli.run_report import print_report, progress_bar
from jobs.outcome import Outcome
from jobs.publish.publishing import published


@command("pattern-aggregates run --day yesterday")
def run(
    context: typer.Context,
    day: Annotated[str | None, typer.Option("--day", help="Compute only this day, as far as it is due.")] = None,
    as_json: Json = False,
) -> Outcome:
    """Compute every day that is due, including missed days and days with late events; yesterday comes last."""
    home = home_of(context)
    yesterday = home.yesterday()
    with published(home) as publishing:
        with home.open_pipeline() as pipeline, progress_bar("run") as progress:
            report = nightly.run(
                pipeline,
                yesterday=yesterday,
                retention_days=home.store_settings.kept_days,
                rollup_retention_days=home.store_settings.kept_rollup_days,
                recheck_days=home.settings.schedule.recheck_days,
                only_day=day_of(home, day) if day is not None else None,
                progress=progress,
            )
        publishing.end_run(report)
    return print_report(report, as_json=as_json)
