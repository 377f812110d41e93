"""Known time and restarts, told from samples alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.activity.window import HOUR, MINUTE, SECOND
from jobs.sources.recorder_uptime import known_time, restarts

NONE = np.empty(0, np.int64)


def starts(rows: Sequence[tuple[int, int, int]]) -> list[int]:
    at, entity, state = (np.array(column) for column in zip(*rows, strict=True))
    found = restarts(at.astype(np.int64), entity.astype(np.int32), state.astype(np.int32))
    return [int(instant) for instant in found]


def burst(at: int, entities: int, state: int = 0) -> list[tuple[int, int, int]]:
    return [(at + number * 1000, number, state) for number in range(entities)]


def test_nothing_recorded_is_nothing_known() -> None:
    assert known_time(NONE, HOUR, NONE).tolist() == []
    assert restarts(NONE, np.empty(0, np.int32), np.empty(0, np.int32)).tolist() == []


def test_a_silence_up_to_the_bound_is_known_and_a_longer_one_is_not() -> None:
    instants = np.array([3 * HOUR + 1, 0, HOUR, 2 * HOUR, HOUR])
    assert known_time(instants, HOUR, NONE).tolist() == [[0, 2 * HOUR]]
    assert known_time(instants, HOUR + 1, NONE).tolist() == [[0, 3 * HOUR + 1]]


def test_the_time_before_a_start_is_not_known() -> None:
    instants = np.array([0, MINUTE, 2 * MINUTE, 3 * MINUTE])
    assert known_time(instants, HOUR, np.array([2 * MINUTE])).tolist() == [[0, MINUTE], [2 * MINUTE, 3 * MINUTE]]


def test_a_burst_of_repeats_by_half_of_the_home_is_a_start() -> None:
    assert starts([*burst(0, 10), *burst(HOUR, 5)]) == [0, HOUR]
    assert starts([*burst(0, 10), *burst(HOUR, 4)]) == [0]
    assert starts([*burst(0, 4), *burst(HOUR, 4)]) == []


def test_a_burst_of_changes_is_none() -> None:
    assert starts([*burst(0, 10), *burst(HOUR, 10, state=1)]) == [0]


def test_a_sample_shortly_before_a_burst_does_not_move_it() -> None:
    assert starts([*burst(0, 8), (HOUR - 9 * SECOND, 3, 1), *burst(HOUR, 8)]) == [0, HOUR]


def test_one_chatty_entity_is_no_burst() -> None:
    chatter = [(HOUR + number * 1000, 0, 0) for number in range(500)]
    assert starts([*burst(0, 8), *chatter]) == [0]
