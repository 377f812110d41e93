"""What the words of each domain mean: which states are active, and which words are not states of their own.

A device reports more words than it has states. Every word of an entity is read as one of these:

==============  =====================================================================================================
word            means
==============  =====================================================================================================
active          the device is in use: on, open, unlocked, home, playing, heating, cleaning ...
inactive        every other state
pause           an inactive state that, for at most 5 minutes between two active ones, does not end an episode
transitional    the device is under way (opening, locking, jammed): it keeps the state it had until it takes on another
not known       unavailable, unknown, None, NULL, UNDEF ...; also ``buffering`` of a media player
==============  =====================================================================================================

Words are compared without regard to case and surrounding space: ``ON`` is ``on``. Where a domain has only two states,
the words and numbers that other systems use for them are read as these: ``OPEN`` of a door's binary sensor is ``on``,
``45 %`` of a dimmed light is ``on``, ``0`` is ``off``. A word that a domain does not have stays as it is.

>>> read = words_of("binary_sensor").read
>>> read("ON"), read("CLOSED"), read("UNDEF")
('on', 'off', None)
>>> words_of("lock").read("jammed") is TRANSITIONAL
True
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Final

GAPS: Final = frozenset({"", "unavailable", "unknown"})
_NOT_KNOWN: Final = GAPS | {"n/a", "nan", "null", "undef", "undefined", "uninitialized"}
CHOSEN: Final = frozenset({"input_select", "select"})  # their states are names that somebody gave, "None" among them


class Transitional(Enum):
    """The type of ``TRANSITIONAL``."""

    TRANSITIONAL = "transitional"


TRANSITIONAL: Final = Transitional.TRANSITIONAL


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one domain.

    Attributes:
        active: The states in which an entity is in use.
        inactive: The other states that are known by name.
        pause: Inactive states that do not end an episode if they are short.
        transitional: Words of a device that is under way.
        not_known: Words that do not name a state, in addition to those of every domain.
        same_as: Other systems' words for the states.
        dimmed: Whether a number is a state: ``off`` if it is 0, else ``on``.
        named: Whether the states are names that somebody chose, so that ``None`` may be one.
    """

    active: frozenset[str]
    inactive: frozenset[str] = frozenset()
    pause: frozenset[str] = frozenset()
    transitional: frozenset[str] = frozenset()
    not_known: frozenset[str] = frozenset()
    same_as: Mapping[str, str] = field(default_factory=dict)
    dimmed: bool = False
    named: bool = False

    def read(self, text: str | None) -> str | Transitional | None:
        """Return the state that a text stands for; None if it is not known, ``TRANSITIONAL`` if it stays as it was."""
        stripped = (text or "").strip()
        lowered = stripped.lower()
        if lowered in _NOT_KNOWN or lowered in self.not_known or (not self.named and not lowered.strip("-?.")):
            return None  # a text of dashes or question marks stands for nothing, too
        if lowered == "none" and not self.named and (stripped == "None" or self.inactive):
            return None  # what a template renders where its source is missing; "none" is a word of some sensors
        if lowered in self.transitional:
            return TRANSITIONAL
        if lowered in self.same_as:
            return self.same_as[lowered]
        if self.dimmed and (number := number_of(stripped)) is not None:
            return "on" if number > 0 else "off"
        known = lowered in self.active or lowered in self.inactive or lowered in self.pause
        return lowered if known else stripped


def _words(active: str, inactive: str = "", pause: str = "", transitional: str = "", not_known: str = "") -> Words:
    groups = [frozenset(words.split()) for words in (active, inactive, pause, transitional, not_known)]
    return Words(groups[0], groups[1], groups[2], groups[3], groups[4])


