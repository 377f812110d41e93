"""What holds for anomaly, and for all detectors over weeks, on a home with a jump and a sensor that died."""

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from jobs import nightly
from jobs.activity.entities import Description
from jobs.activity.window import HOUR, MINUTE, SECOND, DayWindow
from jobs.detector import NotJudged
from jobs.detectors.anomaly import Anomaly
from jobs.pipeline import Pipeline
from jobs.registry import load
from jobs.run_report import DayStatus
from storage.backends.memory import MemoryStore
from storage.dates import ONE_DAY, DateRange
from storage.ledger.ledger import Ledger
from storage.models import AnomalyDaily, DailyAggregate
from tests.support.golden import history_row, run
from tests.support.memory_source import MemorySource, Row

ZONE = ZoneInfo("Europe/Berlin")
DAYS = DateRange(dt.date(2026, 3, 1), dt.date(2026, 4, 4))  # the clocks go forward on 29 March
NOW = dt.datetime(2026, 4, 5, 3, 30, tzinfo=dt.UTC)
DETECTORS = [one.detector for one in load()]
USUAL = {"light.hall": 9, "binary_sensor.door": 6, "light.kitchen": 12, "binary_sensor.cellar": 7, "switch.fan": 4}


def counted(days: DateRange = DAYS, usual: Mapping[str, int] | None = None) -> list[DailyAggregate]:
    """Bouts a day: the hall lamp jumps on the last day, the cellar's sensor has been dead for three."""
    rng = np.random.default_rng(11)
    found: list[DailyAggregate] = [*map(run, days)]
    for place, (entity_id, mean) in enumerate((usual or USUAL).items()):
        for left, day in enumerate(reversed(list(days))):
            bouts = int(rng.poisson(mean))
            bouts = bouts + 30 if (place, left) == (0, 0) else 0 if place == 3 and left < 3 else bouts
            found += [history_row(day, entity_id, bouts)] if bouts else []
    return found


def anomalies(rows: Iterable[DailyAggregate], day: dt.date = DAYS.last) -> list[AnomalyDaily]:
    return [row for row in Anomaly().judge(day, MemoryStore(rows)).rows if isinstance(row, AnomalyDaily)]


def figures(rows: Iterable[AnomalyDaily]) -> list[tuple[object, ...]]:
    """What rows say apart from names."""
    return sorted(
        (row.anomaly_type, row.occurrences, round(row.anomaly_score, 9), round(row.baseline_deviation, 9))
        for row in rows
    )


def test_a_jump_and_a_dead_sensor_are_found() -> None:
    found = {(row.entity_id, row.anomaly_type) for row in anomalies(counted())}
    assert found == {("light.hall", "count_high"), ("binary_sensor.cellar", "count_low")}


def test_order_of_stored_rows_changes_nothing() -> None:
    rows = counted()
    mixed = [rows[place] for place in np.random.default_rng(1).permutation(len(rows)).tolist()]
    assert anomalies(mixed) == anomalies(rows)


def test_other_names_change_nothing_but_names() -> None:
    names = dict(zip(USUAL, ["light.z", "light.y", "light.c", "light.x", "light.a"], strict=True))
    renamed = counted(usual={names[entity_id]: mean for entity_id, mean in USUAL.items()})
    assert figures(anomalies(renamed)) == figures(anomalies(counted()))
    assert {row.entity_id for row in anomalies(renamed)} == {"light.z", "light.x"}


def test_a_day_without_any_row_is_reported_as_a_quiet_day_of_the_home() -> None:
    rows = [row for row in counted() if row.date < DAYS.last or row.measurement == "detector_run_daily"]
    finding = Anomaly().judge(DAYS.last, MemoryStore(rows))
    assert not finding.rows
    assert "the whole home was quiet" in finding.reason


def test_a_single_event_in_weeks_is_not_an_anomaly() -> None:
    rows: list[DailyAggregate] = [*map(run, DAYS), history_row(DAYS.last, "light.a", 1)]
    finding = Anomaly().judge(DAYS.last, MemoryStore(rows))
    assert not finding.rows
    assert finding.reason


