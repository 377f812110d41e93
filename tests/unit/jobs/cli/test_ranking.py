"""The order and the number of records that are printed."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.cli.ranking import Ranking
from storage.errors import UsageError

RECORDS: list[dict[str, Any]] = [
    {"name": "b", "count": 2},
    {"name": "a", "count": None},
    {"name": "c", "count": 7},
    {"name": "d", "count": 2},
]


def names(ranking: Ranking) -> str:
    checked = ranking.check(["name", "count"], None)
    return "".join(record["name"] for record in checked.apply(RECORDS))


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        (Ranking(), "bacd"),
        (Ranking(sort="name"), "abcd"),
        (Ranking(sort="-name"), "dcba"),
        (Ranking(sort="count"), "bdca"),
        (Ranking(sort="-count"), "cbda"),
        (Ranking(sort="count", top=2), "cb"),
        (Ranking(sort="-count", top=1), "c"),
        (Ranking(limit=3), "bac"),
        (Ranking(limit=4), "bacd"),
        (Ranking(limit=5), "bacd"),
        (Ranking(sort="name", limit=1), "a"),
        (Ranking(sort="count", top=3, limit=2), "cb"),
    ],
)
def test_records_are_sorted_and_cut_as_the_options_say_with_absent_values_last(ranking: Ranking, expected: str) -> None:
    assert names(ranking) == expected


def test_top_goes_by_the_first_function_unless_another_field_is_named() -> None:
    assert Ranking(top=1).check(["name", "count"], "count") == Ranking("count", 1)
    assert Ranking("name", top=1).check(["name", "count"], "count") == Ranking("name", 1)
    assert Ranking(limit=1).check(["name", "count"], "count") == Ranking(None, None, 1)


@pytest.mark.parametrize(
    ("ranking", "hint"),
    [
        (Ranking(top=3), "--sort FIELD"),
        (Ranking("-cuont"), "did you mean 'count'"),
        (Ranking("x"), "There are name, count"),
    ],
)
def test_a_field_that_records_do_not_have_is_refused(ranking: Ranking, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        ranking.check(["name", "count"], None)
    assert hint in refused.value.hint


def test_lists_are_not_sorted() -> None:
    with pytest.raises(UsageError, match="several values"):
        Ranking("hours").apply([{"hours": [1]}])
