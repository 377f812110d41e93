"""What counts of an entity that was described in several ways."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from jobs.activity.building import Recording, SampleBuilder
from jobs.activity.entities import Description, EntityRules, Override
from jobs.activity.entities import Kind as EntityKind
from jobs.activity.reclassified import prevailing
from jobs.activity.window import HOUR
from tests.support.activity import of_log
from tests.unit.jobs.activity.test_events import END, START, TODAY

WATTS = Description("sensor.x", device_class="power", unit="W")
WORDS = Description("sensor.x", device_class="enum")
PLAIN = Description("sensor.x")
CONFIG = Description("sensor.x", category="config")


@pytest.mark.parametrize(
    ("given", "newest", "counted"),
    [
        ([WATTS], WATTS, [True]),
        ([WATTS, WORDS], WORDS, [False, True]),
        ([WORDS, WATTS], WORDS, [True, False]),
        ([PLAIN, WATTS, WORDS], WORDS, [True, False, True]),
        ([WATTS, CONFIG], CONFIG, [True, True]),  # neither is activity
    ],
)
def test_the_newest_description_as_activity_counts(
    given: Sequence[Description], newest: Description, counted: list[bool]
) -> None:
    assert prevailing(given, EntityRules()) == (newest, counted)


def test_what_the_settings_say_counts_for_all_time() -> None:
    rules = EntityRules(override={"sensor.*": Override(kind=EntityKind.ACTIVITY)})
    assert prevailing([WATTS, WORDS], rules) == (WORDS, [True, True])


@pytest.mark.parametrize("numbers_first", [True, False])
def test_numbers_of_the_time_as_a_reading_are_no_events(numbers_first: bool) -> None:
    halves = [(WATTS, ("12.5", "80", "3")), (WORDS, ("idle", "run", "2"))]
    builder = SampleBuilder()
    at = START
    for about, texts in halves if numbers_first else halves[::-1]:
        builder.describe(about)
        for text in texts:
            builder.add(at, "sensor.x", text)
            at += HOUR
    events, _ = of_log(Recording.of(builder.build([(START, END)]), EntityRules()).day(TODAY))
    assert [event.state for event in events] == ["run", "2"]  # an option may be a number
