"""Which anomalies are new to a channel: decided once for each judgement of a day, and kept in the ledger.

Nothing depends on a run that is not interrupted: what was judged since the channel last looked is found by the ledger's
entries. A day that is judged again announces only what is new. A device that is silent or on for days is announced on
the first of them. Days that are long over, and all but the newest day when a channel is new, are not announced: nobody
wants a hundred messages after a backfill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from jobs.publish.news import JUDGE, keys_of
from jobs.sentences.groups import Story
from storage.dates import ONE_DAY, DateRange, Day
from storage.ledger.announcements import Announced, Announcements, AnomalyKey
from storage.ledger.entry import Entry, Status

MAX_NEWS_DAYS: Final = 7  # older days are not announced
KEPT_DAYS: Final = 60  # how long what was announced is remembered
LASTING: Final = frozenset({"count_low", "still_active"})  # go on from day to day

StoriesOf = Callable[[Day], Iterable[Story]]
Statuses = Mapping[AnomalyKey, Announced]


def find_new(
    announcements: Announcements, entries: Mapping[tuple[Day, str], Entry], stories_of: StoriesOf, yesterday: Day
) -> None:
    """Note which anomalies are to be announced over a channel.

    Args:
        announcements: What was announced over the channel.
        entries: What the ledger knows of each day and detector.
        stories_of: Returns the stories of a day that the channel accepts.
        yesterday: The newest day that is over.
    """
    days = DateRange(yesterday - (MAX_NEWS_DAYS - 1) * ONE_DAY, yesterday)
    judgements = {day: _judgement(entries[day, JUDGE]) for day in days if _is_written(entries.get((day, JUDGE)))}
    seen = announcements.judged()
    newest = max(judgements, default=None)
    for day, judgement in judgements.items():
        if seen.get(day) == judgement:
            continue
        known = announcements.statuses(DateRange(day - ONE_DAY, day))
        is_announced = bool(seen) or day == newest
        announcements.replace_day(day, judgement, _statuses_of(stories_of(day), known, is_announced=is_announced))
    announcements.forget_before(yesterday - KEPT_DAYS * ONE_DAY)


def _judgement(entry: Entry) -> str:
    """Return what changes whenever a day is judged again."""
    return f"{entry.updated_at} {entry.version} {entry.rows} {entry.fingerprint}"


def _is_written(entry: Entry | None) -> bool:
    return entry is not None and entry.status is Status.WRITTEN


def _statuses_of(found: Iterable[Story], known: Statuses, *, is_announced: bool) -> dict[AnomalyKey, Announced]:
    """Return what is to become of a day's anomalies.

    Args:
        found: The stories of the day.
        known: What became of the anomalies of this day and of the day before.
        is_announced: Whether the day is announced at all.
    """
    statuses: dict[AnomalyKey, Announced] = {}
    for story in found:
        keys = keys_of(story)
        was_announced = any(known.get(key) in (Announced.DELIVERED, Announced.KNOWN) for key in keys)
        goes_on = all(_goes_on(key, known) for key in keys)
        status = Announced.WAITING if is_announced and not was_announced and not goes_on else Announced.KNOWN
        statuses |= {key: status for key in keys if known.get(key) is not Announced.DELIVERED}
    return statuses


def _goes_on(key: AnomalyKey, known: Statuses) -> bool:
    """Return whether an anomaly was known on the day before, and has gone on since."""
    return key.anomaly_type in LASTING and key._replace(day=key.day - ONE_DAY) in known
