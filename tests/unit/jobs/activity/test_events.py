"""The rules of activity, sentence by sentence; ``test_events_reference.py`` tries them on random recordings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.building import Recording, SampleBuilder, example_day
from jobs.activity.entities import EntityRules, Kind, Override
from jobs.activity.events import AUTOMATION, DEVICE, USER
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow
from tests.support.activity import Event, Span, StateInterval, built, of_log, traced

LAMP = "light.lamp"
DAY = dt.date(2026, 3, 2)
TODAY = DayWindow(DAY, ZoneInfo("UTC"))
TOMORROW = DayWindow(DAY + dt.timedelta(days=1), ZoneInfo("UTC"))
START, END = TODAY.start, TODAY.end
NOON = START + 12 * HOUR

Sample = tuple[int, str | None]  # instant and state of the lamp


def lamp(
    samples: Sequence[Sample], known: Sequence[Span] = ((START, END),), starts: Sequence[int] = ()
) -> tuple[list[Event], list[StateInterval]]:
    """The events and intervals of one lamp."""
    return traced(built([(at, LAMP, state) for at, state in samples], known, starts))


def changes(
    samples: Sequence[Sample], known: Sequence[Span] = ((START, END),), starts: Sequence[int] = ()
) -> list[tuple[int, str]]:
    """The lamp's events only."""
    return [(event.at, event.state) for event in lamp(samples, known, starts)[0]]


def test_a_change_from_one_known_state_to_another_is_an_event_at_the_instant_the_new_one_is_seen() -> None:
    events, intervals = lamp([(START, "off"), (NOON, "on"), (NOON + HOUR, "off")])
    assert events == [Event(NOON, LAMP, "on"), Event(NOON + HOUR, LAMP, "off")]
    assert intervals == [
        StateInterval(LAMP, "off", START, NOON, start_known=False, end_known=True),
        StateInterval(LAMP, "on", NOON, NOON + HOUR, start_known=True, end_known=True),
        StateInterval(LAMP, "off", NOON + HOUR, END, start_known=True, end_known=False),
    ]


def test_equal_states_in_a_row_are_one() -> None:
    events, intervals = lamp([(START, "off"), (NOON, "on"), (NOON + MINUTE, "on"), (NOON + HOUR, "on")])
    assert events == [Event(NOON, LAMP, "on")]
    assert [(one.state, one.start, one.end) for one in intervals] == [("off", START, NOON), ("on", NOON, END)]


def test_the_first_state_ever_is_no_event_and_begins_a_spell_whose_begin_is_not_known() -> None:
    assert lamp([(NOON, "on")]) == ([], [StateInterval(LAMP, "on", NOON, END, start_known=False, end_known=False)])


@pytest.mark.parametrize("gap", ["unavailable", "unknown", "", None])
@pytest.mark.parametrize("length", [1, MINUTE, 5 * MINUTE])
def test_across_a_gap_of_at_most_5_minutes_another_state_is_an_event(gap: str | None, length: int) -> None:
    events, intervals = lamp([(START, "off"), (NOON, gap), (NOON + length, "on")])
    assert events == [Event(NOON + length, LAMP, "on")]
    assert intervals == [
        StateInterval(LAMP, "off", START, NOON + length, start_known=False, end_known=True),
        StateInterval(LAMP, "on", NOON + length, END, start_known=True, end_known=False),
    ]


@pytest.mark.parametrize("gap", ["unavailable", "unknown", "", None])
@pytest.mark.parametrize("length", [1, MINUTE, 5 * MINUTE])
def test_across_a_gap_of_at_most_5_minutes_the_same_state_is_nothing(gap: str | None, length: int) -> None:
    assert lamp([(START, "on"), (NOON, gap), (NOON + length, "on")]) == (
        [],
        [StateInterval(LAMP, "on", START, END, start_known=False, end_known=False)],
    )


@pytest.mark.parametrize("state", ["on", "off"])
def test_across_a_longer_gap_a_state_is_only_established_again(state: str) -> None:
    back = NOON + 5 * MINUTE + 1
    assert lamp([(START, "off"), (NOON, None), (back, state)]) == (
        [],
        [
            StateInterval(LAMP, "off", START, NOON, start_known=False, end_known=False),
            StateInterval(LAMP, state, back, END, start_known=False, end_known=False),
        ],
    )


