"""Measure a year of nights in one process, and an idle daemon: ``python -m tests.soak``."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.soak.idle import idle
from tests.soak.nights import Trace, soak

FIRST_NIGHTS = 30  # nights after which memory should be flat
MAX_GROWTH_MB = 5.0
MAX_IDLE_MB, MAX_IDLE_CPU, MAX_READY_SECONDS = 120.0, 0.001, 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures. Return 1 if one exceeds its bound."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--retention", type=int, default=90, help="days that the store keeps")
    chosen = parser.parse_args(arguments)
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="soak") as name:
        began = time.monotonic()
        traces, problem = soak(Path(name), chosen.nights, retention_days=chosen.retention)
        _print_months(traces, time.monotonic() - began)
    missed = _beyond(traces) + ([problem] if problem else [])
    with tempfile.TemporaryDirectory(prefix="idle") as name:
        found = idle(Path(name))
    sys.stdout.write(
        f"\nidle daemon: ready after {found.ready_seconds:.2f} s (under {MAX_READY_SECONDS:g}), "
        f"{found.memory_mb:.0f} MB (under {MAX_IDLE_MB:g}), {found.cpu_share:.3%} CPU over a minute "
        f"(under {MAX_IDLE_CPU:.1%}), exit code {found.exit_code} at SIGTERM\n"
    )
    bounds = found.memory_mb < MAX_IDLE_MB, found.cpu_share < MAX_IDLE_CPU, found.ready_seconds < MAX_READY_SECONDS
    missed += [] if all(bounds) and found.exit_code == 0 else ["the idle daemon"]
    for what in missed:
        sys.stdout.write(f"exceeds its bound: {what}\n")
    return int(bool(missed))


def _print_months(traces: Sequence[Trace], seconds: float) -> None:
    head = "nights", "memory MB", "descriptors", "threads", "ledger rows", "ledger MB", "store MB"
    sys.stdout.write(f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n")
    for one in [*traces[FIRST_NIGHTS - 1 :: FIRST_NIGHTS], traces[-1]]:
        cells = one.nights, f"{one.memory_mb:.1f}", one.descriptors, one.threads, one.ledger_rows
        sizes = f"{one.ledger_mb:.2f}", f"{one.store_mb:.2f}"
        sys.stdout.write(f"| {' | '.join(map(str, (*cells, *sizes)))} |\n")
    sys.stdout.write(f"\n{len(traces)} nights in {seconds:.0f} s\n")


def _beyond(traces: Sequence[Trace]) -> list[str]:
    """Return which figures grew after the first nights."""
    later = traces[FIRST_NIGHTS:] or traces[-1:]
    start = traces[min(FIRST_NIGHTS, len(traces)) - 1]
    grown = max(abs(one.memory_mb - start.memory_mb) for one in later)
    sys.stdout.write(f"memory after night {start.nights}: within {grown:.1f} MB (bound {MAX_GROWTH_MB:g})\n")
    found = [] if grown <= MAX_GROWTH_MB else [f"memory: {grown:.1f} MB"]
    counts = "descriptors", "threads"
    found += [name for name in counts if max(getattr(one, name) for one in later) > getattr(start, name)]
    return found


if __name__ == "__main__":
    sys.exit(main())
