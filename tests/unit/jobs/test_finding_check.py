"""What a detector returns is a finding with a bounded number of rows, or an error that names the detector."""

from __future__ import annotations

import itertools

import pytest

from jobs.detector import Finding, NotJudged
from jobs.finding_check import rows_and_reason
from tests.support.rows import time_based


@pytest.mark.parametrize("found", [Finding([time_based()], "x"), NotJudged((), "x"), ([time_based()], "x")])
def test_a_finding_is_taken(found: Finding) -> None:
    rows, reason = rows_and_reason("visits", found)
    assert (list(rows), reason) == (list(found[0]), "x")


@pytest.mark.parametrize("found", [None, [], "ab", {"a": 1}, (), ([],), ([], "x", 1), ([], None), ([], 5), ([], b"x")])
def test_what_is_not_a_finding_is_an_error_that_names_the_detector(found: object) -> None:
    with pytest.raises(TypeError, match="visits returned"):
        rows_and_reason("visits", found)


def test_rows_without_end_are_not_collected() -> None:
    with pytest.raises(ValueError, match="visits returned more than 3 rows"):
        rows_and_reason("visits", Finding(itertools.repeat(time_based()), ""), 3)  # type: ignore[arg-type]


def test_as_many_rows_as_allowed_are_taken() -> None:
    assert len(rows_and_reason("visits", Finding([time_based()] * 3, ""), 3)[0]) == 3
