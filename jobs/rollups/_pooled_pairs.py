"""Which entities act near each other on many days: the evidence of all days, added up.

Of the rarer entity's bouts, how many have a bout of the other within about a minute, or within five? Two answers say
how many chance alone would give, and a pair has to beat both:

* other days: the same bouts, with the other entity's bouts of any other day of the same type (weekday, weekend) at the
  same time of the clock. So habits of the clock, like getting up at seven, prove nothing.
* the half-hour around, as for a single day: with K of the other's bouts within 30 minutes, 1 - (1 - near / around)^K.
  So a busy evening proves nothing.

Time is cut into minutes. p is the binomial upper tail, the larger of the two, and the smaller of the two distances
times two; Benjamini and Hochberg over the pairs that have common days.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.corrections import benjamini_hochberg
from jobs.statistics.tails import binomial_tail

MIN_DAYS: Final = 3  # with both near each other
_SLOT_SECONDS: Final = 60
_SLOTS: Final = 27 * 60  # no local day is longer
_NEAR: Final = (1, 5)  # slots
_AROUND: Final = 30
_MAX_P: Final = 3e-4  # a pair must also be improbable by itself, as for a single day


class Bouts(NamedTuple):
    """The bouts of some entities on some days, by day, entity and time.

    Attributes:
        day: The place of the day, shape (n,).
        entity: The code of the entity, shape (n,).
        second: Seconds since the local midnight, shape (n,).
    """

    day: Integers
    entity: Integers
    second: Integers


class FoundPairs(NamedTuple):
    """Pairs by ascending p.

    Attributes:
        first: The rarer entity, shape (m,).
        second: The other one, shape (m,).
        p: Shape (m,).
        expected: How many of the rarer one's bouts chance puts within five minutes of the other's, shape (m,).
        tested: How many pairs were tested.
    """

    first: Integers
    second: Integers
    p: Floats
    expected: Floats
    tested: int


def find_pairs(bouts: Bouts, entities: int, weekend: Flags, owner: Integers, rate: float) -> FoundPairs:
    """Return the pairs that beat chance.

    Args:
        bouts: The bouts.
        entities: How many entities there are.
        weekend: Which days are Saturdays or Sundays, shape (days,).
        owner: What each entity belongs to; entities of one owner are no pair, shape (entities,).
        rate: The false discovery rate.
    """
    sizes = np.bincount(bouts.entity, minlength=entities)
    acts = np.zeros((len(weekend), entities), np.int64)
    acts[bouts.day, bouts.entity] = 1
    is_pair = (acts.T @ acts >= MIN_DAYS) & (owner[:, None] != owner[None, :])
    codes = np.arange(entities)
    rarer = (sizes[:, None] < sizes[None, :]) | ((sizes[:, None] == sizes[None, :]) & (codes[:, None] < codes[None, :]))
    first, second = np.nonzero(is_pair & rarer)
    best, expected = np.ones(len(first)), np.zeros(len(first))
    keys = _keys_by_entity(bouts, entities)
    for near in _NEAR:
        hits, expected = (found[first, second] for found in _counts(bouts, entities, weekend, near))
        p = _tail(hits, sizes[first], expected)
        for place in np.flatnonzero(p * len(_NEAR) <= rate).tolist():
            around = _expected_by_surroundings(keys[first[place]], keys[second[place]], near)
            expected[place] = max(expected[place], around)
        p = np.maximum(p, _tail(hits, sizes[first], expected))
        best = np.minimum(best, len(_NEAR) * p)
    found = np.flatnonzero(benjamini_hochberg(best, rate) & (best <= _MAX_P))
    found = found[np.argsort(best[found], kind="stable")]
    return FoundPairs(first[found], second[found], best[found], expected[found], len(first))


def _tail(hits: Floats, trials: Integers, expected: Floats) -> Floats:
    """Return the chance of at least so many hits; 1 where there are too few to tell."""
    p = np.ones(len(hits))
    tried = (hits >= MIN_DAYS) & (hits > expected)
    chance = np.clip(expected[tried] / np.maximum(trials[tried], 1), 0, 1)
    p[tried] = binomial_tail(hits[tried].astype(np.int64), trials[tried].astype(np.int64), chance)
    return p


def _slots(bouts: Bouts) -> Integers:
    return np.minimum(bouts.second // _SLOT_SECONDS, _SLOTS - 1)


def _keys_by_entity(bouts: Bouts, entities: int) -> list[Integers]:
    """Return the slots of each entity's bouts, ascending; those of different days are far apart."""
    keys = bouts.day * 2 * _SLOTS + _slots(bouts)
    order = np.lexsort((keys, bouts.entity))
    bounds = np.searchsorted(bouts.entity[order], np.arange(1, entities))
    return np.split(keys[order], bounds)


def _expected_by_surroundings(one: Integers, other: Integers, near: int) -> float:
    """Return how many of one entity's bouts chance puts near the other's, by how many of these are around."""
    count = np.searchsorted(other, one + _AROUND, side="right") - np.searchsorted(other, one - _AROUND)
    share = (2 * near + 1) / (2 * _AROUND + 1)
    return float((1 - (1 - share) ** count).sum())


def _counts(bouts: Bouts, entities: int, weekend: Flags, near: int) -> tuple[Floats, Floats]:
    """Return how often each entity's bouts are near each other's, and how often by those of other days.

    Each of shape (entities, entities): of the bouts of the row's entity, those near the column's.
    """
    hits = np.zeros((2, entities, entities))
    reached = np.zeros((2, _SLOTS, entities), np.uint16)
    slots, kinds = _slots(bouts), weekend.astype(np.int64)
    bounds = np.searchsorted(bouts.day, np.arange(len(weekend) + 1))
    for day, kind in enumerate(kinds.tolist()):
        part = slice(bounds[day], bounds[day + 1])
        entity, slot = bouts.entity[part], slots[part]
        if not len(entity):
            continue
        is_near = np.zeros((_SLOTS, entities), np.uint8)
        for shift in range(-near, near + 1):
            is_near[np.clip(slot + shift, 0, _SLOTS - 1), entity] = 1
        present, first = np.unique(entity, return_index=True)
        hits[kind, present] += np.add.reduceat(is_near[slot], first, axis=0, dtype=np.uint16)
        reached[kind] += is_near
    other_days = np.zeros((entities, entities))
    by_entity = np.lexsort((bouts.entity, kinds[bouts.day]))
    for kind in (0, 1):
        days, of_kind = int(np.count_nonzero(kinds == kind)), by_entity[kinds[bouts.day[by_entity]] == kind]
        if days > 1:
            parts = np.split(slots[of_kind], np.searchsorted(bouts.entity[of_kind], np.arange(1, entities)))
            crossed = np.stack([reached[kind, part].sum(axis=0, dtype=np.int64) for part in parts])
            other_days += (crossed - hits[kind] + 1) / (days - 1)
        else:  # nothing to compare with
            other_days += hits[kind]
    return hits.sum(axis=0), other_days
