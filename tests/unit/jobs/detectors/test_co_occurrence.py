import numpy as np
import pytest

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules
from jobs.activity.events import AUTOMATION, DEVICE, DayLog
from jobs.activity.window import MINUTE, SECOND, DayWindow
from jobs.detectors.co_occurrence import CoOccurrence
from storage.models import CoOccurrenceDaily
from tests.support.noise_homes import DAY, UTC

TIMES = [m * MINUTE for m in (430, 520, 640, 780, 905, 1010, 1150, 1260)]


def day(lag_seconds: float, first: Description, second: Description, cause: int = DEVICE) -> DayLog:
    """A day on which the second acts a while after the first, eight times."""
    window, builder = DayWindow(DAY, UTC), SampleBuilder()
    for about in (first, second):
        builder.describe(about)
        builder.add(window.start, about.entity_id, "off")
    for at in TIMES:
        for about, after, why in ((first, 0, DEVICE), (second, round(lag_seconds * SECOND), cause)):
            builder.add(window.start + at + after, about.entity_id, "on", why)
            builder.add(window.start + at + after + MINUTE, about.entity_id, "off", why)
    return Recording.of(builder.build([(window.start, window.end)]), EntityRules()).day(window)


def rows(log: DayLog, detector: CoOccurrence) -> list[CoOccurrenceDaily]:
    return [row for row in detector.detect(log).rows if isinstance(row, CoOccurrenceDaily)]


LAMP, DOOR = Description("light.lamp"), Description("binary_sensor.door")
LINKED = {
    "same_device": day(5, Description("light.a", device_id="x"), Description("light.b", device_id="x")),
    "automation": day(1, DOOR, LAMP, AUTOMATION),
    "simultaneous": day(0.2, Description("light.group"), LAMP),
}


@pytest.mark.parametrize("linked_by", LINKED)
def test_pairs_that_the_home_itself_links_are_left_out_or_flagged(linked_by: str) -> None:
    assert rows(LINKED[linked_by], CoOccurrence()) == []
    assert [row.linked_by for row in rows(LINKED[linked_by], CoOccurrence(linked="flag"))] == [linked_by]


def test_what_is_left_out_is_counted() -> None:
    assert "16 events caused by automations left out" in CoOccurrence().detect(LINKED["automation"]).reason
    assert "1 pair that acts simultaneously left out" in CoOccurrence().detect(LINKED["simultaneous"]).reason


@pytest.mark.parametrize("lag", [1, 5, 9])
def test_a_habit_is_not_taken_for_a_link_of_the_home_itself(lag: int) -> None:
    (row,) = rows(day(lag, DOOR, LAMP), CoOccurrence(linked="flag"))
    assert row.linked_by is None
    assert row.median_gap_seconds == lag
    assert row.first_share == 1
    assert row.entity_ids() == {"binary_sensor.door", "light.lamp"}


def test_a_pair_with_too_long_a_name_is_left_out_and_counted() -> None:
    finding = CoOccurrence().detect(day(5, DOOR, Description(f"light.{'x' * 240}")))
    assert not finding.rows
    assert "1 pair whose name is too long or contains a bar left out" in finding.reason


def test_the_window_decides_what_counts_and_the_lag_what_is_found() -> None:
    near = rows(day(20, DOOR, LAMP), CoOccurrence(time_window_seconds=19))
    assert [row.co_occurrence_count for row in rows(day(20, DOOR, LAMP), CoOccurrence(time_window_seconds=20))] == [8]
    assert near == []


def test_a_burst_counts_once() -> None:
    log = day(5, DOOR, LAMP)
    window, builder = log.window, SampleBuilder()
    builder.add(window.start, "light.lamp", "off")
    builder.add(window.start, "binary_sensor.door", "off")
    for at in TIMES:
        for step in range(20):
            for entity_id, after in (("binary_sensor.door", 0), ("light.lamp", 5)):
                state = ("on", "off")[step % 2]
                builder.add(window.start + at + after * SECOND + step * 9 * SECOND, entity_id, state)
    chatty = Recording.of(builder.build([(window.start, window.end)]), EntityRules()).day(window)
    (row,) = rows(chatty, CoOccurrence())
    assert row.co_occurrence_count == len(TIMES)


def test_nothing_is_matched_across_midnight() -> None:
    window, builder = DayWindow(DAY, UTC), SampleBuilder()
    for entity_id in ("light.a", "light.b"):
        builder.add(window.start - 24 * 60 * MINUTE, entity_id, "off")
    for number in range(6):
        builder.add(window.start - (number + 1) * SECOND, "light.a", ("on", "off")[number % 2])
        builder.add(window.start + number * 10 * MINUTE, "light.b", ("on", "off")[number % 2])
    recording = Recording.of(builder.build([(window.start - 24 * 60 * MINUTE, window.end)]), EntityRules())
    assert not CoOccurrence().detect(recording.day(window)).rows
    assert np.all(recording.day(window).events.at >= window.start)
