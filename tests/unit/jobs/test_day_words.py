"""A day in one word, from what the real detector finds and gives as its reason."""

from __future__ import annotations

import datetime as dt

import pytest

from jobs.detectors.anomaly import Anomaly
from jobs.household import NO_HOUSEHOLD, Away, Household, Mute
from jobs.sentences.days import DayWord, word_of_day
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.models import AnomalyDaily, DailyAggregate
from tests.support.golden import history_row, run

LAST = dt.date(2026, 3, 30)
USUAL = [8] * 29


def home(first: list[int], second: list[int]) -> MemoryStore:
    """Two lamps by their bouts on the days up to the last, beside a third that acts every day."""
    days = DateRange.ending(LAST, len(first))
    rows: list[DailyAggregate] = [run(day, detector=name) for day in days for name in ("time_based", "duration")]
    for name, counts in (("a", first), ("b", second), ("c", [4] * len(first))):
        rows += [history_row(day, f"light.{name}", count) for day, count in zip(days, counts, strict=True) if count]
    return MemoryStore(rows)


def word(store: MemoryStore, household: Household = NO_HOUSEHOLD) -> DayWord:
    """The word for the last day, after ``anomaly`` has judged it."""
    found = Anomaly().judge(LAST, store, household)
    rows = [row for row in found.rows if isinstance(row, AnomalyDaily)]
    return word_of_day(rows, run(LAST, detector="anomaly").model_copy(update={"reason": found.reason}))


MUTED = Household(mutes=(Mute("light.*", None, LAST, None, ""),))
AWAY = Household((Away(LAST, LAST, "", "entered"),))


@pytest.mark.parametrize(
    ("store", "household", "expected"),
    [
        (home(USUAL, USUAL), NO_HOUSEHOLD, DayWord.USUAL),
        (home([8] * 28 + [60], USUAL), NO_HOUSEHOLD, DayWord.UNUSUAL),
        (home([8] * 28 + [60], USUAL), MUTED, DayWord.USUAL),
        (home([8] * 28 + [0], [8] * 28 + [0]), NO_HOUSEHOLD, DayWord.QUIET),
        (home([8] * 20 + [0] + [8] * 8, [8] * 20 + [0] + [8] * 8), NO_HOUSEHOLD, DayWord.USUAL),
        (home(USUAL, USUAL), AWAY, DayWord.QUIET),
        (home([8] * 9, [8] * 9), NO_HOUSEHOLD, DayWord.NOT_JUDGED),
    ],
    ids=["usual", "unusual", "muted", "quiet", "quiet some days ago", "away", "too little to compare with"],
)
def test_a_day_has_the_word_that_fits_what_was_found(
    store: MemoryStore, household: Household, expected: DayWord
) -> None:
    assert word(store, household) is expected


def test_a_day_on_which_the_detector_has_not_run_is_not_judged() -> None:
    assert word_of_day([], None) is DayWord.NOT_JUDGED
