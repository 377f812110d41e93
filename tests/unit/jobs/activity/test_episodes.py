"""What belongs to one episode: stories of one entity and the lengths of its episodes, in minutes."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from jobs.activity.building import Recording, SampleBuilder, example_day
from jobs.activity.entities import EntityRules
from jobs.activity.events import DayLog
from jobs.activity.window import HOUR, MINUTE, DayWindow
from jobs.detectors.duration import Duration
from jobs.detectors.time_based import TimeBased

UTC = ZoneInfo("UTC")
TODAY = DayWindow(dt.date(2026, 3, 2), UTC)
TOMORROW = DayWindow(dt.date(2026, 3, 3), UTC)


def story(text: str) -> list[tuple[float, str]]:
    """``600 playing, 610 idle``: minutes of the day and states."""
    steps = [step.split() for step in text.split(",")]
    return [(float(minute), state) for minute, state in steps]


def lengths(log: DayLog) -> list[float]:
    """Of the episodes that were measured on a day, in minutes."""
    one = log.episodes
    measured = one.start_known & one.end_known & (one.known_at >= log.window.start) & (one.known_at < log.window.end)
    return [float(length) / MINUTE for length in (one.end - one.start)[measured]]


@pytest.mark.parametrize(
    ("entity_id", "text", "minutes", "events"),
    [
        ("media_player.tv", "0 off, 600 playing, 610 buffering, 610.1 playing, 720 idle", [120], 2),
        ("media_player.tv", "0 off, 600 buffering, 600.1 playing, 720 buffering, 720.2 idle", [119.9 + 0.2], 2),
        ("media_player.tv", "0 off, 600 playing, 610 buffering, 616 playing, 720 idle", [], 2),  # who knows
        ("media_player.tv", "0 off, 600 playing, 610 paused, 615 playing, 720 idle", [120], 4),
        ("media_player.tv", "0 off, 600 playing, 610 paused, 615.1 playing, 720 idle", [10, 104.9], 4),
        ("media_player.tv", "0 off, 600 on, 610 playing, 700 on, 720 off", [120], 4),
        (
            "lock.door",
            "0 locked, 480 unlocking, 481 unlocked, 490 jammed, 500 unlocked, 510 locking, 511 locked",
            [30],
            2,
        ),
        ("lock.door", "0 locked, 480 unlocked, 485 opening, 485.1 open, 485.2 unlocked, 510 locked", [30], 4),
        ("lock.door", "0 locked, 480 jammed, 485 locked", [], 0),
        (
            "cover.blind",
            "0 closed, 480 opening, 481 open, 600 closing, 601 open, 700 opening, 701 open, 720 closed",
            [239],
            2,
        ),
        ("valve.garden", "0 closed, 480 opening, 490 open, 500 closing, 510 closed", [20], 2),
        ("climate.bath", "0 off, 400 heat, 420 auto, 430 heat_cool, 460 off", [60], 4),
        ("vacuum.robot", "0 docked, 600 cleaning, 620 paused, 622 cleaning, 640 returning, 645 docked", [40], 5),
        ("lawn_mower.m", "0 docked, 600 mowing, 620 paused, 630 mowing, 640 docked", [20, 10], 4),
        (
            "alarm_control_panel.a",
            "0 disarmed, 600 arming, 601 armed_away, 700 pending, 701 triggered, 710 disarmed",
            [9],
            3,
        ),
        ("water_heater.w", "0 off, 600 eco, 620 performance, 660 off", [60], 3),
        ("person.ann", "0 not_home, 600 home, 660 Work, 700 home, 720 not_home", [60, 20], 4),
        ("sensor.washer", "0 idle, 600 Run, 610 Pause, 612 RUN, 660 finished", [60], 4),
    ],
)
def test_what_belongs_together_is_one_episode(entity_id: str, text: str, minutes: list[float], events: int) -> None:
    log = example_day([(minute, entity_id, state) for minute, state in story(text)])
    assert lengths(log) == pytest.approx(minutes)
    assert len(log.events) == events
    rows = Duration().detect(log).rows
    assert [row.model_dump()["episodes"] for row in rows] == [len(minutes)] * bool(minutes)
    uses = TimeBased().detect(log).rows
    assert [row.model_dump()["occurrences"] for row in uses] == [events] * bool(events)


def recording(entity_id: str, text: str) -> Recording:
    builder = SampleBuilder()
    for minute, state in story(text):
        builder.add(TODAY.start + round(minute * MINUTE), entity_id, state)
    return Recording.of(builder.build([(TODAY.start, TOMORROW.end)]), EntityRules())


@pytest.mark.parametrize(
    ("text", "today", "tomorrow"),
    [
        ("0 idle, 1380 playing, 1438 paused, 1441 playing, 1470 idle", [], [90]),
        ("0 idle, 1380 playing, 1438 paused, 1444 playing, 1470 idle", [], [58, 26]),
        ("0 idle, 1380 playing, 1438 paused, 1441 idle", [], [58]),
        ("0 idle, 1380 playing, 1434 paused, 1441 playing, 1470 idle", [54], [29]),
        ("0 idle, 1380 playing, 1438 buffering, 1441 playing, 1470 idle", [], [90]),
        ("0 idle, 1380 playing, 1438 idle", [58], []),
    ],
)
def test_an_episode_near_midnight_is_counted_once_on_the_day_that_knows_its_end(
    text: str, today: list[float], tomorrow: list[float]
) -> None:
    both = recording("media_player.tv", text)
    assert lengths(both.day(TODAY)) == today
    assert lengths(both.day(TOMORROW)) == tomorrow
    until_midnight = ",".join(step for step in text.split(",") if float(step.split()[0]) < 24 * 60)
    one, other = both.day(TODAY), recording("media_player.tv", until_midnight).day(TODAY)
    for column in ("start", "end", "start_known", "end_known"):
        assert getattr(one.episodes, column).tolist() == getattr(other.episodes, column).tolist()


def test_a_glitch_among_words_is_a_gap_and_not_a_state() -> None:
    for glitch in ("0", "7,5", "None", "14:05"):
        log = example_day([(0, "sensor.washer", "off"), (600, "sensor.washer", "on"), (630, "sensor.washer", glitch),
                           (630.1, "sensor.washer", "on"), (660, "sensor.washer", "off")])  # fmt: skip
        assert lengths(log) == [60]
        assert len(log.events) == 2


def test_a_long_gap_ends_an_episode_without_a_measure() -> None:
    log = recording("lock.door", "0 locked, 600 unlocked, 610 unavailable, 616 unlocked, 700 locked").day(TODAY)
    assert lengths(log) == []
    assert log.episodes.end.tolist() == [TODAY.start + 10 * HOUR + 10 * MINUTE, TODAY.start + 700 * MINUTE]
