"""How errors become outcomes, which of several counts, and the exit codes that other programs rely on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from jobs.exit_codes import EXIT_CODES
from jobs.outcome import Outcome
from storage import errors
from storage.errors import PatternAggregatesError


def every_error(cls: type[PatternAggregatesError] = PatternAggregatesError) -> Iterator[type[PatternAggregatesError]]:
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from every_error(child)


EXPECTED = {
    "PatternAggregatesError": 1,
    "UsageError": 2,
    "DaysMissing": 1,
    "SettingsError": 78,
    "DetectorInvalid": 78,
    "SourceMismatch": 78,
    "SourceError": 1,
    "SourceCorrupt": 1,
    "SourceUnavailable": 75,
    "StoreError": 1,
    "StoreMissing": 1,
    "StoreCorrupt": 1,
    "StoreUnavailable": 75,
    "LedgerError": 1,
    "LedgerMismatch": 78,
    "LedgerVersionMismatch": 1,
    "LedgerCorrupt": 1,
    "LedgerUnavailable": 75,
    "HomeMismatch": 78,
    "HouseholdError": 1,
    "HouseholdUnavailable": 75,
    "TimeLimitExceeded": 75,
}


def test_every_error_of_ours_has_the_exit_code_that_is_promised() -> None:
    found = {}
    for cls in every_error():
        error = cls("count", [dt.date(2026, 3, 2)]) if issubclass(cls, errors.DaysMissing) else cls()
        found[cls.__name__] = EXIT_CODES[Outcome.of_error(error)]
    assert found == EXPECTED


def test_an_error_that_is_not_ours_is_a_failure() -> None:
    assert Outcome.of_error(ZeroDivisionError()) is Outcome.INCOMPLETE


def test_every_error_without_a_message_says_what_its_docstring_says() -> None:
    for cls in every_error():
        if not issubclass(cls, errors.DaysMissing):
            assert str(cls()) == (cls.__doc__ or "").splitlines()[0]


@pytest.mark.parametrize(
    ("outcomes", "counts"),
    [
        ([Outcome.DONE, Outcome.INCOMPLETE], Outcome.INCOMPLETE),
        ([Outcome.UNAVAILABLE, Outcome.INCOMPLETE], Outcome.UNAVAILABLE),
        ([Outcome.INVALID_SETTINGS, Outcome.UNAVAILABLE], Outcome.INVALID_SETTINGS),
    ],
)
def test_of_several_outcomes_the_most_severe_counts(outcomes: list[Outcome], counts: Outcome) -> None:
    assert max(outcomes) is counts


def test_each_outcome_has_an_exit_code_of_its_own() -> None:
    assert set(EXIT_CODES) == set(Outcome)
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