def test_a_day_of_outage_is_not_judged_and_not_part_of_the_baseline() -> None:
    rows = [run(row.date, 0.0) if row == run(DAYS.last) else row for row in counted()]
    assert isinstance(Anomaly().judge(DAYS.last, MemoryStore(rows)), NotJudged)
    out = DAYS.first + 20 * ONE_DAY
    rows = [run(out, 0.0) if row == run(out) else row for row in counted() if row == run(out) or row.date != out]
    assert "compared with 27 complete days" in Anomaly().judge(DAYS.last, MemoryStore(rows)).reason


def test_a_thousand_entities_are_judged() -> None:
    usual = {f"light.l{number:04}": 3 + number % 9 for number in range(1000)}
    found = anomalies(counted(usual=usual))
    assert ("light.l0000", "count_high") in {(row.entity_id, row.anomaly_type) for row in found}
    assert len(found) < 4


def weeks(*silent: str) -> MemorySource:
    """Raw events of the same home, and entities that never do anything."""
    rows = [Row(DayWindow(DAYS.first, ZONE).start, entity_id, "off") for entity_id in (*USUAL, *silent)]
    for row in counted():
        window = DayWindow(row.date, ZONE)
        for bout in range(getattr(row, "bouts", 0)):
            shift = sum(map(ord, row.key()[0])) * 37 + row.date.day * 11
            at = window.start + 5 * HOUR + ((bout * 23 + shift) % 1000) * MINUTE
            rows += [Row(at, row.key()[0], "on"), Row(at + 40 * SECOND, row.key()[0], "off")]
    areas = {"light.hall": "hall", "binary_sensor.door": "hall", "light.kitchen": "kitchen"}
    about = [Description(entity_id, area_id=areas.get(entity_id)) for entity_id in (*USUAL, *silent)]
    start, end = DayWindow(DAYS.first, ZONE).start, DayWindow(DAYS.last, ZONE).end
    source = MemorySource(ZONE, rows, runs=[(start, end)], about=about)
    source.held = DAYS
    return source


def stored(source: MemorySource, ledger: Path, parts: Iterable[DateRange]) -> list[DailyAggregate]:
    """All rows after a backfill of some ranges, one after the other."""
    store = MemoryStore()
    with Ledger(ledger, clock=lambda: NOW) as kept:
        pipeline = Pipeline(DETECTORS, source, store, kept, ZONE, lambda: NOW)
        for part in parts:
            report = nightly.backfill(pipeline, part, yesterday=DAYS.last, retention_days=0)
            assert {day.status for day in report.days} <= {DayStatus.WRITTEN, DayStatus.PARTIAL}
    models = {one.model for one in DETECTORS}
    return [row for model in sorted(models, key=lambda one: one.measurement) for row in store.read(model, DAYS)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[DailyAggregate]:
    """What a backfill in one go stores."""
    return stored(weeks(), tmp_path_factory.mktemp("whole") / "ledger.db", [DAYS])


@pytest.mark.slow
def test_a_backfill_in_ascending_parts_gives_what_one_in_one_go_gives(
    whole: list[DailyAggregate], tmp_path: Path
) -> None:
    edges = [DAYS.first, DAYS.first + 9 * ONE_DAY, DAYS.first + 29 * ONE_DAY, DAYS.last + ONE_DAY]
    parts = [DateRange(first, then - ONE_DAY) for first, then in itertools.pairwise(edges)]
    assert stored(weeks(), tmp_path / "ledger.db", parts) == whole
    kinds = {row.measurement for row in whole}
    assert {"time_based_daily", "duration_daily", "room_based_daily", "anomaly_daily"} <= kinds


@pytest.mark.slow
def test_an_entity_that_never_does_anything_changes_no_row_in_weeks(
    whole: list[DailyAggregate], tmp_path: Path
) -> None:
    assert stored(weeks("light.aaa_new", "light.zzz_new"), tmp_path / "ledger.db", [DAYS]) == whole
