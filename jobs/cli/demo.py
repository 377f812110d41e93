"""``demo``: a simulated home, the real job over it, and what came of it."""

from __future__ import annotations

import datetime as dt
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table
from rich.text import Text

from jobs import nightly
from jobs.cli.app import command, out, program, shown
from jobs.cli.query import hours_as_bars
from jobs.cli.report import progress_bar
from jobs.outcome import Outcome
from jobs.run_report import RunReport
from jobs.wiring import open_home, system_clock
from storage.dates import ONE_DAY, DateRange
from storage.errors import UsageError
from storage.models import HOURS, CoOccurrenceDaily, DurationDaily, SequenceDaily, TimeBasedDaily
from storage.query import AggregateQuery, Completeness, State

MARK = "# Made by `pattern-aggregates demo`."
ZONE = "Europe/Berlin"
MOST_ROWS = 12
MOST_TOGETHER = 5  # pairs, and as many chains
SILENT_DAYS = 3
ROOMY = 110  # columns of a terminal that all of a table fits
MINUTE_SECONDS = 60
DAY_SECONDS = 86_400


@command("pattern-aggregates demo --days 30 --dir ./demo-home")
def demo(
    days: Annotated[int, typer.Option(min=1, max=90, help="How many days to simulate.")] = 30,
    directory: Annotated[Path, typer.Option("--dir", help="Where configuration, store and ledger go.")] = Path(
        "demo-home"
    ),
) -> Outcome:
    """Simulate a home, run the real job over it, and show what it found."""
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
            progress=progress,
        )
    with home.open_query() as aggregates:
        _used_when(aggregates, span)
        _on_how_long(aggregates, span)
        _together(aggregates, span)
        _missing(aggregates, span, home.enabled_detectors)
    _next_steps(config, span, report)
    return report.outcome


def _write_config(config: Path, span: DateRange) -> None:
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        if config.exists() and not config.read_text(encoding="utf-8").startswith(MARK):
            raise UsageError(f"{config} is not from an earlier demo", hint="Name another folder with --dir.")
        config.touch(0o600)
        config.write_text(
            f"""{MARK}

[home]
time_zone = "{ZONE}"

[source]
kind = "simulated_home"
first_day = {span.first}

[store]
url = "sqlite:///aggregates.db"

[ledger]
path = "ledger.db"
""",
            encoding="utf-8",
        )
    except OSError as error:
        raise UsageError(f"{config}: {error.strerror}", hint="Name another folder with --dir.") from error


def _used_when(aggregates: AggregateQuery, span: DateRange) -> None:
    by_entity: dict[str, list[TimeBasedDaily]] = defaultdict(list)
    for row in aggregates.daily(TimeBasedDaily, span.first, span.last, allow_missing=True):
        by_entity[row.entity_id].append(row)
    busiest = sorted(by_entity.items(), key=lambda item: -sum(row.bouts or 0 for row in item[1]))[:MOST_ROWS]
    table = Table(title="What was used when (the busiest, by intervals of use)", title_justify="left")
    table.add_column("entity", overflow="fold", min_width=20)
    table.add_column("days", justify="right")
    table.add_column("a day", justify="right")
    table.add_column("0h    6h    12h   18h", no_wrap=True, min_width=HOURS)
    if roomy := out.width >= ROOMY:
        table.add_column("most often busy at")
    for entity_id, rows in busiest:
        hours = [sum(counts) for counts in zip(*(row.hourly_distribution for row in rows), strict=True)]
        peaks = [one for one in Counter(hour for row in rows for hour in row.peak_hours).most_common(3) if one[1] > 1]
        peak = ", ".join(f"{hour}h (on {days} days)" for hour, days in sorted(peaks))
        bouts = sum(row.bouts or 0 for row in rows) / len(rows)
        cells = (shown(entity_id), str(len(rows)), f"{bouts:.1f}", hours_as_bars(hours))
        table.add_row(*cells, *([peak] if roomy else []))
    out.print(table)


def _on_how_long(aggregates: AggregateQuery, span: DateRange) -> None:
    by_entity: dict[str, list[DurationDaily]] = defaultdict(list)
    for row in aggregates.daily(DurationDaily, span.first, span.last, allow_missing=True):
        by_entity[row.entity_id].append(row)
    totals = {
        entity_id: sum(row.avg_duration_seconds * (row.episodes or 0) for row in rows)
        for entity_id, rows in by_entity.items()
    }
    table = Table(title="What was on for how long (the longest)", title_justify="left")
    table.add_column("entity", overflow="fold", min_width=20)
    headings = ("times", "usually", "longest", "a day", "somebody around")
    for heading in headings if (roomy := out.width >= ROOMY) else headings[:3]:
        table.add_column(heading, justify="right")
    for entity_id in sorted(totals, key=lambda one: -totals[one])[:MOST_ROWS]:
        rows = by_entity[entity_id]
        times = sum(row.episodes or 0 for row in rows)
        scores = [row.efficiency_score for row in rows if row.efficiency_score is not None]
        longest = _duration(max(row.max_duration_seconds for row in rows))
        more = (_duration(totals[entity_id] / len(span)), f"{fmean(scores):.0%}" if scores else "")
        cells = (shown(entity_id), str(times), _duration(totals[entity_id] / times), longest)
        table.add_row(*cells, *(more if roomy else ()))
    out.print(table)


