"""How a run over a fleet ends: one broken home makes it incomplete, only what stops every home counts as such."""

from __future__ import annotations

import pytest

from jobs.fleet.report import FleetReport
from jobs.fleet.tasks import HomeResult
from jobs.outcome import Outcome


def report(*outcomes: Outcome, nothing_due: int = 0) -> FleetReport:
    found = FleetReport(homes=len(outcomes) + nothing_due, due=len(outcomes), nothing_due=nothing_due)
    for number, outcome in enumerate(outcomes):
        found.add(HomeResult(f"h{number}", outcome))
    return found


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_stops_every_home_is_how_the_run_ends(outcome: Outcome) -> None:
    assert report(outcome, outcome).outcome is outcome


@pytest.mark.parametrize("broken", [Outcome.UNAVAILABLE, Outcome.INVALID_SETTINGS, Outcome.INCOMPLETE])
def test_a_broken_home_makes_the_run_incomplete_whether_the_others_were_due_or_done_before(broken: Outcome) -> None:
    assert report(broken, Outcome.DONE).outcome is Outcome.INCOMPLETE
    assert report(broken, nothing_due=1).outcome is Outcome.INCOMPLETE


def test_a_run_in_which_every_due_home_is_done_is_done() -> None:
    assert report(Outcome.DONE, nothing_due=1).outcome is Outcome.DONE
