"""Find the changes whose earlier row was purged.

Home Assistant purges rows by their age, even the present state of an entity that was not used for long. The next row of
such an entity is the first that the database has of it, and yet a change. At every start the recorder writes the state
of every entity; so an entity without a row since the last start

* is new, if the rows of that start are still there;
* had a row that was purged, if the purge took those.

A first row counts as a change only in the second case, or if it refers to an earlier row. It must come at least a day
after the oldest row, and not together with the first rows of four other entities, which show a new device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import sqlalchemy as sa

from jobs.activity.settling import SETTLING
from jobs.activity.states import GAPS
from jobs.activity.window import DAY, SECOND, Instants
from jobs.sources.home_assistant_db.earlier_rows import changed_seconds
from jobs.sources.home_assistant_db.row_times import MAX_SECONDS
from jobs.sources.home_assistant_db.schema import STATE, STATES, UPDATED

MIN_ADDED_TOGETHER: Final = 5  # first rows that come together and are a new device's
ADDED_TOGETHER: Final = 10 * SECOND
MIN_AGE: Final = DAY  # how long after the oldest row

_FIRST = (
    sa.select(STATE, UPDATED, STATES.c.last_changed_ts, STATES.c.old_state_id)
    .where(STATES.c.metadata_id == sa.bindparam("metadata_id"), UPDATED.between(-MAX_SECONDS, MAX_SECONDS))
    .order_by(UPDATED, STATES.c.state_id)
    .limit(1)
)


def find_first_changes(
    connection: sa.Connection, metadata_ids: Mapping[int, Iterable[int]], starts: Instants, oldest: int
) -> list[tuple[int, int]]:
    """Return (entity code, instant) of each first row that is a change.

    Args:
        connection: To the database.
        metadata_ids: The metadata ids of each entity to look at, by its code.
        starts: Ascending instants at which the recorder started.
        oldest: The instant of the oldest row.
    """
    found: list[tuple[int, int]] = []
    for code, numbers in metadata_ids.items():
        rows = [row for number in numbers for row in connection.execute(_FIRST, {"metadata_id": number})]
        if not rows:
            continue
        first = min(rows, key=lambda row: row.last_updated_ts)
        at = round(first.last_updated_ts * SECOND)
        if (
            not isinstance(first.state, str)
            or first.state in GAPS
            or round(changed_seconds(first.last_updated_ts, first.last_changed_ts) * SECOND) != at
        ):
            continue  # not a state, or one that the entity had before: only attributes changed
        started = int(np.searchsorted(starts, at, side="right"))
        start_is_purged = not started or int(starts[started - 1]) < oldest - SETTLING
        if first.old_state_id is not None or start_is_purged:
            found.append((code, at))
    instants = np.sort(np.array([at for _, at in found], np.int64))
    return [(code, at) for code, at in found if at - oldest >= MIN_AGE and not _is_added_together(instants, at)]


def _is_added_together(instants: Instants, at: int) -> bool:
    low, high = np.searchsorted(instants, [at - ADDED_TOGETHER, at + ADDED_TOGETHER + 1])
    return int(high - low) >= MIN_ADDED_TOGETHER
