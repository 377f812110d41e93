"""Raw events as tests write them down, and a day's log in the same words.

A scenario is a text with one raw row a line, of October 2025 in Madrid (the month may be given)::

    20 23:50:00  light.lamp  off           a row with the state off
    21 08:00:00  light.lamp  ~             only attributes change: the recorder notes since when the state holds,
                                           other sources see the same state again
    21 09:00:00  light.lamp  removed       the entity is removed
    26 02:30:00* light.lamp  on            in the second pass of the repeated hour
    run 20 02:00:00 - 21 23:00:00          the recorder ran; without such lines, from the first row to the last

What a source makes of it is shown likewise: events as rows, intervals as
``light.lamp on [21 08:00:00 - 21 09:00:00)``,
with a square bracket where the change at that end was seen, a round one where it was not.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from jobs.activity.entities import Description
from jobs.activity.events import DayLog
from jobs.activity.window import DayWindow, from_instant, to_instant
from tests.support.memory_source import Row

MADRID: Final = ZoneInfo("Europe/Madrid")
OCTOBER: Final = "2025-10-"


@dataclass(frozen=True)
class Scenario:
    """Raw rows, with the recorder's runs where these matter."""

    rows: tuple[Row, ...]
    attributes_only: frozenset[int] = frozenset()  # which of the rows
    runs: tuple[tuple[int, int], ...] = ()
    about: tuple[Description, ...] = ()

    def and_then(self, *rows: Row) -> Scenario:
        """Return this scenario with more rows, written after all others."""
        return replace(self, rows=(*self.rows, *rows))


def when(text: str) -> int:
    """Return the instant of ``21 08:00:00``, with ``*`` at the end in the second pass of a repeated hour."""
    full = text.strip() if "-" in text else OCTOBER + text.strip()
    local = dt.datetime.fromisoformat(full.rstrip("*")).replace(tzinfo=MADRID, fold=int(full.endswith("*")))
    return to_instant(local)


def format_instant(instant: int) -> str:
    """Return the text that ``when`` reads."""
    local = from_instant(instant).astimezone(MADRID)
    text = local.strftime("%Y-%m-%d %H:%M:%S") + (f".{local.microsecond}" if local.microsecond else "")
    return text.removeprefix(OCTOBER) + "*" * local.fold


def scenario(text: str) -> Scenario:
    """Read a scenario from its text."""
    rows: list[Row] = []
    repeats: set[int] = set()
    runs: list[tuple[int, int]] = []
    state_of: dict[str, str | None] = {}
    for line in filter(str.strip, text.splitlines()):
        if line.strip().startswith("run "):
            start, end = line.strip().removeprefix("run ").split(" - ")
            runs.append((when(start), when(end)))
            continue
        day, time, entity_id, state = line.split(maxsplit=3)
        if state == "~":
            repeats.add(len(rows))
        else:
            state_of[entity_id] = None if state == "removed" else state
        rows.append(Row(when(f"{day} {time}"), entity_id, state_of[entity_id]))
    return Scenario(tuple(rows), frozenset(repeats), tuple(runs))


class View(NamedTuple):
    """A day's log in the words of scenarios."""

    events: list[str]
    intervals: list[str]
    known: list[str]


def view(log: DayLog) -> View:
    """Return a log's events and intervals, of entities that count as activity, in the words of scenarios."""
    events, intervals = log.events, log.intervals
    return View(
        [
            f"{format_instant(at)} {log.entities[entity].entity_id} {log.states[state]}"
            for at, entity, state in zip(events.at.tolist(), events.entity.tolist(), events.state.tolist(), strict=True)
        ],
        sorted(
            f"{log.entities[entity].entity_id} {log.states[state]} "
            f"{'[' if start_known else '('}{format_instant(start)} - {format_instant(end)}{']' if end_known else ')'}"
            for entity, state, start, end, start_known, end_known in zip(
                intervals.entity.tolist(),
                intervals.state.tolist(),
                intervals.start.tolist(),
                intervals.end.tolist(),
                intervals.start_known.tolist(),
                intervals.end_known.tolist(),
                strict=True,
            )
        ),
        [f"{format_instant(start)} - {format_instant(end)}" for start, end in log.known.tolist()],
    )


def window(day: int | str | dt.date) -> DayWindow:
    text = f"{OCTOBER}{day:02}" if isinstance(day, int) else str(day)
    return DayWindow(dt.date.fromisoformat(text), MADRID)


def october(day: int) -> dt.date:
    return dt.date(2025, 10, day)


BUSY: Final = scenario("""
    20 08:00:00 light.lamp off
    20 08:00:01 binary_sensor.door off
    20 20:00:00 light.lamp on
    21 08:00:00 binary_sensor.door on
    21 08:00:07 binary_sensor.door off
    21 09:00:00 light.lamp off
    21 09:00:00 binary_sensor.door on
    21 19:00:00 light.lamp on
    22 09:00:00 light.lamp off
    23 09:00:00 binary_sensor.door off
""")
