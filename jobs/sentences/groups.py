"""The anomalies of a day as stories: those that belong together in one plain sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from jobs.names import NO_NAMES, Names
from jobs.sentences.anomalies import sentence_of_anomaly
from jobs.sentences.wording import hours, listed
from storage.models import AnomalyDaily, Severity
from storage.plurals import counted
from storage.store import AggregateReader

_WHAT: Final = {
    "activity_while_away": "acted while nobody was home",
    "count_high": "active more often than usual",
    "count_low": "active less often than usual, or silent",
    "long_duration": "active for longer than ever before",
    "still_active": "still active at midnight, for longer than ever before",
    "unusual_hour": "used at unusual hours",
}
_SEVERITIES: Final = tuple(Severity)


class Story(NamedTuple):
    """Anomalies of one day that belong together.

    Attributes:
        rows: The anomalies, those with the highest score first.
        sentence: What happened, in one plain sentence.
        severity: The highest of the rows that are not muted; of all, if all are muted.
        is_muted: Whether all of its rows are muted.
    """

    rows: tuple[AnomalyDaily, ...]
    sentence: str
    severity: Severity
    is_muted: bool


def stories(
    rows: Iterable[AnomalyDaily], zone: ZoneInfo, history: AggregateReader | None = None, names: Names = NO_NAMES
) -> list[Story]:
    """Return anomalies as stories, day by day, the most severe first and muted ones last.

    Args:
        rows: Anomalies of one or several days.
        zone: The zone of the home.
        history: Where what is usual is read; without it, sentences have only what the rows themselves hold.
        names: How entities are called.
    """
    members: dict[tuple[object, str], list[AnomalyDaily]] = {}
    for row in rows:
        members.setdefault((row.date, row.group or row.entity_id), []).append(row)
    found = [_story(group, zone, history, names) for group in members.values()]
    return sorted(found, key=lambda one: (one.rows[0].date, one.is_muted, -_SEVERITIES.index(one.severity)))


def _story(group: Sequence[AnomalyDaily], zone: ZoneInfo, history: AggregateReader | None, names: Names) -> Story:
    rows = tuple(sorted(group, key=lambda row: (-row.anomaly_score, row.entity_id, row.anomaly_type)))
    heard = [row for row in rows if row.muted is None]
    severity = max((row.severity for row in heard or rows), key=_SEVERITIES.index)
    return Story(rows, sentence_of_group(heard or rows, zone, history, names), severity, not heard)


def sentence_of_group(
    rows: Sequence[AnomalyDaily], zone: ZoneInfo, history: AggregateReader | None = None, names: Names = NO_NAMES
) -> str:
    """Return what happened to all entities of a group in one plain sentence.

    Args:
        rows: Its anomalies, at least one, the most important first.
        zone: The zone of the home.
        history: As for ``stories``.
        names: How entities are called.
    """
    entities = list(dict.fromkeys(row.entity_id for row in rows))
    if len(entities) == 1:
        return sentence_of_anomaly(rows[0], zone, history, names)
    what, _ = Counter(row.anomaly_type for row in rows).most_common(1)[0]
    who = f"{counted(len(entities), 'entity', 'entities')} "
    text = who + ("" if what == "activity_while_away" else "were ") + _WHAT.get(what, f"unusual ({what})")
    if what in ("activity_while_away", "unusual_hour"):
        at = {hour for row in rows for hour in row.hours or ()}
        text += f", {hours(at)}" if at else ""
    if rows[0].home_activity == "busy" and what == "count_high":
        text = f"the whole home was busier than usual: {text}"
    return f"{text}: {listed([names.entity(one) for one in entities])}"
