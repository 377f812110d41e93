"""Events and spells with names in place of codes, and recordings written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jobs.events import DayLog, Events, SampleBuilder, Samples, Spells, trace

Span = tuple[int, int]


class Event(NamedTuple):
    at: int
    entity_id: str
    state: str


class Spell(NamedTuple):
    entity_id: str
    state: str
    start: int
    end: int
    begun: bool
    finished: bool


def named(
    entities: Sequence[str], states: Sequence[str], events: Events, spells: Spells
) -> tuple[list[Event], list[Spell]]:
    """Events and spells with names in place of codes."""
    columns = (spells.entity, spells.state, spells.start, spells.end, spells.begun, spells.finished)
    return (
        [
            Event(at, entities[entity], states[state])
            for at, entity, state in zip(events.at.tolist(), events.entity.tolist(), events.state.tolist(), strict=True)
        ],
        [
            Spell(entities[entity], states[state], *rest)
            for entity, state, *rest in zip(*(column.tolist() for column in columns), strict=True)
        ],
    )


def traced(samples: Samples) -> tuple[list[Event], list[Spell]]:
    everything = np.ones(len(samples.entities), np.bool_)
    events, spells, _ = trace(samples, everything)
    return named([one.entity_id for one in samples.entities], samples.states, events, spells)


def of_log(log: DayLog) -> tuple[list[Event], list[Spell]]:
    return named([one.entity_id for one in log.entities], log.states, log.events, log.spells)


def built(samples: Sequence[tuple[int, str, str | None]], known: Sequence[Span], starts: Sequence[int] = ()) -> Samples:
    builder = SampleBuilder()
    for at, entity_id, state in samples:
        builder.add(at, entity_id, state)
    return builder.build(known, starts)
