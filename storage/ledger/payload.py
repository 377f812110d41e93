"""Staged findings as the ledger keeps them: one JSON text for what one detector found on one day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from storage.batch import DetectorDay
from storage.columns import decode, encode, from_json, to_json
from storage.errors import LedgerCorrupt
from storage.models import DailyAggregate, DetectorRunDaily

Models = Mapping[str, type[DailyAggregate]]
"""The model of each measurement."""

MAX_PAYLOAD_LENGTH: Final = 64 * 2**20


def pack(finding: DetectorDay) -> str:
    """Return a finding as text."""
    return to_json(
        {
            "measurement": finding.model.measurement,
            "run": encode(finding.run),
            "rows": [encode(row) for row in finding.rows],
        }
    )


def unpack(payload: str, models: Models) -> DetectorDay | None:
    """Return the finding in a text of ``pack``; None if its measurement is not among the models.

    Raises:
        LedgerCorrupt: The text cannot be read, or its rows do not satisfy their model.
    """
    try:
        packed = from_json(payload)
        model = models.get(packed["measurement"])
        if model is None:
            return None
        (run,) = decode(DetectorRunDaily, [packed["run"]])
        return DetectorDay(run, model, tuple(decode(model, packed["rows"])))
    except Exception as error:  # a model of another package may raise anything
        raise LedgerCorrupt(
            f"its staged rows cannot be read: {error}",
            hint="Recompute the day: pattern-aggregates backfill DAY --redo failed",
        ) from error


def verified(finding: DetectorDay) -> DetectorDay:
    """Return a finding as it will be read from the ledger, so that nothing unreadable gets there.

    A row may have skipped the validation of its model (``model_construct``).

    Raises:
        ValueError: A row does not satisfy its model, or the rows are too large.
    """
    packed = pack(finding)
    if len(packed) > MAX_PAYLOAD_LENGTH:
        raise ValueError(f"its rows take {len(packed)} characters as JSON, at most {MAX_PAYLOAD_LENGTH} are allowed")
    try:
        read = unpack(packed, {finding.model.measurement: finding.model})
    except LedgerCorrupt as error:
        raise ValueError(f"a row does not satisfy its model: {error.__cause__}") from error
    assert read is not None  # noqa: S101 - its model is given
    return read
