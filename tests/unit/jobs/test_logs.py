"""Logs: fields, no secrets, no flood."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from jobs import logs
from storage.clean_text import without_secrets

log = logging.getLogger("tests.logs")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)
    for name in ("apscheduler", "psycopg"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_file_gets_one_object_a_line_with_run_day_and_detector() -> None:
    stream = io.StringIO()
    logs.configure(stream)
    with logs.fields(run="1a2b", day="2026-03-02"), logs.fields(detector="duration"):
        log.warning("took %d s\nand more", 9)
    log.info("done")
    first, second = lines(stream)
    assert first.pop("at").startswith("20")
    about = {"run": "1a2b", "day": "2026-03-02", "detector": "duration"}
    assert first == {"level": "warning", "logger": "tests.logs", "text": "took 9 s\nand more", **about}
    assert "run" not in second


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    logs.configure(stream)
    log.info("done")
    assert stream.getvalue().endswith("INFO tests.logs: done\n")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_secrets_are_removed_from_messages_and_tracebacks(stream: io.StringIO) -> None:
    logs.configure(stream)
    try:
        int("mysql://home:hunter2@server/db")
    except ValueError:
        log.exception("Authorization: Token s3cr3t, password='hunter3' at postgresql://u:p@ss@host/db")
    message = stream.getvalue()
    assert "Traceback" in message
    assert "server/db" in message
    assert not [word for word in ("hunter2", "hunter3", "s3cr3t", "p@ss") if word in message]


def test_a_repeated_warning_is_left_out_for_an_hour_and_then_counted() -> None:
    now = [0.0]
    limit = logs.RepeatFilter(lambda: now[0])

    def passes(text: str, level: int = logging.WARNING) -> str:
        record = logging.LogRecord("a", level, "", 0, text, None, None)
        return record.getMessage() if limit.filter(record) else ""

    assert passes("down") == "down"
    assert [passes("down"), passes("down"), passes("up")] == ["", "", "up"]
    assert passes("news", logging.INFO) == passes("news", logging.INFO) == "news"
    now[0] = logs.REPEAT_SECONDS
    assert passes("down") == "down (and 2 more times since it was last logged)"
    assert passes("down") == ""
    now[0] *= 2
    assert passes("down") == "down (and 1 more times since it was last logged)"


def test_another_error_with_the_same_message_is_logged() -> None:
    limit = logs.RepeatFilter(lambda: 0.0)

    def passes(error: Exception) -> bool:
        return limit.filter(logging.LogRecord("a", logging.ERROR, "", 0, "broke off", None, (type(error), error, None)))

    assert passes(ValueError("one"))
    assert not passes(ValueError("one"))
    assert passes(ValueError("another"))


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://bob:hun@SECRET@localhost/x failed",
        "PATTERN_AGGREGATES__STORE__TOKEN=SECRET",
        "access_token=SECRET&x=1",
        "sslpassword=SECRET",
        "api_key: SECRET",
    ],
)
def test_a_secret_is_removed_wherever_it_stands(text: str) -> None:
    assert "SECRET" not in without_secrets(text)


def test_ten_thousand_equal_warnings_in_a_night_become_a_few_lines_with_their_number() -> None:
    seconds, stream = [0.0], io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(logs.RepeatFilter(lambda: seconds[0]))
    log.addHandler(handler)
    for number in range(10_000):
        seconds[0] = number * 8 * 3600 / 10_000
        log.warning("the store is %s", "down")
    log.removeHandler(handler)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "the store is down"
    assert len(lines) == 8
    counted = [int(line.split("and ")[1].split()[0]) for line in lines[1:]]
    assert sum(counted) + len(lines) + counted[-1] == pytest.approx(10_000, abs=2)  # the last hour's are not yet logged


def test_a_warning_of_another_package_is_cleaned_like_every_record() -> None:
    stream = Terminal()
    logs.configure(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logs.configure(stream)  # within the block, which brings back how Python shows warnings
        warnings.warn("bell\a and \x1b[31mred", stacklevel=1)
    assert "red" in stream.getvalue()
    assert not {"\a", "\x1b"} & set(stream.getvalue())
