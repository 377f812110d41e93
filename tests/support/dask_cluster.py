"""A real Dask scheduler with workers, each a process of its own, on a free loopback port."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from tests.support.influxdb import free_port

START_SECONDS = 60.0


class DaskCluster:
    """A scheduler; workers are started, and killed, by the test.

    Args:
        folder: Where logs and the workers' files go.
        environment: Variables that scheduler and workers get beside those of this process.

    Attributes:
        port: That of the scheduler.
        workers: The nannies, or workers without one.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}
        self.port = free_port()
        self._scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the scheduler, on the same port as before, and wait until it answers."""
        self._scheduler = self._run("scheduler", "--port", str(self.port))
        self._wait_for(0)

    def start_workers(self, count: int, *, threads: int = 1, nanny: bool = True) -> None:
        """Start more workers, and wait until they are there.

        Args:
            count: How many.
            threads: The threads of each.
            nanny: Start each under a nanny, which replaces a process that dies.
        """
        before = len(self.workers)
        for _ in range(count):
            self.workers.append(self._start_worker(threads, nanny=nanny))
        self._wait_for(before + count)

    def _start_worker(self, threads: int = 1, *, nanny: bool = True) -> subprocess.Popen[bytes]:
        options = ("--nthreads", str(threads), "--local-directory", str(self._folder / "work"))
        return self._run("worker", self.address, *options, "--nanny" if nanny else "--no-nanny")

    def kill_scheduler(self) -> None:
        """Kill the scheduler alone; ``start`` starts it again."""
        if self._scheduler is not None:
            self._scheduler.kill()
            self._scheduler.wait()

    def restart_ended_workers(self) -> int:
        """Start those workers again whose nanny has ended, as a service manager does; returns how many these were."""
        ended = [number for number, process in enumerate(self.workers) if process.poll() is not None]
        for number in ended:
            self.workers[number] = self._start_worker()
        return len(ended)

    def kill(self) -> None:
        """Kill the scheduler and all workers, as if their machines had lost their power."""
        for process in (*self.workers, self._scheduler):
            if process is not None:
                _kill_children(process)
                process.kill()
                process.wait()
        self.workers = []
        self._scheduler = None

    def kill_worker(self, number: int) -> None:
        """Kill the process that one worker works in; its nanny starts another."""
        _kill_children(self.workers[number])

    def kill_machine(self, number: int) -> None:
        """Kill one worker and its nanny."""
        _kill_children(self.workers[number])
        self.workers[number].kill()
        self.workers[number].wait()

    def _run(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
        command += ["--host", "127.0.0.1", "--no-dashboard"]
        with (self._folder / f"{words[0]}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=Path(__file__).resolve().parents[2], env=self._environment
            )

    def _wait_for(self, workers: int) -> None:
        import distributed  # noqa: PLC0415 - only where it is used

        until = time.monotonic() + START_SECONDS
        while True:
            try:
                client: Any = distributed.Client(self.address, timeout=2, set_as_default=False)
            except (OSError, TimeoutError):
                assert time.monotonic() < until, (self._folder / "scheduler.log").read_text()
                continue
            with client:
                if workers:
                    client.wait_for_workers(workers, timeout=START_SECONDS)
            return


def _kill_children(process: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
