"""What holds for the whole suite: real servers, one of each for a process, and a word on every skipped test."""

import os
import signal
from pathlib import Path

import freezegun
import hypothesis
import pytest

from tests.support.influxdb import influxdb, influxdb_1, influxdb_2
from tests.support.mariadb import mariadb
from tests.support.postgresql import postgresql
from tests.support.skips import pytest_sessionfinish, pytest_terminal_summary

__all__ = [
    "influxdb",
    "influxdb_1",
    "influxdb_2",
    "mariadb",
    "postgresql",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as after `make test &`: programs that tests start inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.pop("COLUMNS", None)  # which pytest-xdist sets: what a test prints would be folded there only

hypothesis.settings.register_profile("few", max_examples=10)  # for tests that are run once more, with other versions

# freezegun reads every name of each loaded module, and one of testcontainers' asks a container engine for its socket.
freezegun.configure(extend_ignore_list=["testcontainers"])

collect_ignore = ["support/home_assistant.py"]  # a program for a Python that has Home Assistant

TESTS = Path(__file__).parent
UNIT = TESTS / "unit" / "jobs"
MANY_ROUNDS = (
    TESTS / "arena",
    TESTS / "fuzz",
    TESTS / "quality",
    UNIT / "activity" / "test_events_reference.py",
    UNIT / "daemon" / "test_daemon_years.py",
    UNIT / "detectors" / "test_history_properties.py",
    UNIT / "detectors" / "test_properties.py",
    UNIT / "fleet" / "test_serve.py",
    UNIT / "report" / "test_changes.py",
    UNIT / "sources" / "test_simulated_home.py",
)


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of our own arithmetic over many rounds: tracing them for coverage would take minutes."""
    files = {item.path for item in items}  # a few hundred, of thousands of tests
    many_rounds = {file for file in files if any(file.is_relative_to(place) for place in MANY_ROUNDS)}
    for item in items:
        if item.path in many_rounds:
            item.add_marker("many_rounds")
            item.add_marker("no_cover")
