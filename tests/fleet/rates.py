"""How long a fleet takes, what memory, and what it costs to find that nothing is to do."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.fleet.simulated_fleet import SimulatedFleet

_MEBIBYTE = 2**20
_MIN_SAMPLES = 8  # of a process: shorter ones say nothing of growth


def rates(folder: Path, homes: int, nights: int, urls: list[str], *, workers: int) -> None:
    """Print rate, processor time and memory of a fleet, and how long it takes once all is done."""
    fleet = SimulatedFleet(folder / f"workers-{workers}", homes, nights, store=urls.pop() if urls else "")
    found = fleet.run("--workers", str(workers))
    count, processor = homes * nights, found.processor_seconds
    assert found.document["home_days"]["written"] == count, found.document
    print(
        f"{homes} homes x {nights} nights, {workers} worker(s): {found.seconds:.0f} s, "
        f"{count / found.seconds:.2f} home-days/s, {1000 * processor / count:.1f} ms of processor time each",
        flush=True,
    )
    for name, memory in zip(("command", *[f"process {n}" for n in range(1, 1000)]), found.memory, strict=False):
        if len(memory) >= _MIN_SAMPLES:
            second, last = (_median_of_quarter(memory, quarter) for quarter in (1, 3))
            print(f"  {name}: {second:.0f} MiB in the second quarter of its time, {last:.0f} in the last", flush=True)
    again = fleet.run("--workers", str(workers))
    assert again.document["homes"]["due"] == 0, again.document
    print(f"  once more, with nothing to do: {again.seconds:.1f} s", flush=True)


def _median_of_quarter(memory: Sequence[int], quarter: int) -> float:
    """Return the median memory of a quarter (0 to 3) of a process's time, in MiB."""
    size = len(memory) // 4
    return statistics.median(memory[quarter * size : (quarter + 1) * size]) / _MEBIBYTE