_ON_OFF: Final = Words(
    frozenset({"on"}),
    frozenset({"off"}),
    same_as={"true": "on", "yes": "on", "false": "off", "no": "off"},
    dimmed=True,
)
_SENSED: Final = Words(
    frozenset({"on"}),
    frozenset({"off"}),
    same_as={
        **_ON_OFF.same_as,
        **dict.fromkeys(("open", "opened", "ajar", "tilted", "detected", "motion", "occupied", "wet", "home"), "on"),
        **dict.fromkeys(("closed", "clear", "no_motion", "not_occupied", "dry", "not_home"), "off"),
    },
    dimmed=True,
)
_MOVED: Final = Words(
    frozenset({"open"}),
    frozenset({"closed"}),
    transitional=frozenset({"opening", "closing"}),
    # One that stopped on its way is not closed, so it is open, as Home Assistant reports it.
    same_as={"opened": "open", "stopped": "open", "close": "closed", "true": "open", "false": "closed"},
)
_MODES: Final = "heat cool heat_cool auto dry fan_only heating cooling drying fan preheating defrosting"
_DOMAINS: Final[Mapping[str, Words]] = {
    "alarm_control_panel": _words(
        "triggered",
        "disarmed armed armed_away armed_custom_bypass armed_home armed_night armed_vacation",
        transitional="arming disarming pending",
    ),
    "binary_sensor": _SENSED,
    "climate": _words(_MODES, "off idle"),  # entities report modes, some integrations actions
    "cover": _MOVED,
    "device_tracker": _words("home", "not_home"),
    "fan": _ON_OFF,
    "humidifier": _ON_OFF,
    "input_boolean": _ON_OFF,
    "lawn_mower": _words("mowing", "docked error idle returning", pause="paused"),
    "light": _ON_OFF,
    "lock": _words("unlocked open", "locked", transitional="locking unlocking opening jammed"),
    "media_player": _words("playing on", "idle off standby", pause="paused", not_known="buffering"),
    "person": _words("home", "not_home"),
    "remote": _ON_OFF,
    "siren": _ON_OFF,
    "switch": _ON_OFF,
    "vacuum": _words("cleaning on", "docked error idle returning off", pause="paused"),
    "valve": _MOVED,
    "water_heater": _words(
        "on auto boost comfort eco electric extraenergy gas heat heat_pump heating high_demand manual performance"
        " powersave schedule",
        "off away idle vacation",
    ),
}
_OTHER: Final = _words(
    "on open unlocked home playing heating cooling cleaning mowing run running washing rinsing spinning drying printing"
    " cooking brewing active",
    pause="pause paused",
)
INACTIVE: Final = frozenset().union(*(words.inactive for words in _DOMAINS.values())) - frozenset().union(
    *(words.active for words in _DOMAINS.values())
)
DEVICES: Final = frozenset(_DOMAINS)  # domains of devices that people use


@cache
def words_of(domain: str) -> Words:
    """Return the words of a domain; the common words if the domain is not known."""
    if domain in _DOMAINS:
        return _DOMAINS[domain]
    return Words(_OTHER.active, pause=_OTHER.pause, named=domain in CHOSEN)


# A number is followed by nothing, a sign, or a unit: any short word after a space, one of some directly behind it.
_NUMBER: Final = re.compile(
    r"[+-]?(?:\d{1,3}(?:[ '\u00a0\u202f]\d{3})+|\d+)?(?:[.,]\d+)*(?:[eE][+-]?\d{1,3})?"
    r"(?:\s*(?:%|°\s?[CFK]?|[€$£]|(?:[kMGmµ]?(?:Wh?|VA?r?|A|Hz|B|bit|m[²³23]?|g|l|L|Pa)|h?Pa|lx|lm|K|C|F|s|min|h|d|ppm|ppb"
    r"|dBm?|kVAr?|mbar|bar|rpm)(?:/[a-z]{1,3}[²³]?)?)|\s+[^\s\d]{1,6})?"
)
_SPECIAL: Final = frozenset({"inf", "infinity", "nan"})


def number_of(text: str) -> float | None:
    """Return the number that a text shows, with a decimal point or comma and perhaps a unit; None if it shows none."""
    stripped = text.strip()
    if stripped.lower().lstrip("+-") in _SPECIAL:
        return float(stripped)
    if not any(character.isdigit() for character in stripped[:4]) or not _NUMBER.fullmatch(stripped):
        return None
    digits = re.match(r"[+-]?[\d.,'\s]*(?:[eE][+-]?\d+)?", stripped)
    plain = re.sub(r"[\s']", "", digits.group() if digits else "")
    mark = max(plain.rfind("."), plain.rfind(","))  # the last mark is the decimal one
    whole, fraction = (plain, "") if mark < 0 else (plain[:mark], plain[mark + 1 :])
    try:
        return float(re.sub(r"[.,]", "", whole) + (f".{fraction}" if fraction else ""))
    except ValueError:
        return None


_CLOCK: Final = re.compile(r"(?:\d+ days?, )?\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?[aApP][mM])?")
_DAY_FIRST: Final = re.compile(r"\d{1,2}[./]\d{1,2}[./]\d{2,4}(?:,?\s+\d{1,2}:\d{2}(?::\d{2})?)?")


def is_instant(text: str) -> bool:
    """Return whether a text is a date, a time of day, a duration by the clock or a date with a time."""
    stripped = text.strip()
    if _CLOCK.fullmatch(stripped) or _DAY_FIRST.fullmatch(stripped):
        return True
    try:
        datetime.fromisoformat(stripped)
    except ValueError:
        return False
    return True


def is_measured(text: str) -> bool:
    """Return whether a text is a number or a time, which are measured and not states of a device."""
    return number_of(text) is not None or is_instant(text)
