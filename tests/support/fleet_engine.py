"""An executor that works in this process, for tests of what a fleet does and not of how it is spread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from jobs.fleet.executors import Engine


class _InThisProcess(Executor):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whatever a task raises is its result
            future.set_exception(error)
        return future


@contextmanager
def in_this_process() -> Iterator[Engine]:
    """Work on each task as soon as it is handed over."""
    yield Engine(_InThisProcess(), 1)
