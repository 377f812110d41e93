"""What this project reports: the rows of ``co_occurrence``, from one day alone."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log10
from typing import Final

from jobs.activity.events import DayLog
from jobs.detectors.co_occurrence import CoOccurrence
from storage.models import CoOccurrenceDaily
from tests.arena.rule import PairRule, ScoredPair

RATES: Final = (0.15, 0.05, 0.005)  # of false discoveries


def find(logs: Sequence[DayLog]) -> Iterator[ScoredPair]:
    """Run the detector on the last day, once for each rate."""
    for rate in RATES:
        for row in replace(CoOccurrence(), false_discovery_rate=rate).detect(logs[-1]).rows:
            assert isinstance(row, CoOccurrenceDaily)
            yield ScoredPair(row.device_pair, -log10(rate))


RULE = PairRule(
    name="**ours** (co_occurrence), one day",
    source="docs/detectors.md",
    label=lambda threshold: f"{10**-threshold:.3g} false discoveries",
    thresholds=[-log10(rate) for rate in RATES],
    usual=-log10(CoOccurrence().false_discovery_rate),
    find=find,
)
