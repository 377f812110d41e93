from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from jobs.activity.building import Recording
from jobs.activity.entities import EntityRules, Kind, Override
from jobs.activity.events import AUTOMATION, GAP, USER, DayLog, Samples
from jobs.activity.window import DAY, HOUR, MINUTE, SECOND, DayWindow, from_instant
from jobs.detectors.anomaly import Anomaly
from jobs.sources.base import EventSource
from jobs.sources.simulated_home import LOOKBACK, SimulatedHome
from storage.backends.memory import MemoryStore
from storage.dates import DateRange
from storage.errors import SettingsError
from tests.support.routine_homes import day_rows

BERLIN = ZoneInfo("Europe/Berlin")
RULES = EntityRules()
FIRST = dt.date(2025, 1, 1)
DAYS = tuple(DateRange(FIRST, dt.date(2025, 2, 25)))  # eight weeks

Row = tuple[int, str, str, int]
Stretch = tuple[str, str, int, int, bool, bool]


def home(events_per_day: int = 1000, **settings: object) -> SimulatedHome:
    zone = settings.pop("zone", BERLIN)
    return SimulatedHome(zone, RULES, events_per_day=events_per_day, **settings)  # type: ignore[arg-type] # test data


def window(day: dt.date, zone: ZoneInfo = BERLIN) -> DayWindow:
    return DayWindow(day, zone)


def events(log: DayLog) -> list[Row]:
    found = log.events
    return [
        (at, log.entities[entity].entity_id, log.states[state], cause)
        for at, entity, state, cause in zip(
            found.at.tolist(), found.entity.tolist(), found.state.tolist(), found.cause.tolist(), strict=True
        )
    ]


def stretches(log: DayLog) -> list[Stretch]:
    found = log.intervals
    columns = (found.entity, found.state, found.start, found.end, found.start_known, found.end_known)
    return [
        (log.entities[entity].entity_id, log.states[state], *rest)
        for entity, state, *rest in zip(*(column.tolist() for column in columns), strict=True)
    ]


def active(log: DayLog) -> list[Stretch]:
    states = {entity.entity_id: entity.active_states for entity in log.entities}
    return [stretch for stretch in stretches(log) if stretch[1] in states[stretch[0]]]


def contents(log: DayLog) -> tuple[object, ...]:
    """Everything that a log says, to be compared."""
    return (log.window, log.entities, log.samples, log.known.tolist(), log.notices, events(log), stretches(log))


def undisturbed(logs: Iterable[DayLog]) -> Iterator[DayLog]:
    """The days without an outage of hours."""
    return (log for log in logs if log.window.seconds - log.known_seconds < 300)


