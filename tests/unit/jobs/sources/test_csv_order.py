"""Which rows of a file the order of its lines contradicts."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.activity.window import MINUTE
from jobs.sources.csv_order import MIN_ROWS_PER_STEP, contradicted

LAMP, OTHER = 0, 1


def left_out(*rows: tuple[int, int]) -> list[tuple[int, int]]:
    """The rows, as minute and entity, that are left out of a file."""
    at = np.array([minute for minute, _ in rows], np.int64) * MINUTE
    found = contradicted(at, np.array([entity for _, entity in rows], np.int32))
    return [rows[place] for place in np.flatnonzero(found)]


def others(first: int, end: int) -> list[tuple[int, int]]:
    return [(minute, OTHER) for minute in range(first, end)]


def test_a_file_in_order_loses_nothing() -> None:
    assert left_out(*others(0, 50), (50, LAMP), (50, OTHER)) == []


@pytest.mark.parametrize(("before", "found"), [(MIN_ROWS_PER_STEP - 4, [(100, LAMP)]), (MIN_ROWS_PER_STEP - 5, [])])
def test_one_step_back_in_ten_rows_shows_a_wrong_clock(before: int, found: list[tuple[int, int]]) -> None:
    assert left_out(*others(0, before), (100, LAMP), (50, LAMP), (51, OTHER), (101, OTHER)) == found


def test_the_fewer_rows_are_left_out() -> None:
    ahead = [(60, LAMP), (61, LAMP)]  # the clock was ahead for two rows
    assert left_out(*others(0, 40), *ahead, (50, LAMP), *others(51, 60), (70, LAMP), (80, LAMP)) == ahead
    behind = [(10, LAMP), (11, OTHER)]  # it was not set for two rows
    assert left_out(*others(0, 40), *behind, (40, LAMP), *others(41, 60)) == behind


def test_rows_of_one_entity_that_came_late_are_kept() -> None:
    assert left_out((10, LAMP), *others(20, 60), (30, LAMP), (40, LAMP), *others(60, 70)) == []


@pytest.mark.parametrize(("back", "found"), [(24 * 60, [(2000, LAMP)]), (24 * 60 + 1, [])])
def test_a_step_of_more_than_a_day_is_no_clock_that_was_set_back(back: int, found: list[tuple[int, int]]) -> None:
    rows = left_out(*others(0, 40), (2000, LAMP), (2000 - back, LAMP), (2000, OTHER))
    assert rows == []  # only the lamp is behind
    assert left_out(*others(0, 40), (2000, LAMP), (2000 - back, LAMP), (1999, OTHER), (2000, OTHER)) == found


def test_each_entity_has_an_order_of_its_own() -> None:
    """An export by entity goes back with each new entity, which shows nothing."""
    at = np.array([*range(20), *range(20)], np.int64)
    entity = np.repeat(np.arange(2, dtype=np.int32), 20)
    assert not contradicted(at, entity).any()
