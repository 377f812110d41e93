"""One day's work on its way to a store: the rows of each detector and the record of its run."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass

from storage.models import DailyAggregate, DetectorRunDaily


@dataclass(frozen=True, slots=True)
class DetectorDay:
    """What one detector found on one day.

    Attributes:
        run: The record of the run; written after the rows.
        model: The class of the rows: known also where there are none, so that stale ones can be pruned.
        rows: The rows, all of ``model`` and of the run's date, no two with the same key.
    """

    run: DetectorRunDaily
    model: type[DailyAggregate]
    rows: tuple[DailyAggregate, ...]

    def __post_init__(self) -> None:
        name = self.run.detector
        for row in self.rows:
            if type(row) is not self.model:
                raise TypeError(f"{name} gave a {type(row).__name__}, not a {self.model.__name__}")
            if row.date != self.run.date:
                raise ValueError(f"{name} gave a row of {row.date} for {self.run.date}: {row.key()}")
        doubled = [key for key, count in Counter(row.key() for row in self.rows).items() if count > 1]
        if doubled:
            raise ValueError(f"{name} gave {len(doubled)} rows twice, the first for {doubled[0]}")
        if self.run.rows != len(self.rows):
            raise ValueError(f"{name} counts {self.run.rows} rows but has {len(self.rows)}")


@dataclass(frozen=True, slots=True)
class DayBatch:
    """Everything a day's run hands to the store at once: exactly what the day holds afterwards, for these detectors."""

    day: dt.date
    findings: tuple[DetectorDay, ...]

    def __post_init__(self) -> None:
        for finding in self.findings:
            if finding.run.date != self.day:
                raise ValueError(f"{finding.run.detector} judged {finding.run.date}, not {self.day}")
        for what, names in (
            ("detector", [finding.run.detector for finding in self.findings]),
            ("measurement", [finding.model.measurement for finding in self.findings]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"a {what} stands twice in the batch of {self.day}: {', '.join(sorted(names))}")