def discrete(samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([about.unit is None for about in samples.entities])[samples.entity]


def code(samples: Samples, entity_id: str) -> int:
    return [about.entity_id for about in samples.entities].index(entity_id)


@pytest.fixture(scope="module")
def logs() -> list[DayLog]:
    """Eight winter weeks of a small home, read day by day."""
    source = home(3000)
    return [source.read(window(day)) for day in DAYS]


@pytest.fixture(scope="module")
def samples() -> Samples:
    """The same eight weeks, raw."""
    return home(3000).samples(DAYS[0], DAYS[-1])


def test_it_is_an_event_source() -> None:
    source: EventSource = home()
    assert source.span() is not None


def test_the_same_home_reports_the_same_day_again() -> None:
    day = window(dt.date(2025, 3, 5))
    assert contents(home(seed=7).read(day)) == contents(home(seed=7).read(day))


def test_a_day_does_not_depend_on_what_was_read_before_it() -> None:
    days = [window(FIRST + dt.timedelta(days=offset)) for offset in (0, 1, 2, 3, 9, 10, 40)]
    source = home()
    ascending = [contents(source.read(day)) for day in days]
    source.close()
    descending = [contents(source.read(day)) for day in reversed(days)]
    alone = [contents(home().read(day)) for day in days]
    assert ascending == descending[::-1] == alone


def test_a_day_does_not_depend_on_how_python_hashes() -> None:
    script = """
import datetime as dt, hashlib
from zoneinfo import ZoneInfo
from jobs.activity.entities import EntityRules
from jobs.sources.simulated_home import SimulatedHome
samples = SimulatedHome(ZoneInfo("UTC"), EntityRules(), events_per_day=500).samples(*[dt.date(2025, 1, 3)] * 2)
print(hashlib.sha256(b"".join(c.tobytes() for c in (samples.at, samples.entity, samples.state))).hexdigest())
"""
    printed = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    day = dt.date(2025, 1, 3)
    here = SimulatedHome(ZoneInfo("UTC"), RULES, events_per_day=500).samples(day, day)
    digest = hashlib.sha256(b"".join(column.tobytes() for column in (here.at, here.entity, here.state))).hexdigest()
    assert printed == {digest}


def test_another_seed_is_another_home() -> None:
    day = window(dt.date(2025, 1, 15))
    one, other = home(seed=1).read(day), home(seed=2).read(day)
    assert one.entities == other.entities
    assert not set(events(one)) & set(events(other))


@pytest.mark.parametrize(("events_per_day", "days"), [(500, 42), (10_000, 28), (100_000, 8), (200_000, 2)])
def test_a_day_has_about_as_many_samples_as_asked_for(events_per_day: int, days: int) -> None:
    source = home(events_per_day)
    read = [source.read(window(day)) for day in DAYS[:days]]
    counts = [log.samples for log in undisturbed(read)]
    assert len(counts) > 0.8 * days
    assert 0.85 * events_per_day < min(counts)
    assert max(counts) < 1.15 * events_per_day


@pytest.mark.parametrize(("events_per_day", "days"), [(10_000, 28), (100_000, 8)])
def test_about_half_of_the_samples_of_a_busy_home_are_discrete(events_per_day: int, days: int) -> None:
    raw = home(events_per_day).samples(DAYS[0], DAYS[days - 1])
    which = np.searchsorted([window(day).end for day in DAYS[:days]], raw.at, side="right")
    shares = np.bincount(which, discrete(raw)) / np.bincount(which)
    assert 0.4 < np.median(shares) < 0.6
    assert np.mean((shares > 0.4) & (shares < 0.6)) > 0.9


@pytest.mark.parametrize(("events_per_day", "fewest", "most"), [(500, 25, 50), (10_000, 35, 50), (100_000, 100, 150)])
def test_a_busier_home_has_somewhat_more_entities(events_per_day: int, fewest: int, most: int) -> None:
    entities = home(events_per_day).read(window(FIRST)).entities
    assert fewest <= len(entities) <= most
    assert len({entity.entity_id for entity in entities}) == len(entities)


def test_every_entity_reports_on_the_first_day(samples: Samples) -> None:
    opening = samples.at < window(FIRST).start + 60 * SECOND
    assert set(samples.entity[opening].tolist()) == set(range(len(samples.entities)))


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("Europe/Berlin", dt.date(2025, 3, 28)),  # 23 hours on the 30th
        ("Europe/Berlin", dt.date(2025, 10, 24)),  # 25 hours on the 26th
        ("Antarctica/Troll", dt.date(2025, 10, 24)),  # 26 hours
        ("America/Santiago", dt.date(2025, 9, 5)),  # no midnight on the 7th
        ("Pacific/Apia", dt.date(2011, 12, 28)),  # no 30th at all
    ],
)
def test_days_leave_no_gap_and_no_overlap_when_the_clocks_change(zone: str, first: dt.date) -> None:
    place = ZoneInfo(zone)
    source = home(zone=place, first_day=first)
    days = DateRange.ending(first + dt.timedelta(days=5), 6)
    read = [source.read(window(day, place)) for day in days]
    raw = source.samples(days.first, days.last)
    together = [row for log in read for row in events(log)]
    assert len({log.window.seconds for log in read}) > 1  # the clocks did change
    assert len(set(together)) == len(together)
    assert [row[0] for row in together] == sorted(row[0] for row in together)
    assert sum(log.samples for log in read) == len(raw.at)
    for log in read:
        assert np.all((log.events.at >= log.window.start) & (log.events.at < log.window.end))
        assert np.all(log.intervals.start <= log.intervals.end)
        assert log.known_seconds <= log.window.seconds


