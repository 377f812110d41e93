"""Which names of time zones are valid."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from storage.clean_text import clean
from storage.columns import closest

_OF_ONE_MACHINE: Final = frozenset({"localtime", "posixrules", "Factory"})
_OTHER_TREES: Final = ("posix/", "right/")  # "right" counts leap seconds, so its midnights are others


@lru_cache(maxsize=1024)  # of a fleet's zones; a name that is not valid is looked for in many folders
def zone_fault(name: str) -> str:
    """Return that a text is not the name of an IANA time zone, and the nearest name; empty if it is one.

    Files beside the zones, such as ``localtime``, are refused: they mean another zone on another machine.
    """
    if name not in _OF_ONE_MACHINE and not name.startswith(_OTHER_TREES):
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
        else:
            return ""
    near = closest(name, available_timezones() - _OF_ONE_MACHINE)
    return f"{clean(name)!r} is not a valid IANA time zone" + (f"; {near}" if near else "")
