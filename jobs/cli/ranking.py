"""The order and the number of records that are printed: ``--sort``, ``--top`` and ``--limit``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.columns import closest
from storage.errors import UsageError

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Which records are printed, and in which order.

    Attributes:
        sort: The field to sort by, the lowest value first; with a leading ``-`` the highest first. None keeps the
            order.
        top: How many records, those with the highest values of ``sort``; None for all.
        limit: How many records at most, the first ones; None for all.
    """

    sort: str | None = None
    top: int | None = None
    limit: int | None = None

    def check(self, fields: Sequence[str], default: str | None) -> Ranking:
        """Return this with the field that ``top`` goes by.

        Args:
            fields: The fields that the records have.
            default: The field that ``top`` goes by unless ``sort`` names one.

        Raises:
            UsageError: There is no such field, or none to go by; or a number of records is not valid.
        """
        for option, count in (("--top", self.top), ("--limit", self.limit)):
            if count is not None and count < 1:
                raise UsageError(f"{option} {count} is not a valid number of rows", hint="Give 1 or more.")
        sort = self.sort or (default if self.top is not None else None)
        if self.top is not None and sort is None:
            raise UsageError("--top goes by a field", hint="Name it with --sort FIELD.")
        name = (sort or "").removeprefix("-")
        if sort is not None and name not in fields:
            hint = closest(name, fields) or f"There are {', '.join(fields)}."
            raise UsageError(f"--sort: there is no field {name!r}", hint=hint)
        return Ranking(sort, self.top, self.limit)

    def apply(self, records: Sequence[Record]) -> list[Record]:
        """Return the records to print; those without a value come last, equal ones keep their order.

        Raises:
            UsageError: The field holds lists.
        """
        found = list(records)
        if self.sort is not None:
            name, highest_first = self.sort.removeprefix("-"), self.sort.startswith("-") or self.top is not None
            if any(isinstance(record[name], list | dict) for record in found):
                raise UsageError(f"--sort: {name} has several values", hint="Name a field with a number or a text.")
            filled = [record for record in found if record[name] is not None]
            filled.sort(key=lambda record: record[name], reverse=highest_first)
            found = [*filled, *(record for record in found if record[name] is None)]
        return found[: min((count for count in (self.top, self.limit) if count is not None), default=None)]
