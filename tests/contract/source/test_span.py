"""Which whole days a source still holds."""

from __future__ import annotations

from storage.dates import DateRange
from tests.support.scenario_sources import Load
from tests.support.scenarios import BUSY, Scenario, october, scenario, view, window


def test_the_span_holds_each_day_from_the_first_to_the_last_that_is_over(load: Load) -> None:
    recording = scenario("""
        20 00:00:00 light.lamp off
        21 12:00:00 light.lamp on
        23 23:59:59 light.lamp off
    """)
    assert load(recording).span() == DateRange(october(20), october(23))


def test_the_first_day_of_a_recorder_counts_though_it_began_at_noon(load_rows: Load) -> None:
    span = load_rows(BUSY).span()
    assert span is not None
    assert span.first == october(20)


def test_a_source_without_rows_holds_no_day_and_knows_nothing(load: Load) -> None:
    source = load(Scenario(()))
    assert source.span() is None
    log = source.read(window(21))
    assert view(log) == ([], [], [])
    assert (log.samples, log.known_seconds) == (0, 0.0)
    assert source.fingerprint(window(21)) == source.fingerprint(window(21))
