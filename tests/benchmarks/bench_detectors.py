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

EVENTS: Final = 100_000
ENTITIES: Final = 100
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


def main() -> int:
    """Print the figures."""
    write = sys.stdout.write
    for events, entities in (
        (EVENTS, ENTITIES), (10 * EVENTS, ENTITIES), (EVENTS // 10, ENTITIES), (EVENTS, 20), (20_000, 1000), (EVENTS, 1000),
    ):  # fmt: skip
        log, store = day(events, entities), history(entities)
        repeats = 1 if events > EVENTS or entities > ENTITIES else REPEATS
        write(f"\n{len(log.events):,} activity events of {entities:,} entities (ms)\n")
        total = 0.0
        for detector in DETECTORS:
            took = seconds(lambda detector=detector: detector.detect(log), repeats)  # type: ignore[misc]  # bound now
            total += took
            write(f"  {detector.name:14}{took * 1e3:9.1f}\n")
        took = seconds(lambda: Anomaly().judge(DAY, store), repeats)
        write(f"  {'anomaly':14}{took * 1e3:9.1f}\n  {'all six':14}{(total + took) * 1e3:9.1f}\n")
        write(f"  memory peak so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")
        if events == EVENTS and entities == ENTITIES:
            pairs = seconds(lambda: next(one for one in DETECTORS if one.name == "co_occurrence").detect(log))
            baseline, kept = seconds(lambda: all_pairs(log), 3), seconds(lambda: pair_counts(log), 1)
            write(
                f"  all pairs within {WINDOW_SECONDS} s by numpy {baseline * 1e3:.0f}, by pair of entities {kept * 1e3:.0f}"
            )
            write(f"; co_occurrence takes {pairs / baseline:.2f} of the former\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
