"""Damage that is done on purpose, to prove that the checks of the other faults notice it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

from tests.faults.homes import BACKFILL, Bench, HomeUnderTest, Result, Rows

Check = Callable[[HomeUnderTest, Rows], str]

DAMAGE: tuple[tuple[str, str, Check, str], ...] = (
    (
        "aggregates.db",
        "UPDATE time_based_daily SET confidence = confidence / 2 WHERE date = '2026-03-30'",
        lambda home, expected: home.difference(expected),
        "time_based_daily differs",
    ),
    (
        "aggregates.db",
        "DELETE FROM anomaly_daily",
        lambda home, expected: home.difference({"anomaly_daily": expected["anomaly_daily"]}),
        "anomaly_daily differs",
    ),
    (
        "ledger.db",
        "UPDATE entry SET status = 'failed' WHERE day = '2026-03-01' AND detector = 'sequence'",
        lambda home, _: home.difference({}),
        "status says",
    ),
    (
        "aggregates.db",
        "DELETE FROM detector_run_daily WHERE date = '2026-03-30' AND detector = 'sequence'",
        lambda home, _: home.false_claims(),
        "the ledger claims",
    ),
)


def deliberate_damage(bench: Bench) -> Iterator[Result]:
    """Change and delete rows, falsify a status, and delete a record that the ledger relies on."""
    result = Result("damage done on purpose: rows, status, ledger")
    kind = bench.kinds[0]
    home = bench.home(kind)
    result.check("" if home.call(*BACKFILL) == 0 else home.log_tail())
    result.check(home.difference(bench.expected(kind)) or home.false_claims())
    for file, statement, check, expected_words in DAMAGE:
        with closing(sqlite3.connect(home.folder / file)) as connection, connection:
            connection.execute(statement)
        result.tries += 1
        result.check("" if expected_words in check(home, bench.expected(kind)) else f"not noticed: {statement}")
    result.seen = "all detected"
    yield result
