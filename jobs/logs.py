"""Logs as a person or a machine reads them: text on a terminal, else a JSON object a line.

Whoever works on something says so with ``fields``; every record made meanwhile carries run, day and detector. Passwords
in URLs and the like are blotted out of everything, tracebacks included. What is said again and again is said once an
hour, with how often it came in between.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final, TextIO

REPEAT_SECONDS: Final = 3600.0
_REMEMBERED: Final = 256  # different messages whose repeats are noticed
_BOUND: ContextVar[Mapping[str, object]] = ContextVar("fields", default=MappingProxyType({}))
_SECRETS: Final = (
    (re.compile(r"(://[^\s:/@]*:)\S+(@)"), r"\1***\2"),
    (re.compile(r"(?i)(password|passwd|pwd|token|secret|api_?key)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",&;)]+"), r"\1\2***"),
    (re.compile(r"(?i)\b(authorization['\"]?\s*[=:]\s*['\"]?(?:token|bearer|basic)\s+)[^\s'\",]+"), r"\1***"),
)


@contextmanager
def fields(**values: object) -> Iterator[None]:
    """Say of every record made meanwhile what it is about, such as ``day`` or ``detector``."""
    token = _BOUND.set({**_BOUND.get(), **values})
    try:
        yield
    finally:
        _BOUND.reset(token)


def configure(stream: TextIO, level: int = logging.INFO) -> None:
    """Log to a stream, in the form that its reader likes, in place of whatever was set before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if stream.isatty() else JsonFormatter())
    handler.addFilter(OnceInAWhile())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # that it looked for jobs is no news


def without_secrets(text: str) -> str:
    """A text in which passwords and tokens are blotted out.

    >>> without_secrets("postgresql://home:hunter2@server/db refused token=abc")
    'postgresql://home:***@server/db refused token=***'
    """
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class TextFormatter(logging.Formatter):
    """For a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """A line, with its traceback."""
        return without_secrets(super().format(record))


class JsonFormatter(logging.Formatter):
    """For a machine: ``at``, ``level``, ``logger``, ``text``, what it is about, and ``error`` with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        told = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": without_secrets(record.getMessage()),
            **{name: without_secrets(str(value)) for name, value in _BOUND.get().items()},
        }
        if record.exc_info:
            told["error"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)


class OnceInAWhile(logging.Filter):
    """Lets the same message pass once an hour, with how often it came in between.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: OrderedDict[tuple[str, str, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to say it now; errors and warnings only are held back."""
        if record.levelno < logging.WARNING:
            return True
        cause = repr(record.exc_info[1]) if record.exc_info else ""
        key, now = (record.name, record.getMessage(), cause), self._clock()
        at, held_back = self._said.pop(key, (None, 0))
        if at is not None and now - at < REPEAT_SECONDS:
            self._said[key] = at, held_back + 1
            return False
        self._said[key] = now, 0
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        if held_back:
            record.msg, record.args = f"{key[1]} (and {held_back} times since it was last said)", ()
        return True
