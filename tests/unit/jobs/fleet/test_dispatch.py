"""Tasks are handed over only so many at a time; what an executor loses is repeated, and a home that kills is named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import pytest

from jobs.fleet.catalogue import CatalogueHome
from jobs.fleet.dispatch import dispatch
from jobs.fleet.executors import TASKS_AHEAD, Engine, ExecutorLost, WorkerDied
from jobs.fleet.tasks import DueHome, HomeResult, Task
from jobs.outcome import Outcome

DAY = dt.date(2026, 1, 1)


def task(*names: str) -> Task:
    return Task(None, "settings", tuple(DueHome(CatalogueHome(name, "UTC", {}), DAY) for name in names))


def done(one: Task) -> list[HomeResult]:
    return [HomeResult(due.home.name, Outcome.DONE) for due in one.homes]


class Scripted(Executor):
    """Ends each task at once, as a script says: by default, it does the work.

    Args:
        fails: Returns the error that a task ends with, given how often it has been submitted; None to do the work.
    """

    def __init__(self, fails: Callable[[Task, int], Exception | None] = lambda _task, _count: None) -> None:
        self.fails = fails
        self.submitted: list[tuple[str, ...]] = []
        self.most = 0
        self.is_open = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_kwargs: Any) -> Future[Any]:
        names = tuple(due.home.name for due in args[0].homes)
        self.submitted.append(names)
        future: Future[Any] = Future()
        error = self.fails(args[0], self.submitted.count(names))
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(fn(args[0]))
        return future

    @contextmanager
    def open(self) -> Iterator[Engine]:
        self.is_open = True
        yield Engine(self, workers=1)
        self.is_open = False


def names(results: Iterator[HomeResult]) -> list[str]:
    return sorted(result.home for result in results)


def test_each_home_has_one_result() -> None:
    executor = Scripted()
    assert names(dispatch([task("a", "b"), task("c")], done, executor.open)) == ["a", "b", "c"]
    assert not executor.is_open


def test_only_so_many_tasks_are_taken_before_one_has_ended() -> None:
    taken: list[str] = []

    def tasks() -> Iterator[Task]:
        for number in range(100):
            taken.append(str(number))
            yield task(str(number))

    results = dispatch(tasks(), done, Scripted().open)
    next(results)
    assert len(taken) == TASKS_AHEAD
    assert len(list(results)) == 99


def test_a_worker_that_dies_once_costs_nothing_but_another_try() -> None:
    executor = Scripted(lambda one, count: WorkerDied("died") if one.homes[0].home.name == "a" and count == 1 else None)
    results = list(dispatch([task("a", "b"), task("c")], done, executor.open))
    assert {result.home: result.outcome for result in results} == dict.fromkeys("abc", Outcome.DONE)
    assert executor.submitted.count(("a", "b")) == 2


def test_the_home_at_which_workers_die_is_found_and_named_and_the_others_are_done() -> None:
    def fails(one: Task, _count: int) -> Exception | None:
        return WorkerDied("died") if any(due.home.name == "h5" for due in one.homes) else None

    executor = Scripted(fails)
    results = {one.home: one for one in dispatch([task(*(f"h{n}" for n in range(8)))], done, executor.open)}
    assert len(results) == 8
    assert [name for name, one in results.items() if one.outcome is not Outcome.DONE] == ["h5"]
    assert "died" in results["h5"].reason


def test_what_a_task_raises_costs_its_homes_only() -> None:
    executor = Scripted(lambda one, _count: ValueError("odd") if one.homes[0].home.name == "a" else None)
    results = {one.home: one for one in dispatch([task("a", "b"), task("c")], done, executor.open)}
    assert results["a"].reason == results["b"].reason == "ValueError: odd"
    assert results["c"].outcome is Outcome.DONE


def test_a_scheduler_that_is_lost_is_waited_for_and_nothing_is_forgotten() -> None:
    lost = iter([True, False, True])
    executor = Scripted(lambda _task, _count: ExecutorLost("gone") if next(lost, False) else None)
    pauses: list[float] = []
    results = dispatch([task("a"), task("b"), task("c")], done, executor.open, sleep=pauses.append)
    assert names(results) == ["a", "b", "c"]
    assert len(pauses) == 2


def test_a_scheduler_that_stays_away_ends_the_run() -> None:
    @contextmanager
    def never() -> Iterator[Engine]:
        raise ExecutorLost("the scheduler cannot be reached")
        yield Engine(Scripted(), 1)

    pauses: list[float] = []
    with pytest.raises(ExecutorLost):
        list(dispatch([task("a")], done, never, max_lost_seconds=0.0, sleep=pauses.append))
    assert not pauses
    assert Outcome.of_error(ExecutorLost()) is Outcome.UNAVAILABLE


def test_a_stop_leaves_the_rest_and_waits_for_what_is_at_work() -> None:
    stops = iter([False] * TASKS_AHEAD)
    results = dispatch([task(str(n)) for n in range(50)], done, Scripted().open, stop=lambda: next(stops, True))
    assert len(list(results)) == TASKS_AHEAD
