"""The simulated home keeps the promises of a source."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from jobs.activity.entities import EntityRules
from jobs.activity.window import DayWindow
from jobs.sources.home_assistant_db.database import HomeAssistantDatabase
from jobs.sources.simulated_home import SimulatedHome
from storage.dates import DateRange
from tests.support.recorder import from_samples
from tests.support.scenarios import MADRID, october, view, window


@pytest.fixture(scope="module")
def simulated() -> SimulatedHome:
    return SimulatedHome(
        MADRID, EntityRules(), seed=3, events_per_day=3000, first_day=october(20), last_day=dt.date(2025, 11, 2)
    )


def test_a_simulated_home_reads_the_same_twice_and_in_any_order(simulated: SimulatedHome) -> None:
    forth = [view(simulated.read(window(day))) for day in (24, 25, 26)]
    simulated.close()
    assert [view(simulated.read(window(day))) for day in (26, 25, 24)] == forth[::-1]


def test_the_days_of_a_simulated_home_tile(simulated: SimulatedHome) -> None:
    logs = [simulated.read(window(day)) for day in range(20, 27)]
    events = [event for log in logs for event in view(log).events]
    assert len(events) == len(set(events)) > 500
    finished = [interval for log in logs for interval in view(log).intervals if interval.endswith("]")]
    assert len(finished) == len(set(finished)) > 500
    for log in logs:
        assert log.known_seconds <= log.window.seconds
        assert np.all((log.window.start <= log.events.at) & (log.events.at < log.window.end))
        assert np.all(log.known[:, 0] < log.known[:, 1])
        assert np.all(log.known[1:, 0] > log.known[:-1, 1])


def test_a_simulated_home_recorded_by_home_assistant_reads_the_same(simulated: SimulatedHome, tmp_path: Path) -> None:
    path = from_samples(tmp_path / "home-assistant_v2.db", simulated.samples(october(20), october(27)))
    recorded = HomeAssistantDatabase(f"sqlite:///{path}", MADRID, EntityRules())
    assert recorded.span() == DateRange(october(20), october(27))
    for day in range(20, 28):
        one, other = recorded.read(window(day)), simulated.read(window(day))
        assert view(one) == view(other)
        assert (one.samples, one.known_seconds) == (other.samples, other.known_seconds)
        kinds = {entity.entity_id: entity.kind for entity in other.entities}
        assert {entity.entity_id: entity.kind for entity in one.entities} == kinds
    recorded.close()


def test_the_fingerprint_of_a_simulated_day_is_stable_and_its_own(simulated: SimulatedHome) -> None:
    prints = [simulated.fingerprint(window(day)) for day in range(20, 27)]
    assert len(set(prints)) == 7
    longer = SimulatedHome(MADRID, EntityRules(), seed=3, events_per_day=3000, first_day=october(20))
    assert [longer.fingerprint(window(day)) for day in range(20, 27)] == prints


def test_a_simulated_home_holds_the_days_it_was_asked_for_and_nothing_beyond(simulated: SimulatedHome) -> None:
    assert simulated.span() == DateRange(october(20), dt.date(2025, 11, 2))
    for day in (october(19), dt.date(2025, 11, 3)):
        log = simulated.read(DayWindow(day, MADRID))
        assert (log.samples, log.known_seconds, view(log).events) == (0, 0.0, [])
