"""What the daemon answers to people: the overview at ``/``, and the forms on it where a proxy has a login."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from jobs.daemon.findings import NO_FINDINGS, Findings, read_findings
from jobs.daemon.household_forms import Fields, HouseholdForms
from jobs.daemon.http import Forms, Response, Routes
from jobs.daemon.overview import RunState, read_overview
from jobs.daemon.page import CONTENT_TYPE, error_page, message_page, overview_page
from jobs.isolation import describe
from jobs.time_limit import TimeLimit
from jobs.wiring import Home
from storage.errors import PatternAggregatesError, UsageError

_log = logging.getLogger(__name__)

MAX_REPORT_SECONDS: Final = 120.0


class Pages:
    """The pages for people.

    What they show of the store is read by ``refresh`` after each run, so that no request waits for it.

    Args:
        home: The home.
        run_state: Returns what the daemon does now and next.

    Attributes:
        routes: What makes each page, by path.
        forms: What takes each form, by path; none unless ``health.ingress`` names a proxy.
    """

    def __init__(self, home: Home, run_state: Callable[[], RunState]) -> None:
        self._home = home
        self._run_state = run_state
        self._findings = NO_FINDINGS
        self._report = ""
        self._token = secrets.token_urlsafe() if home.settings.health.ingress else ""
        self._household = HouseholdForms(home.household_file, self._token)
        self.routes: Routes = {"/": self._overview, "/report": self._show_report}
        self.forms: Forms = {"/away": self._away, "/mute": self._mute} if self._token else {}

    def refresh(self, *, has_new_days: bool) -> None:
        """Read again what the pages show; whatever goes wrong is logged or shown, and never raised.

        Args:
            has_new_days: Whether a day was computed since the last time; otherwise the report stays as it is.
        """
        home = replace(self._home)  # a copy, which reads the names anew: somebody may have changed them
        try:
            self._findings = read_findings(home)
        except Exception as error:  # noqa: BLE001 - a page is not worth a night, whatever goes wrong
            _log.exception("what was unusual cannot be shown")
            self._findings = Findings(problem=describe(error))
        if has_new_days or not self._report:
            try:
                limit = TimeLimit(MAX_REPORT_SECONDS)
                self._report = limit.run(lambda: _make_report(home), "the report of the daemon's page")
            except UsageError as error:  # nothing is computed yet
                _log.debug("there is no report yet: %s", error)
            except PatternAggregatesError as error:
                _log.warning("the report of the daemon's page cannot be made: %s", error)
            except Exception:  # noqa: BLE001 - as above
                _log.exception("the report of the daemon's page cannot be made")

    def _overview(self) -> Response:
        overview = read_overview(self._home, self._run_state(), self._findings)
        return overview_page(overview, token=self._token, has_report=bool(self._report))

    def _show_report(self) -> Response:
        if not self._report:
            return message_page(HTTPStatus.NOT_FOUND, "There is no report yet.", "It is made after each run.")
        return Response(HTTPStatus.OK, self._report, CONTENT_TYPE)

    def _away(self, fields: Mapping[str, str]) -> Response:
        return self._changed(lambda: self._household.change_away(fields, self._home.today()))

    def _mute(self, fields: Fields) -> Response:
        muteable = self._findings.muteable
        return self._changed(lambda: self._household.change_mutes(fields, muteable, self._home.today()))

    def _changed(self, change: Callable[[], None]) -> Response:
        try:
            change()
        except UsageError as error:
            return error_page(error)
        except PatternAggregatesError as error:
            return error_page(error, HTTPStatus.SERVICE_UNAVAILABLE)
        return Response(HTTPStatus.SEE_OTHER, "", "text/plain", location="./")


def _make_report(home: Home) -> str:
    from jobs.report.report import default_days, make_report  # noqa: PLC0415 - loads NumPy

    return make_report(home, default_days(home))
