"""A detector of another package can spoil its own rows, and nothing else."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from jobs.activity.events import DayLog
from jobs.detector import Finding
from jobs.outcome import Outcome
from jobs.run_report import DayStatus
from storage.daily_aggregate import DailyAggregate
from storage.dates import DateRange
from storage.errors import SettingsError, StoreUnavailable
from storage.ledger.entry import Status
from storage.models import TimeBasedDaily
from storage.store import AggregateReader
from tests.support.detectors import CountDaily, Fixed, TrendDaily
from tests.support.night import DAYS, FIRST, Night
from tests.support.rows import time_based

FOREIGN = "count"


@dataclass
class Foreign:
    """A detector that does what a test gives it."""

    act: Callable[[DayLog], Any]
    name: str = FOREIGN
    version: int = 1
    model: type[DailyAggregate] = CountDaily

    def detect(self, log: DayLog) -> Any:
        return self.act(log)


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    home = Night(tmp_path)
    yield home
    home.ledger.close()


def raises(error: BaseException) -> Callable[[DayLog], Any]:
    def act(_log: DayLog) -> Any:
        raise error

    return act


def returns(*rows: Any, reason: Any = "x") -> Callable[[DayLog], Any]:
    return lambda _log: Finding(rows, reason)


def lazily(_log: DayLog) -> Any:
    def rows() -> Iterator[DailyAggregate]:
        raise SystemExit(0)
        yield

    return Finding(rows(), "x")  # type: ignore[arg-type]


def deep(_log: DayLog) -> Any:
    return deep(_log)


class Liar(CountDaily):
    measurement = "liar_daily"


def unvalidated(**values: object) -> CountDaily:
    """Make a row without validation, as a detector may that is in a hurry."""
    return CountDaily.model_construct(None, **values)  # type: ignore[arg-type]


VALID = CountDaily(date=FIRST, entity_id="light.a", events=1)
UNVALIDATED = unvalidated(date=FIRST, entity_id="a\nb", events=-1)
HARM: dict[str, Callable[[DayLog], Any]] = {
    "sys.exit(0)": raises(SystemExit(0)),
    "GeneratorExit": raises(GeneratorExit()),
    "recursion": deep,
    "memory": raises(MemoryError()),
    "an error of the store": raises(StoreUnavailable("mine")),
    "an error of the settings": raises(SettingsError("mine")),
    "lazy rows": lazily,
    "nothing": lambda _log: None,
    "no reason": returns(reason=None),
    "rows of no model": returns(1),
    "another model": returns(time_based(day=FIRST)),
    "a model derived from its own": returns(Liar(date=FIRST, entity_id="a", events=1)),
    "a row of another day": returns(CountDaily(date=FIRST - dt.timedelta(1), entity_id="a", events=1)),
    "two rows of one key": returns(VALID, VALID),
    "an unvalidated tag": returns(UNVALIDATED),
    "an unvalidated value": returns(unvalidated(date=FIRST, entity_id="a", events="many")),
    "an absent value": returns(unvalidated(date=FIRST, entity_id="a")),
    "a value that no JSON holds": returns(unvalidated(date=FIRST, entity_id="a", events=float("nan"))),
    "half a character": returns(unvalidated(date=FIRST, entity_id="\ud800", events=1)),
}


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("harm", HARM)
def test_whatever_a_detector_does_costs_its_own_rows_only_and_is_tried_again(night: Night, harm: str) -> None:
    night.detectors = [Foreign(HARM[harm]), Fixed(), night.trend]
    report = night.run(only_day=FIRST)
    assert report.outcome is Outcome.INCOMPLETE
    (day,) = report.days
    assert day.status is DayStatus.PARTIAL, day.error
    assert {name: one.status for name, one in day.detectors.items()} == {
        FOREIGN: Status.FAILED,
        "time_based": Status.WRITTEN,
        "trend": Status.WRITTEN,
    }
    assert day.detectors[FOREIGN].error
    night.detectors[0] = night.counter
    assert night.run(only_day=FIRST).days[0].detectors[FOREIGN].status is Status.WRITTEN


def test_the_signal_to_stop_ends_the_run_from_inside_a_detector_too(night: Night) -> None:
    night.detectors = [Foreign(raises(KeyboardInterrupt()))]
    with pytest.raises(KeyboardInterrupt):
        night.run()
    assert night.statuses(FOREIGN) == {}


def test_a_detector_cannot_write_into_what_the_others_are_given(night: Night) -> None:
    refused: list[str] = []

    def write(log: DayLog) -> Any:
        tables: dict[str, Any] = {"events": log.events, "intervals": log.intervals, "episodes": log.episodes}
        arrays = {
            f"{name}.{one.name}": getattr(table, one.name) for name, table in tables.items() for one in fields(table)
        }
        for name, array in {**arrays, "known": log.known}.items():
            try:
                array[:] = 0
            except ValueError:
                refused.append(name)
            else:
                raise AssertionError(name)
        with pytest.raises(TypeError):
            log.keys["a"] = "b"  # type: ignore[index]
        return Finding([], "tried")

    night.detectors = [Foreign(write, "a_writer", 1, TrendDaily), night.counter]
    night.run(only_day=FIRST)
    assert night.ledger.entries()[FIRST, "a_writer"].error == ""
    assert len(refused) == 4 + 6 + 6 + 1
    assert night.counts() == {FIRST: 4}


def test_a_history_detector_cannot_change_staged_rows_for_the_next_one(night: Night) -> None:
    seen: list[list[int]] = []

    @dataclass
    class Changes:
        name: str
        version: int
        model: type[DailyAggregate]

        def judge(self, day: dt.date, history: AggregateReader) -> Finding:
            (row,) = history.read(TimeBasedDaily, DateRange(day, day))
            seen.append(list(row.hourly_distribution))
            row.hourly_distribution[0] += 100
            return Finding([], "changed")

    night.detectors = [Fixed(), Changes("count", 1, CountDaily), Changes("trend", 1, TrendDaily)]
    night.run(only_day=FIRST)
    assert seen[0] == seen[1]


def damage(night: Night, detector: str, payload: str) -> None:
    with sqlite3.connect(night.ledger.where) as connection:
        query = "UPDATE entry SET payload = ? WHERE detector = ? AND day = ?"
        assert connection.execute(query, (payload, detector, FIRST.isoformat())).rowcount == 1
    connection.close()


@pytest.mark.parametrize("payload", ["{", "[]", "7", '{"measurement": "count_daily"}', '{"measurement": 1}' * 2])
def test_staged_rows_that_cannot_be_read_fail_their_own_detector_and_keep_no_other_from_the_store(
    night: Night, payload: str
) -> None:
    night.detectors = [night.counter, Fixed(), night.trend]
    night.store.down = True
    night.run(only_day=FIRST)
    damage(night, FOREIGN, payload)
    night.store.down = False
    report = night.run()
    assert report.outcome is Outcome.INCOMPLETE
    first = report.days[0]
    assert first.detectors["time_based"].status is Status.WRITTEN
    assert first.detectors[FOREIGN].status is Status.FAILED
    assert "staged rows cannot be read" in first.detectors[FOREIGN].error
    assert [day.status for day in report.days[1:]] == [DayStatus.WRITTEN] * 4
    again = night.run()
    assert again.outcome is Outcome.DONE
    assert night.counts() == dict.fromkeys(DAYS, 4)


def test_staged_rows_that_cannot_be_read_are_left_where_they_are_until_there_are_new_ones(night: Night) -> None:
    night.detectors = [night.counter]
    night.store.down = True
    night.run(only_day=FIRST)
    damage(night, FOREIGN, "{")
    night.store.down = False
    night.source.held = DateRange(DAYS.last, DAYS.last)
    for _ in range(2):
        night.run(only_day=FIRST)
        assert night.statuses() == {FIRST: Status.FAILED}
    with sqlite3.connect(night.ledger.where) as connection:
        assert connection.execute("SELECT payload FROM entry").fetchall() == [("{",)]
    connection.close()
