"""From raw texts to states: each text is read as the entity's domain means it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from jobs.activity.entities import Entity
from jobs.activity.events import GAP, Codes, Flags, Samples
from jobs.activity.states import TRANSITIONAL, is_measured
from jobs.activity.window import Instants

_LEFT_OUT: Final = -2  # in place of a state code: a word that leaves the state as it was


class Texts(NamedTuple):
    """The samples of one entity in order of time: instants and codes of raw texts, each of shape (n,)."""

    at: Instants
    state: Codes


def texts_of(samples: Samples, codes: Sequence[int]) -> dict[int, Texts]:
    """Return the raw texts of some entities, by the entity's code."""
    chosen = np.flatnonzero(np.isin(samples.entity, codes)) if codes else np.empty(0, np.int64)
    chosen = chosen[np.lexsort((samples.at[chosen], samples.entity[chosen]))]
    bounds = np.searchsorted(samples.entity[chosen], [(code, code + 1) for code in codes])
    return {
        code: Texts(samples.at[chosen[slice(*bound)]], samples.state[chosen[slice(*bound)]])
        for code, bound in zip(codes, bounds.tolist(), strict=True)
    }


def with_states(samples: Samples, entities: Sequence[Entity], activity: Flags) -> Samples:
    """Return the samples of activity with states in place of texts; those of transitional words are left out.

    Where the states decide how an entity is classified, numbers and times are read as not known: either they are many,
    and it is a reading, or they are odd values among words.

    Args:
        samples: The raw samples.
        entities: How each entity is classified.
        activity: Which entities are traced, shape (number of entities,).
    """
    if not len(samples.at):
        return samples
    vocabularies: dict[tuple[str, frozenset[str], bool, bool], int] = {}
    vocabulary_of = [vocabularies.setdefault(_vocabulary(one), len(vocabularies)) for one in entities]
    readers = {number: entities[code] for code, number in enumerate(vocabulary_of)}
    chosen = activity[samples.entity]
    if not chosen.all():
        samples = _take(samples, chosen)
    width = len(samples.states) + 1  # of a vocabulary's row in the table; its first place is that of gaps
    pair = np.array([number * width + 1 for number in vocabulary_of], np.int64)[samples.entity] + samples.state
    seen = np.zeros(len(vocabularies) * width, np.bool_)
    seen[pair] = True
    table = np.full(len(seen), GAP, np.int32)
    states = list(samples.states)
    codes = {text: code for code, text in enumerate(states)}
    for place in np.flatnonzero(seen).tolist():
        if place % width:
            table[place] = _code(states[place % width - 1], readers[place // width], codes, states)
    read = replace(samples, state=table[pair], states=states)
    return _take(read, read.state != _LEFT_OUT) if _LEFT_OUT in table else read


def _take(samples: Samples, chosen: Flags) -> Samples:
    return replace(
        samples,
        at=samples.at[chosen],
        entity=samples.entity[chosen],
        state=samples.state[chosen],
        cause=samples.cause[chosen],
        is_change=None if samples.is_change is None else samples.is_change[chosen],
    )


def _vocabulary(entity: Entity) -> tuple[str, frozenset[str], bool, bool]:
    """Return what decides how the texts of an entity are read."""
    return entity.domain, entity.active_states, entity.device_class == "enum", entity.by_states


def _code(text: str, entity: Entity, codes: dict[str, int], states: list[str]) -> int:
    """Return the code of the state that a text means; a state that is not among the texts gets a new code."""
    word = entity.words.read(text)
    if word is TRANSITIONAL:
        return _LEFT_OUT
    if word is None or (entity.by_states and is_measured(text)):
        return GAP
    if word not in codes:
        codes[word] = len(states)
        states.append(word)
    return codes[word]
