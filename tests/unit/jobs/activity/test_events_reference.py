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


def reference(
    entity_id: str, samples: Sequence[Sample], known: Sequence[Span], starts: Sequence[int]
) -> tuple[list[Event], list[StateInterval]]:
    """The rules for one entity, told one sample after the other; a long absence of the recorder is a gap of its own."""
    absences = [end for (_, end), (start, _) in pairwise([*known, (NEVER, NEVER)]) if start - end > 5 * MINUTE]
    told = [(at, 0, state) for at, state in samples] + [(end, 1, None) for end in absences]
    events: list[Event] = []
    intervals: list[StateInterval] = []
    current: StateInterval | None = None
    seen = 0  # when a state was seen last
    lost: int | None = None  # since when the state is not known, if it is not
    for at, _, state in sorted(told, key=lambda one: one[:2]):
        if state in {None, "", "unavailable", "unknown"}:
            lost = at if lost is None else lost
            continue
        assert state is not None
        settling = any(start <= at < start + MINUTE for start in starts)
        if current is None:
            current = StateInterval(entity_id, state, at, at, start_known=False, end_known=False)
        elif lost is not None and at - lost > 5 * MINUTE:
            intervals.append(current._replace(end=lost))
            current = StateInterval(entity_id, state, at, at, start_known=False, end_known=False)
        elif state != current.state and settling:
            start = max(start for start in starts if start <= at)
            before = [end for (_, end), (begin, _) in pairwise(known) if begin == start]
            last = max([seen, *before]) if before else at
            intervals.append(current._replace(end=min(at, last, *([] if lost is None else [lost]))))
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


class Tape(NamedTuple):
    samples: list[tuple[int, str, str | None]]
    known: list[Span]
    starts: list[int]


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
        found = reference(entity_id, of_entity, tape.known, tape.starts)
        events += found[0]
        intervals += found[1]
    traced_events, traced_spells = traced(built(tape.samples, tape.known, tape.starts))
    assert sorted(traced_events) == sorted(events)
    assert [event.at for event in traced_events] == sorted(event.at for event in events)
    assert sorted(traced_spells) == sorted(intervals)


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
def test_two_days_hold_all_events_once_and_no_spell_finishes_twice(tape: Tape) -> None:
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
