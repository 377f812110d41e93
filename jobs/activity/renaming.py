"""A day's log under other names: to explain rows that were written before an entity was renamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from jobs.activity.events import DayLog


def with_names(log: DayLog, names: Mapping[str, str]) -> DayLog:
    """Return a log in which some entities have another id, with all tables in the order that this gives.

    Args:
        log: The log.
        names: The new id of each entity to rename, by its id in the log.
    """
    entities = [replace(one, entity_id=names.get(one.entity_id, one.entity_id)) for one in log.entities]
    order = sorted(range(len(entities)), key=lambda code: entities[code].entity_id)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    intervals = replace(log.intervals, entity=place[log.intervals.entity])
    episodes = replace(log.episodes, entity=place[log.episodes.entity])
    return replace(
        log,
        entities=tuple(entities[code] for code in order),
        events=replace(log.events, entity=place[log.events.entity]),
        intervals=intervals[np.argsort(intervals.entity, kind="stable")],
        episodes=episodes[np.argsort(episodes.entity, kind="stable")],
        keys={names.get(entity_id, entity_id): key for entity_id, key in log.keys.items()},
        numbers={names.get(entity_id, entity_id): number for entity_id, number in log.numbers.items()},
    )
