import numpy as np

from jobs.activity.window import HOUR, SECOND
from jobs.statistics.bouts import BOUT_GAP, BURST_GAP, bout_starts, bouts_by_group, by_group, count_by_hour


def test_a_bout_goes_on_over_a_gap_of_300_seconds_and_ends_where_it_is_longer() -> None:
    at = np.cumsum([0, BOUT_GAP, BOUT_GAP + 1])
    assert bout_starts(np.zeros(3, np.int64), at).tolist() == [True, False, True]


def test_a_burst_ends_after_120_seconds() -> None:
    at = np.cumsum([0, BURST_GAP, BURST_GAP + 1])
    assert bout_starts(np.zeros(3, np.int64), at, BURST_GAP).tolist() == [True, False, True]


def test_bouts_are_those_of_each_group_by_itself() -> None:
    group, at = np.array([0, 0, 2]), np.array([0, SECOND, 2 * SECOND])
    assert bouts_by_group(group, at, 4).tolist() == [1, 0, 1, 0]


def test_events_are_ordered_by_group_and_then_by_time() -> None:
    group, at = by_group(np.array([1, 0, 1], np.int32), np.array([5, 7, 3]))
    assert (group.tolist(), at.tolist()) == ([0, 1, 1], [7, 3, 5])


def test_an_hour_counts_the_events_of_its_group_only() -> None:
    counts = count_by_hour(np.array([0, 1, 1]), np.array([0, 23, 23]), 2)
    assert counts.shape == (2, 24)
    assert (counts[0, 0], counts[1, 23], counts.sum()) == (1, 2, 3)


def test_nothing_has_no_bouts() -> None:
    none = np.empty(0, np.int64)
    assert bout_starts(none, none).tolist() == []
    assert bouts_by_group(none, none + HOUR, 2).tolist() == [0, 0]
