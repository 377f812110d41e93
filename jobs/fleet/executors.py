"""Where tasks run: in processes of this machine, or on the workers of a Dask scheduler (``jobs.fleet.dask_workers``).

Both are a ``concurrent.futures.Executor``. No engine promises that a task runs exactly once, and none has to: a home's
ledger does. A worker that dies costs its task a ``WorkerDied``; a scheduler that is gone costs all tasks an
``ExecutorLost``.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

from jobs import logs
from storage.errors import PatternAggregatesError

P = ParamSpec("P")
T = TypeVar("T")

TASKS_AHEAD: Final = 2  # handed to each worker at once, so that it never waits for the next


class WorkerDied(Exception):
    """The process that worked on a task has ended."""


class ExecutorLost(PatternAggregatesError):
    """The scheduler of the fleet cannot be reached now."""

    retryable = True


class Engine(NamedTuple):
    """An executor that is open.

    Attributes:
        executor: The executor.
        workers: How many tasks it works on at the same time.
        is_lost: Returns whether tasks that were handed to it will never end.
    """

    executor: Executor
    workers: int
    is_lost: Callable[[], bool] = lambda: False


class ProcessPool(Executor):
    """Processes of this machine; one that ends unexpectedly fails the task it worked on, and no other.

    A ``ProcessPoolExecutor`` would fail every task that was handed to it, so each process is a pool of its own.

    Args:
        workers: How many processes.
    """

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="fleet")
        self._idle: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
        self._pools = [_new_pool() for _ in range(workers)]
        self._lock = threading.Lock()
        for pool in self._pools:
            self._idle.put(pool)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See ``Executor.submit``."""
        return self._threads.submit(self._run, fn, *args, **kwargs)

    def _run(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:  # noqa: ANN401 - whatever it takes
        pool = self._idle.get()
        try:
            return pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool as error:
            with self._lock:
                self._pools.remove(pool)
                pool = _new_pool()
                self._pools.append(pool)
            raise WorkerDied("the worker's process has ended unexpectedly") from error
        finally:
            self._idle.put(pool)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See ``Executor.shutdown``; with ``cancel_futures``, tasks at work are interrupted, which loses nothing."""
        with self._lock:
            pools = list(self._pools)
        if cancel_futures:
            for pool in pools:
                for process in list((pool._processes or {}).values()):  # noqa: SLF001 - public only since Python 3.14
                    process.terminate()
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for pool in pools:
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)


def _new_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it, however it ends."""
    logs.configure(sys.stderr, logging.WARNING)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), name="parent", daemon=True).start()


def _end_with(wait: Callable[[], object]) -> None:
    wait()
    os._exit(0)


@contextmanager
def process_pool(workers: int) -> Iterator[Engine]:
    """Work in processes of this machine."""
    pool = ProcessPool(workers)
    try:
        yield Engine(pool, workers)
    except BaseException:  # also an interrupt: no task is begun any more, and the error goes on
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def result_of(future: Future[T]) -> T:
    """Return the result of a task that has ended.

    Raises:
        WorkerDied: Its worker has ended unexpectedly.
        ExecutorLost: Nothing is known of it: the scheduler was lost.
        Exception: What the task raised.
    """
    try:
        return future.result()
    except CancelledError as error:
        raise ExecutorLost("the scheduler has lost a task") from error
    except Exception as error:  # Dask's own classes can only be told apart by name here; others go on
        kind = type(error)
        if kind.__name__ == "KilledWorker":  # of Dask, which is not imported for those who do not use it
            raise WorkerDied("the worker's process has ended unexpectedly, several times") from error
        if kind.__module__.startswith("distributed."):
            raise ExecutorLost(f"the scheduler has lost a task: {error}") from error
        raise
