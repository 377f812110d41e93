"""Code of other packages: what it raises is an error, and what it prints is no output."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from jobs.isolation import (
    MAX_MESSAGE_LENGTH,
    ExitAttempt,
    ForeignError,
    describe,
    load_isolated,
    run_isolated,
)
from storage.errors import StoreError, TimeLimitExceeded


def raising(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


class Unreadable(Exception):
    def __str__(self) -> str:
        raise SystemError("no message")

    __repr__ = __str__


class Own(BaseException):
    pass


def test_a_result_is_returned() -> None:
    assert run_isolated(lambda: 7) == 7


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit(), GeneratorExit(), asyncio.CancelledError(), Own("x")])
def test_what_would_end_the_program_is_an_ordinary_error_that_names_it(error: BaseException) -> None:
    with pytest.raises(ExitAttempt, match=f"{type(error).__name__}.*which would have ended the program"):
        run_isolated(raising(error))


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), RecursionError("x"), MemoryError("x")])
def test_of_an_error_only_the_text_is_kept_and_where_it_was_raised(error: Exception) -> None:
    with pytest.raises(ForeignError) as raised:
        run_isolated(raising(error))
    assert describe(raised.value) == describe(error) == f"{type(error).__name__}: x"
    assert "raise error" in raised.value.place
    assert raised.value.__cause__ is raised.value.__context__ is None


def test_the_signal_to_stop_and_errors_of_our_own_code_pass_as_they_are() -> None:
    for error in (KeyboardInterrupt(), StoreError("x")):
        with pytest.raises(type(error)) as raised:
            run_isolated(raising(error), (StoreError,))
        assert raised.value is error


@pytest.mark.parametrize("end", [SystemExit(0), GeneratorExit(), ValueError(), Own()])
def test_an_error_whose_message_would_end_the_program_costs_only_its_message(end: BaseException) -> None:
    class Ending(Exception):
        def __str__(self) -> str:
            raise end

    with pytest.raises(ForeignError, match=r"^Ending: its message cannot be read$"):
        run_isolated(raising(Ending()))


def test_an_error_whose_message_has_no_end_is_interrupted() -> None:
    class Endless(Exception):
        def __str__(self) -> str:
            for _ in itertools.count():
                time.sleep(0.01)
            return ""

    with pytest.raises(TimeLimitExceeded):
        load_isolated(raising(Endless()), "importing it", 0.3)


@pytest.mark.parametrize(("length", "is_whole"), [(MAX_MESSAGE_LENGTH, True), (MAX_MESSAGE_LENGTH + 1, False)])
def test_a_long_message_is_shortened(length: int, is_whole: bool) -> None:
    text = describe(ValueError("x" * (length - len("ValueError: "))))
    assert (len(text), text.endswith("x")) == (MAX_MESSAGE_LENGTH, is_whole)


def test_an_error_is_described_also_if_it_has_no_readable_message() -> None:
    assert describe(ValueError("wrong")) == "ValueError: wrong"
    assert describe(Unreadable()) == "Unreadable: its message cannot be read"


def test_what_is_printed_goes_to_standard_error_in_every_way_and_output_before_and_after_stays(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def noisy() -> None:
        print("printed")  # noqa: T201 - what a detector may do
        sys.stdout.write("written")
        os.write(1, b"raw")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)

    sys.stdout.write("before,")
    run_isolated(noisy)
    sys.stdout.write("after")
    sys.stdout.flush()
    found = capfd.readouterr()
    assert found.out == "before,after"
    assert all(word in found.err for word in ("printed", "written", "raw", "child"))


def test_standard_output_is_back_after_an_error_too(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExitAttempt):
        run_isolated(raising(SystemExit(0)))
    os.write(1, b"output")
    assert capfd.readouterr().out == "output"


CLOSED = """
import os
from jobs.isolation import run_isolated
os.close({number})
print(run_isolated(lambda: print("noise") or 7), file=open({other}, "w", closefd=False))
"""


@pytest.mark.parametrize(("number", "other"), [(1, 2), (2, 1)])
def test_it_works_without_standard_output_or_error(number: int, other: int) -> None:
    script = CLOSED.format(number=number, other=other)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stderr if other == 2 else done.stdout).splitlines()[-1] == "7"


def test_how_numpy_handles_errors_is_not_changed_for_others() -> None:
    before = np.geterr()
    run_isolated(lambda: np.seterr(all="raise"))
    assert np.geterr() == before


def test_ending_the_process_is_an_error_and_the_program_can_still_end_itself() -> None:
    before = os._exit
    with pytest.raises(ExitAttempt, match="SystemExit: 0"):
        run_isolated(lambda: os._exit(0))
    assert os._exit is before


def test_a_child_process_of_other_code_still_ends() -> None:
    def fork() -> int:
        child = os.fork()
        if child == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert run_isolated(fork) == 7


def looping() -> None:
    while True:
        pass


@pytest.mark.parametrize("function", [looping, lambda: time.sleep(60)])
def test_loading_that_does_not_end_is_interrupted_and_named(function: Callable[[], None]) -> None:
    with pytest.raises(TimeLimitExceeded, match=r"importing visitors has not ended within 0\.2 s"):
        load_isolated(function, "importing visitors", 0.2)


def test_loading_that_ends_in_time_returns_its_result() -> None:
    assert load_isolated(lambda: 7, "importing visitors", 30) == 7


def test_loading_that_raises_an_error_raises_it() -> None:
    with pytest.raises(ForeignError, match="ZeroDivisionError"):
        load_isolated(raising(ZeroDivisionError()), "importing visitors", 30)


FORKING = """
import os
from jobs.isolation import run_isolated
def fork():
    if not os.fork():
        {child}
try:
    run_isolated(fork)
finally:
    print("goes on", flush=True)
os.wait()
"""


@pytest.mark.parametrize("child", ["return", "raise ValueError", "raise KeyboardInterrupt", "raise SystemExit(0)"])
def test_a_child_process_that_a_detector_forks_does_not_go_on_as_a_second_program(child: str) -> None:
    script = FORKING.format(child=child)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "goes on\n"
