"""Logs: text on a terminal, otherwise one JSON object a line.

``fields`` adds the run, day and detector at work to each record. All text is cleaned (``storage.clean_text``), in
tracebacks too. A warning or error that repeats is logged once an hour, with the number of times it was left out.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType, TracebackType
from typing import Final, TextIO

from jobs.isolation import describe
from storage.clean_text import clean_json, clean_lines

REPEAT_SECONDS: Final = 3600.0
MAX_REMEMBERED: Final = 256  # different messages whose repeats are recognised
_BOUND: ContextVar[Mapping[str, object]] = ContextVar("fields", default=MappingProxyType({}))


@contextmanager
def fields(**values: object) -> Iterator[None]:
    """Add fields such as ``day`` or ``detector`` to each record that is logged meanwhile."""
    token = _BOUND.set({**_BOUND.get(), **values})
    try:
        yield
    finally:
        _BOUND.reset(token)


def configure(stream: TextIO, level: int = logging.INFO, *, as_text: bool | None = None) -> None:
    """Log to a stream, replacing every earlier configuration.

    Args:
        stream: The stream.
        level: The lowest level that is logged.
        as_text: Whether to log text and not JSON; by default if the stream is a terminal.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if (stream.isatty() if as_text is None else as_text) else JsonFormatter())
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)  # else Python prints them as they are, with what a package put into them
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # it logs each time it wakes
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of what becomes an error of ours anyway


class TextFormatter(logging.Formatter):
    """Text for a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, with its traceback; further lines are indented, so that none looks like a record."""
        return clean_lines(super().format(record)).replace("\n", "\n    ")


class JsonFormatter(logging.Formatter):
    """JSON for a machine: ``at``, ``level``, ``logger``, ``text``, the added fields; ``error`` is a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        document = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
            **{name: str(value) for name, value in _BOUND.get().items()},
        }
        if record.exc_info:
            document["error"] = self.formatException(record.exc_info)
        return clean_json(document)


def print_uncaught(_kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    """Print an error that nothing has caught, with its traceback, as ``sys.excepthook`` does, but cleaned."""
    sys.stderr.write(clean_lines("".join(traceback.format_exception(error))))


class RepeatFilter(logging.Filter):
    """Lets a repeated warning or error pass once an hour, with the number of times it was left out.

    Args:
        clock: Returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._logged: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record now; only warnings and errors are left out."""
        if record.levelno < logging.WARNING:
            return True
        cause = describe(record.exc_info[1]) if record.exc_info and record.exc_info[1] else ""
        key, now = (record.name, record.getMessage(), cause), self._clock()
        at, left_out = self._logged.pop(key, (None, 0))
        if at is not None and now - at < REPEAT_SECONDS:
            self._logged[key] = at, left_out + 1
            return False
        self._logged[key] = now, 0
        if len(self._logged) > MAX_REMEMBERED:
            self._logged.popitem(last=False)
        if left_out:
            record.msg, record.args = f"{key[1]} (and {left_out} more times since it was last logged)", ()
        return True
