"""From raw samples to events and state intervals: the rules of activity.

A *sample* is what a source reads: at an instant an entity has a state, or its state is not known (a gap). ``trace``
applies the rules of activity, once, to a whole recording:

* An **event** is a change from one known state to another, at the instant the new one is seen. Equal states in a row
  are one; attribute-only updates and restarts that repeat a state therefore make no event.
* Unavailable, unknown, removed, and time outside the recorder's runs are gaps. Across a gap of at most 5 minutes, A
  then B is an event and A then A is nothing. Across a longer one B only re-establishes the state: when it changed is
  not known. So does every value within 60 s of a recorder's start, and an entity's first value ever. An unavailable
  entity is so until it is seen again; the recorder's absence is as long as the recorder was absent.
* A **state interval** is a stretch in one state. Its start is known if an event began it, its end if an event ended it.
  One that runs into a long gap, or into a restart that finds another value, ends there, its end not known.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import GAP, NEVER, Codes, Events, Flags, Samples, ShortGaps, Spans, StateIntervals
from jobs.activity.window import MINUTE, SECOND, Instants

SHORT_GAP: Final = 5 * MINUTE
SETTLING: Final = 60 * SECOND


def trace(samples: Samples, activity: Flags) -> tuple[Events, StateIntervals, ShortGaps]:
    """Apply the rules of activity to a recording.

    Args:
        samples: The recording.
        activity: Which entities to follow, shape (number of entities,).

    Returns:
        Events in order of time, intervals ordered by entity and start, and the gaps that intervals go across. One that
        goes on ends at the end of the known time it lies in, unfinished.
    """
    followed = np.flatnonzero(activity[samples.entity]) if len(samples.at) else np.empty(0, np.int64)
    order = followed[by_entity(samples.entity[followed], samples.at[followed])]
    at, entity, state = samples.at[order], samples.entity[order], samples.state[order]

    seen = np.flatnonzero(state != GAP)
    now, who, what = at[seen], entity[seen], state[seen]
    follows = np.zeros(len(seen), np.bool_)
    follows[1:] = who[1:] == who[:-1]
    lost_at = _lost_at(at, entity, state, seen, _without_short_gaps(samples.known))

    gap_from = np.full(len(seen), NEVER)  # when the state before this sample ceased to be known, if it did
    gap_from[1:] = np.where(follows[1:] & (lost_at[:-1] < now[1:]), lost_at[:-1], NEVER)
    near = follows & ((gap_from == NEVER) | (now - np.minimum(gap_from, now) <= SHORT_GAP))
    same = np.zeros(len(seen), np.bool_)
    same[1:] = what[1:] == what[:-1]
    settling, run_before = _settling(now, samples)

    event = near & ~same & ~settling
    begins = np.flatnonzero(~(near & same))
    across_gap = near & (gap_from != NEVER)
    return (
        _events(now, who, what, samples.cause[order][seen], event),
        _intervals(now, who, what, event, begins, np.minimum(gap_from, run_before), lost_at),
        ShortGaps(who[across_gap], gap_from[across_gap], now[across_gap]),
    )


def _without_short_gaps(known: Spans) -> Spans:
    """Spans of known time, those joined between which the recorder was absent for at most 5 minutes."""
    if not len(known):
        return known
    long = known[1:, 0] - known[:-1, 1] > SHORT_GAP
    return np.column_stack((known[np.append(True, long), 0], known[np.append(long, True), 1]))


def _settling(now: Instants, samples: Samples) -> tuple[Flags, Instants]:
    """Which samples come within 60 s of a recorder's start, and when the run before that start ended."""
    if not len(samples.starts):
        return np.zeros(len(now), np.bool_), np.full(len(now), NEVER)
    start_before = np.searchsorted(samples.starts, now, side="right") - 1
    start = samples.starts[np.maximum(start_before, 0)]
    settling = (start_before >= 0) & (now - start < SETTLING)
    run = np.searchsorted(samples.known[:, 0], start, side="left")  # the run that the start began, if it began one
    begins, ends = np.append(samples.known[:, 0], NEVER), np.append(samples.known[:, 1], NEVER)
    return settling, np.where(settling & (run > 0) & (begins[run] == start), ends[run - 1], NEVER)


def by_entity(entity: Codes, at: Instants) -> NDArray[np.int64]:
    """The order by entity and, within it, by time; ties keep theirs."""
    if len(entity) and entity.max() <= np.iinfo(np.int16).max and np.all(at[1:] >= at[:-1]):
        return np.argsort(entity.astype(np.int16), kind="stable")  # a radix sort; time is in order already
    return np.lexsort((at, entity))


def _lost_at(at: Instants, entity: Codes, state: Codes, seen: NDArray[np.int64], known: Spans) -> Instants:
    """For each sample with a state: when knowledge of the entity ends next, by a gap sample or the end of a run."""
    after = seen + 1
    inside = np.minimum(after, len(at) - 1)
    is_gap = (after < len(at)) & (entity[inside] == entity[seen]) & (state[inside] == GAP)
    by_gap = np.where(is_gap, at[inside], NEVER)
    if not len(known):
        return by_gap
    run = np.searchsorted(known[:, 0], at[seen], side="right") - 1
    end: Instants = known[np.maximum(run, 0), 1]  # a state from before the first run, told by a later row, holds on
    lost: Instants = np.minimum(by_gap, np.maximum(end, at[seen]))  # one seen between two runs is lost at once
    return lost


def _events(now: Instants, who: Codes, what: Codes, cause: NDArray[np.int8], event: Flags) -> Events:
    found = Events(now[event], who[event], what[event], cause[event])
    order = np.argsort(found.at, kind="stable")
    return Events(found.at[order], found.entity[order], found.state[order], found.cause[order])


def _intervals(  # noqa: PLR0917 - parallel columns
    now: Instants,
    who: Codes,
    what: Codes,
    event: Flags,
    begins: NDArray[np.int64],
    gap_from: Instants,
    lost_at: Instants,
) -> StateIntervals:
    """Each interval reaches to the entity's next one, or to where knowledge ends."""
    following = np.append(begins[1:], -1)[: len(begins)]
    last_sample = np.append(begins[1:], len(now))[: len(begins)] - 1
    has_next = (following >= 0) & (who[following] == who[begins])
    finished = has_next & event[following]
    gap_or_next = np.minimum(np.maximum(gap_from[following], now[last_sample]), now[following])
    unfinished_end = np.where(has_next, gap_or_next, lost_at[last_sample])
    return StateIntervals(
        entity=who[begins],
        state=what[begins],
        start=now[begins],
        end=np.where(finished, now[following], unfinished_end),
        start_known=event[begins],
        end_known=finished,
    )
