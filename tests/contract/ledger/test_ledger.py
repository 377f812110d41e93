"""What a ledger keeps, and its lock: in a file and on a server."""

from __future__ import annotations

import datetime as dt
import itertools
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.errors import LedgerUnavailable
from storage.ledger.entry import Status
from storage.ledger.ledger import Ledger
from storage.models import DailyAggregate, DurationDaily, TimeBasedDaily
from tests.support.rows import COMPUTED_AT, DAY, duration, finding, time_based

MODELS: dict[str, type[DailyAggregate]] = {model.measurement: model for model in (TimeBasedDaily, DurationDaily)}
FOUND = finding(TimeBasedDaily, [time_based("light.küche 💡"), time_based("light.b", bouts=None)])


def clock() -> dt.datetime:
    return COMPUTED_AT


def opening(place: Path | sa.URL) -> str:
    """Return a line of a program that names a place."""
    if isinstance(place, Path):
        return f"from pathlib import Path; place = Path({str(place)!r})"
    return f"import sqlalchemy as sa; place = sa.make_url({place.render_as_string(hide_password=False)!r})"


def test_a_finding_waits_until_it_is_written(ledger: Ledger) -> None:
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
        assert work.entries["time_based"].status is Status.STAGED
    assert ledger.staged(MODELS) == [FOUND]
    with ledger.day(DAY) as work:
        batch = work.batch(MODELS)
        assert batch is not None
        assert batch.findings == (FOUND,)
        work.written(batch)
        assert work.batch(MODELS) is None
    (entry,) = ledger.entries().values()
    assert (entry.status, entry.written_version, entry.fingerprint) == (Status.WRITTEN, 1, "abc")
    assert (entry.written_samples, entry.rows, entry.attempts) == (40, 2, 0)


def test_what_is_staged_outlives_the_process(ledger_place: Path | sa.URL) -> None:
    with Ledger(ledger_place, clock=clock) as first, first.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
    with Ledger(ledger_place, clock=clock) as second:
        assert second.staged(MODELS) == [FOUND]


def test_a_failure_takes_nothing_away_from_what_is_written(ledger: Ledger) -> None:
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
        batch = work.batch(MODELS)
        assert batch is not None
        work.written(batch)
        work.fail("time_based", 2, "ZeroDivisionError: by zero")
    (entry,) = ledger.entries().values()
    assert (entry.status, entry.error) == (Status.FAILED, "ZeroDivisionError: by zero")
    assert (entry.written_version, entry.fingerprint) == (1, "abc")


def test_a_failure_takes_nothing_away_from_what_is_staged(ledger: Ledger) -> None:
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
        work.fail("time_based", 2, "ZeroDivisionError: by zero")
        assert [entry.status for entry in work.entries.values()] == ["staged"]
        batch = work.batch(MODELS)
        assert batch is not None
        work.written(batch)
        assert [entry.status for entry in work.entries.values()] == ["failed"]
        assert work.entries["time_based"].redo


def test_a_repetition_is_asked_for_only_of_what_was_tried(ledger: Ledger) -> None:
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
        work.defer("anomaly", 1, "no history")
    tomorrow = DAY + dt.timedelta(days=1)
    assert ledger.mark_redo([(DAY, ["time_based", "duration"]), (tomorrow, ["time_based"])]) == 1
    assert {name: entry.redo for (_, name), entry in ledger.entries().items()} == {"time_based": True, "anomaly": False}
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
        assert not work.entries["time_based"].redo


def test_why_written_rows_were_kept_is_remembered_until_they_are_replaced(ledger: Ledger) -> None:
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
        work.keep("time_based", 2, "def ghi")
        entry = work.entries["time_based"]
        assert (entry.kept_version, entry.kept_fingerprint) == (2, "def ghi")
        batch = work.batch(MODELS)
        assert batch is not None
        work.written(batch)
        entry = work.entries["time_based"]
        assert (entry.kept_version, entry.kept_fingerprint) == (None, None)


