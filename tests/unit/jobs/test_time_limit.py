"""Whatever goes on for ever is interrupted, in any thread, and nothing is interrupted afterwards."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from jobs import nightly, time_limit
from jobs.activity.events import DayLog
from jobs.detector import Finding
from jobs.isolation import ExitAttempt, run_isolated
from jobs.outcome import Outcome
from jobs.run_report import DayStatus, RunReport
from jobs.time_limit import TimeLimit
from storage.batch import DayBatch
from storage.errors import StoreUnavailable, TimeLimitExceeded
from storage.ledger.entry import Status
from tests.support.detectors import Counter, FlakyStore
from tests.support.night import DAYS, FIRST, YESTERDAY, Night

SECONDS = 0.3
DAY_SECONDS = 8.0  # enough for what ends, on a busy machine
MAX_SECONDS = 60.0  # on a busy machine; without the limit it would take for ever


def loop() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(1000)


def trickle(*_: object) -> None:
    while True:
        time.sleep(0.001)


def loop_that_hides_errors() -> None:
    until = time.monotonic() + 3 * SECONDS
    while time.monotonic() < until:
        with suppress(BaseException):  # as careless code does
            loop()
    sleep()


def match_for_ever() -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


ENDLESS = pytest.mark.parametrize("endless", [loop, sleep, loop_that_hides_errors, match_for_ever])


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MAX_SECONDS


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    home = Night(tmp_path)
    yield home
    home.ledger.close()


def test_what_ends_in_time_gives_its_result_or_its_error() -> None:
    assert TimeLimit(60).run(lambda: 3, "counting") == 3
    with pytest.raises(ZeroDivisionError):
        TimeLimit(60).run(lambda: 1 / 0, "dividing")


@ENDLESS
def test_what_does_not_end_is_interrupted(endless: Callable[[], None]) -> None:
    with pytest.raises(TimeLimitExceeded, match=r"counting has not ended within 0.3 s") as caught:
        TimeLimit(SECONDS).run(endless, "counting")
    assert "max_day_minutes" in caught.value.hint


def test_a_loop_in_another_thread_is_interrupted_as_in_the_daemon() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(StoreUnavailable, match="has not ended"):
        pool.submit(lambda: TimeLimit(SECONDS).run(loop, "counting", error=StoreUnavailable)).result()


def test_what_has_no_time_left_is_not_begun() -> None:
    limit = TimeLimit(0.01)
    time.sleep(0.02)
    assert limit.is_over
    with pytest.raises(TimeLimitExceeded, match="not begun"):
        limit.run(pytest.fail, "failing")


def test_a_part_of_the_time_leaves_time_for_others() -> None:
    limit = TimeLimit(4 * SECONDS)
    with pytest.raises(TimeLimitExceeded, match=r"within 0.3 s"):
        limit.run(loop, "counting", share=0.25)
    assert limit.run(lambda: 3, "counting") == 3


def test_what_would_not_end_is_given_up_together_with_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "GRACE_SECONDS", SECONDS)
    given_up = threading.Event()

    def stubborn() -> str:
        while not given_up.is_set():
            with suppress(BaseException):  # as careless code does
                loop()
        return "over"

    messages: list[str] = []

    def give_up(message: str) -> None:
        messages.append(message)
        given_up.set()
        time_limit._set_exception(main, time_limit.TimeOver)  # noqa: SLF001 - ends the inner loop a last time

    main = threading.get_ident()
    assert TimeLimit(SECONDS, give_up=give_up).run(stubborn, "counting") == "over"
    assert messages == ["counting has not ended within 0.3 s"]


@pytest.mark.parametrize(("endless", "exit_code"), [("time.sleep(1000)", 75), ("sum(itertools.repeat(0))", 1)])
def test_the_process_ends_if_nothing_else_helps(endless: str, exit_code: int) -> None:
    code = f"""
        import itertools, threading, time
        from jobs import time_limit
        time_limit.GRACE_SECONDS, time_limit.LAST_RESORT_SECONDS = 0.3, 3.0
        work = lambda: time_limit.TimeLimit(0.3).run(lambda: {endless}, "the detector x")
        thread = threading.Thread(target=work)  # as in the daemon
        thread.start()
        thread.join()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == exit_code
    assert "the detector x has not ended within 0.3 s; the program ends here" in ended.stderr or exit_code == 1


