"""The daemon as it is wired for real, over nights that pass as fast as they are computed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from jobs.daemon.loop import Daemon
from jobs.wiring import open_home, system_clock
from tests.support.nights import sleep_until_something_happens

MAX_SLEEP_SECONDS = 3600.0

Watch = Callable[[dt.datetime], object]


def serve(config: Path, begin: dt.datetime, end: dt.datetime, watch: Watch = lambda _now: None) -> Daemon:
    """Let the daemon of a configuration work from one instant to another.

    Args:
        config: The settings; the port of ``[health]`` should be 0.
        begin: When it is started.
        end: When it is stopped.
        watch: Called after each of its sleeps, with the home's local time.

    Returns:
        The daemon, with what it counted.
    """
    with freeze_time(begin, ignore=["_pytest", "xdist", "execnet"]) as frozen:
        assert isinstance(frozen, FrozenDateTimeFactory)
        home = open_home(config)

        def sleep(seconds: float) -> None:
            sleep_until_something_happens(daemon, frozen, seconds, end)
            watch(system_clock().astimezone(home.zone))
            if system_clock() >= end:
                daemon.stop()

        daemon = Daemon(home, wait=sleep, clock_check_seconds=MAX_SLEEP_SECONDS)
        daemon.serve()
    return daemon
