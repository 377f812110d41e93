"""What the daemon answers to people: the overview at ``/``, and the forms on it where a proxy has a login."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus

from jobs.daemon.findings import Findings
from jobs.daemon.household_forms import Fields, HouseholdForms
from jobs.daemon.http import Forms, Response, Routes
from jobs.daemon.overview import RunState, read_overview
from jobs.daemon.page import error_page, overview_page
from jobs.wiring import Home
from storage.errors import PatternAggregatesError, UsageError


class Pages:
    """The pages for people.

    Args:
        home: The home.
        run_state: Returns what the daemon does now and next.
        findings: Returns what the newest days had that was unusual.

    Attributes:
        routes: What makes each page, by path.
        forms: What takes each form, by path; none unless ``health.ingress`` names a proxy.
    """

    def __init__(self, home: Home, run_state: Callable[[], RunState], findings: Callable[[], Findings]) -> None:
        self._home = home
        self._run_state = run_state
        self._findings = findings
        self._token = secrets.token_urlsafe() if home.settings.health.ingress else ""
        self._household = HouseholdForms(home.household_file, self._token)
        self.routes: Routes = {"/": self._overview}
        self.forms: Forms = {"/away": self._away, "/mute": self._mute} if self._token else {}

    def _overview(self) -> Response:
        overview = read_overview(self._home, self._run_state(), self._findings())
        return overview_page(overview, token=self._token, has_report=False)

    def _away(self, fields: Mapping[str, str]) -> Response:
        return self._changed(lambda: self._household.change_away(fields))

    def _mute(self, fields: Fields) -> Response:
        muteable = self._findings().muteable
        return self._changed(lambda: self._household.change_mutes(fields, muteable, self._home.today()))

    def _changed(self, change: Callable[[], None]) -> Response:
        try:
            change()
        except UsageError as error:
            return error_page(error)
        except PatternAggregatesError as error:
            return error_page(error, HTTPStatus.SERVICE_UNAVAILABLE)
        return Response(HTTPStatus.SEE_OTHER, "", "text/plain", location="./")
