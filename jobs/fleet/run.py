"""One run over a fleet: read the catalogue, plan, pack, hand over, and gather the results."""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobs.detector import Detector
from jobs.fleet.catalogue import Catalogue, CatalogueHome
from jobs.fleet.dispatch import OpenEngine, Work, dispatch
from jobs.fleet.fleet import Fleet
from jobs.fleet.planning import Candidate, Plan, plan_homes, yesterdays
from jobs.fleet.report import FleetReport
from jobs.fleet.status import INVALID, FleetStatus, fleet_status
from jobs.fleet.tasks import count_home_days, pack
from jobs.fleet.template import check_template, fill
from jobs.fleet.work import work
from storage.dates import ONE_DAY, DateRange
from storage.errors import SettingsError, UsageError
from storage.ledger.entry import Entry

_log = logging.getLogger(__name__)

Days = Callable[[dt.date], DateRange]
"""Returns the days that somebody named, given the present local day of a home."""
Progress = Callable[[FleetReport], None]


@dataclass(frozen=True, slots=True)
class FleetRun:
    """What a run over a fleet works with.

    Attributes:
        fleet: The fleet.
        catalogue: Its homes.
        open_engine: Opens the executor.
        workers: How many workers it has, or will have; tasks are packed for them.
        config: The settings file, which workers read themselves.
        work: What a worker does with a task.
    """

    fleet: Fleet
    catalogue: Catalogue
    open_engine: OpenEngine
    workers: int
    config: Path | None
    work: Work = work

    def run(
        self,
        days: Days | None = None,
        *,
        zones: Iterable[str] | None = None,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress = lambda _report: None,
    ) -> FleetReport:
        """Work on every home that is due.

        Args:
            days: The days to work on; None for every due day.
            zones: Only homes in these time zones; None for all.
            stop: Asked now and then; True leaves the rest for the next run.
            progress: Called after each home.

        Raises:
            SettingsError: The template does not fit the catalogue.
            UsageError: The days that were named are older than the retention.
            LedgerError: The ledger cannot be read.
            ExecutorLost: The scheduler cannot be reached.
        """
        began = time.perf_counter()
        report = FleetReport(homes=len(self.catalogue.homes) + len(self.catalogue.invalid))
        for name, reason in self.catalogue.invalid.items():
            report.add_invalid(name, reason)
        plan = self.plan(report, days, zones)
        report.nothing_due = plan.nothing_due
        report.due, report.due_days = len(plan.due) + len(report.failing), count_home_days(plan.due)
        progress(report)
        if plan.due:
            for deleted in self.fleet.prepare(plan.newest):
                _log.info("%s", deleted)
            tasks = pack(plan.due, self.config, self.fleet.fingerprint, workers=self.workers)
            for result in dispatch(tasks, self.work, self.open_engine, stop=stop):
                report.add(result)
                report.seconds = time.perf_counter() - began
                progress(report)
        report.seconds = time.perf_counter() - began
        if report.done + report.failed < report.due:
            report.notices.append(
                f"stopped with {report.due - report.done - report.failed} homes left: they are due at the next run"
            )
        return report

    def plan(self, report: FleetReport, days: Days | None = None, zones: Iterable[str] | None = None) -> Plan:
        """Decide which homes are due; homes that cannot be worked on are added to the report."""
        candidates, report.not_over = self._candidates(report, days, zones)
        return plan_homes(candidates, self._entries(candidates), self._detectors())

    def status(self, days: Days | None = None) -> FleetStatus:
        """Return how the homes are doing; of every home the newest days, unless days are named."""
        report = FleetReport()
        candidates, _ = self._candidates(report, days)
        status = fleet_status(candidates, self._entries(candidates), self._detectors())
        for home, reason in {**self.catalogue.invalid, **report.failing}.items():
            status.add(home, INVALID, reason)
        return status

    def _detectors(self) -> list[Detector]:
        return [one.detector for one in self.fleet.common.registered if one.enabled]

    def _candidates(
        self, report: FleetReport, days: Days | None, zones: Iterable[str] | None = None
    ) -> tuple[list[Candidate], int]:
        """Return the homes with their days, and how many homes are left out as no day that was named is over there."""
        check_template(self.fleet.source, self.catalogue.columns)
        chosen = None if zones is None else set(zones)
        homes = [home for home in self._with_own_source(report) if chosen is None or home.time_zone in chosen]
        newest = yesterdays((home.time_zone for home in homes), self.fleet.common.clock())
        if days is None:
            return [Candidate(home, newest[home.time_zone]) for home in homes], 0
        over = {yesterday: self._named(days, yesterday) for yesterday in set(newest.values())}
        with_days = ((home, newest[home.time_zone]) for home in homes)
        candidates = [Candidate(home, day, named) for home, day in with_days if (named := over[day]) is not None]
        return candidates, len(homes) - len(candidates)

    def _named(self, days: Days, yesterday: dt.date) -> DateRange | None:
        """Return the days that were named, as far as they are over for a home; None if none is."""
        named = days(yesterday + ONE_DAY)
        oldest = self.fleet.common.store_settings.oldest_kept_day(yesterday)
        if oldest - named.first > ONE_DAY:  # zones differ by one day
            raise UsageError(
                f"{named.first} is past the retention: the store keeps days back to {oldest}",
                hint="Set store.retention_days = 0 to keep everything, or begin later.",
            )
        return named & DateRange(oldest, yesterday)

    def _entries(self, candidates: list[Candidate]) -> Iterable[tuple[str, Entry]]:
        """Return what the ledger knows of the windows of homes."""
        if not candidates:
            return ()
        first = min(one.window.first for one in candidates)
        last = max(one.window.last for one in candidates)
        return self.fleet.entries([one.home.name for one in candidates], DateRange(first, last))

    def _with_own_source(self, report: FleetReport) -> Iterator[CatalogueHome]:
        """Yield the homes; of those that would read the same raw events, only the first, and report the others."""
        names: dict[str, str] = {}
        for home in self.catalogue.homes.values():
            with suppress(SettingsError):  # which is raised again, and reported, where the home is worked on
                source = json.dumps(fill(self.fleet.source, home), default=str, sort_keys=True)
                other = names.setdefault(source, home.name)
                if other != home.name:
                    report.add_invalid(
                        home.name, f"it would read the same raw events as {other}; correct the catalogue"
                    )
                    continue
            yield home
