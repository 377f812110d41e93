"""The rules of activity against a slow reference that applies them one sample at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.activity.building import Recording
from jobs.activity.entities import EntityRules
from jobs.activity.events import NEVER
from jobs.activity.window import MINUTE, SECOND, DayWindow
from tests.support.activity import Event, Span, StateInterval, built, of_log, traced

DAY = dt.date(2026, 3, 2)
TODAY = DayWindow(DAY, ZoneInfo("UTC"))
TOMORROW = DayWindow(DAY + dt.timedelta(days=1), ZoneInfo("UTC"))
START, END = TODAY.start, TODAY.end

Sample = tuple[int, str | None]
NOT_KNOWN = {None, "", "unavailable", "unknown"}


class Tape(NamedTuple):
    samples: list[tuple[int, str, str | None]]
    known: list[Span]
    starts: list[int]


def settled_at(tape: Tape, first: int, last: int) -> int:
    """Until when states are only established after starts from first to last."""
    reports = []
    for entity_id in {row[1] for row in tape.samples}:
        of_entity = sorted((row for row in tape.samples if row[1] == entity_id), key=lambda row: row[0])
        before = [state for at, _, state in of_entity if at < first]
        after = [(at, state) for at, _, state in of_entity if first <= at < last + 10 * MINUTE]
        if before and after and before[-1] not in NOT_KNOWN and after[0][1] == before[-1]:
            reports.append(after[0][0])
    until = last
    for report in sorted(reports):
        if report > until + 10 * SECOND:
            break
        until = max(until, report)
    return last + min(max(until - last + 1, MINUTE), 2 * MINUTE)


def groups_of_starts(starts: Sequence[int]) -> list[tuple[int, int]]:
    """The first and last of starts that follow each other within 10 minutes."""
    groups: list[tuple[int, int]] = []
    for start in starts:
        if groups and start - groups[-1][1] < 10 * MINUTE:
            groups[-1] = groups[-1][0], start
        else:
            groups.append((start, start))
    return groups


def returns(samples: Sequence[Sample], tape: Tape, first: int, last: int) -> tuple[list[Sample], int | None]:
    """The samples without what an entity said before it returned to its state; and when it returned so soon."""
    before = [state for at, state in samples if at < first]
    after = [(at, state) for at, state in samples if first <= at < last + 10 * MINUTE]
    if not before or before[-1] in NOT_KNOWN:
        return list(samples), None
    limit = settled_at(tape, first, last)
    wrong = [place for place, (at, state) in enumerate(after) if at < limit and state != before[-1]]
    for place in range(wrong[-1] + 1 if wrong else 0, len(after)):
        if after[place][1] != before[-1]:
            continue
        words = [at for at, state in after[:place] if state not in NOT_KNOWN]
        if not wrong and words and words[0] >= last + 2 * MINUTE:
            return list(samples), None
        kept = [one for one in samples if one[0] < first] + after[place:]
        stops = [end for (_, end), (begin, _) in pairwise(tape.known) if begin == first]
        until = max([last, *(end for begin, end in tape.known if begin <= last)])
        soon = first - (stops[0] if stops else first) <= 30 * MINUTE and after[place][0] <= until
        return [*kept, *(one for one in samples if one[0] >= last + 10 * MINUTE)], after[place][0] if soon else None
    return list(samples), None


def reference(entity_id: str, samples: Sequence[Sample], tape: Tape) -> tuple[list[Event], list[StateInterval]]:
    """The rules for one entity, one sample after the other; a long absence of the recorder is a gap of its own."""
    known, groups = tape.known, groups_of_starts(tape.starts)
    absences = [end for (_, end), (start, _) in pairwise([*known, (NEVER, NEVER)]) if start - end > 5 * MINUTE]
    samples = sorted(samples, key=lambda one: one[0])
    returned_at = set()
    for first, last in groups:
        samples, found = returns(samples, tape, first, last)
        returned_at |= {found}
    told = [(at, 0, state) for at, state in samples] + [(end, 1, None) for end in absences]
    events: list[Event] = []
    intervals: list[StateInterval] = []
    current: StateInterval | None = None
    seen = 0  # when a state was seen last
    lost: int | None = None  # since when the state is not known, if it is not
    for at, _, state in sorted(told, key=lambda one: one[:2]):
        if state in NOT_KNOWN:
            lost = at if lost is None else lost
            continue
        assert state is not None
        settling = [first for first, last in groups if first <= at < settled_at(tape, first, last)]
        if current is None:
            current = StateInterval(entity_id, state, at, at, start_known=False, end_known=False)
        elif lost is not None and at - lost > 5 * MINUTE and not (at in returned_at and state == current.state):
            intervals.append(current._replace(end=lost))
            current = StateInterval(entity_id, state, at, at, start_known=False, end_known=False)
        elif state != current.state and settling:
            before = [end for (_, end), (begin, _) in pairwise(known) if begin == settling[-1]]
            last_seen = max([seen, *before]) if before else at
            intervals.append(current._replace(end=min(at, last_seen, *([] if lost is None else [lost]))))
            current = StateInterval(entity_id, state, at, at, start_known=False, end_known=False)
        elif state != current.state:
            events.append(Event(at, entity_id, state))
            intervals.append(current._replace(end=at, end_known=True))
            current = StateInterval(entity_id, state, at, at, start_known=True, end_known=False)
        lost, seen = None, at
    if current is not None:
        assert lost is not None  # the last run has ended
        intervals.append(current._replace(end=lost))
    return events, intervals


@st.composite
def tapes(draw: st.DrawFn) -> Tape:
    """An hour around midnight: two entities, up to three runs, restarts, gaps; instants that meet limits exactly."""
    grid = st.builds(
        lambda minute, shift: END - 30 * MINUTE + minute * MINUTE + shift,
        st.integers(0, 60),
        st.sampled_from([0, 0, 0, 1, -1, 30 * SECOND]),
    )
    edges = sorted(draw(st.lists(grid, min_size=2, max_size=6, unique=True)))
    known = list(zip(edges[::2], edges[1::2], strict=False))
    known[-1] = (known[-1][0], max(known[-1][1], END + 40 * MINUTE))
    starts = [start for start, _ in known if draw(st.booleans())] + draw(st.lists(grid, max_size=1))
    states = st.sampled_from(["on", "off", "on", "off", "dim", None, "unavailable", "unknown", ""])
    rows = draw(st.lists(st.tuples(grid, st.sampled_from(["light.a", "light.b"]), states), max_size=25))
    inside = [row for row in rows if any(start <= row[0] <= end for start, end in known)]
    return Tape(inside, known, sorted(starts))


@given(tapes())
@settings(max_examples=300, deadline=None)
def test_any_recording_is_traced_as_the_rules_say_sample_by_sample(tape: Tape) -> None:
    events, intervals = [], []
    for entity_id in ("light.a", "light.b"):
        of_entity = [(at, state) for at, one, state in tape.samples if one == entity_id]
        found = reference(entity_id, of_entity, tape)
        events += found[0]
        intervals += found[1]
    traced_events, traced_intervals = traced(built(tape.samples, tape.known, tape.starts))
    assert sorted(traced_events) == sorted(events)
    assert [event.at for event in traced_events] == sorted(event.at for event in events)
    assert sorted(traced_intervals) == sorted(intervals)


def until_midnight(tape: Tape) -> Tape:
    """What had been recorded when the first day was over."""
    return Tape(
        [row for row in tape.samples if row[0] < END],
        [(start, min(end, END)) for start, end in tape.known if start < END],
        [start for start in tape.starts if start < END],
    )


@given(tapes())
@settings(max_examples=200, deadline=None)
def test_a_day_tells_nothing_of_what_happened_after_it(tape: Tape) -> None:
    days = [Recording.of(built(*one), EntityRules()).day(TODAY) for one in (tape, until_midnight(tape))]
    assert of_log(days[0]) == of_log(days[1])
    assert days[0].known.tolist() == days[1].known.tolist()
    assert days[0].samples == days[1].samples


@given(tapes())
@settings(max_examples=100, deadline=None)
def test_two_days_hold_all_events_once_and_no_interval_finishes_twice(tape: Tape) -> None:
    tape = tape._replace(starts=[start for start in tape.starts if not END - 10 * MINUTE <= start < END])
    whole = Recording.of(built(*tape), EntityRules())
    events, intervals = traced(whole.samples)
    (one, first), (two, second) = of_log(whole.day(TODAY)), of_log(whole.day(TOMORROW))
    assert one + two == events
    assert all(START <= event.at < END for event in one)
    assert all(interval.end <= END for interval in first)
    again = [interval for interval in first if interval.end_known and interval.end < START]
    assert again == []
    finished = [interval for interval in intervals if interval.end_known]
    assert sorted([s for s in first if s.end_known] + [s for s in second if s.end_known and s.end >= END]) == sorted(
        finished
    )