def test_a_gap_told_by_several_samples_lasts_from_the_first_of_them() -> None:
    told = [(NOON, "unavailable"), (NOON + 2 * MINUTE, None), (NOON + 4 * MINUTE, "unknown")]
    assert changes([(START, "off"), *told, (NOON + 5 * MINUTE, "on")]) == [(NOON + 5 * MINUTE, "on")]
    assert changes([(START, "off"), *told, (NOON + 5 * MINUTE + 1, "on")]) == []


def test_short_gaps_one_after_the_other_do_not_add_up() -> None:
    samples: list[Sample] = [(START, "off")]
    for number in range(5):
        samples += [(NOON + number * 10 * MINUTE, None), (NOON + number * 10 * MINUTE + 4 * MINUTE, "off")]
    assert changes([*samples, (NOON + HOUR, "on")]) == [(NOON + HOUR, "on")]


def test_a_gap_of_one_entity_leaves_another_alone() -> None:
    samples = built(
        [(START, "light.a", "off"), (START, "light.b", "off"), (NOON, "light.a", None), (NOON + HOUR, "light.b", "on")],
        [(START, END)],
    )
    assert traced(samples)[0] == [Event(NOON + HOUR, "light.b", "on")]


@pytest.mark.parametrize(("outage", "found"), [(5 * MINUTE, True), (5 * MINUTE + 1, False)])
def test_time_outside_the_runs_is_a_gap_like_any_other(outage: int, found: bool) -> None:
    known = [(START, NOON), (NOON + outage, END)]
    events, intervals = lamp([(START, "off"), (NOON + outage, "on")], known)
    assert events == ([Event(NOON + outage, LAMP, "on")] if found else [])
    assert intervals[0] == StateInterval(
        LAMP, "off", START, NOON + outage if found else NOON, start_known=False, end_known=found
    )
    assert intervals[1] == StateInterval(LAMP, "on", NOON + outage, END, start_known=found, end_known=False)


def test_a_gap_that_begins_before_a_run_ends_is_one_gap_with_the_outage() -> None:
    known = [(START, NOON), (NOON + MINUTE, END)]
    before: list[Sample] = [(START, "off"), (NOON - 3 * MINUTE, "unavailable")]
    assert changes([*before, (NOON + 2 * MINUTE, "on")], known) == [(NOON + 2 * MINUTE, "on")]
    assert changes([*before, (NOON + 2 * MINUTE + 1, "on")], known) == []


def test_a_state_seen_outside_every_run_is_lost_at_once() -> None:
    known = [(START, NOON), (NOON + HOUR, END)]
    samples: list[Sample] = [(START, "off"), (NOON + MINUTE, "off"), (NOON + 2 * HOUR, "on")]
    events, intervals = lamp(samples, known)
    assert events == []
    assert [(one.state, one.end) for one in intervals] == [("off", NOON + MINUTE), ("on", END)]


@pytest.mark.parametrize(("after", "found"), [(0, False), (60 * SECOND - 1, False), (60 * SECOND, True)])
def test_in_the_first_60_seconds_of_a_run_states_are_only_established_again(after: int, found: bool) -> None:
    known = [(START, NOON - MINUTE), (NOON, END)]
    events, intervals = lamp([(START, "off"), (NOON + after, "on")], known, [START, NOON])
    assert events == ([Event(NOON + after, LAMP, "on")] if found else [])
    assert intervals[0].end_known is intervals[1].start_known is found
    assert intervals[0].end == (NOON + after if found else NOON - MINUTE)


def test_in_the_first_60_seconds_of_a_run_no_change_is_an_event_and_after_it_the_next_is() -> None:
    samples: list[Sample] = [(START, "off"), (NOON + SECOND, "on"), (NOON + 30 * SECOND, "dim"), (NOON + MINUTE, "on")]
    events, intervals = lamp(samples, starts=[NOON])
    assert events == [Event(NOON + MINUTE, LAMP, "on")]
    assert [(one.start_known, one.end_known) for one in intervals] == [
        (False, False),
        (False, False),
        (False, True),
        (True, False),
    ]
    assert [one.end for one in intervals] == [NOON + SECOND, NOON + 30 * SECOND, NOON + MINUTE, END]


