"""What the daemon's page shows: health, the next run, the newest nights with their reasons, days away and mutes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final, NamedTuple

from jobs.daemon import health
from jobs.daemon.findings import Findings
from jobs.household import Household
from jobs.lost_days import LostDays
from jobs.publish.away_switch import is_away
from jobs.wiring import Home
from storage.dates import ONE_DAY, DateRange
from storage.errors import HouseholdError, PatternAggregatesError
from storage.ledger.entry import Entry, Status
from storage.periods import has_rows_on
from storage.plurals import counted

NIGHTS: Final = 14
AWAY_DAYS: Final = 366  # days away that ended longer ago are not shown

_BAD: Final = frozenset({Status.FAILED, Status.LOST, Status.EXPIRED})


class RunState(NamedTuple):
    """What the daemon does now and next.

    Attributes:
        began_at: When the run at work began; None between the runs.
        next_at: When the next run begins.
        last_error: What went wrong in the last run; empty if nothing did.
        lost: What the store has lost, as far as that is known.
        mismatch: Why settings, ledger and store are not of one home; empty if they are.
    """

    began_at: dt.datetime | None
    next_at: dt.datetime
    last_error: str
    lost: LostDays | None
    mismatch: str


class Night(NamedTuple):
    """A day and what became of it.

    Attributes:
        day: The day that was computed.
        state: ``done``, ``waiting``, ``failed`` or ``missing``.
        summary: What became of it, in a few words.
        away: Why nobody was home, in the words of people or calendar; empty if somebody was.
        details: For each detector its name and what it did.
    """

    day: dt.date
    state: str
    summary: str
    away: str
    details: tuple[tuple[str, str], ...]


class Overview(NamedTuple):
    """All of the page.

    Attributes:
        health: Whether the newest due day is written, and why not.
        run: What the daemon does now and next, in local time.
        nights: The newest days, the newest first.
        findings: What was unusual.
        is_away: Whether today is a day away that people have entered.
        household: Days away of the last year, the newest first, and mutes; its ``problem`` says why they are not known.
        today: The present local day.
        zone: The name of the home's time zone.
    """

    health: health.Health
    run: RunState
    nights: tuple[Night, ...]
    findings: Findings
    household: Household
    is_away: bool
    today: dt.date
    zone: str


def read_overview(home: Home, run: RunState, findings: Findings) -> Overview:
    """Return what the page shows: one look into the ledger and into the file of days away and mutes.

    Nothing that may take long is read here, such as the store or a calendar: ``findings`` has what a run found there.
    """
    found = health.check_health(home, run.last_error, run.lost, run.mismatch)
    newest = max(found.day, home.yesterday())  # which is shown before it is due, if a run has computed it already
    days = DateRange(newest - NIGHTS * ONE_DAY, newest)
    household = _household(home, findings)
    try:
        with home.open_ledger(read_only=True) as ledger:
            entries = ledger.entries(days)
    except PatternAggregatesError:  # the health names the reason
        entries = {}
    by_day: dict[dt.date, list[Entry]] = {}
    for (day, _), entry in sorted(entries.items()):
        by_day.setdefault(day, []).append(entry)
    shown = DateRange(min(by_day, default=found.day), max(found.day, *by_day))
    nights = [_night(day, by_day.get(day, []), home.enabled_detectors, household) for day in shown][-NIGHTS:]
    began_at = run.began_at and run.began_at.astimezone(home.zone)
    local = run._replace(began_at=began_at, next_at=run.next_at.astimezone(home.zone))
    return Overview(
        found,
        local,
        tuple(reversed(nights)),
        findings,
        household,
        is_away(household, home.today()),
        home.today(),
        home.zone.key,
    )


def _household(home: Home, findings: Findings) -> Household:
    oldest = home.today() - AWAY_DAYS * ONE_DAY
    try:
        entered = home.household_file.read()
    except HouseholdError as error:
        return Household(problem=f"{error}. {error.hint}".strip())
    away = [one for one in (*entered.away, *findings.calendar_away) if one.last >= oldest]
    away.sort(reverse=True)
    return Household(tuple(away), tuple(sorted(entered.mutes, key=str)))


def _night(day: dt.date, entries: Sequence[Entry], enabled: Sequence[str], household: Household) -> Night:
    away = household.away_on(day)
    why = "" if away is None else away.note or ("away, as the calendar says" if away.origin == "calendar" else "away")
    details = tuple((entry.detector, _detail(entry)) for entry in entries)
    known = {entry.detector for entry in entries}
    missing = [name for name in enabled if name not in known and has_rows_on(name, day)]
    details += tuple((name, "not computed") for name in missing)
    bad = [entry for entry in entries if entry.status in _BAD]
    waiting = [entry for entry in entries if entry.status is not Status.WRITTEN and entry not in bad]
    if bad:
        return Night(day, "failed", _named("failed or lost", [entry.detector for entry in bad]), why, details)
    if waiting:
        return Night(day, "waiting", _named("waiting", [entry.detector for entry in waiting]), why, details)
    if missing:
        summary = "not computed" if not entries else _named("not computed", missing)
        return Night(day, "missing", summary, why, details)
    return Night(day, "done", counted(sum(entry.rows for entry in entries), "row"), why, details)


def _named(what: str, detectors: Sequence[str]) -> str:
    return f"{what}: {', '.join(detectors)}"


def _detail(entry: Entry) -> str:
    if entry.status is Status.WRITTEN:
        return counted(entry.rows, "row") + (f". {entry.reason}" if entry.reason else "")
    return str(entry.status) + (f": {entry.error}" if entry.error else "")
