"""A day in one word, for a calendar, a title or a sensor."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from storage.models import AnomalyDaily, DetectorRunDaily

NOT_JUDGED: Final = "not judged"  # how the reason begins where the detector could not judge
QUIET_REASONS: Final = ("the whole home was quiet, so", "nobody was home: ")  # what it says of the judged day


class DayWord(StrEnum):
    """What a day was like."""

    USUAL = "usual"  # nothing was unusual
    UNUSUAL = "unusual"  # something was that is not muted
    QUIET = "quiet"  # hardly anything happened in the home, or nobody was home, and nothing else was unusual
    NOT_JUDGED = "not judged"  # the detector has not run, or had too little to compare with


def word_of_day(anomalies: Iterable[AnomalyDaily], run: DetectorRunDaily | None) -> DayWord:
    """Return what a day was like, in one word.

    Args:
        anomalies: The stored anomalies of the day.
        run: The record of the run of ``anomaly`` for this day; None if there is none.

    >>> word_of_day([], None)
    <DayWord.NOT_JUDGED: 'not judged'>
    """
    if run is None or run.reason.startswith(NOT_JUDGED):
        return DayWord.NOT_JUDGED
    rows = list(anomalies)
    if any(row.muted is None for row in rows):
        return DayWord.UNUSUAL
    is_quiet = any(row.home_activity == "quiet" for row in rows)
    if is_quiet or any(reason in run.reason for reason in QUIET_REASONS):
        return DayWord.QUIET
    return DayWord.USUAL
