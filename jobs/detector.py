"""What a detector is: the interface that the built-in detectors and those of other packages implement.

A detector is a frozen dataclass whose fields are its parameters, marked with ``@detector``. It has a ``name``, a
``version`` (raise it when the same day would give other rows) and the ``model`` of its rows, whose measurement is
``<name>_daily``. ``jobs.registry`` finds it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from jobs.household import Household
from storage.models import DailyAggregate
from storage.periods import Cadence
from storage.plurals import counted
from storage.store import AggregateReader

if TYPE_CHECKING:
    from jobs.activity.events import DayLog  # loads numpy, which a list of detectors does not need

__all__ = [  # what detectors of other packages build on
    "AggregateReader",
    "Described",
    "Detector",
    "EventDetector",
    "Evidence",
    "ExplainsByEvents",
    "ExplainsByHistory",
    "ExplainsByHousehold",
    "Finding",
    "HistoryDetector",
    "Household",
    "NotJudged",
    "Rollup",
    "UsesHousehold",
    "detector",
]

MARK: Final = "__pattern_aggregates_detector__"
C = TypeVar("C", bound=type)


class Finding(NamedTuple):
    """What a detector found on one day.

    Attributes:
        rows: Its aggregates, all of its model and of the day.
        reason: What was tested, cut and not judged, in words; it matters most where there are no rows.
    """

    rows: Sequence[DailyAggregate]
    reason: str


class Evidence(NamedTuple):
    """The evidence behind one row, as a table.

    Attributes:
        columns: The headings.
        lines: The lines, a value for each heading.
        notes: What the table cannot show, in words.
    """

    columns: tuple[str, ...]
    lines: list[tuple[str | int | float, ...]]
    notes: tuple[str, ...] = ()


class NotJudged(Finding):
    """The detector could not judge the day; what is already stored for that day stays.

    It has no rows, and ``reason`` says why.
    """

    __slots__ = ()


def left_out(count: int, singular: str, plural: str) -> list[str]:
    """Return the part of a reason that says how many of what were left out; empty if none were."""
    return [f"{counted(count, singular, plural)} left out"] if count > 0 else []


class Described(Protocol):
    """The attributes that every detector has."""

    @property
    def name(self) -> str:
        """One word: its file, its settings table, the prefix of its measurement, and a field in logs."""
        ...

    @property
    def version(self) -> int:
        """A whole number, raised when the same day would give other rows."""
        ...

    @property
    def model(self) -> type[DailyAggregate]:
        """The class of its rows."""
        ...


@runtime_checkable
class EventDetector(Described, Protocol):
    """A detector that reads the events of one day: a function of the log only."""

    def detect(self, log: DayLog) -> Finding:
        """Return the day's rows."""
        ...


@runtime_checkable
class HistoryDetector(Described, Protocol):
    """A detector that reads stored aggregates, so that it never needs raw events."""

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        """Return the day's rows, from what is stored or staged up to this day; ``NotJudged`` if that is too little."""
        ...


@runtime_checkable
class Rollup(Described, Protocol):
    """A history detector of weeks or months: it computes a period on its last day, which is the ``date`` of its rows.

    Its measurement has its own name, which ends with ``_weekly`` or ``_monthly``. It is due again when a day that it
    reads has changed.
    """

    @property
    def cadence(self) -> Cadence:
        """``weekly`` for ISO weeks, which end on Sunday, or ``monthly`` for calendar months."""
        ...

    @property
    def history_days(self) -> int:
        """How many days it reads, up to the last of the period."""
        ...

    @property
    def reads(self) -> Sequence[type[DailyAggregate]]:
        """The daily aggregates that it reads."""
        ...

    def judge(self, day: dt.date, history: AggregateReader) -> Finding:
        """Return the rows of the period that ends with a day, as ``HistoryDetector`` does."""
        ...


@runtime_checkable
class UsesHousehold(Protocol):
    """A history detector that also has to know when nobody was home, and which anomalies are muted.

    It judges a day again when that changes.
    """

    @property
    def household_days(self) -> int:
        """How many days matter for judging one, this one included."""
        ...

    def judge(self, day: dt.date, history: AggregateReader, household: Household = ...) -> Finding:
        """Return the day's rows as ``HistoryDetector`` does, in view of what is known of the household."""
        ...


@runtime_checkable
class ExplainsByEvents(Protocol):
    """An event detector that can show the evidence behind one of its rows."""

    def explain(self, row: Any, log: DayLog) -> Evidence:  # noqa: ANN401 - a row of the detector's model
        """Return the evidence behind a row, from the log of its day."""
        ...


@runtime_checkable
class ExplainsByHistory(Protocol):
    """A history detector that can show the evidence behind one of its rows."""

    def explain_by_history(self, row: Any, history: AggregateReader) -> Evidence:  # noqa: ANN401 - a row of its model
        """Return the evidence behind a row, from what is stored."""
        ...


@runtime_checkable
class ExplainsByHousehold(UsesHousehold, Protocol):
    """A detector that uses the household, and needs it to show the evidence behind one of its rows."""

    def explain_by_history(self, row: Any, history: AggregateReader, household: Household = ...) -> Evidence:  # noqa: ANN401 - a row of its model
        """Return the evidence behind a row, from what is stored and what is known of the household."""
        ...


Detector = EventDetector | HistoryDetector


def detector(cls: C) -> C:
    """Mark a class as a detector, so that ``load`` finds it."""
    setattr(cls, MARK, True)
    return cls
