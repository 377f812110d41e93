"""How samples are read while a home settles after a start of its recorder.

A start makes every entity report again: some at once, some minutes later, and some first with a wrong state, as a
template does whose radio is not up yet. Three spans of time count from the start:

* ``SETTLING``, 60 s, or as long as one entity after the other reports again, at most ``MAX_SETTLING``, 120 s: whatever
  is seen now only establishes a state again. When it changed is not known.
* ``SETTLING_LIMIT``, 10 minutes: an entity that was wrong, or not known, in the first span, and then returns to the
  state it had before the stop, never left that state. Its samples in between are left out. So is a state that is not
  known from the start on, and a wrong one that is its first word, at most ``MAX_SETTLING`` after the start.
* ``MAX_DOWNTIME``, 30 minutes from the stop to the start: a state that returns after no more than that is the same
  interval. After a longer absence it is established again, and when it began is not known.

Starts that follow each other within the limit are one.

A *possible* start may also be a hub that came back. So what is seen after it is a change like any other, unless an
entity that is not up yet says off, closed or away and then returns, as above, to the state in which it was in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import GAP, NEVER, Codes, Flags, Spans
from jobs.activity.window import MINUTE, SECOND, Instants

SETTLING: Final = 60 * SECOND
MAX_SETTLING: Final = 120 * SECOND
SETTLING_LIMIT: Final = 10 * MINUTE
MAX_DOWNTIME: Final = 30 * MINUTE
_MAX_REPORT_GAP: Final = 10 * SECOND  # reports that are no further apart count as one after the other


class Settled(NamedTuple):
    """What is known of samples that come shortly after a start.

    Attributes:
        left_out: Samples to ignore: wrong or unknown before the state returned.
        returned: Samples in which an entity returns, soon enough, to its state before the stop.
        settling: Samples that can only establish a state.
        stopped_at: When the recorder had stopped before the start that a settling sample follows; ``NEVER`` elsewhere.
    """

    left_out: Flags
    returned: Flags
    settling: Flags
    stopped_at: Instants


class Possible(NamedTuple):
    """Starts that are not certain.

    Attributes:
        starts: Ascending instants, shape (p,).
        inactive: Which samples are in a state such as off, closed or away, shape (n,).
    """

    starts: Instants
    inactive: Flags


class _Start(NamedTuple):
    """One or several starts in quick succession.

    Attributes:
        stopped_at: The end of the known time before them.
        first: The first of them.
        last: The last of them.
        known_until: The end of the known time after them.
        certain: Whether one of them is certain.
    """

    stopped_at: int
    first: int
    last: int
    known_until: int
    certain: bool


def settle(  # noqa: PLR0917 - parallel columns
    at: Instants, entity: Codes, state: Codes, known: Spans, starts: Instants, possible: Possible | None = None
) -> Settled:
    """Judge samples by the starts that they follow.

    Args:
        at: Instants of samples, shape (n,), ordered by entity and time.
        entity: The entity of each, shape (n,).
        state: The state of each or ``GAP``, shape (n,).
        known: Disjoint, ascending spans of known time, shape (k, 2).
        starts: Ascending instants, shape (r,).
        possible: Starts that are not certain.
    """
    left_out, returned, settling = (np.zeros(len(at), np.bool_) for _ in range(3))
    found = Settled(left_out, returned, settling, np.full(len(at), NEVER))
    possible = possible or Possible(np.empty(0, np.int64), np.zeros(len(at), np.bool_))
    for start in _starts(known, starts, possible.starts):
        chosen = np.flatnonzero((at >= start.first) & (at < start.last + SETTLING_LIMIT))
        if not len(chosen):
            continue
        groups = np.split(chosen, np.flatnonzero(np.diff(entity[chosen])) + 1)
        settled_at = start.last + _settling_time(at, entity, state, groups, start.last)
        if start.certain:
            early = chosen[at[chosen] < settled_at]
            found.settling[early] = True
            run = int(np.searchsorted(known[:, 0], start.first))
            if 0 < run < len(known) and known[run, 0] == start.first:
                found.stopped_at[early] = known[run - 1, 1]
        for group in groups:
            _judge(group, at, entity, state, start, settled_at, found, None if start.certain else possible.inactive)
    return found


def _starts(known: Spans, certain: Instants, possible: Instants) -> Iterator[_Start]:
    """Group starts, each with the instant at which the recorder had stopped."""
    starts = np.union1d(certain, possible)
    if not len(starts):
        return
    for group in np.split(starts, np.flatnonzero(np.diff(starts) >= SETTLING_LIMIT) + 1):
        first, last = int(group[0]), int(group[-1])
        run = int(np.searchsorted(known[:, 0], first))
        began = run < len(known) and known[run, 0] == first
        around = int(np.searchsorted(known[:, 0], last, side="right")) - 1
        known_until = int(known[around, 1]) if around >= 0 else last
        stopped_at = int(known[run - 1, 1]) if began and run else first
        yield _Start(stopped_at, first, last, known_until, certain=bool(np.isin(group, certain).any()))


def _settling_time(at: Instants, entity: Codes, state: Codes, groups: list[NDArray[np.int64]], start: int) -> int:
    """Return for how long entities report again one after the other, within ``SETTLING`` and ``MAX_SETTLING``."""
    reports = sorted(
        int(at[first])
        for first in (int(group[0]) for group in groups)
        if first and entity[first - 1] == entity[first] and state[first - 1] == state[first] != GAP
    )
    until = start
    for report in reports:
        if report - until > _MAX_REPORT_GAP:
            break
        until = max(until, report)
    return min(max(until - start + 1, SETTLING), MAX_SETTLING)


def _judge(  # noqa: PLR0917 - parallel columns
    group: NDArray[np.int64],
    at: Instants,
    entity: Codes,
    state: Codes,
    start: _Start,
    settled_at: int,
    found: Settled,
    inactive: Flags | None,
) -> None:
    """Find where one entity returns to its state before the stop, if it does."""
    before = int(group[0]) - 1
    while before >= 0 and entity[before] == entity[group[0]] and found.left_out[before]:
        before -= 1
    if before < 0 or entity[before] != entity[group[0]] or state[before] == GAP:
        return
    same = state[group] == state[before]
    wrong = np.flatnonzero(~same & (at[group] < settled_at))
    after = int(wrong[-1]) + 1 if len(wrong) else 0
    returns = np.flatnonzero(same[after:])
    if not len(returns):
        return
    place = after + int(returns[0])
    words = np.flatnonzero(state[group[:place]] != GAP)
    if not len(wrong) and len(words) and at[group[words[0]]] >= start.last + MAX_SETTLING:
        return  # its first word after the start was another state, when every home has settled: a change
    if inactive is not None and (inactive[before] or not inactive[group[words]].all()):
        return  # it was used
    found.left_out[group[:place]] = True
    soon = start.first - start.stopped_at <= MAX_DOWNTIME
    found.returned[group[place]] = soon and at[group[place]] <= start.known_until
