"""The executors of a fleet with real processes: one that is killed costs its task a retry, and nothing else."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from jobs.fleet.catalogue import CatalogueHome
from jobs.fleet.dask_workers import dask_executor
from jobs.fleet.dispatch import OpenEngine, dispatch
from jobs.fleet.executors import ExecutorLost, process_pool
from jobs.fleet.tasks import DueHome, HomeResult, pack
from jobs.outcome import Outcome
from storage.errors import SettingsError, UsageError
from tests.support.dask_cluster import DaskCluster
from tests.support.fleet_work import note

pytestmark = pytest.mark.timeout(240)


def homes(folder: Path, **does: str) -> list[DueHome]:
    """Twelve homes; some do something else than to note that they were worked on."""
    names = [f"h{number:02}" for number in range(12)]
    return [
        DueHome(CatalogueHome(name, "UTC", {"does": does.get(name, ""), "folder": str(folder)}), dt.date(2026, 1, 1))
        for name in names
    ]


def results(due: list[DueHome], engine: OpenEngine, **options: float) -> dict[str, HomeResult]:
    tasks = pack(due, None, "settings", workers=2, max_home_days=4)
    found = list(dispatch(tasks, note, engine, **options))  # type: ignore[arg-type]  # numbers only
    assert Counter(one.home for one in found) == Counter(one.home.name for one in due)
    return {one.home: one for one in found}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("dask")) as running:
        running.start_workers(2)
        yield running


@pytest.fixture(params=["processes", "dask"])
def engine(request: pytest.FixtureRequest) -> OpenEngine:
    if request.param == "processes":
        return partial(process_pool, 2)
    running: DaskCluster = request.getfixturevalue("cluster")
    return partial(dask_executor, running.address)


def test_every_home_is_worked_on_once(tmp_path: Path, engine: OpenEngine) -> None:
    assert {one.outcome for one in results(homes(tmp_path), engine).values()} == {Outcome.DONE}
    assert {file.read_text() for file in tmp_path.iterdir()} == {"worked on\n"}


def test_a_worker_that_is_killed_once_costs_its_task_another_try(tmp_path: Path, engine: OpenEngine) -> None:
    found = results(homes(tmp_path, h05="die once"), engine)
    assert {one.outcome for one in found.values()} == {Outcome.DONE}
    assert (tmp_path / "h05.died").exists()


def test_a_home_that_kills_each_worker_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    found = results(homes(tmp_path, h05="die"), partial(process_pool, 2))
    assert [name for name, one in found.items() if one.outcome is not Outcome.DONE] == ["h05"]
    assert "ended unexpectedly while it was computed" in found["h05"].reason


def test_a_task_that_raises_costs_its_own_homes_only(tmp_path: Path, engine: OpenEngine) -> None:
    found = results(homes(tmp_path, h05="raise"), engine)
    failed = {name for name, one in found.items() if one.outcome is not Outcome.DONE}
    assert "h05" in failed
    assert len(failed) < 12
    assert found["h05"].reason == "ValueError: this task is not valid"


def test_a_scheduler_that_is_killed_and_comes_back_goes_on(tmp_path: Path) -> None:
    due = homes(tmp_path, **{f"h{number:02}": "wait" for number in range(12)})
    with DaskCluster(tmp_path / "dask") as running:
        running.start_workers(2)
        found = []
        tasks = pack(due, None, "settings", workers=2, max_home_days=1)
        for one in dispatch(tasks, note, partial(dask_executor, running.address)):
            found.append(one)
            if len(found) == 3:
                running.kill()
                running.start()
                running.start_workers(2)
    assert {one.outcome for one in found} == {Outcome.DONE}
    assert {one.home for one in found} == {one.home.name for one in due}


def test_a_scheduler_that_is_not_there_or_has_no_worker_is_named(tmp_path: Path) -> None:
    with DaskCluster(tmp_path) as running:
        with pytest.raises(ExecutorLost, match="has no worker"), dask_executor(running.address):
            pass
        running.kill()
        with pytest.raises(ExecutorLost, match="cannot be reached"), dask_executor(running.address):
            pass


@pytest.mark.parametrize(
    "address", ["", "scheduler", "tcp://scheduler", "tcp://:8786", "tcp://host:x", "http://host:8786"]
)
def test_what_is_not_an_address_of_a_scheduler_is_refused_at_once(address: str) -> None:
    began = time.monotonic()
    with pytest.raises(UsageError, match="not a valid address"), dask_executor(address):
        pass
    assert time.monotonic() - began < 5


def test_a_worker_with_several_threads_is_refused(tmp_path: Path) -> None:
    with DaskCluster(tmp_path) as running:
        running.start_workers(1, threads=2)
        with pytest.raises(SettingsError, match="has 2 threads") as caught, dask_executor(running.address):
            pass
        assert "--nthreads 1" in caught.value.hint


def test_workers_end_with_the_process_that_started_them() -> None:
    program = (
        "import sys, time\n"
        "from jobs.fleet.executors import process_pool\n"
        "import os\n"
        "if __name__ == '__main__':\n"
        "    with process_pool(2) as engine:\n"
        "        print(*{engine.executor.submit(os.getpid).result() for _ in range(4)}, flush=True)\n"
        "        time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(text) for text in parent.stdout.readline().split()]
        assert workers
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 30
    while any(_is_alive(worker) for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.1)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").split(") ")[1][0] != "Z"
