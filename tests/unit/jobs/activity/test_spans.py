"""``jobs.activity.spans`` against sets of integers: a span is the set of the instants it holds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.activity.spans import Spans, intersection, length, union

SPANS = st.lists(st.tuples(st.integers(-20, 40), st.integers(-20, 40)), max_size=8)


def spans(*pairs: tuple[int, int]) -> Spans:
    return np.array(pairs, np.int64).reshape(-1, 2)


def instants(some: Spans) -> set[int]:
    return {instant for start, end in some.tolist() for instant in range(start, end)}


def assert_normal(some: Spans) -> None:
    """Not empty, ascending, and apart: spans that touch are one."""
    pairs = some.tolist()
    assert some.shape == (len(pairs), 2)
    assert all(start < end for start, end in pairs)
    assert all(before[1] < after[0] for before, after in pairwise(pairs))


@given(SPANS)
def test_a_union_holds_exactly_the_instants_of_its_spans(pairs: list[tuple[int, int]]) -> None:
    united = union(spans(*pairs))
    assert_normal(united)
    assert instants(united) == instants(spans(*pairs))


@given(SPANS)
def test_a_union_of_a_union_is_itself(pairs: list[tuple[int, int]]) -> None:
    united = union(spans(*pairs))
    assert union(united).tolist() == united.tolist()


@given(SPANS, SPANS)
def test_an_intersection_holds_exactly_the_instants_in_both(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    first, second = union(spans(*one)), union(spans(*other))
    both = intersection(first, second)
    assert_normal(both)
    assert instants(both) == instants(first) & instants(second)
    assert intersection(second, first).tolist() == both.tolist()


@given(SPANS)
def test_a_length_is_the_number_of_instants(pairs: list[tuple[int, int]]) -> None:
    united = union(spans(*pairs))
    assert length(united) == len(instants(united))


@pytest.mark.parametrize(
    ("given_spans", "united"),
    [
        ([], []),
        ([(3, 3), (5, 4)], []),
        ([(0, 2), (2, 4)], [[0, 4]]),
        ([(0, 2), (3, 4)], [[0, 2], [3, 4]]),
        ([(5, 6), (0, 10), (1, 2)], [[0, 10]]),
        ([(0, 10), (1, 2), (9, 12)], [[0, 12]]),
    ],
)
def test_a_union_joins_what_touches_and_drops_what_is_empty(
    given_spans: list[tuple[int, int]], united: list[list[int]]
) -> None:
    assert union(spans(*given_spans)).tolist() == united


def test_spans_are_half_open() -> None:
    assert intersection(spans((0, 5)), spans((5, 9))).tolist() == []
    assert intersection(spans((0, 6)), spans((5, 9))).tolist() == [[5, 6]]


def test_nothing_meets_nothing() -> None:
    assert intersection(spans(), spans()).tolist() == []
    assert intersection(spans(), spans((0, 1))).tolist() == []
    assert length(spans()) == 0


def test_instants_of_today_lose_no_microsecond() -> None:
    now = 1_772_495_999_999_999
    united = union(spans((now, now + 1), (now + 1, now + 3)))
    assert united.tolist() == [[now, now + 3]]
    assert length(united) == 3
