"""From samples to events and state intervals: the rules of activity.

A *sample* is one entry of a recording: at an instant an entity is in a state, or its state is not known.

* An **event** is a change from one known state to another. It happens when the new state is first seen. The same state
  again is not an event, so attribute updates and restarts make none.
* A **gap** is time in which a state is not known: unavailable, unknown, removed, or the recorder was not running. It
  ends with the next known state. After a gap of at most 5 minutes, another state is an event and the same state is
  nothing. After a longer gap a state is only *established*: when it changed is not known. So is the first state ever,
  unless the source knows that it is a change.
* After a **start** of the recorder a home needs time to settle: ``jobs.activity.settling``.
* A **state interval** is a stretch in one state. Its start is known if an event began it, its end if an event ended it.
  At a long gap, or where another state is established, it ends with its end not known.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import GAP, NEVER, Codes, Events, Flags, Samples, ShortGaps, Spans, StateIntervals
from jobs.activity.settling import Possible, settle
from jobs.activity.states import INACTIVE
from jobs.activity.window import MINUTE, Instants

SHORT_GAP: Final = 5 * MINUTE
_SAMPLES_AT_ONCE: Final = 2**18  # bounds the memory of what is calculated on the way


def trace(samples: Samples, activity: Flags) -> tuple[Events, StateIntervals, ShortGaps]:
    """Apply the rules of activity to a recording.

    Args:
        samples: The recording.
        activity: Which entities to trace, shape (number of entities,).

    Returns:
        Events in order of time, intervals ordered by entity and start, and the gaps that intervals go across. One that
        is still going on ends, unfinished, with the known time around it.
    """
    followed = np.flatnonzero(activity[samples.entity]) if len(samples.at) else np.empty(0, np.int64)
    order = followed[by_entity(samples.entity[followed], samples.at[followed])]
    at, entity, state = samples.at[order], samples.entity[order], samples.state[order]
    inactive = np.array([*(text in INACTIVE for text in samples.states), False], np.bool_)  # a gap is the last
    possible = Possible(samples.possible_starts, inactive[state])
    after_start = settle(at, entity, state, samples.known, samples.starts, possible)
    if after_start.left_out.any():
        kept = ~after_start.left_out
        order, at, entity, state = order[kept], at[kept], entity[kept], state[kept]
        after_start = after_start._replace(
            returned=after_start.returned[kept],
            settling=after_start.settling[kept],
            stopped_at=after_start.stopped_at[kept],
        )

    seen = np.flatnonzero(state != GAP)
    now, who, what = (at, entity, state) if len(seen) == len(at) else (at[seen], entity[seen], state[seen])
    cause = samples.cause[order[seen]]
    returned = after_start.returned[seen]
    follows = np.zeros(len(seen), np.bool_)
    follows[1:] = who[1:] == who[:-1]
    lost_at = _lost_at(at, entity, state, seen, _without_short_gaps(samples.known))

    gap_from = np.full(len(seen), NEVER)  # when the state before this sample ceased to be known, if it did
    gap_from[1:] = np.where(follows[1:] & (lost_at[:-1] < now[1:]), lost_at[:-1], NEVER)
    near = follows & ((gap_from == NEVER) | (now - np.minimum(gap_from, now) <= SHORT_GAP) | returned)
    same = np.zeros(len(seen), np.bool_)
    same[1:] = what[1:] == what[:-1]

    event = near & ~same & ~after_start.settling[seen]
    if samples.is_change is not None:
        event |= samples.is_change[order[seen]] & ~follows & ~after_start.settling[seen]
    del order, at, entity, state  # a day of two million samples would otherwise take half a gigabyte
    begins = np.flatnonzero(~(near & same))
    across_gap = near & (gap_from != NEVER)
    return (
        _events(now, who, what, cause, event),
        _intervals(now, who, what, event, begins, np.minimum(gap_from, after_start.stopped_at[seen]), lost_at),
        ShortGaps(who[across_gap], gap_from[across_gap], now[across_gap]),
    )


def _without_short_gaps(known: Spans) -> Spans:
    """Join the spans of known time between which the recorder was absent for at most 5 minutes."""
    if not len(known):
        return known
    long = known[1:, 0] - known[:-1, 1] > SHORT_GAP
    return np.column_stack((known[np.append(True, long), 0], known[np.append(long, True), 1]))


def by_entity(entity: Codes, at: Instants) -> NDArray[np.int64]:
    """Return the order by entity and, within it, by time; samples of one instant keep their order."""
    if len(entity) and entity.max() <= np.iinfo(np.int16).max and np.all(at[1:] >= at[:-1]):
        return np.argsort(entity.astype(np.int16), kind="stable")  # a radix sort; time is in order already
    return np.lexsort((at, entity))


def _lost_at(at: Instants, entity: Codes, state: Codes, seen: NDArray[np.int64], known: Spans) -> Instants:
    """Return, for each sample with a state, when the state ceases to be known: at a gap or at the end of a run."""
    lost = np.full(len(seen), NEVER)
    for begin in range(0, len(seen), _SAMPLES_AT_ONCE):
        some = seen[begin : begin + _SAMPLES_AT_ONCE]
        inside = np.minimum(some + 1, len(at) - 1)
        is_gap = (inside > some) & (entity[inside] == entity[some]) & (state[inside] == GAP)
        until = np.where(is_gap, at[inside], NEVER)
        if len(known):
            run = np.searchsorted(known[:, 0], at[some], side="right") - 1
            end = known[np.maximum(run, 0), 1]  # a state from before the first run holds on
            until = np.minimum(until, np.maximum(end, at[some]))  # one seen between two runs is lost at once
        lost[begin : begin + len(some)] = until
    return lost


def _events(now: Instants, who: Codes, what: Codes, cause: NDArray[np.int8], event: Flags) -> Events:
    chosen = np.flatnonzero(event)
    chosen = chosen[np.argsort(now[chosen], kind="stable")]
    return Events(now[chosen], who[chosen], what[chosen], cause[chosen])


def _intervals(  # noqa: PLR0917 - parallel columns
    now: Instants,
    who: Codes,
    what: Codes,
    event: Flags,
    begins: NDArray[np.int64],
    gap_from: Instants,
    lost_at: Instants,
) -> StateIntervals:
    """Return the intervals; each reaches to the entity's next one, or to where its state ceases to be known."""
    end, finished = np.empty(len(begins), np.int64), np.empty(len(begins), np.bool_)
    for first in range(0, len(begins), _SAMPLES_AT_ONCE):
        some = slice(first, first + _SAMPLES_AT_ONCE)
        following = np.append(begins[first + 1 : some.stop + 1], -1)[: len(begins[some])]
        last_sample = np.where(following >= 0, following, len(now)) - 1
        has_next = (following >= 0) & (who[following] == who[begins[some]])
        finished[some] = has_next & event[following]
        gap_or_next = np.minimum(np.maximum(gap_from[following], now[last_sample]), now[following])
        unfinished_end = np.where(has_next, gap_or_next, lost_at[last_sample])
        end[some] = np.where(finished[some], now[following], unfinished_end)
    return StateIntervals(
        entity=who[begins],
        state=what[begins],
        start=now[begins],
        end=end,
        start_known=event[begins],
        end_known=finished,
    )
