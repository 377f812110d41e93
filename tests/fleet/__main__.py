"""Simulate fleets and print what they take: ``python -m tests.fleet rates | kills | broken``.

``rates`` runs homes x nights with one worker, and once more with two; ``kills`` kills workers and the command itself at
random moments and compares the rows with those of an undisturbed run; ``broken`` has one home in a hundred whose row is
not valid.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.fleet.rates import rates
from tests.fleet.simulated_fleet import SimulatedFleet
from tests.support.postgresql import new_database, running


@contextmanager
def database(*, is_server: bool) -> Iterator[list[str]]:
    """Yield a list that gives the URL of an empty database each time it is popped; an empty one for SQLite."""
    if not is_server:
        yield []
        return
    with running() as cluster:
        yield [new_database(cluster.url).render_as_string(hide_password=False) for _ in range(4)]


def broken(folder: Path, homes: int, nights: int, urls: list[str]) -> None:
    """Check that all homes but those that are not valid are written, and that these are named."""
    fleet = SimulatedFleet(folder, homes, nights, store=urls.pop() if urls else "", broken_every=100)
    found = fleet.run("--workers", "2").document
    expected = -(-homes // 100)
    assert found["homes"]["done"] == homes - expected, found
    assert len(found["failing"]) == expected
    print(f"{homes - expected} of {homes} homes written, {expected} named: {found['failing'][0]}")


def kills(folder: Path, homes: int, nights: int, urls: list[str], *, count: int, seed: int) -> None:
    """Kill something ``count`` times, then let the run end; the rows must be those of an undisturbed one."""
    rng = random.Random(seed)
    calm = SimulatedFleet(folder / "calm", homes, nights, store=urls.pop() if urls else "")
    seconds = calm.run("--workers", "2").seconds
    fleet = SimulatedFleet(folder / "killed", homes, nights, store=urls.pop() if urls else "")
    killed = 0
    process = fleet.start("--workers", "2")
    while killed < count:
        time.sleep(rng.uniform(0.2, max(0.5, seconds / 8)))
        if process.poll() is not None:
            if killed and not _is_due(fleet):
                fleet = _forgotten(fleet)
            process = fleet.start("--workers", "2")
            continue
        with suppress(psutil.Error):
            children = psutil.Process(process.pid).children(recursive=True)
            victim = rng.choice([psutil.Process(process.pid), *children])
            victim.kill()
            killed += 1
    if process.poll() is None:
        process.communicate()
    last = fleet.run("--workers", "2").document
    assert last["homes"]["failed"] == 0, last
    assert fleet.rows() == calm.rows()
    print(f"{killed} kills: {len(calm.rows())} rows, the same as without")


def _is_due(fleet: SimulatedFleet) -> bool:
    process = fleet.start("--workers", "1")
    output, _ = process.communicate()
    return '"due": 0' not in output


def _forgotten(fleet: SimulatedFleet) -> SimulatedFleet:
    """Return the fleet with everything marked to be done again, so that there is something to kill."""
    command = ["sqlite3", str(fleet.folder / "ledger.db"), "UPDATE entry SET redo = 1"]
    subprocess.run(command, check=True)
    return fleet


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("what", choices=("rates", "kills", "broken"))
    parser.add_argument("--homes", type=int, default=200)
    parser.add_argument("--nights", type=int, default=1)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="store and ledger in a real PostgreSQL")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="of rates: one run for each number")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fleet-") as name,
        database(is_server=options.postgresql) as urls,
    ):
        match options.what:
            case "rates":
                for workers in options.workers:
                    rates(Path(name), options.homes, options.nights, urls, workers=workers)
            case "broken":
                broken(Path(name), options.homes, options.nights, urls)
            case _:
                kills(Path(name), options.homes, options.nights, urls, count=options.kills, seed=options.seed)


if __name__ == "__main__":
    main()