def _together(aggregates: AggregateQuery, span: DateRange) -> None:
    pairs: dict[str, list[int]] = defaultdict(list)
    for pair in aggregates.daily(CoOccurrenceDaily, span.first, span.last, allow_missing=True):
        pairs[" and ".join(pair.device_pair.split("|"))].append(pair.co_occurrence_count)
    chains: dict[str, list[int]] = defaultdict(list)
    for chain in aggregates.daily(SequenceDaily, span.first, span.last, allow_missing=True):
        chains[", then ".join(step.replace(":", " ", 1) for step in chain.sequence)].append(chain.frequency)
    table = Table(title="What goes together, and what follows what (on the most days)", title_justify="left")
    table.add_column("entities", overflow="fold", min_width=20)
    table.add_column("days", justify="right")
    table.add_column("a day", justify="right")
    for found in (pairs, chains):
        for name, counts in sorted(found.items(), key=lambda item: -len(item[1]))[:MOST_TOGETHER]:
            table.add_row(shown(name), str(len(counts)), f"{fmean(counts):.1f}")
    out.print(table)


def _missing(aggregates: AggregateQuery, span: DateRange, detectors: Sequence[str]) -> None:
    completeness = [one for one in aggregates.completeness(span.first, span.last) if one.detector in detectors]
    known = {one.day: one.known_share for one in completeness if one.state is not State.MISSING}
    partly = {day: share for day, share in sorted(known.items()) if share < 1}
    for day, share in partly.items():
        out.print(f"{day}: the recorder was down for {_duration((1 - share) * DAY_SECONDS)}; that time is not known.")
    for entity_id, last in _fallen_silent(aggregates, span):
        out.print(Text(f"{entity_id}: no activity since {last}; is it still there?"))
    empty: dict[str, list[Completeness]] = defaultdict(list)
    for one in completeness:
        if one.state is State.MISSING:
            out.print(Text(f"{one.day} {one.detector}: missing, not computed"))
        elif one.state is State.EMPTY:
            empty[one.detector].append(one)
    for detector, days in empty.items():
        out.print(Text(f"{detector} found nothing on {len(days)} days; on {days[-1].day}: {days[-1].reason}"))
    if not partly and all(one.state is State.WRITTEN for one in completeness):
        out.print("Nothing is missing: every day is known from end to end and computed.")


def _fallen_silent(aggregates: AggregateQuery, span: DateRange) -> Iterator[tuple[str, dt.date]]:
    """Entities that were active on most days, and on none of the last three."""
    active: dict[str, list[dt.date]] = defaultdict(list)
    for row in aggregates.daily(TimeBasedDaily, span.first, span.last, allow_missing=True):
        active[row.entity_id].append(row.date)
    for entity_id, days in active.items():
        until_then = (days[-1] - span.first).days + 1
        if days[-1] <= span.last - SILENT_DAYS * ONE_DAY and len(days) > until_then / 2:
            yield entity_id, days[-1]


def _duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> _duration(42), _duration(605), _duration(9000)
    ('42 s', '10 min', '2 h 30 min')
    """
    if seconds < MINUTE_SECONDS:
        return f"{seconds:.0f} s"
    hours, rest = divmod(round(seconds / MINUTE_SECONDS), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def _next_steps(config: Path, span: DateRange, report: RunReport) -> None:
    if report.days:
        events = sum(day.events for day in report.days)
        rows = sum(one.rows for day in report.days for one in day.detectors.values())
        seconds = sum(day.seconds for day in report.days)
        out.print(f"\n{len(report.days)} days: {events:,} activity events became {rows:,} rows in {seconds:.1f} s.")
    else:
        out.print("\nNothing was due: an earlier demo has computed these days.")
    command_line = f"{program()} --config {shlex.quote(str(config))}"
    out.print(f"The aggregates lie in {config.parent / 'aggregates.db'}. To go on:", markup=False, soft_wrap=True)
    for words in (
        "status",
        f"query time_based_daily {span.last} {span.last}",
        f"query duration_daily {span.first} {span.last} --by entity_id --mean avg_duration_seconds --sum episodes",
        "doctor",
    ):
        out.print(Text(f"  {command_line} {words}"), soft_wrap=True)
