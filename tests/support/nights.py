"""A home whose nights pass as fast as they are computed.

freezegun stops the clock, which APScheduler reads too. The daemon's own wait, which a test replaces, lets the
scheduler's thread finish what is due and then sets the clock forward to the next thing that happens.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory

from jobs.activity.window import DayWindow, from_instant
from jobs.daemon.loop import Daemon
from jobs.pipeline import Pipeline
from jobs.registry import Registered
from jobs.settings import HomeSettings, Settings
from jobs.wiring import Home, system_clock
from storage.dates import ONE_DAY, DateRange
from storage.ledger.ledger import Ledger
from storage.store import AggregateStore
from tests.support.detectors import Counter, FlakyStore
from tests.support.memory_source import MemorySource, Row

DAY_SECONDS = 86_400.0
THIRTY_DAYS = DateRange(dt.date(2026, 3, 2), dt.date(2026, 3, 31))


@dataclass(frozen=True)
class GivenHome(Home):
    """A home whose detectors are given."""

    given: list[Registered]

    @cached_property
    def registered(self) -> list[Registered]:
        return self.given

    @cached_property
    def enabled_detectors(self) -> list[str]:
        return [one.detector.name for one in self.given if one.enabled]


@dataclass(frozen=True)
class _Home(GivenHome):
    """A home whose pipeline is given, too."""

    pipeline: Callable[[], AbstractContextManager[Pipeline]]
    checked: Callable[[], tuple[Ledger, AggregateStore]]

    @contextmanager
    def open_checked(self) -> Iterator[tuple[Ledger, AggregateStore]]:
        yield self.checked()

    @contextmanager
    def open_pipeline(self, *, dry: bool = False) -> Iterator[Pipeline]:
        with self.pipeline() as pipeline:
            yield pipeline


class Nights:
    """A home, its daemons, and what a test can disturb.

    Args:
        folder: Where the ledger lies.
        frozen: freezegun's clock, which APScheduler reads too.
        days: The days that the source holds; the clock is set to the end of the first.
        zone: The home's zone.
        retention_days: How long the store keeps a day.
        schedule: ``[schedule]``.

    Attributes:
        instants: When the nightly job was begun.
        sleeps: How long the daemon meant to wait each time.
        refusal: What opening source, store and ledger raises, where a test sets it.
        meanwhile: Called in each sleep, when the clock has been set forward.
    """

    def __init__(
        self,
        folder: Path,
        frozen: FrozenDateTimeFactory,
        days: DateRange,
        *,
        zone: str = "Europe/Berlin",
        retention_days: int = 0,
        **schedule: Any,
    ) -> None:
        self.frozen = frozen
        self.zone = ZoneInfo(zone)
        start, end = DayWindow(days.first, self.zone).start, DayWindow(days.last, self.zone).end
        self.source = MemorySource(self.zone, [Row(start, "light.a", "off")], runs=[(start, end)])
        self.source.held = days
        self.store = FlakyStore()
        self.counter = Counter()
        self.instants: list[dt.datetime] = []
        self.sleeps: list[float] = []
        self.refusal: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        settings = Settings.model_validate(
            {
                "home": {"time_zone": zone},
                "schedule": {"recheck_days": 0, **schedule},
                "ledger": {"path": "ledger.db"},
                "store": {"kind": "sql", "retention_days": retention_days},
                "health": {"port": 0},
            }
        )
        registered = [Registered(self.counter, "test", enabled=True)]
        self.home = _Home(settings, folder, "test", system_clock, registered, self._pipeline, self._checked)
        self.ledger = self.home.open_ledger()
        self.sleep_until(days.first + ONE_DAY)

    @property
    def wakes(self) -> list[dt.datetime]:
        """When the nightly job was begun, as a clock on the wall shows it."""
        return [instant.astimezone(self.zone) for instant in self.instants]

    def sleep_until(self, day: dt.date, hour: int = 0) -> None:
        """Let time pass, with no daemon, until so many hours after a local day began."""
        self.frozen.move_to(from_instant(DayWindow(day, self.zone).start) + dt.timedelta(hours=hour))

    def move(self, zone: str) -> None:
        """Let the settings name another zone, and the same recorder go on in it."""
        self.zone = ZoneInfo(zone)
        settings = self.home.settings.model_copy(update={"home": HomeSettings(time_zone=zone)})
        self.home = replace(self.home, settings=settings)
        held, rows = self.source.held, self.source.rows
        assert held is not None
        start, end = DayWindow(held.first, self.zone).start, DayWindow(held.last, self.zone).end
        self.source = MemorySource(self.zone, rows, runs=[(start, end)])
        self.source.held = held

    def serve(self, until: dt.date, hour: int = 12, clock_check_seconds: float = DAY_SECONDS) -> Daemon:
        """Let a daemon work from now until so many hours after a local day began."""
        end = from_instant(DayWindow(until, self.zone).start) + dt.timedelta(hours=hour)
        daemon = self.daemon(until=end, clock_check_seconds=clock_check_seconds)
        daemon.serve()
        return daemon

    def daemon(self, *, until: dt.datetime | None = None, clock_check_seconds: float = DAY_SECONDS) -> Daemon:
        """A daemon whose sleep sets the clock forward, and which stops at an instant."""

        def sleep(seconds: float) -> None:
            self.sleeps.append(seconds)
            sleep_until_something_happens(daemon, self.frozen, seconds, until)
            self.meanwhile()
            if until is not None and system_clock() >= until:
                daemon.stop()

        daemon = Daemon(self.home, wait=sleep, clock_check_seconds=clock_check_seconds)
        return daemon

    def _checked(self) -> tuple[Ledger, AggregateStore]:
        return self.ledger, self.store

    @contextmanager
    def _pipeline(self) -> Iterator[Pipeline]:
        self.instants.append(system_clock())
        if self.refusal is not None:
            raise self.refusal
        yield Pipeline([self.counter], self.source, self.store, self.ledger, self.zone, system_clock)


def sleep_until_something_happens(
    daemon: Daemon, frozen: FrozenDateTimeFactory, seconds: float, until: dt.datetime | None
) -> None:
    """Let the scheduler run what is due, then set the clock forward to its next run, but not beyond the limits.

    Args:
        daemon: A daemon that is serving.
        frozen: The clock.
        seconds: How far to set the clock forward at most.
        until: Where the clock should not pass.
    """
    next_run = daemon.next_run_at()
    while next_run is not None and next_run <= system_clock():  # only pytest's timeout bounds it: every clock is frozen
        time.sleep(0.0005)
        next_run = daemon.next_run_at()
    now = system_clock()
    end = min(instant for instant in (now + dt.timedelta(seconds=seconds), next_run, until) if instant is not None)
    frozen.move_to(max(end, now + dt.timedelta(milliseconds=1)))  # time passes, however short the sleep


Make = Callable[..., Nights]


@pytest.fixture
def frozen() -> Iterator[FrozenDateTimeFactory]:
    """A clock that stands until it is set forward."""
    with freeze_time("2000-01-01", ignore=["_pytest", "xdist", "execnet"]) as clock:
        assert isinstance(clock, FrozenDateTimeFactory)
        yield clock


@pytest.fixture
def nights(tmp_path: Path, frozen: FrozenDateTimeFactory) -> Iterator[Make]:
    """Makes homes, of 30 days by default."""
    made = []

    def make(days: DateRange = THIRTY_DAYS, **options: Any) -> Nights:
        made.append(Nights(tmp_path, frozen, days, **options))
        return made[-1]

    yield make
    for one in made:
        one.ledger.close()
