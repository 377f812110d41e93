"""Raw events out of real InfluxDB servers, in both layouts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.entities import EntityRules, Kind
from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow
from jobs.sources.influxdb import InfluxSource
from jobs.sources.influxdb_points import LAYOUTS, Layout
from storage.dates import ONE_DAY, DateRange
from storage.errors import SourceError, SourceMismatch, SourceUnavailable
from tests.support.influxdb import LiveServer, free_port

ZONE = ZoneInfo("Europe/Berlin")
DAY = dt.date(2026, 3, 2)
WINDOW = DayWindow(DAY, ZONE)
START = WINDOW.start
DAY_BEFORE = 24 * HOUR
DOOR = "domain=binary_sensor,entity_id=door"
LIGHT = "light.hall,domain=light,entity_id=hall"


def fill(server: LiveServer, lines: Sequence[tuple[str, int]]) -> str:
    """A new bucket with points: (what stands before the time, microseconds)."""
    bucket = server.new_bucket()
    for first in range(0, len(lines), 5000):
        body = "\n".join(f"{text} {at * 1000}" for text, at in lines[first : first + 5000])
        server.write(bucket, body.encode())
    return bucket


def source_of(server: LiveServer, bucket: str, **more: Any) -> InfluxSource:
    return InfluxSource(server.server(), bucket, ZONE, EntityRules(), **more)


def read(server: LiveServer, lines: Sequence[tuple[str, int]], day: dt.date = DAY, **more: Any) -> DayLog:
    source = source_of(server, fill(server, lines), **more)
    log = source.read(DayWindow(day, ZONE))
    source.close()
    return log


def events(log: DayLog) -> list[tuple[str, str, int]]:
    found = log.events
    return [
        (log.entities[entity].entity_id, log.states[state], at - log.window.start)
        for at, entity, state in zip(found.at.tolist(), found.entity.tolist(), found.state.tolist(), strict=True)
    ]


def intervals(log: DayLog, entity_id: str) -> list[tuple[str, int, int, bool, bool]]:
    found = log.intervals
    start = log.window.start
    return [
        (log.states[state], begin - start, end - start, start_known, end_known)
        for entity, state, begin, end, start_known, end_known in zip(
            *(column.tolist() for column in (found.entity, found.state, found.start, found.end)),
            found.start_known.tolist(),
            found.end_known.tolist(),
            strict=True,
        )
        if log.entities[entity].entity_id == entity_id
    ]


def alive(first: int, last: int, every: int = HOUR) -> list[tuple[str, int]]:
    """A thermometer that reports regularly, so that no silence is too long."""
    return [
        (f"°C,domain=sensor,entity_id=outside value={20 + number % 7 / 10}", at)
        for number, at in enumerate(range(first, last, every))
    ]


def light(state: str, at: int) -> tuple[str, int]:
    return f'{LIGHT} state="{state}",value={int(state == "on")},brightness_str="None"', at


def test_changes_of_state_are_events_and_repeats_are_none(influxdb: LiveServer) -> None:
    lines = [
        *alive(START - DAY_BEFORE, WINDOW.end),
        light("off", START - 5 * HOUR),
        light("on", START + 7 * HOUR + 123_456),
        light("on", START + 8 * HOUR),
        light("off", START + 9 * HOUR),
    ]
    log = read(influxdb, lines)
    assert events(log) == [("light.hall", "on", 7 * HOUR + 123_456), ("light.hall", "off", 9 * HOUR)]
    assert [(one.entity_id, one.kind) for one in log.entities] == [
        ("light.hall", Kind.ACTIVITY),
        ("sensor.outside", Kind.READING),
    ]
    assert log.samples == 3 + 24
    assert log.notices == ()


def test_the_state_in_which_a_day_opens_is_followed_back_to_where_it_began(influxdb: LiveServer) -> None:
    lines = [
        *alive(START - 3 * DAY_BEFORE, WINDOW.end),
        light("off", START - 60 * HOUR),
        light("on", START - 50 * HOUR),
        light("on", START - 2 * HOUR),
        light("off", START + HOUR),
    ]
    assert intervals(read(influxdb, lines), "light.hall")[0] == ("on", -50 * HOUR, HOUR, True, True)
    (first, *_) = intervals(read(influxdb, lines, lookback_days=1), "light.hall")
    assert first == ("on", -2 * HOUR, HOUR, False, True)  # when it began lies beyond the bound


def test_a_state_that_was_repeated_many_times_before_the_day_keeps_its_begin(influxdb: LiveServer) -> None:
    begin = START - 30 * HOUR
    lines = [
        *alive(START - 2 * DAY_BEFORE, WINDOW.end),
        light("off", begin - HOUR),
        *(light("on", begin + minute * MINUTE) for minute in range(300)),
        light("off", START + HOUR),
    ]
    assert intervals(read(influxdb, lines), "light.hall")[0] == ("on", -30 * HOUR, HOUR, True, True)


def test_a_long_silence_is_not_known_time(influxdb: LiveServer) -> None:
    lines = [*alive(START - 3 * HOUR, START + 5 * HOUR), *alive(START + 15 * HOUR, WINDOW.end + HOUR)]
    log = read(influxdb, lines, max_silence_hours=12)  # six times the usual silence is less
    assert [[edge - START for edge in span] for span in log.known.tolist()] == [
        [0, 4 * HOUR],
        [15 * HOUR, 24 * HOUR],
    ]
    slow = [
        *alive(START - 12 * HOUR, START + 5 * HOUR, 2 * HOUR),
        *alive(START + 15 * HOUR, WINDOW.end + 2 * HOUR, 2 * HOUR),
    ]
    assert read(influxdb, slow).known_seconds < 86_400
    assert read(influxdb, slow, max_silence_hours=12).known_seconds == 86_400


def test_the_end_of_a_day_is_known_once_something_came_after_it(influxdb: LiveServer) -> None:
    evening = alive(START, START + 23 * HOUR)
    assert read(influxdb, evening).known_seconds == 22 * 3600
    assert read(influxdb, [*evening, *alive(WINDOW.end + 2 * HOUR, WINDOW.end + 3 * HOUR)]).known_seconds == 86_400


def test_a_restart_sends_everything_anew_and_nothing_of_it_is_an_event(influxdb: LiveServer) -> None:
    names = [f"lamp_{number}" for number in range(8)]

    def all_lamps(state: str, at: int, **others: str) -> list[tuple[str, int]]:
        return [
            (f'light.{name},domain=light,entity_id={name} state="{others.get(name, state)}"', at + place * 1000)
            for place, name in enumerate(names)
        ]

    lines = [
        *alive(START - HOUR, WINDOW.end + HOUR, 10 * MINUTE),
        *all_lamps("off", START + HOUR),
        *all_lamps("off", START + 5 * HOUR, lamp_3="on"),
    ]
    log = read(influxdb, lines)
    assert events(log) == []
    assert ("on", 5 * HOUR + 3000, 24 * HOUR, False, False) in intervals(log, "light.lamp_3")
    assert log.known_seconds < 86_400


def test_everybody_home_at_once_is_no_restart(influxdb: LiveServer) -> None:
    lines = alive(START - HOUR, WINDOW.end + HOUR)
    for state, at in (("off", START + HOUR), ("on", START + 5 * HOUR)):
        spread = MINUTE if state == "off" else 1000
        for place in range(8):
            lines.append((f'light.l{place},domain=light,entity_id=l{place} state="{state}"', at + place * spread))
    assert len(events(read(influxdb, lines))) == 8


@pytest.mark.parametrize(
    ("point", "kind", "device_class"),
    [
        (
            'binary_sensor.door,domain=binary_sensor,entity_id=door device_class_str="door",state="on"',
            "activity",
            "door",
        ),
        ('binary_sensor__door,domain=binary_sensor,entity_id=door state="on"', "activity", "door"),
        ('states,domain=binary_sensor,entity_id=door device_class_str="door",state="on"', "activity", "door"),
        ('binary_sensor,domain=binary_sensor,entity_id=door state="on"', "activity", None),
        ("W,domain=sensor,entity_id=door value=12.5", "reading", None),
        ('sensor.door,domain=sensor,entity_id=door state_class_str="total",value=3', "reading", None),
        ('states,domain=sensor,entity_id=door unit_of_measurement_str="W",value=3', "reading", None),
        ('sensor.door,domain=sensor,entity_id=door state="washing"', "activity", None),
    ],
)
def test_the_measurement_and_the_attributes_tell_what_an_entity_is(
    influxdb: LiveServer, point: str, kind: str, device_class: str | None
) -> None:
    log = read(influxdb, [(point, START + HOUR)])
    ((entity,),) = [log.entities]
    assert entity.entity_id.endswith(".door")
    assert (entity.kind, entity.device_class) == (kind, device_class)


def test_hostile_names_and_states_are_read_as_they_are(influxdb: LiveServer) -> None:
    text = '°\\,C\\ "x",domain=light,entity_id=a\\,b\\=c\\ "d" state="two\nlines \\"and\\" \\\\"'
    log = read(influxdb, [(text, START + HOUR)])
    assert [one.entity_id for one in log.entities] == ['light.a,b=c "d"']
    assert log.states == ('two\nlines "and" \\',)


def test_raw_events_of_another_organisation_are_not_taken_for_this_homes(influxdb: LiveServer) -> None:
    bucket = fill(influxdb, alive(START, WINDOW.end))
    stranger = source_of(influxdb.other_organisation(bucket), bucket)
    for deed in (lambda: stranger.read(WINDOW), stranger.span):
        with pytest.raises(SourceError, match="belongs to another organisation"):
            deed()
    stranger.close()


def test_points_without_an_entity_are_counted_and_told(influxdb: LiveServer) -> None:
    lines = [("cpu,host=a value=3", START + HOUR), ("cpu,host=a value=4", START + 2 * HOUR), light("on", START + HOUR)]
    log = read(influxdb, lines)
    assert [one.entity_id for one in log.entities] == ["light.hall"]
    assert log.notices == ("2 points belong to no entity",)


def test_the_layout_of_one_measurement_has_full_ids_areas_and_other_events(influxdb: LiveServer) -> None:
    def point(state: str, event: str = ",event_type=state_changed", area: str = "hall") -> str:
        return f'home_assistant_events,entity_id=light.hall,domain=light,area_id={area}{event} state="{state}"'

    lines = [
        (point("off", area="cellar"), START - HOUR),
        (point("on"), START + HOUR),
        (point("pressed", ",event_type=button"), START + 2 * HOUR),
        (point("off", ""), START + 3 * HOUR),
        ('other,entity_id=light.hall state="on"', START + 4 * HOUR),
    ]
    log = read(influxdb, lines, layout=LAYOUTS["home_assistant_events"])
    assert events(log) == [("light.hall", "on", HOUR), ("light.hall", "off", 3 * HOUR)]
    assert [one.area_id for one in log.entities] == ["hall"]


def test_names_can_be_other_ones(influxdb: LiveServer) -> None:
    layout = Layout(measurement='my "events"', entity_tag="id", fields=("new state",))
    lines = [
        ('my\\ "events",id=light.a new\\ state="off"', START),
        ('my\\ "events",id=light.a new\\ state="on"', START + SECOND),
    ]
    assert events(read(influxdb, lines, layout=layout)) == [("light.a", "on", SECOND)]


def test_a_day_of_a_hundred_thousand_events_is_read_whole(influxdb: LiveServer) -> None:
    count = 100_000
    step = (WINDOW.end - START) // count
    lines = [
        (f'light.l{number % 50},domain=light,entity_id=l{number % 50} state="{("off", "on")[number // 50 % 2]}"', at)
        for number, at in enumerate(range(START, START + count * step, step))
    ]
    log = read(influxdb, [*alive(START - HOUR, START), *lines])
    assert log.samples == count
    assert len(log.events) == count - 50


@pytest.mark.parametrize(
    "other",
    [
        "printer,domain=sensor,entity_id=jobs state=3,value=1",
        "printer,domain=sensor,entity_id=jobs state=3i,value=1",
        "alarm,domain=binary_sensor,entity_id=alarm state=true",
        'printer,domain=sensor,entity_id=jobs state="three",value="1"',
        'temp,domain=sensor,entity_id=jobs state="warm",value=t',
    ],
)
def test_a_field_of_another_type_in_another_measurement_hides_no_state(influxdb: LiveServer, other: str) -> None:
    lines = [
        *alive(START - HOUR, WINDOW.end + HOUR),
        (other, START + 2 * HOUR),
        light("off", START - HOUR),
        light("on", START + 7 * HOUR),
        light("off", START + 8 * HOUR),
        ('media_player.tv,domain=media_player,entity_id=tv state="idle"', START + HOUR),
        ('media_player.tv,domain=media_player,entity_id=tv state="playing"', START + 9 * HOUR),
    ]
    log = read(influxdb, lines)
    expected = [
        ("light.hall", "on", 7 * HOUR),
        ("light.hall", "off", 8 * HOUR),
        ("media_player.tv", "playing", 9 * HOUR),
    ]
    assert events(log) == expected
    assert log.known_seconds == 86_400
    assert log.samples == 24 + 5


def test_a_number_or_a_truth_value_is_a_state_where_there_is_no_text(influxdb: LiveServer) -> None:
    layout = Layout(measurement="raw", entity_tag="id", fields=("state",))
    for off, on in (("0", "1"), ("0i", "1i"), ("false", "true"), ('"OFF"', '"ON"')):
        lines = [(f"raw,id=switch.pump state={off}", START), (f"raw,id=switch.pump state={on}", START + HOUR)]
        assert events(read(influxdb, lines, layout=layout)) == [("switch.pump", "on", HOUR)]


@pytest.mark.parametrize("days", [8, 60])
def test_a_change_after_weeks_of_silence_is_an_event(influxdb: LiveServer, days: int) -> None:
    lines = [
        *alive(START - days * DAY_BEFORE - HOUR, WINDOW.end + HOUR),
        light("off", START - days * DAY_BEFORE),
        light("on", START + 9 * HOUR),
        light("off", START + 10 * HOUR),
        ('light.new,domain=light,entity_id=new state="on"', START + 11 * HOUR),
    ]
    log = read(influxdb, lines)
    assert events(log) == [("light.hall", "on", 9 * HOUR), ("light.hall", "off", 10 * HOUR)]
    assert ("on", 9 * HOUR, 10 * HOUR, True, True) in intervals(log, "light.hall")


def test_a_field_that_newer_versions_write_beside_the_state_changes_nothing(influxdb: LiveServer) -> None:
    lines = [
        *alive(START - HOUR, WINDOW.end + HOUR),
        (f'{LIGHT} state="off",value=0,time_="07:00"', START),
        (f'{LIGHT} state="on",value=1,time_="07:00",time__str="x"', START + HOUR),
    ]
    assert events(read(influxdb, lines)) == [("light.hall", "on", HOUR)]


@pytest.mark.parametrize("strays", [["1970-01-01"], ["2019-06-01"], ["1970-01-01", "2025-12-10", "2025-12-20"]])
def test_points_of_a_wrong_clock_make_no_days(influxdb: LiveServer, strays: list[str]) -> None:
    wrong = [
        light("on", round(dt.datetime.fromisoformat(f"{day}T00:00:05+00:00").timestamp()) * SECOND) for day in strays
    ]
    boot = [light("off", number * SECOND) for number in range(40)]  # of 1970: a board whose clock was not set yet
    source = source_of(influxdb, fill(influxdb, [*wrong, *boot, *alive(START + 5 * MINUTE, WINDOW.end + 30 * HOUR)]))
    assert source.span() == DateRange(DAY, DAY + ONE_DAY)
    source.close()


def test_a_restart_over_two_minutes_with_wrong_states_first_leaves_what_it_did_not_end(influxdb: LiveServer) -> None:
    names = [f"plug_{number}" for number in range(12)]

    def plug(name: str, state: str, at: int) -> tuple[str, int]:
        return f'switch.{name},domain=switch,entity_id={name} state="{state}"', at

    noon = START + 12 * HOUR
    bed = "binary_sensor.bed,domain=binary_sensor,entity_id=bed"
    lines = [
        *alive(START - HOUR, noon, 2 * MINUTE),
        *alive(noon + 8 * MINUTE, WINDOW.end + HOUR, 2 * MINUTE),
        *(plug(name, "off", START + 20 * MINUTE * place) for place, name in enumerate(names)),
        (f'{bed} state="off"', START - HOUR),
        (f'{bed} state="on"', START + 8 * HOUR),
        *(plug(name, "off", noon + 6 * MINUTE + 9 * place * SECOND) for place, name in enumerate(names)),
        (f'{bed} state="off"', noon + 6 * MINUTE + 20 * SECOND),
        (f'{bed} state="on"', noon + 6 * MINUTE + 110 * SECOND),
        (f'{bed} state="off"', START + 18 * HOUR),
    ]
    log = read(influxdb, lines)
    assert events(log) == [("binary_sensor.bed", "on", 8 * HOUR), ("binary_sensor.bed", "off", 18 * HOUR)]
    assert ("on", 8 * HOUR, 18 * HOUR, True, True) in intervals(log, "binary_sensor.bed")
    assert log.known_seconds == 86_400 - 8 * 60  # the last before the stop came two minutes before it


def test_the_fingerprint_changes_with_late_events_and_with_nothing_else(influxdb: LiveServer) -> None:
    bucket = fill(influxdb, [*alive(START - HOUR, WINDOW.end + HOUR), light("off", START + HOUR)])
    source = source_of(influxdb, bucket)
    before = source.fingerprint(WINDOW)
    assert source.fingerprint(WINDOW) == before
    assert source.fingerprint(DayWindow(DAY + ONE_DAY, ZONE)) != before
    opened = influxdb.connection()
    opened.write(bucket, f'{LIGHT} state="on" {(START + 9 * HOUR) // SECOND}')
    assert source.fingerprint(WINDOW) != before
    opened.close()
    source.close()


def test_the_span_holds_whole_days_only(influxdb: LiveServer) -> None:
    whole = alive(START + 5 * MINUTE, WINDOW.end + 30 * HOUR)
    for lines, first, last in (
        (whole, DAY, DAY + ONE_DAY),
        (alive(START + 2 * HOUR, WINDOW.end + 30 * HOUR), DAY + ONE_DAY, DAY + ONE_DAY),
    ):
        source = source_of(influxdb, fill(influxdb, lines))
        assert source.span() == DateRange(first, last)
        source.close()
    for few in ([], alive(START + 10 * HOUR, START + 12 * HOUR)):
        source = source_of(influxdb, fill(influxdb, few))
        assert source.span() is None
        assert len(source.read(WINDOW).events) == 0
        source.close()


def test_a_point_from_the_future_tells_nothing_of_what_is_held(influxdb: LiveServer) -> None:
    future = round((dt.datetime.now(dt.UTC) + 40 * ONE_DAY).timestamp()) * SECOND
    source = source_of(influxdb, fill(influxdb, [*alive(START, WINDOW.end + 30 * HOUR), light("on", future)]))
    assert source.span() == DateRange(DAY, DAY + ONE_DAY)
    source.close()


def test_a_bucket_that_is_not_there_and_a_server_that_is_not_are_told_apart(influxdb: LiveServer) -> None:
    missing = source_of(influxdb, "nowhere")
    for ask in (missing.span, lambda: missing.read(WINDOW), lambda: missing.fingerprint(WINDOW)):
        with pytest.raises(SourceMismatch, match="nowhere"):
            ask()
    missing.close()
    dead = source_of(LiveServer(f"http://127.0.0.1:{free_port()}", influxdb.major, influxdb.org), "x")
    with pytest.raises(SourceUnavailable):
        dead.span()
    dead.close()


def test_entities_are_called_as_their_newest_points_say(influxdb: LiveServer) -> None:
    def named(name: str, at: int) -> tuple[str, int]:
        return f'{LIGHT} state="on",friendly_name_str="{name}"', at

    bucket = fill(influxdb, [*alive(START, START + HOUR), named("Old", START), named("Hall lamp", START + HOUR)])
    source = source_of(influxdb, bucket)
    names = source.names()
    source.close()
    assert names.entities == {"light.hall": "Hall lamp"}


def test_a_bucket_without_points_or_names_has_no_names(influxdb: LiveServer) -> None:
    for lines in ([], alive(START, START + HOUR)):
        source = source_of(influxdb, fill(influxdb, lines))
        assert not source.names().entities
        source.close()