@pytest.mark.parametrize("day", [dt.date(2025, 3, 30), dt.date(2025, 10, 26)])
def test_routines_follow_local_time_when_the_clocks_change(day: dt.date) -> None:
    """The day after: a routine by universal time would be an hour off for months."""
    for offset in (-6, 1):  # the Monday before and the Monday after
        monday = window(day + dt.timedelta(days=offset))
        source = home(first_day=day - dt.timedelta(days=8))
        heated = [at for at, entity, _, _ in events(source.read(monday)) if entity == "vacuum.robot"]
        assert monday.hours_of(np.array(heated[:1])).tolist() == [10]


def test_days_read_one_by_one_hold_the_events_of_the_whole_recording(logs: list[DayLog], samples: Samples) -> None:
    whole = Recording.of(samples, RULES)
    for log in logs:
        assert events(log) == events(whole.day(log.window))


def test_what_is_active_has_its_true_length_on_every_day(logs: list[DayLog], samples: Samples) -> None:
    """Nobody may be at home for longer than a single read looks back."""
    whole = Recording.of(samples, RULES)
    for log in logs:
        assert active(log) == active(whole.day(log.window))


def test_an_interval_over_midnight_is_part_of_both_days(logs: list[DayLog]) -> None:
    kinds = set()
    for before, after in pairwise(logs):
        midnight = after.window.start
        if (after.window.end - midnight) / SECOND > min(before.known_seconds, after.known_seconds) + 1:
            continue
        open_at_the_end = {row[:3] for row in active(before) if row[3] == midnight and row[4] and not row[5]}
        open_at_the_start = {row[:3] for row in active(after) if row[2] < midnight < row[3] and row[4]}
        assert open_at_the_end == open_at_the_start
        kinds |= {entity for entity, _, _ in open_at_the_start}
    assert {"binary_sensor.bed_occupancy", "person.anna", "person.ben"} <= kinds


def test_a_light_is_forgotten_overnight_now_and_then(logs: list[DayLog]) -> None:
    hours = [
        (end - start) / HOUR
        for log in logs
        for entity, _, start, end, begun, finished in active(log)
        if entity.startswith("light.") and begun and finished
    ]
    assert 1 <= sum(length > 7 for length in hours) < 0.01 * len(hours)


def test_nothing_happens_where_one_simulated_day_meets_the_next(samples: Samples) -> None:
    """All entities repeat their state at 04:00; one that differed from the evening's would be an event."""
    found = Recording.of(samples, RULES).events
    for day in DAYS:
        four = window(day).start + 4 * HOUR
        assert not np.any((found.at >= four) & (found.at < four + 5 * MINUTE))


def test_a_restart_repeats_every_state_and_causes_no_event(samples: Samples) -> None:
    found = Recording.of(samples, RULES).events
    assert 5 <= len(samples.starts) <= 20  # about once a week, and the first
    for start in samples.starts.tolist():
        first_minute = (samples.at >= start) & (samples.at < start + MINUTE)
        assert set(samples.entity[first_minute].tolist()) == set(range(len(samples.entities)))
        assert np.any(samples.state[first_minute] == GAP)
        assert not np.any((found.at >= start) & (found.at < start + MINUTE))


def test_a_restart_takes_less_than_two_minutes_and_nothing_is_recorded_meanwhile(samples: Samples) -> None:
    lost = np.column_stack((samples.known[:-1, 1], samples.known[1:, 0]))
    seconds = (lost[:, 1] - lost[:, 0]) / SECOND
    short = seconds[seconds < 300]
    assert len(short) >= 4
    assert np.all((short >= 20) & (short <= 90))
    for start, end in lost.tolist():
        assert not np.any((samples.at >= start) & (samples.at < end))


