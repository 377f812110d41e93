"""What holds for the whole suite: real servers, one of each for a process, and a word on every skipped test."""

import os
import signal

import freezegun
import hypothesis

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