def test_nothing_is_interrupted_afterwards() -> None:
    interrupted = 0
    for number in range(300):
        try:
            TimeLimit(0.002).run(lambda number=number: sum(range(1000 * (number % 60))), "adding")  # type: ignore[misc]
        except TimeLimitExceeded:
            interrupted += 1
        assert sum(range(100)) == 4950
    assert interrupted < 300


def test_an_interruption_passes_the_wall_around_code_of_other_packages() -> None:
    with pytest.raises(TimeLimitExceeded):
        TimeLimit(SECONDS).run(lambda: run_isolated(loop), "counting")
    with pytest.raises(ExitAttempt):
        TimeLimit(60).run(lambda: run_isolated(sys.exit), "leaving")


@dataclass
class Endless(Counter):
    """A detector that does not end on some days."""

    name: str = "endless"
    endless_on: set[dt.date] = field(default_factory=set)

    def detect(self, log: DayLog) -> Finding:
        if log.window.day in self.endless_on:
            loop()
        return super().detect(log)


class TricklingStore(FlakyStore):
    """A store that takes a day for ever, byte by byte, until it is mended."""

    trickles = True

    def replace_day(self, batch: DayBatch) -> None:
        while self.trickles:
            time.sleep(0.001)
        super().replace_day(batch)


def run(night: Night, seconds: float) -> RunReport:
    pipeline = replace(night.pipeline, max_day_seconds=seconds)
    return nightly.run(pipeline, yesterday=YESTERDAY, retention_days=90, recheck_days=0)


def test_a_detector_that_loops_costs_its_own_rows_and_one_wait(night: Night) -> None:
    endless = Endless(endless_on=set(DAYS))
    night.detectors = [endless, night.counter, night.trend]
    report = run(night, DAY_SECONDS)
    assert report.outcome is Outcome.UNAVAILABLE
    assert "the detector endless has not ended within 2 s" in report.days[0].error
    assert [day.status for day in report.days] == [DayStatus.PARTIAL] + 4 * [DayStatus.WRITTEN]
    assert set(night.statuses().values()) == set(night.statuses("trend").values()) == {Status.WRITTEN}
    assert night.statuses("endless") == {FIRST: Status.FAILED}
    assert "endless took too long on one day and was not tried on the days after it" in report.notices
    endless.endless_on = set()
    assert run(night, 60).outcome is Outcome.DONE
    assert set(night.statuses("endless").values()) == {Status.WRITTEN}


def test_a_source_that_trickles_ends_the_reading_of_this_run_and_frees_the_lock(night: Night) -> None:
    read = night.source.read
    night.source.read = trickle  # type: ignore[assignment]
    report = run(night, SECONDS)
    assert report.outcome is Outcome.UNAVAILABLE
    assert report.days[0].error.startswith(f"reading {FIRST} from the source has not ended")
    assert [day.status for day in report.days] == 5 * [DayStatus.FAILED]
    night.source.read = read  # type: ignore[method-assign]
    assert run(night, 60).outcome is Outcome.DONE


@pytest.mark.slow
def test_a_store_that_trickles_leaves_the_day_staged(night: Night) -> None:
    night.store = store = TricklingStore()
    report = run(night, DAY_SECONDS / 2)
    assert report.outcome is Outcome.UNAVAILABLE
    assert [day.status for day in report.days] == 5 * [DayStatus.STAGED]
    assert f"writing {FIRST} to the store has not ended" in report.days[0].error
    store.trickles = False
    assert run(night, 60).outcome is Outcome.DONE
    assert len(night.counts()) == night.source.reads == 5, "nothing is read a second time"


def test_detectors_for_which_no_time_is_left_stay_due(night: Night) -> None:
    loopers = [Endless(name=f"endless{number}", endless_on=set(DAYS)) for number in range(4)]
    night.detectors = [*loopers, night.counter]
    report = run(night, SECONDS)
    assert report.outcome is Outcome.UNAVAILABLE
    assert FIRST not in night.statuses()
    assert report.days[0].status is DayStatus.FAILED
    night.detectors = [night.counter]
    assert run(night, 60).outcome is Outcome.DONE


def test_a_source_that_does_not_say_what_it_holds_ends_the_run(night: Night) -> None:
    night.source.span = loop  # type: ignore[method-assign]
    report = run(night, SECONDS)
    assert report.outcome is Outcome.UNAVAILABLE
    assert any("asking the source for its days has not ended" in notice for notice in report.notices)
