"""Hand tasks to an executor, only so many at a time, and yield the result of each home.

A worker that dies costs its task another try. If it dies again, the task is halved until the home is found at which it
dies; that one is named, and the others are done. A scheduler that is lost is waited for, and what it had is handed over
again. Doing a home twice changes nothing: its ledger knows what is done.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

from jobs.fleet.executors import TASKS_AHEAD, Engine, ExecutorLost, WorkerDied, result_of
from jobs.fleet.tasks import HomeResult, Task
from jobs.isolation import describe
from jobs.outcome import Outcome

_log = logging.getLogger(__name__)

MAX_LOST_SECONDS: Final = 300.0  # how long a lost scheduler is waited for
RETRY_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 1.0  # how often it is looked whether to stop

Work = Callable[[Task], list[HomeResult]]
OpenEngine = Callable[[], AbstractContextManager[Engine]]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A task, and how often a worker has died at it."""

    task: Task
    deaths: int = 0


def dispatch(
    tasks: Iterable[Task],
    work: Work,
    open_engine: OpenEngine,
    *,
    stop: Callable[[], bool] = lambda: False,
    max_lost_seconds: float = MAX_LOST_SECONDS,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[HomeResult]:
    """Yield the result of each home as soon as its task has ended.

    Args:
        tasks: The tasks; taken as workers become free.
        work: What a worker does with a task; it can be imported there by its name.
        open_engine: Opens the executor, again after it was lost.
        stop: Asked now and then; True hands over no more tasks, and ends after those at work.
        max_lost_seconds: How long a lost scheduler is waited for.
        sleep: Waits for that many seconds.

    Raises:
        ExecutorLost: The scheduler could not be reached for all of that time.
    """
    waiting: deque[_Attempt] = deque()
    remaining = iter(tasks)
    lost_at: float | None = None
    while True:
        flight: dict[Future[list[HomeResult]], _Attempt] = {}
        try:
            with open_engine() as engine:
                for one in _run(engine, work, waiting, remaining, flight=flight, stop=stop):
                    lost_at = None
                    yield one
        except ExecutorLost as error:
            waiting.extendleft(flight.values())
            lost_at = time.monotonic() if lost_at is None else lost_at
            if time.monotonic() - lost_at >= max_lost_seconds:
                raise
            _log.warning("%s; it is tried again", error)
            sleep(RETRY_SECONDS)
        else:
            return


def _run(
    engine: Engine,
    work: Work,
    waiting: deque[_Attempt],
    remaining: Iterator[Task],
    *,
    flight: dict[Future[list[HomeResult]], _Attempt],
    stop: Callable[[], bool],
) -> Iterator[HomeResult]:
    """Work with one engine until nothing is left, or it is lost: then ``flight`` holds what it had."""
    while True:
        _hand_over(engine, work, waiting, remaining, flight=flight, stop=stop)
        if not flight:
            return
        ended = wait(flight, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED).done
        if not ended and engine.is_lost():
            raise ExecutorLost("the scheduler was lost")
        for future in ended:
            attempt = flight[future]
            try:
                results = result_of(future)
            except WorkerDied as error:
                results = _after_death(attempt, error, waiting)
            except ExecutorLost:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a worker raises costs its homes, not the others
                _log.exception("a task failed")
                results = [_failed(due.home.name, describe(error), error) for due in attempt.task.homes]
            del flight[future]
            yield from results


def _hand_over(
    engine: Engine,
    work: Work,
    waiting: deque[_Attempt],
    remaining: Iterator[Task],
    *,
    flight: dict[Future[list[HomeResult]], _Attempt],
    stop: Callable[[], bool],
) -> None:
    """Hand over tasks until every worker has some, or none is left."""
    while len(flight) < TASKS_AHEAD * engine.workers and not stop():
        attempt = waiting.popleft() if waiting else _next(remaining)
        if attempt is None:
            return
        try:
            flight[engine.executor.submit(work, attempt.task)] = attempt
        except (RuntimeError, ExecutorLost) as error:  # the executor has noticed first that it is gone
            waiting.appendleft(attempt)
            raise ExecutorLost(f"the executor takes no more tasks: {error}") from error


def _next(remaining: Iterator[Task]) -> _Attempt | None:
    task = next(remaining, None)
    return None if task is None else _Attempt(task)


def _after_death(attempt: _Attempt, error: WorkerDied, waiting: deque[_Attempt]) -> list[HomeResult]:
    """Have a task tried again at which a worker died, or its halves; name the home if there is only one."""
    homes = attempt.task.homes
    if attempt.deaths and len(homes) == 1:
        return [_failed(homes[0].home.name, f"{error} while it was computed", error)]
    if attempt.deaths:
        waiting.extend(_Attempt(half, deaths=1) for half in attempt.task.halves())
    else:
        _log.warning("a worker died at a task of %d homes, which is tried again", len(homes))
        waiting.append(replace(attempt, deaths=1))
    return []


def _failed(home: str, reason: str, error: Exception) -> HomeResult:
    return HomeResult(home, max(Outcome.INCOMPLETE, Outcome.of_error(error)), reason=reason)
