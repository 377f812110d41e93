"""Weeks computed from any store are those computed from memory, and come back from it as they were."""

from __future__ import annotations

import numpy as np

from jobs.detector import HistoryDetector
from jobs.rollups.drift_weekly import DriftWeekly
from jobs.rollups.habit_weekly import HabitWeekly
from jobs.rollups.routine_weekly import RoutineWeekly
from storage.backends.memory import MemoryStore
from storage.batch import DayBatch, DetectorDay
from storage.dates import ONE_DAY, DateRange
from storage.models import DailyAggregate, DetectorRunDaily, SequenceDaily, TimeBasedDaily
from storage.rollup_models import BoutTimesDaily
from storage.store import AggregateStore
from tests.support.weeks_of_rows import FIRST, last_day, run_of, usage_row

DAYS = DateRange(FIRST, last_day(28))
ROLLUPS: tuple[HistoryDetector, ...] = (RoutineWeekly(), HabitWeekly(), DriftWeekly())


def home(seed: int) -> list[DayBatch]:
    """Return four weeks of five entities, the second of which follows the first by two minutes, twice a day."""
    rng, batches = np.random.default_rng(seed), []
    for day in DAYS:
        starts = [sorted(rng.integers(7 * 3600, 22 * 3600, rng.poisson(5) + 2).tolist()) for _ in range(5)]
        starts[1] = sorted([*starts[1], *(at + 120 for at in starts[0][:2])])
        if day > DAYS.last - 8 * ONE_DAY:
            starts[4] = sorted(rng.integers(7 * 3600, 22 * 3600, 30).tolist())
        names = [f"light.n{code}" for code in range(5)]
        found: dict[type[DailyAggregate], list[DailyAggregate]] = {
            TimeBasedDaily: [
                usage_row(day, name, np.bincount(np.array(at) // 3600, minlength=24).tolist())
                for name, at in zip(names, starts, strict=True)
            ],
            BoutTimesDaily: [
                BoutTimesDaily(date=day, entity_id=name, starts=at) for name, at in zip(names, starts, strict=True)
            ],
            SequenceDaily: [],
        }
        findings = [
            DetectorDay(
                run_of(day, model.measurement.removesuffix("_daily")).model_copy(update={"rows": len(rows)}),
                model,
                tuple(rows),
            )
            for model, rows in found.items()
        ]
        batches.append(DayBatch(day, tuple(findings)))
    return batches


def test_weeks_are_the_same_whatever_the_store_and_come_back_as_they_were(store: AggregateStore) -> None:
    memory = MemoryStore()
    for batch in home(40):
        memory.replace_day(batch)
        store.replace_day(batch)
    findings = []
    for one in ROLLUPS:
        expected, found = one.judge(DAYS.last, memory), one.judge(DAYS.last, store)
        assert (list(found.rows), found.reason) == (list(expected.rows), expected.reason)
        assert found.rows
        run = run_of(DAYS.last, one.name).model_copy(update={"rows": len(found.rows)})
        findings.append(DetectorDay(run, one.model, tuple(found.rows)))
    store.replace_day(DayBatch(DAYS.last, tuple(findings)))
    for finding in findings:
        stored = store.read(finding.model, DAYS)
        assert sorted(stored, key=lambda row: row.key()) == sorted(finding.rows, key=lambda row: row.key())
    assert {"routine_weekly", "time_based"} <= {run.detector for run in store.read(DetectorRunDaily, DAYS)}
