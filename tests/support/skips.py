"""A pytest plugin: every skip states what is missing, and a run ends with how many tests were left out and why.

A test that needs a server calls ``skip_without``. Where ``REQUIRED_VARIABLE`` names that server, as ``.ci/run`` does
for those it has installed, the test fails instead: there, no test may be left out unnoticed.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Final, NoReturn

import pytest

NOT_HERE: Final = "not here: "
REQUIRED_VARIABLE: Final = "PATTERN_AGGREGATES_REQUIRED_SERVERS"
SERVERS: Final = (
    "axe-core",
    "Chromium",
    "InfluxDB 1.x",
    "InfluxDB 2.x",
    "MariaDB",
    "Mosquitto",
    "PostgreSQL",
    "Prometheus",
    "S3",
)
HOW_TO_GET_THEM: Final = (
    "To run them too: `make servers` installs what Debian has, and .ci/axe gets axe-core. For InfluxDB 2.x, put its "
    "influxd on PATH as influxd2, "
    "or name a running server (tests/support/influxdb.py says how)."
)


def skip_without(server: str, reason: str = "it is not installed") -> NoReturn:
    """Skip the calling test because a server is missing, or fail it where that server is required.

    Args:
        server: One of ``SERVERS``.
        reason: Where it was looked for.

    Raises:
        ValueError: There is no such server.
    """
    if server not in SERVERS:
        raise ValueError(f"{server!r} is not one of {', '.join(SERVERS)}")
    if server in [name.strip() for name in os.environ.get(REQUIRED_VARIABLE, "").split(",")]:
        pytest.fail(f"{server} is required by {REQUIRED_VARIABLE}, but {reason}", pytrace=False)
    pytest.skip(f"{NOT_HERE}{server}: {reason}")


def summarize(reasons: list[str]) -> list[str]:
    """Return lines that count skipped tests by missing server, then by any other reason.

    Args:
        reasons: The reason of each skipped test, with or without what pytest puts before it.
    """
    by_server: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for reason in reasons:
        missing = reason.partition(NOT_HERE)[2] or reason
        server = missing.partition(": ")[0]
        if server in SERVERS:
            by_server[server] += 1
        else:
            others[missing] += 1
    lines = [f"{count:5} left out for {missing}" for missing, count in others.most_common()]
    if by_server:
        lines += [f"{by_server[server]:5} left out for {server}, which is not here" for server in sorted(by_server)]
        lines.append(HOW_TO_GET_THEM)
    return lines


def _reasons(terminalreporter: pytest.TerminalReporter) -> list[str]:
    return [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write which tests were left out and why, after everything else."""
    lines = summarize([reason.removesuffix("')") for reason in _reasons(terminalreporter)])
    if lines:
        terminalreporter.section("tests that were left out")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped without saying what is missing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    unexplained = [reason for reason in _reasons(reporter) if NOT_HERE not in reason]
    if unexplained:
        reporter.write_line(f"{len(unexplained)} tests skipped without a reason that begins with {NOT_HERE!r}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