def test_a_few_days_have_an_outage_of_hours_and_say_so() -> None:
    source = home(500)
    days = DateRange.ending(FIRST + dt.timedelta(days=299), 300)
    raw = source.samples(days.first, days.last)
    lengths = (raw.known[1:, 0] - raw.known[:-1, 1]) / HOUR
    assert 3 <= np.count_nonzero(lengths > 1) <= 20
    longest = int(np.argmax(lengths))
    day = from_instant(int(raw.known[longest, 1])).astimezone(BERLIN).date()
    log = source.read(window(day))
    assert log.window.seconds - log.known_seconds == pytest.approx(lengths[longest] * 3600)
    assert log.known.shape == (2, 2)


def test_readings_are_not_activity(logs: list[DayLog], samples: Samples) -> None:
    numeric = {about.entity_id for about in samples.entities if about.unit}
    assert {about.unit for about in samples.entities if about.unit} == {"°C", "%", "lx", "W"}
    for log in logs:
        assert all((entity.kind is Kind.READING) == (entity.entity_id in numeric) for entity in log.entities)
        assert not {row[1] for row in events(log)} & numeric


def test_readings_are_plausible_numbers(samples: Samples) -> None:
    for entity_id, low, high in (("sensor.office_temperature", 10, 30), ("sensor.bathroom_humidity", 20, 80)):
        mine = samples.state[(samples.entity == code(samples, entity_id)) & (samples.state != GAP)]
        values = [float(samples.states[state]) for state in mine.tolist()]
        assert low < min(values) < max(values) < high
    mine = samples.state[(samples.entity == code(samples, "sensor.office_illuminance")) & (samples.state != GAP)]
    assert {"0"} < {samples.states[state] for state in mine.tolist()}


def test_the_settings_may_make_a_reading_an_activity_without_losing_continuity() -> None:
    rules = EntityRules(override={"sensor.house_power": Override(kind=Kind.ACTIVITY)})
    source = SimulatedHome(BERLIN, rules, events_per_day=1000)
    whole = Recording.of(source.samples(FIRST, DAYS[5]), rules)
    day = window(DAYS[5])
    assert events(source.read(day)) == events(whole.day(day))
    assert "sensor.house_power" in {row[1] for row in events(source.read(day))}


def test_states_are_repeated_without_a_change(samples: Samples) -> None:
    mine = samples.state[samples.entity == code(samples, "person.anna")]
    assert np.count_nonzero(mine[1:] == mine[:-1]) > len(DAYS)


def test_devices_fall_silent_now_and_then_and_come_back(samples: Samples) -> None:
    quiet = set()
    for entity, about in enumerate(samples.entities):
        gaps = samples.state[samples.entity == entity] == GAP
        near_start = np.min(np.abs(samples.at[samples.entity == entity][:, None] - samples.starts), axis=1) < MINUTE
        if np.any(gaps & ~near_start) and not gaps[-1]:
            quiet.add(about.device_id)
    assert len(quiet - {None}) >= 3


def test_one_sensor_dies_for_good_after_some_weeks() -> None:
    raw = home(500).samples(FIRST, FIRST + dt.timedelta(days=79))
    mine = raw.entity == code(raw, "binary_sensor.pantry_door")
    last = raw.at[mine & (raw.state != GAP)].max()
    assert 20 * DAY < last - raw.at[0] < 51 * DAY
    assert raw.state[mine][-1] == GAP


