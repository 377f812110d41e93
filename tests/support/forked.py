"""Run the program in processes forked from this one, which has loaded it already: that saves the start of Python.

Only for processes without threads: a lock that another thread holds at the fork would stay locked in the child.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.context import ForkProcess
from pathlib import Path

from jobs import cli

_FORK = multiprocessing.get_context("fork")


def start(config: Path, *words: str, log: Path) -> ForkProcess:
    """Start a command; what it prints is appended to ``log``."""
    process = _FORK.Process(target=_main, args=(["--config", str(config), *words], log))
    process.start()
    return process


def ended(process: ForkProcess, *, seconds: float = 120.0) -> int:
    """Wait for a command and return its exit code, or minus the signal that ended it."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"a command was not over after {seconds:.0f} s")
    code = process.exitcode
    process.close()
    return code


def _main(words: list[str], log: Path) -> None:
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = ["pattern-aggregates", *words]
    cli.main()
