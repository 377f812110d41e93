"""Find known time and restarts from the samples alone, for a recording that does not record its own runs.

**Known time.** A silence of all entities for longer than a bound is time of which nothing is known; a shorter one is a
quiet home. A sample with no other within the bound makes no time known.

**Restarts.** After a start, Home Assistant sends the present state of its entities anew: within 2 s in a small home,
within 2 minutes on a small board, some of them later or first with a wrong state. A start shows not by how many
entities report, but by those that repeat a state without need:

* An entity counts if it *seldom* repeats its state: at most twice, and 8 times a day, in all that was read. A tracker
  that is polled every 30 s never counts.
* Only words count: a counter reports 0 again at midnight. The caller leaves out more, such as the ``on`` of lights: a
  scene that dims ten lamps repeats ten of them.
* There is a start where, within ``BURST`` (120 s) of each other, such repeats come from enough entities: at least 4 and
  half of those that could; or, after a silence that is unusual for the home, at least 3 and 0.1 of them, from two
  domains. Two are enough where the system itself shows it: a sensor of its uptime changes, or its backup manager is
  blocked. Entities that are seen for the first time count beside 3 others, and where a recording begins.
* There may be a start, or a hub that came back, where these are at least 5 and 0.15 of those that could, from two
  domains. ``jobs.activity.settling`` says what that means.
* Before a start there is silence, of 2 s at least. It ends up to a minute before the first repeat.

>>> import numpy as np
>>> minutes = np.array([0, 10, 15, 500, 505]) * 60_000_000
>>> (known_time(minutes, 60 * 60_000_000, np.empty(0, np.int64)) // 60_000_000).tolist()
[[0, 15], [500, 505]]
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.activity.events import GAP, Codes, Flags, Spans
from jobs.activity.settling import MAX_DOWNTIME, SETTLING_LIMIT
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND, Instants

MIN_LONG_SILENCE: Final = HOUR
SILENCE_FACTOR: Final = 6  # how many times the usual silence is long
MIN_DAYS_RECURRING: Final = 3
RECURRING_FACTOR: Final = 1.5
MAX_RECURRING: Final = DAY
MAX_RESTART: Final = 120 * SECOND
USUAL_FACTOR: Final = 2  # times the usual silence are silences of a home often long
BURST: Final = 120 * SECOND
MIN_SILENCE: Final = 2 * SECOND
MIN_ENTITIES: Final = 5
MIN_SHARE: Final = 0.15
MIN_ENTITIES_OF_HALF: Final = 4
MIN_ENTITIES_AFTER_SILENCE: Final = 3
MIN_SHARE_AFTER_SILENCE: Final = 0.1
MIN_ENTITIES_WITH_UPTIME: Final = 2
MAX_REPEATS: Final = 2
MAX_REPEATS_A_DAY: Final = 8
_MIN_UNUSUAL: Final = 20 * SECOND  # a restart takes about as long
_UNUSUAL: Final = 3  # times the silence that only one in a hundred exceeds
_JOINED: Final = 2 * SECOND  # samples of a burst that come before its first repeat are no further apart
_MAX_JOINED: Final = 10 * SECOND
_MAX_EARLIER: Final = MINUTE  # how long before its first repeat a burst may begin, after a silence that shows it
_MIN_EARLIER_SILENCE: Final = 10 * SECOND
_MUCH_LONGER: Final = 2  # times the silence just before the repeat


def usual_silence(instants: Instants) -> int:
    """Return how long the silence lasts, from a sample to the next, in which half of the time lies; 0 if there is none.

    Args:
        instants: When anything at all was recorded, in any order.
    """
    silences = np.sort(np.diff(np.unique(instants)))
    if not len(silences):
        return 0
    reached = np.cumsum(silences)
    return int(silences[np.searchsorted(reached, reached[-1] / 2)])


def longest_silence(instants: Instants, end: int, max_silence: int) -> int:
    """Return how long nothing at all may be recorded in a home while the time still counts as known.

    That is six times the silence that is usual, at least an hour and at most ``max_silence``. Longer ones are known
    where they recur without a start after them, as the nights of a home with few sensors: half as long again as the
    median of the longest silences of the days before, if there are three such days.

    Args:
        instants: When anything at all was recorded, in any order, from some days before.
        end: The end of the day that is read; of the silences of that day only the usual one counts.
        max_silence: A longer one is not known unless it recurs, microseconds. Of more than a day, it is the bound
            itself: whoever sets it means that silence is not an outage in this home.
    """
    if max_silence > MAX_RECURRING:
        return max_silence
    instants = np.unique(instants[instants < end])
    usual = usual_silence(instants[instants >= end - 2 * DAY])
    bound = min(max(MIN_LONG_SILENCE, SILENCE_FACTOR * usual), max_silence)
    return max(bound, recurring_silence(np.column_stack((instants[:-1], instants[1:])), end))


def recurring_silence(silences: Spans, end: int) -> int:
    """Return how long a silence may be that recurs in a home, as its nights do; 0 if there are too few days.

    That is half as long again as the median of the longest silences of the days before, at most ``MAX_RECURRING``.

    Args:
        silences: From a sample to the next, shape (n, 2); of each day before at least the longest that ends in it.
        end: The end of the day that is read; silences that end in that day do not count.
    """
    day_of = (end - DAY - silences[:, 1]) // DAY  # 0 is the day before
    lengths = silences[:, 1] - silences[:, 0]
    longest = [int(lengths[day_of == day].max()) for day in np.unique(day_of[day_of >= 0]).tolist()]
    if len(longest) < MIN_DAYS_RECURRING:
        return 0
    return min(round(RECURRING_FACTOR * statistics.median(longest)), MAX_RECURRING)


def known_time(instants: Instants, max_silence: int, starts: Instants) -> Spans:
    """Return the spans in which a recording was alive.

    Args:
        instants: When anything at all was recorded, in any order.
        max_silence: How far apart two samples may be with the time between them known, microseconds.
        starts: Instants, each of a sample, at which a recorder started.

    Returns:
        Disjoint, ascending spans, shape (k, 2), each from a sample to a sample.
    """
    instants = np.unique(instants)
    if not len(instants):
        return np.empty((0, 2), np.int64)
    breaks = np.flatnonzero((np.diff(instants) > max_silence) | np.isin(instants[1:], starts))
    spans = np.column_stack((instants[np.append(0, breaks + 1)], instants[np.append(breaks, len(instants) - 1)]))
    return spans[spans[:, 0] < spans[:, 1]]


def alive_before(start: int, last: int, usual: int) -> int:
    """Return until when a recorder was alive before it started again.

    Between its last sample and a start nobody knows when it stopped. A restart takes ``MAX_RESTART`` at most, if the
    silence before it is no longer than silences of this home often are; else it ended with its last sample.

    Args:
        start: When it started.
        last: Its last sample before.
        usual: The usual silence of the home.
    """
    silence = start - last
    return max(last, start - MAX_RESTART) if silence <= min(USUAL_FACTOR * usual, MAX_DOWNTIME) else last


@dataclass(frozen=True, slots=True)
class Reports:
    """Samples as evidence of restarts, in order of time.

    Attributes:
        at: Instants, shape (n,).
        entity: The entity of each, shape (n,).
        state: The state of each, or ``GAP``, shape (n,).
        domain: The domain of each entity, as a number, shape (number of entities,).
        is_evidence: Which samples count if they repeat the state before, shape (n,).
        is_uptime: Which samples show a start if they are a change: a sensor says since when the system runs, or the
            backup manager is blocked, as it is while Home Assistant starts; shape (n,).
    """

    at: Instants
    entity: Codes
    state: Codes
    domain: NDArray[np.int64]
    is_evidence: Flags
    is_uptime: Flags


class Restarts(NamedTuple):
    """Ascending instants at which recorders started, each of the first sample of a burst: certainly, and perhaps."""

    certain: Instants
    possible: Instants


_NONE: Final = Restarts(np.empty(0, np.int64), np.empty(0, np.int64))


def restarts(reports: Reports) -> Restarts:
    """Return when recorders started."""
    at = reports.at
    if not len(at):
        return _NONE
    repeated, first = _repeats(reports.entity, reports.state)
    seldom = _seldom_repeats(reports, repeated & reports.is_evidence)
    counts = (repeated | first) & reports.is_evidence & seldom[reports.entity]
    possible = len(np.unique(reports.entity[reports.is_evidence & seldom[reports.entity]]))
    evidence = np.flatnonzero(counts)
    if not len(evidence):
        return _NONE
    changed_uptime = at[reports.is_uptime & ~repeated & ~first]
    gaps = np.diff(np.unique(at))
    unusual = max(_MIN_UNUSUAL, round(_UNUSUAL * float(np.quantile(gaps, 0.99)))) if len(gaps) else _MIN_UNUSUAL
    ends = np.searchsorted(at[evidence], at[evidence] + BURST, side="right")
    places = np.flatnonzero(ends - np.arange(len(evidence)) >= MIN_ENTITIES_WITH_UPTIME)
    sizes = np.array([len(np.unique(reports.entity[evidence[begin : ends[begin]]])) for begin in places], np.int64)
    places, sizes = places[sizes >= MIN_ENTITIES_WITH_UPTIME], sizes[sizes >= MIN_ENTITIES_WITH_UPTIME]
    found: dict[_Proof, list[int]] = {proof: [] for proof in _Proof}
    until = -1
    for burst in np.split(np.arange(len(places)), np.flatnonzero(np.diff(at[evidence[places]]) > BURST) + 1):
        if not len(burst):
            continue
        # The latest begin with the most entities: without strays that came shortly before.
        begin = int(places[burst[len(burst) - 1 - int(np.argmax(sizes[burst][::-1]))]])
        window = evidence[begin : ends[begin]]
        start = _begin_of_burst(reports, int(window[0]), unusual)
        silence = _Silence(int(at[start] - at[start - 1]) if start else None, unusual)
        uptime = bool(np.any((changed_uptime >= at[start]) & (changed_uptime <= at[start] + BURST)))
        proof = _proof(reports, window, first[window], possible, silence, uptime=uptime)
        if at[start] > until and proof is not _Proof.NONE:
            found[proof].append(int(at[start]))
            until = int(at[window[-1]])
    return Restarts(np.array(found[_Proof.CERTAIN], np.int64), np.array(found[_Proof.POSSIBLE], np.int64))


class _Proof(Enum):
    """How sure a start is."""

    NONE = "none"
    POSSIBLE = "possible"
    CERTAIN = "certain"


class _Silence(NamedTuple):
    """How long nothing came before a burst; None where the recording begins. And how long is unusual for the home."""

    length: int | None
    unusual: int


def _proof(  # noqa: PLR0911 - a list of rules in order, the first that fits decides
    reports: Reports, window: NDArray[np.int64], first: Flags, possible: int, silence: _Silence, *, uptime: bool
) -> _Proof:
    """Return what the evidence of one burst proves.

    Args:
        reports: All samples.
        window: Those of the burst that count.
        first: Which of these are their entity's first.
        possible: How many entities could have repeated a state.
        silence: What was before the burst.
        uptime: Whether a sensor of the system's uptime changed during it.
    """
    seen, places = np.unique(reports.entity[window], return_index=True)
    repeats = int(np.count_nonzero(~first[places]))
    if silence.length is not None and silence.length < MIN_SILENCE:
        return _Proof.NONE
    if silence.length is not None and repeats < MIN_ENTITIES_AFTER_SILENCE:
        return _Proof.CERTAIN if uptime and repeats >= MIN_ENTITIES_WITH_UPTIME else _Proof.NONE
    if uptime or (len(seen) >= MIN_ENTITIES_OF_HALF and 2 * len(seen) >= possible):
        return _Proof.CERTAIN
    if len(np.unique(reports.domain[seen])) == 1:
        return _Proof.NONE  # a scene, or one kind of device that reports again
    many = len(seen) >= MIN_ENTITIES and len(seen) >= MIN_SHARE * possible
    if silence.length is None:
        return _Proof.CERTAIN if many else _Proof.NONE
    if silence.length > silence.unusual:
        return _Proof.CERTAIN if len(seen) >= MIN_SHARE_AFTER_SILENCE * possible else _Proof.NONE
    return _Proof.POSSIBLE if many else _Proof.NONE


def _begin_of_burst(reports: Reports, place: int, unusual: int) -> int:
    """Return the first sample of the burst that a repeat belongs to: others may have come before it.

    These are the samples just before it. If there is a much longer silence a little earlier, so are those since then,
    where that silence is unusual for the home, or where an entity takes back among them a change that was wrong.
    """
    at = reports.at
    begin = place
    while begin and at[begin] - at[begin - 1] < _JOINED and at[place] - at[begin - 1] <= _MAX_JOINED:
        begin -= 1
    earliest = max(1, int(np.searchsorted(at, at[place] - _MAX_EARLIER)))
    silences = at[earliest : begin + 1] - at[earliest - 1 : begin]
    if not len(silences):
        return begin
    longest = len(silences) - 1 - int(np.argmax(silences[::-1]))
    earlier, silence = earliest + longest, silences[longest]
    if silence < max(_MUCH_LONGER * silences[-1], _MIN_EARLIER_SILENCE):
        return begin
    return earlier if silence > unusual or _is_wrong_at_first(reports, earlier, begin) else begin


def _is_wrong_at_first(reports: Reports, begin: int, end: int) -> bool:
    """Return whether a sample of a span changes the state of an entity that returns to it while a home settles."""
    until = int(np.searchsorted(reports.at, reports.at[begin] + SETTLING_LIMIT))
    for entity in np.unique(reports.entity[begin:end][reports.is_evidence[begin:end]]).tolist():
        before = reports.state[:begin][reports.entity[:begin] == entity]
        after = reports.state[begin:until][reports.entity[begin:until] == entity]
        if len(before) and after[0] != before[-1] and np.any(after == before[-1]):
            return True
    return False


def _seldom_repeats(reports: Reports, repeated: Flags) -> Flags:
    """Return which entities seldom repeat their state; repeats within the same two minutes are one."""
    count = len(reports.domain)
    moments = np.unique(np.column_stack((reports.entity[repeated], reports.at[repeated] // BURST)), axis=0)
    repeats = np.bincount(moments[:, 0], minlength=count)
    since = np.full(count, reports.at[-1])
    np.minimum.at(since, reports.entity, reports.at)
    days = np.maximum(reports.at[-1] - since, HOUR) / DAY
    seldom: Flags = repeats <= MAX_REPEATS + MAX_REPEATS_A_DAY * days
    return seldom


def _repeats(entity: Codes, state: Codes) -> tuple[Flags, Flags]:
    """Return which samples repeat the state before them of their entity, and which are their entity's first."""
    order = np.argsort(entity, kind="stable")
    who, what = entity[order], state[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = who[1:] != who[:-1]
    same = ~new & (what != GAP)
    same[1:] &= what[1:] == what[:-1]
    repeated, first = np.empty_like(same), np.empty_like(new)
    repeated[order], first[order] = same, new
    return repeated, first
