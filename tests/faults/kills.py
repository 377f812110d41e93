"""SIGKILL at random moments of a backfill."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from tests.faults.homes import BACKFILL, Bench, InfluxStoreKind, Result, StoreKind

KILLS_PER_BACKFILL = 10  # roughly, before it completes


def kills(bench: Bench) -> Iterator[Result]:
    """For each kind of store: kill a backfill, check the ledger's claims, repeat until it completes, compare."""
    for kind in bench.kinds:
        yield kill_at_random_moments(
            bench, kind, bench.kills // 2 if isinstance(kind, InfluxStoreKind) else bench.kills
        )


def kill_at_random_moments(bench: Bench, kind: StoreKind, max_kills: int) -> Result:
    """Kill backfills over a kind of store until so many kills were done, and let each complete in the end."""
    result = Result(f"SIGKILL at random moments of a backfill, {kind.name}")
    rng = random.Random(f"{bench.seed} {kind.name}")
    expected = bench.expected(kind)
    began = time.monotonic()
    bench.home(kind).call(*BACKFILL)
    whole_seconds = time.monotonic() - began
    finished = 0
    most = 0
    while result.tries < max_kills:
        home, count = bench.home(kind), 0
        while True:
            process = home.start(*BACKFILL)
            process.join(rng.uniform(0, 2 * whole_seconds / KILLS_PER_BACKFILL) if result.tries < max_kills else None)
            if process.exitcode is not None:
                result.check("" if process.exitcode == 0 else f"exit code {process.exitcode}", home.log_tail())
                break
            process.kill()
            process.join()
            count += 1
            result.tries += 1
            result.check(home.false_claims(), f"kill {result.tries}")
        finished += 1
        most = max(most, count)
        result.check(home.difference(expected), f"after {count} kills")
    result.seen = f"{finished} backfills completed, one of them after {most} kills"
    return result
