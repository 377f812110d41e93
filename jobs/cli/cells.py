"""Values of rows as people read them: lengths of time in hours and minutes, lists without brackets and quotes."""

from __future__ import annotations

import re
from typing import Any, Final

from jobs.cli.app import is_unicode, out
from jobs.sentences.wording import length
from storage.models import HOURS

_BARS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = " .:-=+*#@"
_SECONDS: Final = re.compile(r"\w+_seconds(_(sum|mean|min|max))?")
_WHOLE_FROM: Final = 1000  # numbers from here on are shown without decimals


def cell(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the value of a field, or of a function of it, as people read it.

    >>> cell("max_duration_seconds", 47_040.0), cell("peak_hours", [7, 18]), cell("muted", True), cell("bouts", None)
    ('13 h 4 min', '7, 18', 'yes', '')
    >>> cell("transition_patterns", [{"to": "hall", "count": 3}, {"to": "bath", "count": 1}])
    'to hall, count 3; to bath, count 1'
    """
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, int | float):
        return _number(name, value)
    if name == "hourly_distribution":
        return hours_as_bars(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {cell(str(key), inner)}" for key, inner in value.items())
    if isinstance(value, list):
        has_parts = any(isinstance(inner, list | dict) for inner in value)
        return ("; " if has_parts else ", ").join(cell("", inner) for inner in value)
    return str(value)


def _number(name: str, value: float) -> str:
    if _SECONDS.fullmatch(name):
        return length(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3g}" if abs(value) < _WHOLE_FROM else f"{value:,.0f}"


def hours_as_bars(counts: list[int]) -> str:
    """Return 24 counts as 24 bars, the highest of full height.

    >>> hours_as_bars([0] * 7 + [4, 8] + [0] * 15)
    '       ▄█               '
    """
    bars = _BARS if is_unicode(out.encoding) else _ASCII_BARS
    top = max(counts, default=0) or 1
    return "".join(bars[-(-count * (len(bars) - 1) // top)] for count in counts[:HOURS])
