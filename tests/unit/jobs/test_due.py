"""Which detectors are due on a day: each reason, and its other side."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from jobs.due import DayPlan, Redo, has_findings, plan_day, with_late_events
from storage.ledger.entry import Entry, Status, findings_fingerprint
from tests.support.detectors import Counter, Trend

DAY = dt.date(2026, 3, 2)
EVENTS, HISTORY = Counter(), Trend()
BOTH = (EVENTS, HISTORY)
COUNT = Entry(DAY, "count", Status.WRITTEN, 1, fingerprint="abc", samples=40, written_version=1, written_samples=40)
TREND = Entry(DAY, "trend", Status.WRITTEN, 1, fingerprint=findings_fingerprint([COUNT]), written_version=1)


def due(*entries: Entry, readable: bool = True, redo: Redo | None = None, **versions: int) -> tuple[str, ...]:
    detectors = [replace(one, version=versions.get(one.name, 1)) for one in BOTH]
    plan = plan_day(DAY, detectors, {entry.detector: entry for entry in entries}, readable=readable, redo=redo)
    return () if plan is None else plan.detectors


def changed(entry: Entry, **values: Any) -> Entry:
    return replace(entry, **values)


def test_what_was_never_tried_is_due() -> None:
    assert due() == ("count", "trend")


def test_what_is_written_in_the_present_version_is_not_due() -> None:
    assert due(COUNT, TREND) == ()


def test_another_version_is_due() -> None:
    assert due(COUNT, TREND, count=2) == ("count",)
    assert due(COUNT, TREND, trend=2) == ("trend",)
    assert due(changed(COUNT, version=2), changed(TREND, fingerprint="")) == ("count", "trend")  # also an older one


def test_a_version_that_was_left_out_because_there_was_less_data_is_not_due_again() -> None:
    kept = changed(COUNT, kept_version=2, kept_fingerprint="def")
    assert due(kept, TREND, count=2) == ()
    assert due(kept, TREND, count=3) == ("count",)


@pytest.mark.parametrize("status", [Status.FAILED, Status.DEFERRED])
def test_what_failed_or_was_deferred_is_due(status: Status) -> None:
    assert due(changed(COUNT, status=status), TREND) == ("count",)
    assert due(COUNT, changed(TREND, status=status)) == ("trend",)


def test_what_waits_for_the_store_is_written_and_not_computed_again() -> None:
    plan = plan_day(DAY, BOTH, {"count": changed(COUNT, status=Status.STAGED), "trend": TREND}, readable=True)
    assert plan is not None
    assert plan.detectors == ()


def test_what_was_given_up_is_due_only_if_asked_for() -> None:
    expired = changed(COUNT, status=Status.EXPIRED)
    assert due(expired, TREND, count=2) == ()
    assert due(changed(expired, redo=True), TREND) == ("count",)


def test_a_history_detector_is_due_when_what_it_judged_has_changed() -> None:
    assert due(changed(COUNT, fingerprint="def"), TREND) == ("trend",)
    kept = changed(TREND, kept_version=1, kept_fingerprint=findings_fingerprint([changed(COUNT, fingerprint="def")]))
    assert due(changed(COUNT, fingerprint="def"), kept) == ()


def test_an_event_detector_needs_a_day_that_can_be_read() -> None:
    assert due(readable=False) == ()
    assert due(COUNT, TREND, readable=False, count=2) == ()
    assert due(COUNT, readable=False) == ("trend",)


def test_a_history_detector_needs_findings_where_the_day_cannot_be_read() -> None:
    failed = Entry(DAY, "count", Status.FAILED, 1, error="ZeroDivisionError")
    assert due(failed, readable=False) == ()
    assert due(changed(failed, status=Status.STAGED), readable=False) == ("trend",)
    assert due(TREND, readable=False, trend=2) == ()  # its own finding is nothing to judge by


@pytest.mark.parametrize(
    ("redo", "expected"),
    [("missing", ("count",)), ("failed", ("trend",)), ("all", ("count", "trend"))],
)
def test_a_repetition_takes_what_it_says(redo: Redo, expected: tuple[str, ...]) -> None:
    assert due(changed(TREND, status=Status.FAILED), redo=redo) == expected


def test_repeating_all_takes_what_is_written_too_and_history_alone_where_nothing_can_be_read() -> None:
    assert due(COUNT, TREND, redo="all") == ("count", "trend")
    assert due(COUNT, TREND, redo="all", readable=False) == ("trend",)
    assert due(COUNT, TREND, redo="missing") == due(COUNT, TREND, redo="failed") == ()


def test_a_recheck_plans_a_day_that_can_be_read_even_if_nothing_is_due() -> None:
    entries = {"count": COUNT, "trend": TREND}
    assert plan_day(DAY, BOTH, entries, readable=True) is None
    assert plan_day(DAY, BOTH, entries, readable=False, recheck=True) is None
    plan = plan_day(DAY, BOTH, entries, readable=True, recheck=True)
    assert plan is not None
    assert (plan.detectors, plan.recheck) == ((), True)


def test_late_events_concern_event_detectors_that_were_given_others() -> None:
    entries = {"count": COUNT, "trend": TREND}
    assert with_late_events(BOTH, entries, "abc") == set()
    assert with_late_events(BOTH, entries, "def") == {"count"}
    assert with_late_events(BOTH, {"trend": TREND}, "def") == set()
    kept = changed(COUNT, kept_version=1, kept_fingerprint="def")
    assert with_late_events(BOTH, {"count": kept}, "def") == set()
    assert with_late_events(BOTH, {"count": kept}, "ghi") == {"count"}


def test_findings_are_those_of_event_detectors() -> None:
    assert has_findings(BOTH, {"count": COUNT, "trend": TREND})
    assert not has_findings(BOTH, {"trend": TREND})
    assert has_findings([HISTORY], {"gone_since": changed(COUNT, detector="gone_since")})


def test_a_plan_asked_again_leaves_out_what_another_process_has_done_since() -> None:
    plan = plan_day(DAY, BOTH, {}, readable=True)
    assert plan is not None
    renewed = plan.renewed({"count": COUNT})
    assert isinstance(renewed, DayPlan)
    assert renewed.detectors == ("trend",)
    assert plan.renewed({"count": COUNT, "trend": TREND}) is None
