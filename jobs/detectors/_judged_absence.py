"""What ``anomaly`` reports of a day on which nobody was home, and why."""

from __future__ import annotations

import math

from jobs.detector import AggregateReader, Evidence, Finding
from jobs.detectors._absences import Absences
from jobs.detectors._groups import with_context
from jobs.detectors._movement import MAX_P, movement_while_away
from jobs.detectors._severity import score_of, severity_of
from jobs.household import Household
from storage.dates import Day
from storage.models import AnomalyDaily, TimeBasedDaily


def judge_absence(day: Day, absences: Absences, history: AggregateReader, household: Household) -> Finding:
    """Return what moved inside on a day on which nobody was home."""
    found = movement_while_away(day, absences, history)
    is_news = found.p <= MAX_P
    rows = [
        AnomalyDaily(
            date=day,
            entity_id=moved.entity_id,
            anomaly_type="activity_while_away",
            anomaly_score=score_of(found.p),
            baseline_deviation=(len(found.rows) - found.expected) / math.sqrt(found.expected),
            occurrences=moved.occurrences if moved.bouts is None else moved.bouts,
            severity=severity_of(found.p),
            hours=[hour for hour, count in enumerate(moved.hourly_distribution) if count],
        )
        for moved in (found.rows if is_news else ())
    ]
    rows = with_context(rows, household, activity="quiet", areas={}, silent={})
    return Finding(rows, f"nobody was home: {absences.sources[day]}; {found.reason}")


def absence_evidence(row: AnomalyDaily, absences: Absences, history: AggregateReader) -> Evidence:
    """Return in which hours the entity acted on each day on which nobody was home."""
    hours = {
        one.date: ", ".join(str(hour) for hour, count in enumerate(one.hourly_distribution) if count)
        for one in history.read(TimeBasedDaily, absences.looked_at, {"entity_id": row.entity_id})
    }
    lines: list[tuple[str | int | float, ...]] = [
        (f"{day:%a} {day}", hours.get(day, ""), absences.sources[day]) for day in absences.days
    ]
    return Evidence(("day away", "active in the hours", "nobody was home because"), lines)
