"""What this project reports: the rows of ``anomaly``, from stored rows alone."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from jobs.detectors.anomaly import Anomaly
from storage.models import AnomalyDaily
from tests.arena.history import History
from tests.arena.rule import Alarm, AlarmRule

STRICTNESS: Final = (0.3, 1, 3, 10)


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Run the detector once for each strictness: the greatest at which a row is reported is its score."""
    usual = Anomaly()
    for strictness in STRICTNESS:
        detector = replace(
            usual,
            false_discovery_rate=usual.false_discovery_rate / strictness,
            max_false_alarms_a_week=usual.max_false_alarms_a_week / strictness,
        )
        for row in detector.judge(history.days[day], history.stored).rows:
            assert isinstance(row, AnomalyDaily)
            yield Alarm(history.code[row.entity_id], strictness, group=row.group or "")


RULE = AlarmRule(
    name="**ours** (anomaly)",
    source="docs/detectors.md",
    label="its default rates of false alarms / {:g}".format,
    thresholds=STRICTNESS,
    usual=1,
    judge=judge,
)
