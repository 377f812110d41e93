import datetime as dt

import pytest

from jobs.cli.demo_findings import anomaly_sentence
from storage.models import AnomalyDaily, Severity

FIRST = dt.date(2026, 3, 2)


def anomaly(kind: str, occurrences: int, day: int = 0) -> AnomalyDaily:
    return AnomalyDaily(
        date=FIRST + dt.timedelta(days=day),
        entity_id="light.a",
        anomaly_type=kind,
        anomaly_score=0.5,
        baseline_deviation=5,
        occurrences=occurrences,
        severity=Severity.HIGH,
    )


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([anomaly("count_high", 30)], "2026-03-02: light.a was active 30 times, usually 8 times a day (high)."),
        ([anomaly("count_low", 1)], "2026-03-02: light.a was active only 1 time, usually 8 times a day (high)."),
        ([anomaly("count_low", 0)], "2026-03-02: light.a was silent, usually 8 times a day (high)."),
        ([anomaly("unusual_hour", 4)], "2026-03-02: light.a was active at unusual hours (high)."),
        ([anomaly("long_duration", 4)], "2026-03-02: light.a was on for unusually long (high)."),
        (
            [anomaly("still_active", 1)],
            "2026-03-02: light.a was still on at the end of the day, for unusually long (high).",
        ),
        (
            [anomaly("count_low", 0), anomaly("count_low", 0, 1)],
            "2026-03-02 to 2026-03-03: light.a was silent, usually 8 times a day (high).",
        ),
        (
            [anomaly("count_high", 20), anomaly("count_high", 30, 9)],
            "since 2026-03-02: light.a was active 30 times, usually 8 times a day (high).",
        ),
        (
            [anomaly("count_low", 0), anomaly("count_low", 0, 9)],
            "silent since 2026-03-02: light.a, usually active 8 times a day (high).",
        ),
    ],
)
def test_an_anomaly_is_shown_as_a_sentence(rows: list[AnomalyDaily], sentence: str) -> None:
    assert anomaly_sentence(rows, 8.2, FIRST + dt.timedelta(days=9)) == sentence
