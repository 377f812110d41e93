"""SIGKILL at random moments of a backfill."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from tests.faults.homes import BACKFILL, Bench, InfluxKind, Kind, Result

PARTS = 10  # how often a backfill is killed before it comes through, by and large


def killed(bench: Bench) -> Iterator[Result]:
    """In every kind of store: kill, see that the ledger is honest, go on, until it comes through; then compare."""
    for kind in bench.kinds:
        yield _killed(bench, kind, bench.kills // 2 if isinstance(kind, InfluxKind) else bench.kills)


def _killed(bench: Bench, kind: Kind, moments: int) -> Result:
    result = Result(f"SIGKILL at random moments of a backfill, {kind.name}")
    rng = random.Random(f"{bench.seed} {kind.name}")
    expected = bench.expected(kind)
    began = time.monotonic()
    bench.home(kind).call(*BACKFILL)
    whole_seconds = time.monotonic() - began
    finished = 0
    longest = 0
    while result.tries < moments:
        home, kills = bench.home(kind), 0
        while True:
            process = home.start(*BACKFILL)
            process.join(rng.uniform(0, 2 * whole_seconds / PARTS) if result.tries < moments else None)
            if process.exitcode is not None:
                result.check("" if process.exitcode == 0 else f"exit code {process.exitcode}", home.last_words())
                break
            process.kill()
            process.join()
            kills += 1
            result.tries += 1
            result.check(home.boasts(), f"kill {result.tries}")
        finished += 1
        longest = max(longest, kills)
        result.check(home.differs(expected), f"after {kills} kills")
    result.seen = f"{finished} backfills came through, one after {longest} kills"
    return result
