"""The report of a run: a progress bar while it is running, then a table or a JSON document."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from jobs.cli.app import err, hint_of, print_json, print_line, print_message, terminal_text
from jobs.cli.tables import print_table
from jobs.nightly import Progress as ProgressCallback
from jobs.outcome import Outcome
from jobs.run_report import DayReport, DayStatus, RunReport
from storage.plurals import counted

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


def print_report(report: RunReport, *, as_json: bool) -> Outcome:
    """Print the report of a run. Returns its outcome."""
    if as_json:
        print_json(document(report))
        for notice in report.notices:
            print_message(notice, style="yellow")
        return report.outcome
    if report.days:
        _print_days(report)
    elif report.outcome is Outcome.DONE:
        print_line("Nothing is due.")
    for line in _problems(report):
        print_line(line)
    return report.outcome


def _problems(report: RunReport) -> Iterator[Text]:
    """Yield what went wrong: one cause is one line, with all days that it concerns, and its hint once."""
    days: dict[str, list[dt.date]] = {}
    named: dict[str, str] = {}  # InfluxDB 1.x quotes a name in some answers only
    hints = {day.error: hint_of(day.cause) for day in report.days if day.cause is not None}
    for day in report.days:
        if day.error:
            text = named.setdefault(day.error.replace('"', ""), day.error)
            days.setdefault(text, []).append(day.day)
        for name, detector in day.detectors.items():
            # What keeps the history from being read is the day's own error, where that is the store's.
            if detector.error and not any(detector.error.endswith(text) for text in hints):
                days.setdefault(f"{name}: {detector.error}", []).append(day.day)
    for text, concerned in days.items():
        is_detectors = text not in hints and text.partition(": ")[0].isidentifier()
        yield terminal_text(f"{_in_words(concerned)}{' ' if is_detectors else ': '}{text}", "red")
        if hints.get(text):
            yield terminal_text(f"  {hints[text]}")
    for notice in report.notices:
        yield terminal_text(notice, "yellow")


def _in_words(days: Sequence[dt.date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]} ({counted(len(days), 'day')})"


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


def _print_days(report: RunReport) -> None:
    headings = ("day", "status", "events", "rows", "seconds")
    rows = [
        (
            str(day.day),
            Text(day.status, style=STYLE[day.status]),
            f"{day.events:,}",
            f"{sum(one.rows for one in day.detectors.values()):,}",
            f"{day.seconds:.2f}",
        )
        for day in report.days
    ]
    print_table(headings, rows, title=counted(len(report.days), "day"), numbers=headings[2:])
