"""How fast the detectors are: ``python tests/benchmarks/bench_detectors.py``, one core, all figures from one run.

A day's activity is spread over a waking day in bursts. The baseline counts the pairs of events within the window by
numpy: for each lag k, the pairs (i, i + k) that are still within it.
"""

from __future__ import annotations

import datetime as dt
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from jobs.detectors.anomaly import Anomaly
from jobs.events import DayLog
from jobs.registry import EventDetector, load
from jobs.window import HOUR, SECOND, DayWindow
from storage.backends.memory import MemoryStore
from storage.models import DailyAggregate
from tests.support.golden import history_row, run
from tests.support.noise_homes import DAY, UTC, log_of

SIZES: Final = ((100_000, 100), (1_000_000, 100), (10_000, 100), (100_000, 20), (20_000, 1000), (100_000, 1000))
WINDOW_SECONDS: Final = 300
REPEATS: Final = 5
DETECTORS: Final = [one.detector for one in load() if isinstance(one.detector, EventDetector)]


def day(events: int, entities: int) -> DayLog:
    """A day of so many changes: bursts of one to eight, at any time from six to midnight."""
    rng, window = np.random.default_rng([events, entities]), DayWindow(DAY, UTC)
    columns = []
    for _ in range(entities):
        starts = rng.integers(6 * HOUR, 24 * HOUR - 600 * SECOND, events // entities * 2 // 9 + 1)
        sizes = rng.integers(1, 9, len(starts))
        at = np.repeat(starts, sizes) + rng.integers(0, 60 * SECOND, int(sizes.sum()))
        columns.append(window.start + np.unique(at)[: events // entities])
    return log_of(columns, window)


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """The fastest of some runs."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def all_pairs(log: DayLog) -> int:
    """The baseline: how many pairs of events lie within the window."""
    at, total = log.events.at, 0
    for lag in range(1, len(at)):
        within = int(np.count_nonzero(at[lag:] - at[:-lag] <= WINDOW_SECONDS * SECOND))
        if not within:
            break
        total += within
    return total


def pair_counts(log: DayLog) -> int:
    """The baseline with the counts kept by pair of entities, as a pair detector would need them."""
    at, entity, size = log.events.at, log.events.entity.astype(np.int64), len(log.entities)
    counts = np.zeros(size * size, np.int64)
    for lag in range(1, len(at)):
        within = at[lag:] - at[:-lag] <= WINDOW_SECONDS * SECOND
        if not within.any():
            break
        counts += np.bincount((entity[:-lag] * size + entity[lag:])[within], minlength=size * size)
    return int(counts.sum())


def history(entities: int) -> MemoryStore:
    """Four weeks and a day of entities with seven bouts a day."""
    rows: list[DailyAggregate] = []
    for ago in range(29):
        past = DAY - dt.timedelta(ago)
        rows += [run(past), *(history_row(past, f"light.l{number:04}", 7) for number in range(entities))]
    return MemoryStore(rows)


def measure(log: DayLog, store: MemoryStore, repeats: int) -> dict[str, float]:
    """Seconds by detector."""
    took = {}
    for detector in DETECTORS:
        took[detector.name] = seconds(partial(detector.detect, log), repeats)
    took["anomaly"] = seconds(partial(Anomaly().judge, DAY, store), repeats)
    return took


def main() -> int:
    """Print the figures."""
    write = sys.stdout.write
    for events, entities in SIZES:
        log, repeats = day(events, entities), REPEATS if (events, entities) == SIZES[0] else 1
        took = measure(log, history(entities), repeats)
        write(f"\n{len(log.events):,} activity events of {entities:,} entities (ms)\n")
        for name, value in took.items():
            write(f"  {name:14}{value * 1e3:9.1f}\n")
        write(f"  {'all six':14}{sum(took.values()) * 1e3:9.1f}\n")
        write(f"  memory peak so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")
        if (events, entities) == SIZES[0]:
            baseline, kept = seconds(partial(all_pairs, log), 3), seconds(partial(pair_counts, log), 1)
            ratio = took["co_occurrence"] / baseline
            write(f"  pairs within {WINDOW_SECONDS} s by numpy {baseline * 1e3:.0f}, by entities {kept * 1e3:.0f}")
            write(f"; co_occurrence takes {ratio:.2f} of the former\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