@pytest.mark.parametrize("seed", range(12))
def test_an_unusual_day_comes_once_in_four_weeks_and_only_if_asked_for(seed: int) -> None:
    days = DateRange.ending(FIRST + dt.timedelta(days=83), 84)
    source = home(seed=seed, unusual_days=True)
    unusual = [place for place, day in enumerate(days) if source.is_unusual(day)]
    assert [place // 28 for place in unusual] == [0, 1, 2]
    assert min(place % 28 for place in unusual) >= 18
    assert not any(home(seed=seed).is_unusual(day) for day in days)
    assert not source.is_unusual(FIRST - dt.timedelta(days=5))


def test_an_unusual_day_changes_the_fridge_door_and_no_other_entity() -> None:
    ordinary, unusual = home(3000), home(3000, unusual_days=True)
    day = next(day for day in DAYS if unusual.is_unusual(day))
    before, after = events(ordinary.read(window(day))), events(unusual.read(window(day)))
    door = "binary_sensor.fridge_door"
    assert [row for row in before if row[1] != door] == [row for row in after if row[1] != door]
    opened = [row for row in after if row[1:3] == (door, "on")]
    assert len(opened) > 80 > 3 * sum(row[1:3] == (door, "on") for row in before) / 2
    assert [row[2] for row in after if row[1] == door] == ["on", "off"] * len(opened)


def test_other_days_are_the_same_whether_or_not_there_are_unusual_ones() -> None:
    ordinary, unusual = home(unusual_days=False), home(unusual_days=True)
    for place, day in enumerate(DAYS):
        same = contents(ordinary.read(window(day))) == contents(unusual.read(window(day)))
        near = any(unusual.is_unusual(earlier) for earlier in DAYS[max(place - LOOKBACK, 0) : place + 1])
        assert same or near
        assert (ordinary.fingerprint(window(day)) == unusual.fingerprint(window(day))) != near


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_default_anomaly_detector_finds_the_unusual_day(seed: int) -> None:
    days = DateRange.ending(FIRST + dt.timedelta(days=27), 28)
    source = home(2000, seed=seed, unusual_days=True)
    day = next(day for day in days if source.is_unusual(day))
    store = MemoryStore(row for past in days if past <= day for row in day_rows(source.read(window(past))))
    assert ("binary_sensor.fridge_door", "count_high") in {row.key() for row in Anomaly().judge(day, store).rows}


def test_some_names_are_valid_but_awkward(logs: list[DayLog]) -> None:
    assert any(row[1] == "light.küche_o'neill" for log in logs for row in events(log))


def test_a_device_shares_its_id_and_its_area_among_its_entities(logs: list[DayLog]) -> None:
    office = {entity.entity_id for entity in logs[0].entities if entity.device_id == "motion_office"}
    assert office == {"binary_sensor.office_motion", "sensor.office_illuminance", "sensor.office_temperature"}
    assert {entity.area_id for entity in logs[0].entities if entity.device_id == "motion_office"} == {"office"}


def test_motion_in_the_hallway_leads_to_its_light_by_an_automation(logs: list[DayLog]) -> None:
    lit = followed = 0
    for log in undisturbed(logs):
        rows = events(log)
        motion = np.array([row[0] for row in rows if row[1] == "binary_sensor.hallway_motion" and row[2] == "on"])
        for at, _, _, cause in (row for row in rows if row[1] == "light.hallway" and row[2] == "on"):
            lit += 1
            followed += bool(np.any((motion < at) & (at - motion < 10 * SECOND))) and cause == AUTOMATION
    assert lit > 100
    assert followed > 0.9 * lit


def test_lights_go_out_by_automation_or_by_hand(logs: list[DayLog]) -> None:
    causes = [
        cause for log in logs for _, entity, state, cause in events(log) if entity == "light.kitchen" and state == "off"
    ]
    assert set(causes) == {AUTOMATION, USER}


def test_the_light_group_follows_its_members(logs: list[DayLog]) -> None:
    for log in undisturbed(logs):
        rows = events(log)
        members = {
            at for at, entity, _, _ in rows if entity in {"light.living_room_ceiling", "light.living_room_floor_lamp"}
        }
        for at, entity, _, _ in rows:
            if entity == "light.living_room_all":
                assert any(abs(at - member) < SECOND for member in members)


def test_the_front_door_opens_when_people_come_and_go(logs: list[DayLog]) -> None:
    for log in undisturbed(logs):
        rows = events(log)
        opened = np.array(
            [at for at, entity, state, _ in rows if (entity, state) == ("binary_sensor.front_door", "on")]
        )
        for at, entity, _, _ in rows:
            if entity.startswith("person."):
                assert np.min(np.abs(opened - at)) < 3 * MINUTE


def test_weekends_differ_from_weekdays(logs: list[DayLog]) -> None:
    first_coffee: dict[bool, list[int]] = {True: [], False: []}
    vacuumed = set()
    for log in undisturbed(logs):
        weekend = log.window.day.weekday() >= 5
        for at, entity, state, _ in events(log):
            if entity == "switch.coffee_machine" and state == "on":
                first_coffee[weekend].append(at - log.window.start)
            if entity == "vacuum.robot":
                vacuumed.add(weekend)
    assert np.median(first_coffee[True]) - np.median(first_coffee[False]) > HOUR
    assert vacuumed == {False}


def test_the_residents_are_away_for_a_night_now_and_then_and_then_nothing_moves() -> None:
    whole = Recording.of(home(500).samples(FIRST, FIRST + dt.timedelta(days=299)), RULES)
    ids, states = [entity.entity_id for entity in whole.entities], whole.samples.states
    away = (whole.intervals.state == states.index("not_home")) & (whole.intervals.entity == ids.index("person.ben"))
    trips = whole.intervals[away & (whole.intervals.end - whole.intervals.start > 20 * HOUR)]
    assert 2 <= len(trips) <= 12
    motion = whole.events.at[whole.events.entity == ids.index("binary_sensor.kitchen_motion")]
    for start, end in zip(trips.start.tolist(), trips.end.tolist(), strict=True):
        assert not np.any((motion > start + HOUR) & (motion < end - HOUR))


def test_days_vary(logs: list[DayLog]) -> None:
    up = [
        min(at for at, entity, state, _ in events(log) if (entity, state) == ("switch.coffee_machine", "on"))
        - log.window.start
        for log in undisturbed(logs)
        if log.window.day.weekday() < 5
    ]
    assert np.std(up) > 3 * MINUTE


def test_the_span_is_what_was_asked_for() -> None:
    assert home(last_day=dt.date(2025, 1, 31)).span() == DateRange(FIRST, dt.date(2025, 1, 31))


def test_a_home_without_a_last_day_goes_on_and_its_last_day_can_be_read() -> None:
    source = home()
    span = source.span()
    assert span.first == FIRST
    assert dt.date.max - span.last < dt.timedelta(days=10)
    assert source.read(window(span.last)).samples > 0


def test_nothing_is_known_after_the_last_day() -> None:
    source = home(last_day=dt.date(2025, 1, 31))
    assert source.read(window(dt.date(2025, 1, 31))).known_seconds > 0
    after = source.read(window(dt.date(2025, 2, 1)))
    assert (after.samples, len(after.events), after.known_seconds) == (0, 0, 0.0)


def test_a_last_day_before_the_first_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"source\.last_day"):
        home(last_day=dt.date(2024, 12, 31))


