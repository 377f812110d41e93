"""Text on its way out of the program: no secrets, and no characters that control a terminal or a spreadsheet.

What devices, servers, files and packages of others wrote gets into messages and rows. It is made harmless here, called
wherever text leaves: consoles, logs, the health pages, JSON, CSV, and what the ledger keeps of errors.

Secrets are found by their form (``password=``, ``://user:password@`` and the like) and, once the settings are read, by
their value. The known value is not replaced in stored rows that are printed as data: these hold no messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

MASK: Final = "***"
MIN_SECRET_LENGTH: Final = 6  # a shorter one would be found in harmless words; its form still gives it away
MIN_LENGTH_WITHIN_WORDS: Final = 20  # a shorter one, such as "home_assistant", is replaced only where it stands alone

_SECRET_NAME: Final = re.compile(r"(?i)password|passwd|pwd|token|secret|api_?key")
_SECRET_FORMS: Final = (
    (re.compile(r"(://[^\s:/@]*:)\S+(@)"), rf"\1{MASK}\2"),
    (
        re.compile(rf"(?i)({_SECRET_NAME.pattern.removeprefix('(?i)')})(['\"]?\s*[=:]\s*['\"]?)[^\s'\",&;)]+"),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"(?i)\b(authorization['\"]?\s*[=:]\s*['\"]?(?:token|bearer|basic)\s+)[^\s'\",]+"), rf"\1{MASK}"),
)
_NOT_PLAIN_ASCII: Final = re.compile(r"[^ -~]")
_NOT_PLAIN_JSON: Final = re.compile(r"[^\n -~]")
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")

_known: set[str] = set()  # of this process: one home's settings, or a few


def remember_secrets(settings: Mapping[str, Any]) -> None:
    """Note the secrets in a table of settings: values named token, password and the like, and passwords in URLs."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            remember_secrets(value)
        elif isinstance(value, str):
            found = _secrets_of_url(value)
            if _SECRET_NAME.search(name):
                found |= {value, value.partition(":")[2]}  # of InfluxDB 1.x the token is name:password
            _known.update(secret for secret in found if len(secret) >= MIN_SECRET_LENGTH)
    _known_pattern.cache_clear()


def _secrets_of_url(text: str) -> set[str]:
    if "://" not in text:
        return set()
    try:
        parts = urlsplit(text)
        password = parts.password or ""
    except ValueError:  # not a valid URL; its form still gives the password away
        return set()
    values = {value for name, value in parse_qsl(parts.query) if _SECRET_NAME.search(name)}
    return {password, unquote(password), *values}


@cache
def _known_pattern() -> re.Pattern[str] | None:
    """Return a pattern of the known secrets, the longest first; None if none is known."""
    words = [
        re.escape(secret) if len(secret) >= MIN_LENGTH_WITHIN_WORDS else rf"(?<!\w){re.escape(secret)}(?!\w)"
        for secret in sorted(_known, key=lambda one: (-len(one), one))
    ]
    return re.compile("|".join(words)) if words else None


def without_secrets(text: str) -> str:
    """Return a text with passwords and tokens replaced by ``***``.

    >>> without_secrets("postgresql://home:hunter2@server/db refused token=abc")
    'postgresql://home:***@server/db refused token=***'
    """
    known = _known_pattern()
    if known is not None:
        text = known.sub(MASK, text)
    if ":" in text or "=" in text:  # every form has one of them, and few cells of a table have
        for pattern, replacement in _SECRET_FORMS:
            text = pattern.sub(replacement, text)
    return text


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text with every character that does not print replaced by its escape; ``keep`` stays.

    >>> print(printable("light.a\x1b[2J\u202e"))
    light.a\x1b[2J\u202e
    """

    def escape(match: re.Match[str]) -> str:
        character = match[0]
        return character if character.isprintable() or character in keep else ascii(character)[1:-1]

    return _NOT_PLAIN_ASCII.sub(escape, text)


def clean(text: str) -> str:
    """Return a text as one line, without secrets and without characters that do not print."""
    return printable(without_secrets(text))


def clean_lines(text: str) -> str:
    """Return a text without secrets and without characters that do not print, except line breaks."""
    return printable(without_secrets(text), keep="\n")


def clean_json(document: Any, *, are_rows: bool = False, indent: int | None = None) -> str:  # noqa: ANN401 - as JSON
    """Return a document as JSON; characters that do not print are escaped as JSON does it, so a reader gets them.

    Args:
        document: Anything JSON can hold; other objects are printed as text.
        are_rows: Whether these are stored rows, in which a value is never replaced.
        indent: How far to indent each level; None for one line.
    """
    text = json.dumps(
        document if are_rows else _without_secrets_within(document), ensure_ascii=False, indent=indent, default=str
    )

    def escape(match: re.Match[str]) -> str:
        character = match[0]
        if character.isprintable():
            return character
        return json.dumps(character)[1:-1] if ord(character) > 0xFFFF else f"\\u{ord(character):04x}"  # noqa: PLR2004 - the end of the basic plane

    return _NOT_PLAIN_JSON.sub(escape, text)


def _without_secrets_within(value: Any) -> Any:  # noqa: ANN401 - anything JSON can hold
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {_without_secrets_within(name): _without_secrets_within(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets_within(inner) for inner in value]
    return value


def csv_cell(value: Any) -> Any:  # noqa: ANN401 - any value of a row
    """Return a value for a CSV file: a text that a spreadsheet would take for a formula gets a leading quote mark.

    >>> csv_cell("=1+1"), csv_cell(-1)
    ("'=1+1", -1)
    """
    if not isinstance(value, str):
        return value
    return printable(f"'{value}" if value.startswith(_FORMULA_STARTS) else value)
