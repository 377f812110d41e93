"""Whether an empty answer means that nothing happened: which detector has computed which day of which home."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from storage.dates import DateRange
from storage.models import AGGREGATES, DailyAggregate, DetectorRunDaily
from storage.periods import has_rows_on
from storage.rollup_models import ROLLUPS


class State(StrEnum):
    """Whether one detector has computed one day, and found anything."""

    WRITTEN = "written"  # there are rows
    EMPTY = "empty"  # computed, and nothing found: ``reason`` says why
    MISSING = "missing"  # not computed, or no longer kept


@dataclass(frozen=True, slots=True)
class Completeness:
    """Whether one detector has computed one day.

    Attributes:
        day: The local calendar day.
        detector: The registered name.
        state: Written, empty or missing.
        rows: How many rows were found.
        reason: What was tested, cut and not judged; empty where nothing was computed.
        known_share: The share of the day that was known time, 0 to 1.
        home: The name of the home; empty for a home without one.
    """

    day: dt.date
    detector: str
    state: State
    rows: int = 0
    reason: str = ""
    known_share: float = 0.0
    home: str = ""


def completeness_of(days: DateRange, homes: Sequence[str], runs: Iterable[DetectorRunDaily]) -> list[Completeness]:
    """Return for each day, home and detector whether it was computed, in this order; see ``AggregateQuery``.

    Args:
        days: The days.
        homes: The names of the homes.
        runs: The records of the runs of these days and homes.
    """
    found = {(run.date, run.home, run.detector): run for run in runs}
    built_in = {detector_of(model) for model in (*AGGREGATES, *ROLLUPS)}
    detectors = sorted(built_in | {detector for _, _, detector in found})
    return [
        _completeness(day, home, detector, found.get((day, home, detector)))
        for day in days
        for home in homes
        for detector in detectors
        if has_rows_on(detector, day) or (day, home, detector) in found
    ]


def detector_of(model: type[DailyAggregate]) -> str:
    """Return the name of the detector that computes an aggregate."""
    return model.measurement.removesuffix("_daily")


def _completeness(day: dt.date, home: str, detector: str, run: DetectorRunDaily | None) -> Completeness:
    if run is None:
        return Completeness(day, detector, State.MISSING, home=home)
    known_share = run.known_seconds / run.day_seconds if run.day_seconds else 1.0
    state = State.WRITTEN if run.rows else State.EMPTY
    return Completeness(day, detector, state, run.rows, run.reason, known_share, home)
