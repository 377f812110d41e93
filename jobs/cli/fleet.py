"""``fleet``: many homes. ``fleet run`` works on those that are due, ``fleet status`` shows how they are doing."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from typer.core import TyperGroup

from jobs import logs
from jobs.cli.app import Json, Last, command, err, parse_days, print_json, print_line, print_message, terminal_text
from jobs.daemon.http import http_server
from jobs.fleet.catalogue import read_catalogue
from jobs.fleet.dask_workers import dask_executor
from jobs.fleet.dispatch import OpenEngine
from jobs.fleet.executors import process_pool
from jobs.fleet.fleet import open_fleet
from jobs.fleet.planning import WINDOW_DAYS
from jobs.fleet.report import FleetReport
from jobs.fleet.run import Days, FleetRun
from jobs.fleet.serve import FleetServer
from jobs.fleet.status import STATES
from jobs.outcome import Outcome
from jobs.signals import stop_on_signals
from jobs.wiring import system_clock
from storage.errors import UsageError
from storage.plurals import counted

MAX_FAILING: Final = 20  # homes whose reasons are printed; JSON has all
PROGRESS_SECONDS: Final = 30.0  # between two lines, where there is no terminal

Homes = Annotated[
    str,
    typer.Option(
        "--homes",
        metavar="FILE",
        help="The catalogue: CSV or Parquet with home,time_zone and any other column; or a database URL with --query.",
    ),
]
SqlQuery = Annotated[
    str | None, typer.Option("--query", metavar="SQL", help="The SQL query that returns the catalogue.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=1024, help="Processes of this machine. Left out: one for each processor."),
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, such as tcp://HOST:8786, instead."),
]


@command("pattern-aggregates fleet run --homes homes.csv --workers 4", takes_days=True)
def run(
    context: typer.Context,
    homes: Homes,
    first: Annotated[
        str | None, typer.Argument(metavar="FIRST", help="First day. Left out: every day that is due.")
    ] = None,
    last: Last = None,
    query: SqlQuery = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: Json = False,
) -> Outcome:
    """Compute what is due of every home of a catalogue, each by its own local days; one broken home costs no other."""
    work = open_run(context, homes, query, workers, scheduler)
    with _progress() as progress:
        report = work.run(_days(first, last), progress=progress)
    return _print_report(report, as_json=as_json)


@command("pattern-aggregates fleet status --homes homes.csv", takes_days=True)
def status(
    context: typer.Context,
    homes: Homes,
    first: Annotated[str | None, typer.Argument(metavar="FIRST", help="First day. Left out: the newest days.")] = None,
    last: Last = None,
    query: SqlQuery = None,
    as_json: Json = False,
) -> Outcome:
    """Show how many homes are done, due or failing, the oldest day that is due, and the reasons."""
    found = open_run(context, homes, query).status(_days(first, last))
    if as_json:
        print_json(found.document())
        return Outcome.DONE
    for state in STATES:
        if found.homes[state]:
            print_line(f"{found.homes[state]:,} {state}")
    if found.oldest_due is not None:
        where = f"Of the newest {WINDOW_DAYS} days, the oldest" if first is None else "The oldest day"
        print_line(f"{where} that is due is {found.oldest_due}, of {found.oldest_home}.")
    for reason, count in found.reasons.most_common(MAX_FAILING):
        print_line(f"{counted(count, 'home')}, such as {found.examples[reason]}: {reason}", style="red")
    return Outcome.DONE


@command("pattern-aggregates fleet serve --homes homes.csv --workers 4")
def serve(
    context: typer.Context,
    homes: Homes,
    query: SqlQuery = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Run the homes of each time zone once its night has come, all day long, until SIGTERM or Ctrl-C."""
    health = open_fleet(context.find_root().obj).common.settings.health
    open_run(context, homes, query, workers, scheduler)  # what is not valid now ends the command
    logs.configure(sys.stderr)
    server = FleetServer(lambda: open_run(context, homes, query, workers, scheduler), system_clock)

    stop_on_signals(server.stop)
    with http_server(health.host, health.port, server.routes()) if health.port else nullcontext():
        server.serve()


def open_run(
    context: typer.Context,
    homes: str,
    query: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> FleetRun:
    """Return what the options of a command describe."""
    if workers is not None and scheduler is not None:
        raise UsageError("--workers and --scheduler exclude each other: a scheduler has workers of its own")
    config: Path | None = context.find_root().obj
    fleet = open_fleet(config)
    fleet.require_shared_storage(scheduler)
    catalogue = read_catalogue(homes, fleet.common.base, query)
    count = workers or len(os.sched_getaffinity(0))
    engine: OpenEngine = partial(process_pool, count)
    if scheduler is not None:
        engine = partial(dask_executor, scheduler)
        with engine() as opened:  # before anything is planned
            count = opened.workers
    return FleetRun(fleet, catalogue, engine, count, config.resolve() if config is not None else None)


def _days(first: str | None, last: str | None) -> Days | None:
    """Return what gives the days that were named, by the local day of each home; None if none were."""
    if first is None:
        return None
    return lambda today: parse_days(first, last, today)


@contextmanager
def _progress() -> Iterator[Callable[[FleetReport], None]]:
    """Show on standard error how many homes are done and how long the others will take."""
    if not err.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("fleet run", total=None)

        def advance(report: FleetReport) -> None:
            failed = f", {report.failed:,} failed" if report.failed else ""
            bar.update(
                task,
                completed=report.done + report.failed,
                total=report.due,
                description=f"fleet run{failed}",
            )

        yield advance


def _lines(clock: Callable[[], float] = time.monotonic) -> Callable[[FleetReport], None]:
    """Return what prints a line now and then."""
    began = printed = clock()

    def advance(report: FleetReport) -> None:
        nonlocal printed
        now = clock()
        if now - printed < PROGRESS_SECONDS:
            return
        printed = now
        ended = report.done + report.failed
        rate = ended / (now - began)
        left = f"about {math.ceil((report.due - ended) / rate / 60):,} min left" if rate else "none ended yet"
        print_message(f"{ended:,} of {report.due:,} homes, {report.failed:,} failed, {rate:,.1f} a second, {left}")

    return advance


def _print_report(report: FleetReport, *, as_json: bool) -> Outcome:
    """Print the result of a run. Returns its outcome."""
    if as_json:
        print_json(report.document())
        return report.outcome
    if not report.due:
        up_to_date = f": {counted(report.nothing_due, 'home')} up to date" if report.nothing_due else ""
        print_line(f"Nothing is due{up_to_date}.")
    else:
        days = ", ".join(f"{count:,} {state}" for state, count in sorted(report.days.items()))
        print_line(
            f"{report.done:,} of {counted(report.due, 'home')} that were due are done in {report.seconds:,.1f} s"
            + (f"; home-days: {days}" if days else "")
            + f"; {counted(report.rows, 'row')}. {report.nothing_due:,} had nothing to do."
        )
    if report.not_over:
        print_line(f"{counted(report.not_over, 'home')} left for later: the days are not over there yet.")
    for notice in report.notices:
        print_line(notice, style="yellow")
    for home, reason in list(report.failing.items())[:MAX_FAILING]:
        print_line(Text.assemble(terminal_text(home, "bold"), ": ", terminal_text(reason, "red")))
    if report.failed > MAX_FAILING:
        print_line(f"and {counted(report.failed - MAX_FAILING, 'more home')}; --json names all")
    return report.outcome


fleet = TyperGroup(
    name="fleet",
    help="Run many homes: the nightly job for each, in processes or on the workers of a Dask scheduler.",
    commands={"run": run, "status": status, "serve": serve},
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