def test_samples_come_in_order_and_only_from_the_days_asked_for() -> None:
    first, last = dt.date(2025, 1, 10), dt.date(2025, 1, 12)
    raw = home().samples(first, last)
    assert np.all(np.diff(raw.at) >= 0)
    assert window(first).start <= raw.at[0]
    assert raw.at[-1] < window(last).end
    assert (raw.known[0, 0], raw.known[-1, 1]) == (window(first).start, window(last).end)


def test_the_fingerprint_differs_for_other_days_and_homes_and_for_nothing_else() -> None:
    day = window(dt.date(2025, 1, 10))
    prints = {
        home().fingerprint(day),
        home().fingerprint(window(dt.date(2025, 1, 11))),
        home(seed=2).fingerprint(day),
        home(2000).fingerprint(day),
        home(first_day=dt.date(2025, 1, 2)).fingerprint(day),
        home(zone=ZoneInfo("UTC")).fingerprint(window(day.day, ZoneInfo("UTC"))),
    }
    assert len(prints) == 6
    assert home().fingerprint(day) == home(last_day=dt.date(2025, 1, 31)).fingerprint(day)


def test_closing_twice_does_no_harm_and_reading_goes_on() -> None:
    source, day = home(), window(FIRST)
    before = contents(source.read(day))
    source.close()
    source.close()
    assert contents(source.read(day)) == before
