"""How fast the detectors are: ``python -m tests.benchmarks.bench_detectors``, one core, all figures from one run.

A day's activity is spread over a waking day in bursts. The baseline counts the pairs of events within the window by
numpy: for each lag k, the pairs (i, i + k) that are still within it. Memory is what all six add at most to what the
day itself takes, as traced in a run of its own.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, SECOND, DayWindow
from jobs.detector import EventDetector
from jobs.detectors.anomaly import Anomaly
from jobs.detectors.co_occurrence import CoOccurrence
from jobs.registry import load
from storage.backends.memory import MemoryStore
from storage.models import DailyAggregate
from tests.support.golden import history_row, run
from tests.support.noise_homes import DAY, UTC, log_of

BY_EVENTS: Final = ((10_000, 100), (30_000, 100), (100_000, 100), (300_000, 100), (1_000_000, 100))
BY_ENTITIES: Final = ((100_000, 10), (100_000, 30), (100_000, 100), (100_000, 300), (100_000, 1000), (20_000, 1000))
COMPARED: Final = (100_000, 100)
WINDOW_SECONDS: Final = 300
REPEATS: Final = 3
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
    """Processor time of the fastest of some runs: what else the machine does at the time matters little."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
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


def works(log: DayLog, store: MemoryStore) -> Mapping[str, Callable[[], object]]:
    """What each detector does, by its name."""
    judge = {"anomaly": partial(Anomaly().judge, DAY, store)}
    return {detector.name: partial(detector.detect, log) for detector in DETECTORS} | judge


def added_megabytes(work: Callable[[], object]) -> float:
    """The most memory that a run holds at once beyond what was held before it."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def table(title: str, sizes: Sequence[tuple[int, int]]) -> None:
    """Milliseconds by detector and added memory, a line for each size."""
    write, names = sys.stdout.write, [*(detector.name for detector in DETECTORS), "anomaly", "all six"]
    write(f"\n{title}, in ms\n{'events':>9} {'entities':>8} {' '.join(f'{name:>13}' for name in names)}  added MB\n")
    for events, entities in sizes:
        log = day(events, entities)
        todo = works(log, history(entities))
        took = [seconds(work) * 1e3 for work in todo.values()]
        memory = max(map(added_megabytes, todo.values()))
        figures = " ".join(f"{value:13.1f}" for value in (*took, sum(took)))
        write(f"{len(log.events):9,} {entities:8,} {figures} {memory:9.0f}\n")
        sys.stdout.flush()


def main() -> int:
    """Print the figures."""
    log = day(*COMPARED)
    found = seconds(partial(CoOccurrence().detect, log), 5)
    baseline, kept = seconds(partial(all_pairs, log), 5), seconds(partial(pair_counts, log), 1)
    sys.stdout.write(
        f"co_occurrence on {len(log.events):,} events {found * 1e3:.0f} ms, {found / baseline:.2f} of counting all "
        f"pairs within {WINDOW_SECONDS} s by numpy ({baseline * 1e3:.0f} ms; by entities {kept * 1e3:.0f} ms)\n"
    )
    table("Growth with events", BY_EVENTS)
    table("Growth with entities", BY_ENTITIES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
