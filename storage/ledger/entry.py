"""The ledger's entry for one day and detector."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, Self


class Status(StrEnum):
    """The state of the newest attempt at one day and detector."""

    STAGED = "staged"  # computed, waiting for the store
    WRITTEN = "written"  # the store holds it
    FAILED = "failed"  # the detector raised
    DEFERRED = "deferred"  # what it needs does not exist or cannot be read now
    LOST = "lost"  # the store has lost it; computed again if the source still holds the day
    EXPIRED = "expired"  # staged, but older than the retention before the store took it


@dataclass(frozen=True, slots=True)
class Entry:
    """One day and detector: the newest attempt and, in ``written_*``, what the store holds.

    Attributes:
        day: The local calendar day.
        detector: The registered name.
        status: The state of the newest attempt.
        version: The detector version of that attempt.
        fingerprint: The source's fingerprint of the raw events it was given.
        rows: How many rows it found.
        events: Activity events it was given.
        samples: Raw samples that the source had of the day.
        known_seconds: How much of the day was known.
        reason: The detector's description of what it tested and left out.
        error: Why it failed or was deferred.
        attempts: How often it was tried since it was last written.
        redo: Whether the user asked to compute it again.
        updated_at: When this entry last changed, in ISO format.
        written_version: The detector version whose rows the store holds; None if it holds none.
        written_samples: The raw samples those rows were computed from.
        written_known_seconds: How much of the day was known when they were computed.
        kept_version: The detector version of the newest computation that was left out because the source had less data
            by then, so that the written rows were kept; None if there was none.
        kept_fingerprint: The source's fingerprint at that time.
    """

    day: dt.date
    detector: str
    status: Status
    version: int
    fingerprint: str = ""
    rows: int = 0
    events: int = 0
    samples: int = 0
    known_seconds: float = 0.0
    reason: str = ""
    error: str = ""
    attempts: int = 0
    redo: bool = False
    updated_at: str = ""
    written_version: int | None = None
    written_samples: int = 0
    written_known_seconds: float = 0.0
    kept_version: int | None = None
    kept_fingerprint: str | None = None

    @classmethod
    def of_values(cls, values: Sequence[Any]) -> Self:
        """Return the entry with the values of a row of the ledger's table, in the order of the fields.

        Raises:
            ValueError: A column holds what it cannot hold: SQLite accepts anything, also from other programs.
        """
        day, detector, status, *others = values
        read = _read("day", day, dt.date.fromisoformat), detector, _read("status", status, Status), *others
        types = tuple(map(type, read))
        if types not in _VALID_TYPES:  # almost all rows have one of a few combinations
            for (name, valid), value in zip(_TYPES_OF_FIELDS, read, strict=True):
                if not isinstance(value, valid):
                    raise ValueError(f"not a valid {name}: {value!r}")  # noqa: TRY004 - a stored value
            _VALID_TYPES.add(types)
        return cls(*read)

    @property
    def has_finding(self) -> bool:
        """Whether there is a finding, staged or written, of this or an earlier attempt."""
        return self.status is Status.STAGED or self.written_version is not None


def _read(name: str, value: Any, read: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - anything may be stored
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a valid {name}: {value!r}") from error


_TYPES: Mapping[str, tuple[type, ...]] = {
    "dt.date": (dt.date,),
    "Status": (Status,),
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "float": (float, int),
    "bool": (bool,),
}
_TYPES_OF_FIELDS: Final = tuple((field.name, _TYPES[str(field.type)]) for field in fields(Entry))
_VALID_TYPES: Final[set[tuple[type, ...]]] = set()  # as a fleet reads some hundred thousand entries


def findings_fingerprint(entries: Iterable[Entry]) -> str:
    """Return a fingerprint of what a day's history detectors judge: the attempts that were given raw events."""
    attempts = sorted((entry.detector, entry.version, entry.fingerprint) for entry in entries if entry.samples)
    return hashlib.blake2b(repr(attempts).encode(), digest_size=8).hexdigest()
