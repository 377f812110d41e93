"""Check that what a detector returned is a finding: one of another package may return anything, also without end."""

from __future__ import annotations

from itertools import islice
from typing import Final

from jobs.detector import Finding
from storage.models import DailyAggregate

MAX_ROWS: Final = 100_000  # of one detector on one day; ours give a few for each entity


def rows_and_reason(name: str, found: object, max_rows: int = MAX_ROWS) -> tuple[tuple[DailyAggregate, ...], str]:
    """Return the rows and the reason of a finding; whether the rows are valid is checked afterwards.

    Args:
        name: The detector, for messages.
        found: What it returned.
        max_rows: How many rows it may have; no more are taken of a generator.

    Raises:
        TypeError: It is not a finding.
        ValueError: It has too many rows.
    """
    if not isinstance(found, tuple) or len(found) != len(Finding._fields):
        raise TypeError(f"{name} returned a {type(found).__name__}, not a Finding")
    iterable, reason = found
    if not isinstance(reason, str):
        raise TypeError(f"the reason that {name} returned is a {type(reason).__name__}, not a text")
    rows = tuple(islice(iterable, max_rows + 1))
    if len(rows) > max_rows:
        raise ValueError(f"{name} returned more than {max_rows} rows for one day")
    return rows, reason