def test_a_restart_that_repeats_the_state_changes_nothing() -> None:
    known = [(START, NOON - 2 * MINUTE), (NOON, END)]
    assert lamp([(START, "off"), (START + HOUR, "on"), (NOON + SECOND, "on"), (NOON + HOUR, "off")], known, [NOON]) == (
        [Event(START + HOUR, LAMP, "on"), Event(NOON + HOUR, LAMP, "off")],
        [
            StateInterval(LAMP, "off", START, START + HOUR, start_known=False, end_known=True),
            StateInterval(LAMP, "on", START + HOUR, NOON + HOUR, start_known=True, end_known=True),
            StateInterval(LAMP, "off", NOON + HOUR, END, start_known=True, end_known=False),
        ],
    )


def test_samples_out_of_order_and_duplicated_give_what_ordered_ones_give() -> None:
    samples: list[Sample] = [(START, "off"), (NOON, "on"), (NOON + MINUTE, None), (NOON + HOUR, "off")]
    assert lamp([*samples[::-1], *samples]) == lamp(samples)


def test_samples_of_one_instant_keep_their_order() -> None:
    assert changes([(START, "off"), (NOON, "on"), (NOON, "off")]) == [(NOON, "on"), (NOON, "off")]
    assert changes([(START, "off"), (NOON, "off"), (NOON, "on")]) == [(NOON, "on")]


def test_events_of_all_entities_come_in_order_of_time_with_their_causes() -> None:
    builder = SampleBuilder()
    for at, entity_id, state, cause in [
        (START, "light.b", "off", DEVICE),
        (START, "light.a", "off", DEVICE),
        (NOON + 1, "light.a", "on", AUTOMATION),
        (NOON, "light.b", "on", USER),
        (NOON + 2, "light.b", "off", DEVICE),
    ]:
        builder.add(at, entity_id, state, cause)
    log = Recording.of(builder.build([(START, END)]), EntityRules()).day(TODAY)
    assert [entity.entity_id for entity in log.entities] == ["light.a", "light.b"]
    assert of_log(log)[0] == [
        Event(NOON, "light.b", "on"),
        Event(NOON + 1, "light.a", "on"),
        Event(NOON + 2, "light.b", "off"),
    ]
    assert log.events.cause.tolist() == [USER, AUTOMATION, DEVICE]


def recording(samples: Sequence[Sample], known: Sequence[Span] = ((START, TOMORROW.end),)) -> Recording:
    return Recording.of(built([(at, LAMP, state) for at, state in samples], known), EntityRules())


def test_the_state_before_a_day_comes_with_it_and_with_the_instant_it_began() -> None:
    late = END - HOUR
    both = recording([(START, "off"), (late, "on"), (END + HOUR, "off")])
    today, tomorrow = both.day(TODAY), both.day(TOMORROW)
    assert of_log(today)[1][-1] == StateInterval(LAMP, "on", late, END, start_known=True, end_known=False)
    assert of_log(tomorrow)[1][0] == StateInterval(LAMP, "on", late, END + HOUR, start_known=True, end_known=True)
    assert of_log(tomorrow)[0] == [Event(END + HOUR, LAMP, "off")]
    assert (today.samples, tomorrow.samples) == (2, 1)
    assert today.known_seconds == tomorrow.known_seconds == 86_400


def test_an_event_at_midnight_belongs_to_the_new_day_only() -> None:
    both = recording([(START, "off"), (END, "on")])
    assert of_log(both.day(TODAY)) == ([], [StateInterval(LAMP, "off", START, END, start_known=False, end_known=False)])
    assert of_log(both.day(TOMORROW))[0] == [Event(END, LAMP, "on")]
    assert StateInterval(LAMP, "off", START, END, start_known=False, end_known=True) in of_log(both.day(TOMORROW))[1]


