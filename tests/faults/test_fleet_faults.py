"""A fleet on real PostgreSQL and Dask: two runs at once, a stopped worker, a server that is killed, a silent network.

``python -m tests.fleet kills --postgresql --dask`` and ``python -m tests.fleet network`` take longer.
"""

from __future__ import annotations

import datetime as dt
import gc
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.fleet.catalogue import CatalogueHome
from jobs.fleet.dask_workers import dask_executor
from jobs.fleet.dispatch import dispatch
from jobs.fleet.executors import ExecutorLost
from jobs.fleet.tasks import DueHome, HomeResult, pack
from tests.fleet.kills import compare
from tests.fleet.simulated_fleet import SimulatedFleet
from tests.fleet.traces import changes, count_written, end_sessions, lock_holders
from tests.support.dask_cluster import DaskCluster
from tests.support.fleet_work import note
from tests.support.postgresql import Cluster, new_database, running
from tests.support.silent_relay import SilentRelay

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    # Dask leaves the sockets to a scheduler that was lost to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

WORKER_TTL = "10s"
HOMES, NIGHTS = 8, 2
REFUSED = re.compile("h00000.: (another run has taken over|.* cannot be used now)")


@pytest.fixture(autouse=True)
def sockets_closed_by_collector() -> Iterator[None]:
    """Close what Dask has left open here, where its warning is expected, and not during another test."""
    yield
    gc.collect()


def fleet_in(folder: Path, cluster: Cluster, homes: int = HOMES, nights: int = NIGHTS) -> SimulatedFleet:
    store = new_database(cluster.url).render_as_string(hide_password=False)
    return SimulatedFleet(folder, homes, nights, store=store)


def undisturbed(folder: Path, cluster: Cluster) -> SimulatedFleet:
    fleet = fleet_in(folder, cluster)
    assert fleet.run("--workers", "1").document["homes"]["failed"] == 0
    return fleet


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Return the exit code of a command, and what it printed."""
    output, _ = process.communicate(timeout=240)
    return process.returncode, json.loads(output)


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_two_fleets_at_once_compute_each_home_day_once_and_both_end_well(tmp_path: Path, postgresql: Cluster) -> None:
    fleet = fleet_in(tmp_path / "both", postgresql)
    with DaskCluster(tmp_path / "dask") as dask:
        dask.start_workers(2)
        processes = [fleet.start("--workers", "2"), fleet.start("--scheduler", dask.address)]
        (first_code, first), (second_code, second) = [ended(process) for process in processes]
    assert (first_code, second_code) == (0, 0), (first["failing"], second["failing"])
    assert first["home_days"].get("written", 0) + second["home_days"].get("written", 0) == HOMES * NIGHTS
    compare(fleet, undisturbed(tmp_path / "alone", postgresql))


@pytest.mark.parametrize("only_with_lock", [True, False], ids=["its lock is lost", "all its sessions are lost"])
def test_a_worker_that_was_thought_dead_and_comes_back_writes_nothing(
    tmp_path: Path, postgresql: Cluster, *, only_with_lock: bool
) -> None:
    fleet = fleet_in(tmp_path / "stopped", postgresql)
    with DaskCluster(tmp_path / "dask", {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": WORKER_TTL}) as dask:
        dask.start_workers(2, nanny=False)
        process = fleet.start("--scheduler", dask.address)
        stopped = stop_a_worker_within_a_home(fleet)
        assert end_sessions(fleet, stopped, only_with_lock=only_with_lock)
        code, document = ended(process)  # the other worker does what the stopped one had
        if code:  # the stopped one has a lock of the store as well, until the server ends its transaction
            assert all("lock" in one["reason"] for one in document["failing"]), document["failing"]
            code, document = ended(fleet.start("--scheduler", dask.address))
        assert (code, document["failing"]) == (0, [])
        before = changes(fleet)
        os.kill(stopped, signal.SIGCONT)
        wait_for(lambda: REFUSED.search((tmp_path / "dask" / "worker.log").read_text()))
        with suppress(psutil.NoSuchProcess):
            psutil.Process(stopped).wait(60)
        assert changes(fleet) == before
    compare(fleet, undisturbed(tmp_path / "alone", postgresql))


def stop_a_worker_within_a_home(fleet: SimulatedFleet) -> int:
    """Stop a worker while it has the lock of a home; returns its process."""
    wait_for(lambda: count_written(fleet))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for process in lock_holders(fleet):
            os.kill(process, signal.SIGSTOP)
            if process in lock_holders(fleet):
                return process
            os.kill(process, signal.SIGCONT)
    raise AssertionError("no worker has had the lock of a home")


def test_a_server_that_is_killed_costs_the_homes_that_are_left_and_the_next_run_does_them(tmp_path: Path) -> None:
    with running() as cluster:
        fleet = fleet_in(tmp_path / "killed", cluster)
        calm = undisturbed(tmp_path / "alone", cluster)
        process = fleet.start("--workers", "1")
        wait_for(lambda: count_written(fleet))
        cluster.kill()
        code, document = ended(process)
        assert code in (1, 75)
        assert document["homes"]["done"] < HOMES
        assert any(one["reason"].startswith("not tried: ledger") for one in document["failing"])
        cluster.start()
        assert ended(fleet.start("--workers", "2"))[0] == 0
        compare(fleet, calm)


def due_homes(folder: Path, count: int) -> list[DueHome]:
    """Homes of which each takes half a second."""
    columns = {"does": "wait", "folder": str(folder)}
    return [DueHome(CatalogueHome(f"h{number:02}", "UTC", columns), dt.date(2026, 1, 1)) for number in range(count)]


@pytest.fixture
def folder_of_homes(tmp_path: Path) -> Path:
    folder = tmp_path / "homes"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("what", ["stops for a while", "is cut"])
def test_a_network_to_the_scheduler_that_comes_back_costs_nothing(
    tmp_path: Path, folder_of_homes: Path, what: str
) -> None:
    due = due_homes(folder_of_homes, 12)
    found: list[HomeResult] = []
    with DaskCluster(tmp_path / "dask") as dask, SilentRelay(dask.port) as relay:
        dask.start_workers(2)
        engine = partial(dask_executor, f"tcp://127.0.0.1:{relay.port}", max_silence_seconds=2.0)
        tasks = pack(due, None, "settings", workers=2, max_home_days=1)
        for one in dispatch(tasks, note, engine, sleep=lambda _seconds: relay.resume()):
            found.append(one)
            if len(found) == 3:
                (relay.cut if what == "is cut" else relay.stop)()
    assert sorted(one.home for one in found) == [one.home.name for one in due]


def test_a_network_to_the_scheduler_that_stays_away_ends_the_run(tmp_path: Path, folder_of_homes: Path) -> None:
    with DaskCluster(tmp_path / "dask") as dask, SilentRelay(dask.port) as relay:
        dask.start_workers(2)
        engine = partial(dask_executor, f"tcp://127.0.0.1:{relay.port}", max_silence_seconds=2.0)
        tasks = pack(due_homes(folder_of_homes, 30), None, "settings", workers=2, max_home_days=1)
        results = dispatch(tasks, note, engine, max_lost_seconds=5.0, sleep=lambda _seconds: None)
        for _ in range(3):
            next(results)
        relay.stop()
        began = time.monotonic()
        with pytest.raises(ExecutorLost, match="has not answered for 2 s"):
            list(results)
        assert time.monotonic() - began < 120  # on a busy machine; without a limit it would take for ever
