"""Stop the network between a fleet's workers and PostgreSQL: how long until it is given up, and what is there then."""

from __future__ import annotations

import json
import time
from pathlib import Path

import sqlalchemy as sa

from tests.fleet.kills import compare
from tests.fleet.simulated_fleet import SimulatedFleet
from tests.fleet.traces import count_written, homes_at_work
from tests.support.postgresql import new_database, running
from tests.support.silent_relay import SilentRelay

MAX_SECONDS = 600.0  # until a run must have ended


def network(folder: Path, homes: int, nights: int) -> None:
    """Stop passing bytes in the middle of a run, without closing a connection, until the run has given up.

    Then cut the connections, as the server does by itself once a network really answers nothing, and run once more.

    Args:
        folder: Where files go.
        homes: How many homes there are.
        nights: How many nights each has.
    """
    with running() as cluster:
        urls = [new_database(cluster.url) for _ in range(2)]
        calm = SimulatedFleet(folder / "calm", homes, nights, store=_text(urls[1]))
        assert calm.run("--workers", "1").document["homes"]["failed"] == 0
        direct = SimulatedFleet(folder / "direct", homes, nights, store=_text(urls[0]))
        assert urls[0].port is not None
        with SilentRelay(urls[0].port) as relay:
            fleet = SimulatedFleet(folder / "relayed", homes, nights, store=_text(urls[0].set(port=relay.port)))
            process = fleet.start("--workers", "2")
            while not count_written(direct) or not homes_at_work(direct):
                assert process.poll() is None, "it ended before the network was stopped"
                time.sleep(0.1)
            relay.stop()
            began = time.monotonic()
            output, _ = process.communicate(timeout=MAX_SECONDS)
            seconds = time.monotonic() - began
            found = json.loads(output)
            print(
                f"the network to PostgreSQL stopped: `fleet run` gave up after {seconds:.0f} s with exit code "
                f"{process.returncode}; {found['homes']['done']} of {homes} homes were done"
            )
            print(f"reasons: {sorted({one['reason'].replace(str(relay.port), 'PORT') for one in found['failing']})}")
            relay.resume()
            relay.cut()
        assert direct.run("--workers", "2").document["homes"]["failed"] == 0
        rows, entries = compare(direct, calm)
        print(f"the next run: {rows:,} rows and {entries:,} ledger entries, the same as those of a sequential run")


def _text(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)
