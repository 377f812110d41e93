"""What this project reports: the rows of ``anomaly``, from stored rows alone."""

from collections.abc import Iterator
from dataclasses import replace
from math import log10
from typing import Final

from jobs.detectors.anomaly import Anomaly
from storage.models import AnomalyDaily
from tests.arena.history import History
from tests.arena.rule import Alarm, AlarmRule

RATES: Final = (0.1, 0.03, 0.003)  # of false discoveries


def judge(history: History, day: int) -> Iterator[Alarm]:
    """Run the detector once for each rate: the least at which a row is reported is its score."""
    for rate in RATES:
        for row in replace(Anomaly(), false_discovery_rate=rate).judge(history.days[day], history.stored).rows:
            assert isinstance(row, AnomalyDaily)
            yield Alarm(history.code[row.entity_id], -log10(rate), group=row.group or "")


RULE = AlarmRule(
    name="**ours** (anomaly)",
    source="docs/detectors.md",
    label=lambda threshold: f"{10**-threshold:.3g} false discoveries",
    thresholds=[-log10(rate) for rate in RATES],
    usual=-log10(Anomaly().false_discovery_rate),
    judge=judge,
)
