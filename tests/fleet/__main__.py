"""Simulate fleets and print what they take: ``python -m tests.fleet rates | kills | network | broken``.

``rates`` runs homes x nights with one worker, and once more with two; ``kills`` kills what a fleet runs on at random
moments and compares the end with that of a sequential run; ``network`` stops that between workers and PostgreSQL;
``broken`` has one home in a hundred whose row is not valid.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fleet.kills import kills
from tests.fleet.network import network
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


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("what", choices=("rates", "kills", "network", "broken"))
    parser.add_argument("--homes", type=int, default=200)
    parser.add_argument("--nights", type=int, default=1)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="store and ledger in a real PostgreSQL")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="of rates: one run for each number")
    parser.add_argument("--dask", action="store_true", help="kills: two workers of a real Dask scheduler")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleet-") as name:
        folder = Path(name)
        if options.what == "kills":
            size = (options.homes, options.nights, options.kills)
            kills(folder, *size, seed=options.seed, is_server=options.postgresql, is_dask=options.dask)
            return
        if options.what == "network":
            network(folder, options.homes, options.nights)
            return
        with database(is_server=options.postgresql) as urls:
            if options.what == "broken":
                broken(folder, options.homes, options.nights, urls)
                return
            for workers in options.workers:
                rates(folder, options.homes, options.nights, urls, workers=workers)


if __name__ == "__main__":
    main()
