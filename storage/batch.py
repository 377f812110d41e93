"""The rows of one day that a store writes at once: those of each detector, with the record of its run."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass

from storage.models import DailyAggregate, DetectorRunDaily


@dataclass(frozen=True, slots=True)
class DetectorDay:
    """The finding of one detector on one day of one home.

    Attributes:
        run: The record of the run; a store writes it after the rows.
        model: The class of the rows; also needed without rows, to delete those of an earlier run.
        rows: The rows; all of ``model`` and of the run's date and home, no two with the same key.
    """

    run: DetectorRunDaily
    model: type[DailyAggregate]
    rows: tuple[DailyAggregate, ...]

    def __post_init__(self) -> None:
        name = self.run.detector
        for row in self.rows:
            if type(row) is not self.model:
                raise TypeError(f"{name} returned a {type(row).__name__}, not a {self.model.__name__}")
            if row.date != self.run.date:
                raise ValueError(f"{name} returned a row of {row.date} for {self.run.date}: {row.key()}")
            if row.home != self.run.home:
                raise ValueError(f"{name} returned a row of home {row.home!r} for {self.run.home!r}: {row.key()}")
        repeated = [key for key, count in Counter(row.key() for row in self.rows).items() if count > 1]
        if repeated:
            raise ValueError(f"{name} returned several rows for {len(repeated)} keys, the first for {repeated[0]}")
        if self.run.rows != len(self.rows):
            raise ValueError(f"{name} has {len(self.rows)} rows, but the record of its run says {self.run.rows}")


@dataclass(frozen=True, slots=True)
class DayBatch:
    """Everything that a store is to hold of a day of one home, for the detectors it names."""

    day: dt.date
    findings: tuple[DetectorDay, ...]

    def __post_init__(self) -> None:
        for finding in self.findings:
            if finding.run.date != self.day:
                raise ValueError(f"{finding.run.detector} is of {finding.run.date}, not of {self.day}")
        if len(homes := {finding.run.home for finding in self.findings}) > 1:
            raise ValueError(f"the batch of {self.day} is of several homes: {', '.join(sorted(map(repr, homes)))}")
        for what, names in (
            ("detector", [finding.run.detector for finding in self.findings]),
            ("measurement", [finding.model.measurement for finding in self.findings]),
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"a {what} is in the batch of {self.day} twice: {', '.join(sorted(names))}")

    @property
    def home(self) -> str:
        """The name of the home, as the records of the runs have it; empty for a home without a name."""
        return self.findings[0].run.home if self.findings else ""
