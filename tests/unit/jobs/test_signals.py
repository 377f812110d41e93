"""How a program that was asked to stop does so, in real processes: in time, whatever the signal has interrupted."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

from jobs.signals import StopRequest

BEGINNING = """
    import signal, sys, threading, time
    from jobs import signals
    signals.watch()
    request = signals.StopRequest()
    signals.stop_on_signals(request.make)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    code = textwrap.dedent(BEGINNING) + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)


def test_a_wait_ends_with_its_time_or_with_the_request() -> None:
    request = StopRequest()
    began = time.monotonic()
    request.wait(0.05)
    assert time.monotonic() - began >= 0.05
    assert not request.is_made()
    request.make()
    request.make()
    request.wait(3600)
    request.wait(3600)
    assert request.is_made()


def test_a_request_is_made_by_a_handler_whatever_it_interrupts() -> None:
    """A thousand signals at any place of many short waits; setting a ``threading.Event`` hangs here within seconds."""
    ended = run("""
        seen = 0
        def handle(_number, _frame):
            global seen
            seen += 1
            request.make()
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while seen < 1000:
            request = signals.StopRequest()
            for _ in range(20):
                request.wait(0.00001)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.exit(3)
    """)
    assert (ended.returncode, ended.stderr) == (3, "")


def test_a_signal_that_does_not_end_the_wait_of_the_main_thread_is_handled_all_the_same() -> None:
    """The system gives a signal to any thread; here to another one, so that the main thread goes on waiting."""
    ended = run("""
        other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
        other.start()
        def send():
            time.sleep(0.2)  # by now the main thread waits
            signal.pthread_kill(other.ident, signal.SIGTERM)
        threading.Thread(target=send).start()
        request.wait(60)
        sys.exit(3 if request.is_made() else 4)
    """)
    assert (ended.returncode, ended.stderr) == (3, "")


def test_a_program_that_does_not_stop_is_ended_by_a_second_signal() -> None:
    ended = run("""
        import os
        def send():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.6)  # two steps and a bit, in which the main thread is woken
        threading.Thread(target=send, daemon=True).start()
        time.sleep(60)
    """)
    assert (ended.returncode, ended.stderr) == (130, "")
