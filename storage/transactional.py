"""A store in whose transactions somebody else can take part: the ledger, where both lie in one database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from storage.batch import DayBatch

if TYPE_CHECKING:
    from sqlalchemy import Connection


class TransactionalStore(Protocol):
    """What a store offers beyond ``AggregateWriter`` where it has transactions that others can take part in."""

    @property
    def database(self) -> str:
        """Which database it is, by which account; empty if nobody can take part in its transactions."""
        ...

    def replace_day(self, batch: DayBatch, *, beside: Callable[[Connection], None]) -> None:
        """As ``AggregateWriter.replace_day``; ``beside`` is called in the same transaction, as its last step.

        What it raises is raised, and nothing is written.
        """
        ...
