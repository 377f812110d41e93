"""What a worker does with a task: the nightly job for each of its homes, as a single home's ``run`` does it.

A home that fails costs no other one. What the ledger knows as done is not opened again, so a task can be repeated.
"""

from __future__ import annotations

import logging
import time
from collections import Counter

from jobs import nightly
from jobs.fleet.fleet import Fleet, FleetHome, Shared, open_fleet
from jobs.fleet.planning import Candidate, plan_homes
from jobs.fleet.tasks import DueHome, HomeResult, Task
from jobs.isolation import describe
from jobs.logs import fields
from jobs.outcome import Outcome
from jobs.run_report import RunReport
from storage.dates import DateRange
from storage.errors import LedgerUnavailable, PatternAggregatesError, SettingsError

_log = logging.getLogger(__name__)

MAX_REASONS = 3  # of one home; more are in its ledger


def work(task: Task) -> list[HomeResult]:
    """Work on the homes of a task.

    Returns:
        The result of each home; errors are among them, and not raised.

    Raises:
        SettingsError: This worker's settings are not valid, or other ones than those of the plan.
        LedgerError: The ledger of the fleet cannot be opened.
        StoreError: Its store cannot be opened.
    """
    fleet = open_fleet(task.config)
    if fleet.fingerprint != task.fingerprint:
        raise SettingsError(
            f"the settings of this worker ({fleet.common.origin}) are not those with which the fleet was planned",
            hint="Give every worker the same settings and the same version of the program.",
        )
    results: list[HomeResult] = []
    with fleet.open_shared() as shared:
        for number, due in enumerate(task.homes):
            results.append(_work_on(fleet, due, shared))
            if results[-1].outcome is Outcome.UNAVAILABLE and (reason := _lost_ledger(shared, due)):
                # Each of the others would only wait for it, for all of its time limits.
                results += [
                    HomeResult(left.home.name, Outcome.UNAVAILABLE, reason=reason) for left in task.homes[number + 1 :]
                ]
                break
    return results


def _lost_ledger(shared: Shared, due: DueHome) -> str:
    """Return why the ledger of all homes cannot be used now; empty if it can."""
    try:
        shared.ledger.entries(DateRange(due.yesterday, due.yesterday))
    except LedgerUnavailable as error:
        return f"not tried: {error}"
    return ""


def _work_on(fleet: Fleet, due: DueHome, shared: Shared) -> HomeResult:
    """Do what is due of one home; whatever goes wrong becomes its result."""
    name = due.home.name
    began = time.process_time()
    with fields(home=name):
        try:
            report = _run(fleet.home(due.home, shared), due)
        except PatternAggregatesError as error:
            _log.error("%s: %s", name, error)
            hint = f". {error.hint}" if error.hint else ""
            return HomeResult(name, max(Outcome.INCOMPLETE, Outcome.of_error(error)), reason=f"{error}{hint}")
        except Exception as error:  # noqa: BLE001 - an unforeseen error costs this home, not the others
            _log.exception("%s failed", name)
            return HomeResult(name, Outcome.INCOMPLETE, reason=describe(error))
    return HomeResult(
        name,
        report.outcome,
        days=dict(Counter(str(day.status) for day in report.days)),
        rows=sum(one.rows for day in report.days for one in day.detectors.values()),
        events=sum(day.events for day in report.days),
        reason=reason_of(report),
        seconds=time.process_time() - began,
    )


def _run(home: FleetHome, due: DueHome) -> RunReport:
    """Work on the due days of a home that another run has not done meanwhile."""
    if not _is_due(home, due):
        return RunReport()
    with home.open_pipeline() as pipeline:
        if due.days is not None:
            return nightly.backfill(
                pipeline,
                due.days,
                yesterday=due.yesterday,
                retention_days=home.store_settings.kept_days,
                rollup_retention_days=home.store_settings.kept_rollup_days,
            )
        return nightly.run(
            pipeline,
            yesterday=due.yesterday,
            retention_days=home.store_settings.kept_days,
            rollup_retention_days=home.store_settings.kept_rollup_days,
            recheck_days=home.settings.schedule.recheck_days,
            catch_up=home.settings.schedule.catch_up,
        )


def _is_due(home: FleetHome, due: DueHome) -> bool:
    """Return whether a home is still due; decided as when it was planned."""
    candidate = Candidate(due.home, due.yesterday, due.days)
    detectors = [one.detector for one in home.registered if one.enabled]
    with home.open_ledger() as ledger:
        entries = [(due.home.name, entry) for entry in ledger.entries(candidate.window).values()]
    return bool(plan_homes([candidate], entries, detectors).due)


def reason_of(report: RunReport) -> str:
    """Return what went wrong in a run, in one line; empty if nothing did."""
    if report.outcome is Outcome.DONE:
        return ""
    texts = [*report.notices, *(f"{day.day}: {day.error}" for day in report.days if day.error)]
    texts += [
        f"{day.day}: {name}: {one.error}" for day in report.days for name, one in day.detectors.items() if one.error
    ]
    more = f"; and {len(texts) - MAX_REASONS} more" if len(texts) > MAX_REASONS else ""
    return "; ".join(texts[:MAX_REASONS]) + more