def test_known_time_is_cut_to_the_day() -> None:
    both = recording([(START, "off")], [(START, NOON), (NOON + HOUR, END + HOUR), (END + 2 * HOUR, END + 3 * HOUR)])
    assert both.day(TODAY).known.tolist() == [[START, NOON], [NOON + HOUR, END]]
    assert both.day(TODAY).known_seconds == 23 * 3600
    assert both.day(TOMORROW).known_seconds == 2 * 3600


def test_a_gap_that_goes_on_at_midnight_is_told_alike_whatever_follows() -> None:
    before: list[Sample] = [(START, "on"), (END - MINUTE, "unavailable")]
    lost = StateInterval(LAMP, "on", START, END - MINUTE, start_known=False, end_known=False)
    for later in ([], [(END + HOUR, "on")], [(END + HOUR, "off")]):
        assert of_log(recording([*before, *later]).day(TODAY)) == ([], [lost])


@pytest.mark.parametrize("state", ["on", "off"])
def test_a_gap_that_goes_on_at_midnight_is_told_alike_even_if_it_ends_soon(state: str) -> None:
    before: list[Sample] = [(START, "on"), (END - MINUTE, "unavailable")]
    told = of_log(recording([*before, (END + MINUTE, state)]).day(TODAY))
    assert told == of_log(recording(before).day(TODAY))


def test_readings_and_ignored_entities_are_in_the_table_but_make_no_events() -> None:
    samples = built(
        [
            (START, "sensor.power", "1"),
            (NOON, "sensor.power", "2"),
            (START, "sun.sun", "above_horizon"),
            (NOON, "sun.sun", "below_horizon"),
            (START, LAMP, "off"),
            (NOON, LAMP, "on"),
        ],
        [(START, END)],
    )
    log = Recording.of(samples, EntityRules()).day(TODAY)
    assert {one.entity_id: one.kind for one in log.entities} == {
        LAMP: Kind.ACTIVITY,
        "sensor.power": Kind.READING,
        "sun.sun": Kind.IGNORED,
    }
    assert of_log(log)[0] == [Event(NOON, LAMP, "on")]
    assert log.samples == 6


def test_a_recording_of_ignored_entities_alone_gives_an_empty_day() -> None:
    ignoring = EntityRules(override={"*": Override(kind=Kind.IGNORED)})
    log = Recording.of(built([(START, LAMP, "off"), (NOON, LAMP, "on")], [(START, END)]), ignoring).day(TODAY)
    assert of_log(log) == ([], [])
    assert log.samples == 2


def test_an_empty_recording_gives_an_empty_day_that_says_what_is_known() -> None:
    nothing = Recording.of(SampleBuilder().build([(START, END)]), EntityRules()).day(TODAY, ["a notice"])
    assert of_log(nothing) == ([], [])
    assert (nothing.entities, nothing.samples, nothing.known_seconds) == ((), 0, 86_400)
    assert nothing.notices == ("a notice",)
    assert Recording.of(SampleBuilder().build([]), EntityRules()).day(TODAY).known_seconds == 0


def test_gaps_alone_make_nothing() -> None:
    assert lamp([(START, None), (NOON, "unavailable"), (NOON + HOUR, "")]) == ([], [])


def test_an_example_day_opens_in_its_first_states() -> None:
    log = example_day([(0, LAMP, "off"), (1.5, LAMP, "on")])
    assert of_log(log)[0] == [Event(START + 90 * SECOND, LAMP, "on")]


def test_the_table_of_a_day_is_classed_by_what_was_seen_until_then() -> None:
    later: list[tuple[int, str, str | None]] = [(END + HOUR, "sensor.mode", "21.5")]
    before: list[tuple[int, str, str | None]] = [(START, "sensor.mode", "eco"), (NOON, "sensor.mode", "away")]
    days = [
        Recording.of(built(samples, [(START, TOMORROW.end)]), EntityRules()).day(TODAY)
        for samples in (before, before + later)
    ]
    assert of_log(days[0])[0] == [Event(NOON, "sensor.mode", "away")]
    assert of_log(days[1]) == of_log(days[0])
