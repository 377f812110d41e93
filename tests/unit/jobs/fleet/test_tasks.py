"""Homes are packed in order into tasks that are neither too large nor too few."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.fleet.catalogue import CatalogueHome
from jobs.fleet.tasks import MIN_TASKS_PER_WORKER, DueHome, Task, count_home_days, pack


def homes(*counts: int) -> list[DueHome]:
    return [
        DueHome(CatalogueHome(f"h{number}", "UTC", {}), dt.date(2026, 1, 1), count=count)
        for number, count in enumerate(counts)
    ]


def packed(counts: list[int], workers: int = 1, most: int = 200) -> list[Task]:
    return list(pack(homes(*counts), None, "settings", workers=workers, max_home_days=most))


def test_a_task_has_at_most_so_many_home_days() -> None:
    assert [count_home_days(task.homes) for task in packed([1] * 1000, most=100)] == [100] * 10
    assert [count_home_days(task.homes) for task in packed([3] * 200, most=100)][:2] == [99, 99]


def test_a_home_with_more_days_is_a_task_of_its_own() -> None:
    assert [len(task.homes) for task in packed([1, 500, 1], most=100)] == [1, 1, 1]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_small_fleet_keeps_every_worker_busy(workers: int) -> None:
    assert len(packed([1] * 64, workers)) == MIN_TASKS_PER_WORKER * workers


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(1, 9), st.integers(1, 100))
def test_every_home_is_in_one_task_and_in_order(counts: list[int], workers: int, most: int) -> None:
    tasks = packed(counts, workers, most)
    assert [one for task in tasks for one in task.homes] == homes(*counts)
    assert all(task.homes for task in tasks)


def test_the_halves_of_a_task_are_all_of_it() -> None:
    task = Task(None, "settings", tuple(homes(1, 1, 1)))
    first, second = task.halves()
    assert (*first.homes, *second.homes) == task.homes
    assert first.homes
    assert second.homes
