"""The workers of a Dask scheduler as an executor.

Dask's client waits without end for a scheduler whose network has stopped; every wait here has an end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from jobs.fleet.executors import Engine, ExecutorLost
from storage.errors import SettingsError, UsageError

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS: Final = 10
MAX_SILENCE_SECONDS: Final = 30  # after which a scheduler that does not answer counts as lost
NAME: Final = "pattern-aggregates"  # of the client, in the scheduler's logs


class DaskExecutor(Executor):
    """The workers of a Dask scheduler.

    Dask has such a class too. With that, a task whose result is lost with the connection on which it comes never ends.

    Args:
        client: Of the scheduler.
        max_silence_seconds: How long a result may take to come.
    """

    def __init__(self, client: Any, max_silence_seconds: float) -> None:  # noqa: ANN401 - Dask has no types
        self._client = client
        self._max_silence_seconds = max_silence_seconds
        self._tasks: set[Any] = set()  # the scheduler gives up tasks to which nobody refers

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See ``Executor.submit``."""
        future: Future[T] = Future()
        try:
            task = self._client.submit(fn, *args, **kwargs, pure=False)
        except Exception as error:  # Dask's own class when the client has been closed
            raise ExecutorLost(f"the scheduler takes no more tasks: {error}") from error
        self._tasks.add(task)
        task.add_done_callback(partial(self._end, future))
        return future

    def _end(self, future: Future[Any], task: Any) -> None:  # noqa: ANN401 - Dask has no types
        """Set the result of a task that has ended."""
        self._tasks.discard(task)
        has_raised = task.status == "error"
        try:
            future.set_result(task.result(timeout=self._max_silence_seconds))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            future.set_exception(error if has_raised else ExecutorLost(f"the scheduler has lost a task: {error}"))


@contextmanager
def dask_executor(address: str, *, max_silence_seconds: float = MAX_SILENCE_SECONDS) -> Iterator[Engine]:
    """Work on the workers of a Dask scheduler.

    Args:
        address: Such as ``tcp://scheduler:8786``.
        max_silence_seconds: After what time a scheduler that does not answer counts as lost.

    Raises:
        UsageError: It is not a valid address.
        SettingsError: Dask is not installed, or the workers do not fit.
        ExecutorLost: The scheduler cannot be reached, or has no worker.
    """
    try:
        import distributed  # noqa: PLC0415 - an extra, for those who use it
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--scheduler needs {error.name}, which is not installed", hint="Install pattern-aggregates[fleet]."
        ) from error
    _check_address(address)
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what is lost is logged here, in one line
    in_time = partial(_in_time, max_silence_seconds)
    connect = partial(distributed.Client, address, timeout=CONNECT_SECONDS, set_as_default=False, name=NAME)
    try:
        client = in_time(connect)
    except ExecutorLost as error:
        raise ExecutorLost(
            f"the scheduler {address} cannot be reached: {error}",
            hint="Start it: `dask scheduler`. Correct --scheduler.",
        ) from error
    try:
        threads = list(in_time(partial(client.sync, client.scheduler.ncores)).values())
        if not threads:
            raise ExecutorLost(f"the scheduler {address} has no worker", hint=f"Start one: `dask worker {address}`.")
        if any(count != 1 for count in threads):
            raise SettingsError(
                f"a worker of {address} has {max(threads)} threads: a day's time limit needs a process for each task",
                hint=f"Start workers with `dask worker {address} --nworkers N --nthreads 1`.",
            )
        yield Engine(DaskExecutor(client, max_silence_seconds), len(threads), _watch(client, in_time))
    finally:
        with suppress(ExecutorLost):  # nothing depends on it
            in_time(partial(client.close, timeout=CONNECT_SECONDS))


def _check_address(address: str) -> None:
    """Refuse what cannot be the address of a scheduler: a client that finds that out by itself waits when it is closed.

    Raises:
        UsageError: It is not a valid address.
    """
    from distributed.comm import addressing, registry  # noqa: PLC0415 - an extra, for those who use it

    try:
        scheme, place = addressing.parse_address(address)
        registry.get_backend(scheme)
        host, _ = addressing.parse_host_port(place)
    except ValueError:
        host = ""
    if not host:
        raise UsageError(f"--scheduler: not a valid address: {address!r}", hint="Write it like tcp://HOST:8786.")


def _in_time(seconds: float, function: Callable[[], T]) -> T:
    """Call something of Dask's that may wait without end for a scheduler on a network that has stopped.

    Raises:
        ExecutorLost: The scheduler cannot be reached, or has not answered in time.
    """
    future: Future[T] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            future.set_exception(error)

    threading.Thread(target=call, name="dask", daemon=True).start()
    try:
        return future.result(seconds)
    except (OSError, ValueError) as error:
        reason = str(error) or f"it has not answered for {seconds:.0f} s"
        raise ExecutorLost(reason) from error


def _watch(client: Any, in_time: Callable[[Callable[[], Any]], Any]) -> Callable[[], bool]:  # noqa: ANN401 - Dask has no types
    """Return what finds out whether the scheduler is silent, or another one by now, which does not know the tasks."""

    def identity() -> object:
        return client.sync(client.scheduler.identity, n_workers=0)["id"]

    begun = in_time(identity)

    def is_lost() -> bool:
        if client.status != "running":
            return True
        try:
            return bool(in_time(identity) != begun)
        except (ExecutorLost, AttributeError):  # the client is closed meanwhile
            return True

    return is_lost
