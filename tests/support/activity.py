"""Events and intervals with names in place of codes, and recordings written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jobs.activity.building import SampleBuilder
from jobs.activity.events import DayLog, Events, Samples, StateIntervals
from jobs.activity.tracing import trace

Span = tuple[int, int]


class Event(NamedTuple):
    at: int
    entity_id: str
    state: str


class StateInterval(NamedTuple):
    entity_id: str
    state: str
    start: int
    end: int
    start_known: bool
    end_known: bool


def named(
    entities: Sequence[str], states: Sequence[str], events: Events, intervals: StateIntervals
) -> tuple[list[Event], list[StateInterval]]:
    """Events and intervals with names in place of codes."""
    columns = (
        intervals.entity,
        intervals.state,
        intervals.start,
        intervals.end,
        intervals.start_known,
        intervals.end_known,
    )
    return (
        [
            Event(at, entities[entity], states[state])
            for at, entity, state in zip(events.at.tolist(), events.entity.tolist(), events.state.tolist(), strict=True)
        ],
        [
            StateInterval(entities[entity], states[state], *rest)
            for entity, state, *rest in zip(*(column.tolist() for column in columns), strict=True)
        ],
    )


def traced(samples: Samples) -> tuple[list[Event], list[StateInterval]]:
    everything = np.ones(len(samples.entities), np.bool_)
    events, intervals, _ = trace(samples, everything)
    return named([one.entity_id for one in samples.entities], samples.states, events, intervals)


def of_log(log: DayLog) -> tuple[list[Event], list[StateInterval]]:
    return named([one.entity_id for one in log.entities], log.states, log.events, log.intervals)


def built(samples: Sequence[tuple[int, str, str | None]], known: Sequence[Span], starts: Sequence[int] = ()) -> Samples:
    builder = SampleBuilder()
    for at, entity_id, state in samples:
        builder.add(at, entity_id, state)
    return builder.build(known, starts)
