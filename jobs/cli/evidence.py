"""The evidence behind a row as people read it: names, local times, lengths of time in hours and minutes."""

from __future__ import annotations

import re
from typing import Final

from jobs.cli.app import print_line
from jobs.cli.tables import print_table
from jobs.detector import Evidence
from jobs.names import Names
from jobs.sentences.wording import length
from storage.clean_text import clean

_LENGTHS: Final = {"seconds": "lasted", "seconds between": "time between"}  # columns of lengths, and their headings
_INSTANT: Final = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})([+-]\d{2}:\d{2})", re.ASCII)
_WHOLE_FROM: Final = 1000  # numbers from here on are shown without decimals


def print_evidence(found: Evidence, names: Names) -> None:
    """Print a table of evidence and its notes; columns without heading and values are left out.

    Args:
        found: The evidence, with ids, seconds and instants.
        names: How entities are called.
    """
    filled = [at for at, heading in enumerate(found.columns) if heading or any(line[at] for line in found.lines)]
    named = {heading: _named(heading, names) for heading in found.columns}
    headings = [clean(_LENGTHS.get(found.columns[at], named[found.columns[at]])) for at in filled]
    offsets = {matched[2] for line in found.lines for value in line if (matched := _INSTANT.fullmatch(str(value)))}
    lines = [
        [shown(found.columns[at], line[at], names, has_offsets=len(offsets) > 1) for at in filled]
        for line in found.lines
    ]
    texts = [heading for at, heading in enumerate(headings) if any(_is_sentence(line[at]) for line in lines)]
    print_table(headings, lines, texts=texts)
    for note in found.notes:
        print_line(_with_names(note, named))


def shown(heading: str, value: str | float, names: Names, *, has_offsets: bool) -> str:
    """Return one value of the evidence as people read it.

    Args:
        heading: The heading of its column.
        value: The value.
        names: How entities are called.
        has_offsets: Whether instants keep the offset of their zone, as on the day of a clock change.

    >>> shown("seconds", 22453.0, Names(), has_offsets=False), shown("p", 1.0, Names(), has_offsets=False)
    ('6 h 14 min', '1')
    >>> shown("from", "2026-11-01 00:16:51+01:00", Names(), has_offsets=False)
    '2026-11-01 00:16:51'
    """
    if isinstance(value, str):
        matched = None if has_offsets else _INSTANT.fullmatch(value)
        return matched[1] if matched else names.entity(value)
    if heading in _LENGTHS:
        return ("-" if value < 0 else "") + length(abs(value))
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if abs(value) < _WHOLE_FROM else f"{value:,.0f}"


def _named(heading: str, names: Names) -> str:
    """Return a heading with a name instead of an entity id, or instead of the id in a step of a chain."""
    is_step = heading.partition(":")[0] in names.entities and ":" in heading
    return names.step(heading) if is_step else names.entity(heading)


def _with_names(note: str, named: dict[str, str]) -> str:
    """Return a note with the names of the entities and steps that are headings."""
    longest_first = sorted((heading for heading in named if heading), key=len, reverse=True)
    ids = "|".join(re.escape(heading) for heading in longest_first if named[heading] != heading)
    return re.sub(rf"(?<![\w.])(?:{ids})(?!\w)", lambda found: named[found[0]], note) if ids else note


def _is_sentence(text: str) -> bool:
    return len(text.split()) > 2  # noqa: PLR2004 - an instant is two words, and is not broken
