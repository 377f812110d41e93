"""Rules for the whole suite, and the real servers that its tests share: one of each for a process."""

from __future__ import annotations

import pytest

from tests.support.influxdb import influxdb, influxdb_1, influxdb_2
from tests.support.mariadb import mariadb
from tests.support.postgresql import postgresql

__all__ = ["influxdb", "influxdb_1", "influxdb_2", "mariadb", "postgresql"]

NOT_HERE = "not here: "


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped without saying what it lacks."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    unexplained = [report for report in reporter.stats.get("skipped", []) if NOT_HERE not in str(report.longrepr)]
    if unexplained:
        reporter.write_line(f"{len(unexplained)} tests skipped without a reason that begins with {NOT_HERE!r}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