def test_staged_days_past_the_retention_expire_once_and_old_entries_go(ledger: Ledger) -> None:
    ancient = DAY - dt.timedelta(days=60)
    for day in (ancient, DAY):
        with ledger.day(day) as work:
            work.stage(finding(TimeBasedDaily, [time_based(day=day)], day), "abc", 40)
    assert [entry.day for entry in ledger.expire(DAY)] == [ancient]
    assert ledger.expire(DAY) == []
    assert {day for day, _ in ledger.entries()} == {DAY}
    assert [entry.day for entry in ledger.expire(DAY + dt.timedelta(days=1))] == [DAY]
    entry = ledger.entries()[DAY, "time_based"]
    assert entry.status is Status.EXPIRED
    assert ledger.staged(MODELS) == []


def test_what_no_registered_model_can_read_goes_on_waiting(ledger: Ledger) -> None:
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
        work.stage(finding(DurationDaily, [duration()]), "abc", 40)
        batch = work.batch({"duration_daily": DurationDaily})
        assert batch is not None
        assert [one.run.detector for one in batch.findings] == ["duration"]
        work.written(batch)
        assert work.entries["time_based"].status is Status.STAGED


def test_a_second_process_waits_for_the_day_and_then_says_what_holds_it(
    ledger: Ledger, ledger_place: Path | sa.URL
) -> None:
    code = f"""
        import datetime as dt, sys
        from storage.ledger.ledger import Ledger
        {opening(ledger_place)}
        ledger = Ledger(place, clock=lambda: dt.datetime.now(dt.UTC))
        with ledger.day(dt.date(2026, 3, 2)):
            print("in", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        which = other.pid if isinstance(ledger_place, Path) else r"\d+ of the server, connected from 127\.0\.0\.1"
        holder = rf"another run .* for more than 0 s: process {which}, since 20\d\d-"
        with pytest.raises(LedgerUnavailable, match=holder), ledger.day(DAY, max_wait_seconds=0.2):
            pytest.fail("two processes are in the same day")
        other.kill()  # a crash releases the lock
        other.wait()
    with ledger.day(DAY, max_wait_seconds=5) as work:
        assert work.entries == {}


def test_two_processes_with_many_days_take_turns(tmp_path: Path, ledger_place: Path | sa.URL) -> None:
    code = f"""
        import datetime as dt, sys, time
        from storage.ledger.ledger import Ledger
        {opening(ledger_place)}
        ledger = Ledger(place, clock=lambda: dt.datetime.now(dt.UTC))
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(40):
            with ledger.day(dt.date(2026, 3, 2) + dt.timedelta(number)):
                with open({str(tmp_path / "turns")!r}, "a") as turns:
                    turns.write(sys.argv[1])
                time.sleep(0.03)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    both = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        one.communicate(timeout=60)
    turns = (tmp_path / "turns").read_text()
    assert sorted(turns) == ["a"] * 40 + ["b"] * 40
    while_both_wait = turns[: min(turns.rindex("a"), turns.rindex("b")) + 1].lstrip(turns[0])
    stretches = [len(list(days)) for _, days in itertools.groupby(while_both_wait)]
    assert len(stretches) > 10
    assert max(stretches) <= 5


def test_reading_finds_what_is_there_and_changes_nothing(ledger: Ledger, ledger_place: Path | sa.URL) -> None:
    with ledger.day(DAY) as work:
        work.stage(FOUND, "abc", 40)
    with Ledger(ledger_place, clock=clock, read_only=True) as reading:
        assert set(reading.entries()) == {(DAY, "time_based")}
        with pytest.raises(LedgerUnavailable), reading.day(DAY) as work:
            work.fail("time_based", 1, "x")


def test_the_ledger_keeps_no_secret_and_no_control_character_of_an_error(ledger: Ledger) -> None:
    with ledger.day(DAY) as work:
        work.fail("time_based", 1, "token=abc \x1b[2J \ud800")
    assert ledger.entries()[DAY, "time_based"].error == r"token=*** \x1b[2J \ud800"
