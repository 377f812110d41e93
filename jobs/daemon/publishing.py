"""What the daemon publishes: after each run, when Home Assistant starts, and again after a failure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

from jobs.daemon.metrics import Metrics
from jobs.publish.publishing import Problem, Publishing
from jobs.run_report import RunReport
from jobs.wiring import Home
from storage.errors import PatternAggregatesError

REQUEST_PAUSE: Final = dt.timedelta(seconds=5)  # a broker that ends each connection at once is not asked without end
MIN_RETRY_PAUSE: Final = dt.timedelta(minutes=1)
MAX_RETRY_PAUSE: Final = dt.timedelta(minutes=15)

PlanDelivery = Callable[[Callable[[], object], dt.timedelta], object]
"""Has a function called after a pause, in the thread that also does the runs; it replaces the one planned before."""


class DaemonPublishing:
    """Publishes around each run, and keeps the connection to the broker open.

    Args:
        home: The home.
        metrics: Where problems are counted.
        plan: Plans a delivery; may be called from any thread.
    """

    def __init__(self, home: Home, metrics: Metrics, plan: PlanDelivery) -> None:
        self._home = home
        self._metrics = metrics
        self._plan = plan
        self._pause = MIN_RETRY_PAUSE
        self._publishing = Publishing(home, on_request=self._request)

    def begin_run(self) -> None:
        """See ``Publishing.begin_run``."""
        self._count(self._publishing.begin_run())

    def end_run(self, report: RunReport) -> None:
        """See ``Publishing.end_run``."""
        self._conclude(self._publishing.end_run(report))

    def fail_run(self, error: Exception) -> None:
        """See ``Publishing.fail_run``."""
        self._count(self._publishing.fail_run(error))

    def deliver(self) -> None:
        """Publish what there is now."""
        self._conclude(self._publishing.deliver())

    def close(self) -> None:
        """Close the connection to the broker."""
        self._publishing.close()

    def _request(self) -> None:
        self._plan(self.deliver, REQUEST_PAUSE)

    def _conclude(self, problems: Sequence[Problem]) -> None:
        """Count problems, and plan another try if there are any, after a pause that grows."""
        self._count(problems)
        if any(one.is_retried for one in problems):
            self._plan(self.deliver, self._pause)
            self._pause = min(2 * self._pause, MAX_RETRY_PAUSE)
        else:
            self._pause = MIN_RETRY_PAUSE

    def _count(self, problems: Sequence[Problem]) -> None:
        for one in problems:
            self._metrics.count_publish_error(one.channel)
        if self._publishing.is_on:
            try:
                with self._home.open_ledger(read_only=True) as ledger:
                    self._metrics.set_channels(ledger.channels())
            except PatternAggregatesError:  # the run itself reports a ledger that cannot be read
                return
