"""The report of a run: a progress bar while it is running, then a table or a JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from jobs.cli.app import err, out, print_json, say, shown
from jobs.nightly import Progress as ProgressCallback
from jobs.outcome import Outcome
from jobs.run_report import DayReport, DayStatus, RunReport

STYLE = {
    DayStatus.WRITTEN: "green",
    DayStatus.PARTIAL: "yellow",
    DayStatus.STAGED: "yellow",
    DayStatus.FAILED: "red",
    DayStatus.SKIPPED: "dim",
}


@contextmanager
def progress_bar(what: str) -> Iterator[ProgressCallback | None]:
    """Show a progress bar with the remaining time if standard error is a terminal."""
    if not err.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def advance(day: DayReport, number: int, total: int) -> None:
            progress.update(task, completed=number, total=total, description=f"{what} {day.day}")

        yield advance


def show(report: RunReport, *, as_json: bool) -> Outcome:
    """Print the report of a run. Returns its outcome."""
    if as_json:
        print_json(document(report))
        for notice in report.notices:
            say(notice, style="yellow")
        return report.outcome
    if report.days:
        out.print(_table(report))
    elif report.outcome is Outcome.DONE:
        out.print("Nothing is due.")
    for line in _problems(report):
        out.print(line, soft_wrap=True)
    return report.outcome


def _problems(report: RunReport) -> Iterator[Text]:
    for day in report.days:
        for name, detector in day.detectors.items():
            if detector.error:
                yield shown(f"{day.day} {name}: {detector.error}", "red")
        if day.error:
            yield shown(f"{day.day}: {day.error}", "red")
            if day.cause is not None and day.cause.hint:
                yield shown(f"  {day.cause.hint}")
    for notice in report.notices:
        yield shown(notice, "yellow")


def document(report: RunReport) -> dict[str, Any]:
    """Return the report as JSON: ``days`` with the result of each, ``plan`` with what was due."""
    return {
        "days": [
            {
                "day": day.day.isoformat(),
                "status": day.status,
                "detectors": {
                    name: {
                        "status": one.status,
                        "version": one.version,
                        "rows": one.rows,
                        "error": one.error or None,
                        "reason": one.reason,
                    }
                    for name, one in day.detectors.items()
                },
                "events": day.events,
                "seconds": round(day.seconds, 4),
                "error": day.error or None,
            }
            for day in report.days
        ],
        "plan": plan(report),
        "notices": report.notices,
    }


def plan(report: RunReport) -> list[dict[str, Any]]:
    """Return what was due, as JSON."""
    return [
        {"day": planned.day.isoformat(), "detectors": list(planned.detectors), "recheck": planned.recheck}
        for planned in report.plan
    ]


def _table(report: RunReport) -> Table:
    table = Table(title=f"{len(report.days)} days", title_justify="left")
    for heading in ("day", "status", "events", "rows", "seconds"):
        table.add_column(heading, justify="left" if heading in ("day", "status") else "right")
    for day in report.days:
        rows = ", ".join(f"{name} {one.rows}" for name, one in day.detectors.items())
        status = Text(day.status, style=STYLE[day.status])
        table.add_row(str(day.day), status, f"{day.events:,}", shown(rows), f"{day.seconds:.2f}")
    return table
