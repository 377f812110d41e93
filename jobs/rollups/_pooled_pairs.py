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

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from jobs.activity.events import Flags
from jobs.statistics.arrays import Floats, Integers
from jobs.statistics.corrections import benjamini_hochberg
from jobs.statistics.tails import binomial_tail

MIN_DAYS: Final = 3  # with both near each other
_SLOT_SECONDS: Final = 60
_SLOTS: Final = 27 * 60  # no local day is longer
_NEAR: Final = (1, 5)  # slots
_AROUND: Final = 30
_LANES: Final = 8  # bytes of a number
_MAX_ADDED: Final = 255
_MAX_EXACT: Final = 2**24  # of whole numbers in single precision
Flags8 = npt.NDArray[np.uint8]  # 0 or 1, to be added up

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
    for near, counts in zip(_NEAR, _counts(bouts, entities, weekend), strict=True):
        hits, expected = (found[first, second] for found in counts)
        p = _tail(hits, sizes[first], expected)
        tried = np.flatnonzero(p * len(_NEAR) <= rate)
        for place in tried.tolist():
            around = _expected_by_surroundings(keys[first[place]], keys[second[place]], near)
            expected[place] = max(expected[place], around)
        p[tried] = np.maximum(p[tried], _tail(hits[tried], sizes[first[tried]], expected[tried]))
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
    keys = bouts.day * 2 * _SLOTS + _slots(bouts)  # ascending within each entity
    order = np.argsort(bouts.entity.astype(np.min_scalar_type(entities)), kind="stable")
    return np.split(keys[order], np.cumsum(np.bincount(bouts.entity, minlength=entities))[:-1])


def _expected_by_surroundings(one: Integers, other: Integers, near: int) -> float:
    """Return how many of one entity's bouts chance puts near the other's, by how many of these are around."""
    count = np.searchsorted(other, one + _AROUND, side="right") - np.searchsorted(other, one - _AROUND)
    share = (2 * near + 1) / (2 * _AROUND + 1)
    return float((1 - (1 - share) ** count).sum())


def _counts(bouts: Bouts, entities: int, weekend: Flags) -> Iterator[tuple[Floats, Floats]]:
    """For each distance, yield how often each entity's bouts are near each other's, and how often by other days'.

    Each of shape (entities, entities): of the bouts of the row's entity, those near the column's.
    """
    columns = -(-entities // _LANES) * _LANES
    hits = np.zeros((len(_NEAR), 2, entities, columns))
    most_days = np.min_scalar_type(len(weekend))  # the smallest, because this is most of what is added up
    reached = np.zeros((len(_NEAR), 2, _SLOTS, columns), most_days)  # on how many days a slot is near a bout
    slots, kinds = _slots(bouts), weekend.astype(np.int64)
    bounds = np.searchsorted(bouts.day, np.arange(len(weekend) + 1))
    for day, kind in enumerate(kinds.tolist()):
        part = slice(bounds[day], bounds[day + 1])
        entity, slot = bouts.entity[part], slots[part]
        if not len(entity):
            continue
        acts = np.zeros((_SLOTS, columns), np.uint8)
        acts[slot, entity] = 1
        present, first = np.unique(entity, return_index=True)
        for place, is_near in enumerate(_near(acts)):
            hits[place, kind, present] += _sums(is_near, slot, first)
            reached[place, kind] += is_near
    of_kind = kinds[bouts.day]
    exact = np.float32 if len(slots) * len(weekend) < _MAX_EXACT else np.float64  # half the time
    times = [  # how often each entity acted in each slot
        np.bincount((bouts.entity * _SLOTS + slots)[of_kind == kind], minlength=entities * _SLOTS).astype(exact)
        for kind in (0, 1)
    ]
    for place in range(len(_NEAR)):
        other_days = np.zeros((entities, entities))
        for kind, of_slots in enumerate(times):
            days, near = int(np.count_nonzero(kinds == kind)), hits[place, kind, :, :entities]
            if days > 1:
                crossed = of_slots.reshape(entities, _SLOTS) @ reached[place, kind, :, :entities].astype(exact)
                other_days += (crossed - near + 1) / (days - 1)
            else:  # nothing to compare with
                other_days += near
        yield hits[place].sum(axis=0)[:, :entities], other_days


def _sums(is_near: Flags8, slot: Integers, first: Integers) -> npt.NDArray[np.unsignedinteger]:
    """Return the sum of the rows of some slots for each group of them, shape (groups, columns).

    Eight columns are added at once, as the bytes of one number; 255 rows at most, so that no byte overflows.

    Args:
        is_near: 0 or 1, shape (slots, columns).
        slot: The slots, by group.
        first: Where each group begins.
    """
    rows, sizes = is_near.view(np.uint64)[slot], np.diff(first, append=len(slot))
    if sizes.max() <= _MAX_ADDED:
        return np.add.reduceat(rows, first, axis=0).view(np.uint8)
    part = np.flatnonzero((np.arange(len(slot)) - np.repeat(first, sizes)) % _MAX_ADDED == 0)
    of_parts = np.add.reduceat(rows, part, axis=0).view(np.uint8)
    return np.add.reduceat(of_parts, np.searchsorted(part, first), axis=0, dtype=np.uint64)


def _near(acts: Flags8) -> Iterator[Flags8]:
    """For each distance, yield which slots of a day have a bout of each entity that near, shape (slots, entities)."""
    reached, distance = acts, 0
    for near in _NEAR:
        while distance < near:
            step = min(near - distance, 2 * distance + 1)  # without a hole between what is reached so far
            wider = reached.copy()
            wider[step:] |= reached[:-step]
            wider[:-step] |= reached[step:]
            reached, distance = wider, distance + step
        yield reached
