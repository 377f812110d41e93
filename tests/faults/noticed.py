"""Harm that is done on purpose, to see that what follows would notice it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

from tests.faults.homes import BACKFILL, Bench, Result, Rows, TriedHome

Judge = Callable[[TriedHome, Rows], str]

HARM: tuple[tuple[str, str, Judge, str], ...] = (
    (
        "aggregates.db",
        "UPDATE time_based_daily SET confidence = confidence / 2 WHERE date = '2026-03-30'",
        lambda home, expected: home.differs(expected),
        "time_based_daily differs",
    ),
    (
        "aggregates.db",
        "DELETE FROM anomaly_daily",
        lambda home, expected: home.differs({"anomaly_daily": expected["anomaly_daily"]}),
        "anomaly_daily differs",
    ),
    (
        "ledger.db",
        "UPDATE entry SET status = 'failed' WHERE day = '2026-03-01' AND detector = 'sequence'",
        lambda home, _: home.differs({}),
        "status says",
    ),
    (
        "aggregates.db",
        "DELETE FROM detector_run_daily WHERE date = '2026-03-30' AND detector = 'sequence'",
        lambda home, _: home.boasts(),
        "the ledger claims",
    ),
)


def noticed(bench: Bench) -> Iterator[Result]:
    """Rows changed and lost, a status that is not true, a ledger that claims too much."""
    result = Result("harm done on purpose: rows, status, ledger")
    kind = bench.kinds[0]
    home = bench.home(kind)
    result.check("" if home.call(*BACKFILL) == 0 else home.last_words())
    result.check(home.differs(bench.expected(kind)) or home.boasts())
    for file, statement, judge, told in HARM:
        with closing(sqlite3.connect(home.folder / file)) as connection, connection:
            connection.execute(statement)
        result.tries += 1
        result.check("" if told in judge(home, bench.expected(kind)) else f"not noticed: {statement}")
    result.seen = "all noticed"
    yield result
