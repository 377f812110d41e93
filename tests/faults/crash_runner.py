"""Run a night again and again, each time killed at another place, and compare how the next run ends.

``test_crashes.py`` starts it as a process of its own, as it forks. The night rechecks three days whose raw events have
changed since they were written (an entity is gone, others have more events), with an event detector and a history
detector, into SQLite. For every place, a child process is killed there with SIGKILL and the same night is run
undisturbed; then store and ledger must equal those of a night that was never disturbed.

Usage: ``python -m tests.faults.crash_runner FOLDER statements|lines MAX_PLACES``; prints a JSON list of what differs.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from jobs import nightly
from jobs.activity.entities import EntityRules
from jobs.pipeline import Pipeline
from jobs.sources.csv_files import CsvFiles
from storage.backends.sql import SqlStore
from storage.dates import ONE_DAY
from storage.ledger.ledger import Ledger
from tests.support.detectors import Counter, Trend

DAY = dt.date(2026, 3, 2)
ZONE = ZoneInfo("Europe/Berlin")
BEFORE = {"light.gone": 2, "light.a": 3, "light.b": 1}
AFTER = {"light.a": 5, "light.b": 1, "light.new": 4}


def write_events(folder: Path, uses: dict[str, int]) -> None:
    lines = ["time,entity_id,state"]
    for offset in range(3):
        day = DAY + offset * ONE_DAY
        for entity_id, count in uses.items():
            lines.append(f"{day}T00:00:00,{entity_id},off")
            lines += [f"{day}T{hour + 6:02}:00:00,{entity_id},{('on', 'off')[hour % 2]}" for hour in range(count)]
    lines.append(f"{DAY + 3 * ONE_DAY}T00:00:00,light.a,off")
    (folder / "events.csv").write_text("\n".join(lines))


def night(folder: Path) -> None:
    def clock() -> dt.datetime:
        return dt.datetime(2026, 3, 6, 3, 30, tzinfo=dt.UTC)

    with Ledger(folder / "ledger.db", clock=clock) as ledger:
        store = SqlStore(f"sqlite:///{folder / 'aggregates.db'}")
        source = CsvFiles(str(folder / "events.csv"), ZONE, EntityRules())
        pipeline = Pipeline([Counter(), Trend()], source, store, ledger, ZONE, clock)
        nightly.run(pipeline, yesterday=DAY + 2 * ONE_DAY, retention_days=90, recheck_days=5)
        store.close()


def contents(folder: Path) -> dict[str, Any]:
    """Return every row of store and ledger, without when the ledger was changed."""
    found: dict[str, Any] = {}
    for name in ("aggregates", "ledger"):
        connection = sqlite3.connect(folder / f"{name}.db")
        connection.row_factory = sqlite3.Row
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - a name just read
            found[f"{name}.{table}"] = sorted(
                str({key: row[key] for key in tuple(row.keys()) if key != "updated_at"}) for row in rows
            )
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        connection.close()
    return found


def count_statements(on_step: Callable[[], None]) -> None:
    """Call back before each statement and before and after each commit, in every database."""
    sa.event.listen(sa.Engine, "before_cursor_execute", lambda *_: on_step())
    sa.event.listen(sa.Engine, "commit", lambda *_: on_step())
    sa.event.listen(sa.Engine, "checkin", lambda *_: on_step())


def count_lines(on_step: Callable[[], None]) -> None:
    """Call back at each line of this project's own code."""

    def local(_frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            on_step()
        return local

    def enter(frame: FrameType, _event: str, _argument: object) -> Any:
        ours = any(f"/{package}/" in frame.f_code.co_filename for package in ("jobs", "storage"))
        return local if ours else None

    threading.settrace(enter)
    sys.settrace(enter)


def forked(folder: Path, watch: Callable[[Callable[[], None]], None] | None, die_after: int = -1) -> int:
    """Run the night in a child. Return how many steps it took, -1 if it was killed, -2 if it failed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        steps = 0

        def on_step() -> None:
            nonlocal steps
            steps += 1
            if steps == die_after:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            if watch is not None:
                watch(on_step)
            night(folder)
            code = 0
        finally:
            sys.settrace(None)
            os.write(writing, str(steps).encode())
            os._exit(code)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if os.WIFSIGNALED(status):
        return -1
    return int(text) if os.WEXITSTATUS(status) == 0 else -2


def main(folder: Path, kind: str, places: int) -> list[str]:
    """Kill a night at no more than so many places, run it again each time, and return what went wrong."""
    watch = {"statements": count_statements, "lines": count_lines}[kind]
    start, undisturbed, disturbed = (folder / name for name in ("start", "undisturbed", "disturbed"))
    start.mkdir()
    write_events(start, BEFORE)
    forked(start, None)
    write_events(start, AFTER)
    shutil.copytree(start, undisturbed)
    steps = forked(undisturbed, watch)
    expected = contents(undisturbed)
    wrong = [] if steps > 0 else [f"the undisturbed night failed: {steps}"]
    if expected == contents(start):
        wrong.append("the night changed nothing, so nothing is tested")
    stride = max(1, -(-steps // places))
    for place in range(1, steps + 1, stride):
        shutil.copytree(start, disturbed)
        killed = forked(disturbed, watch, place)
        again = forked(disturbed, None)
        found = contents(disturbed)
        if killed != -1 or again < 0:
            wrong.append(f"{place}: not killed ({killed}) or not repeatable ({again})")
        wrong += [f"{place}: {table} differs" for table in expected if found.get(table) != expected[table]]
        shutil.rmtree(disturbed)
    sys.stderr.write(f"{kind}: {steps} steps, killed at every {stride}.\n")
    return wrong


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))  # noqa: T201
