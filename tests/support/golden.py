"""Golden days: small days written by hand, with the rows that they must give, calculated by hand.

A file has a comment, the day, its entities, its events (hours since local midnight, so that a 25-hour day has no hour
twice), and after a line of dashes the expected rows as JSON. A history instead has lines of bouts a day.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import AUTOMATION, DEVICE, DayLog
from jobs.activity.window import SECOND, DayWindow
from storage.backends.memory import MemoryStore
from storage.models import DailyAggregate, DetectorRunDaily, TimeBasedDaily

GOLDEN: Final = Path(__file__).resolve().parents[1] / "golden"


def cases(detector: str) -> list[Path]:
    """Return the files of a detector's golden days."""
    return sorted((GOLDEN / detector).glob("*.txt"))


def _parts(path: Path) -> tuple[list[list[str]], list[dict[str, Any]]]:
    given, _, expected = path.read_text(encoding="utf-8").partition("\n----\n")
    lines = [line.split() for line in given.splitlines() if line.strip() and not line.startswith("#")]
    return lines, [json.loads(line) for line in expected.splitlines() if line.strip()]


def read_day(path: Path) -> tuple[DayLog, list[dict[str, Any]]]:
    """Return the day of a golden file, and the rows it must give."""
    lines, expected = _parts(path)
    builder = SampleBuilder()
    window = DayWindow(dt.date(2026, 3, 2), ZoneInfo("UTC"))
    for word, *rest in lines:
        if word == "day":
            window = DayWindow(dt.date.fromisoformat(rest[0]), ZoneInfo(rest[1]))
        elif word == "entity":
            about = dict(item.split("=") for item in rest[1:])
            builder.describe(Description(rest[0], **about))
        else:
            hours, minutes, seconds = word.split(":")
            after = round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * SECOND)
            cause = AUTOMATION if rest[2:] == ["automation"] else DEVICE
            builder.add(window.start + after, rest[0], rest[1], cause)
    return Recording.of(builder.build([(window.start, window.end)]), EntityRules()).day(window), expected


def read_history(path: Path) -> tuple[dt.date, MemoryStore, list[dict[str, Any]]]:
    """Return the judged day and the history of a golden file, and the rows it must give.

    ``bouts ENTITY 8 x 26, 0, 0, 0`` are the bouts of successive days, the judged one last.
    """
    lines, expected = _parts(path)
    day, rows, days = dt.date.min, [], 0
    for word, *rest in lines:
        if word == "judge":
            day = dt.date.fromisoformat(rest[0])
            continue
        counts: list[int] = []
        for item in " ".join(rest[1:]).split(","):
            count, _, times = item.partition("x")
            counts += [int(count)] * int(times or 1)
        days = max(days, len(counts))
        for ago, bouts in enumerate(reversed(counts)):
            if bouts:
                rows.append(history_row(day - dt.timedelta(ago), rest[0], bouts))
    runs: list[DailyAggregate] = [run(day - dt.timedelta(ago)) for ago in range(days)]
    return day, MemoryStore([*rows, *runs]), expected


def history_row(day: dt.date, entity_id: str, bouts: int) -> TimeBasedDaily:
    """Return the row of an entity with that many bouts of two events each, all at eight."""
    return TimeBasedDaily(
        date=day,
        entity_id=entity_id,
        domain=entity_id.partition(".")[0],
        hourly_distribution=[0] * 8 + [2 * bouts] + [0] * 15,
        peak_hours=[],
        frequency=1 / 24,
        confidence=0,
        occurrences=2 * bouts,
        bouts=bouts,
    )


def run(day: dt.date, known: float = 1.0, detector: str = "time_based") -> DetectorRunDaily:
    """Return the record of a detector's run on a day of which a share is known."""
    return DetectorRunDaily(
        date=day,
        detector=detector,
        version=1,
        rows=0,
        events=0,
        known_seconds=known * 86_400,
        day_seconds=86_400,
        reason="",
        computed_at=dt.datetime(2026, 6, 1, tzinfo=dt.UTC),
    )


def assert_rows(rows: list[DailyAggregate], day: dt.date, expected: list[dict[str, Any]]) -> None:
    """Assert that rows are the expected ones, in any order, in all fields, figures to four digits."""
    found = [row.model_dump(mode="json", exclude_none=True) for row in rows]
    assert all(row.pop("date") == day.isoformat() for row in found)
    assert len(found) == len(expected), found
    for wanted in expected:
        assert any(_same(row, wanted) for row in found), f"{wanted} is not among {found}"


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == pytest.approx(wanted, abs=1e-4)) if isinstance(wanted, float) else bool(found == wanted)
