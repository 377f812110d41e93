"""What goes together, what follows what, and where people went from which room."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from jobs.names import Names
from jobs.report.drawings import Node, arrow, circle
from jobs.report.stored_rows import StoredRows
from jobs.sentences.wording import length
from storage.query import CoOccurrenceDaily, RoomBasedDaily, SequenceDaily

MAX_PAIRS: Final = 20
MAX_CHAINS: Final = 15
MAX_ROOMS: Final = 9
MAX_MOVES: Final = 40

_MIN_DAYS: Final = 2  # on which a pair or chain was found, in a report of more than a few days
_FEW_DAYS: Final = 4
_MIN_LEAD: Final = 0.75  # share of the matches in which one is the first, for an arrow
_MIN_WIDTH, _MAX_WIDTH = 0.4, 3.0  # of an arrow between rooms
_LINKS: Final = {
    "automation": "by an automation",
    "same_device": "parts of one device",
    "simultaneous": "at the same moment",
}
_ON_OFF_WORDS: Final = {
    **dict.fromkeys(("door", "garage_door", "gate", "opening", "window"), ("opens", "closes")),
    **dict.fromkeys(("motion", "presence"), ("notices movement", "is quiet")),
    "occupancy": ("is occupied", "is free"),
}


class Pair(NamedTuple):
    """Two entities that are used together; the first leads if ``is_ordered``."""

    first: str
    second: str
    ids: str
    is_ordered: bool
    days: int
    a_day: float
    note: str


class Chain(NamedTuple):
    """State changes that follow each other: (name, state) for each step."""

    steps: list[tuple[str, str]]
    ids: str
    days: int
    a_day: float
    takes: str
    note: str


class Move(NamedTuple):
    """How often people went from one room to another on an average day, as a number and as an arrow."""

    start: str
    end: str
    a_day: float
    path: str
    width: float


class Relations(NamedTuple):
    """What goes together; ``left_out`` counts pairs and chains that are not shown."""

    pairs: list[Pair]
    chains: list[Chain]
    rooms: list[Node]
    moves: list[Move]
    left_out: int


def find_relations(rows: StoredRows, names: Names) -> Relations:
    """Return pairs, chains and moves between rooms: those found on the most days first."""
    needed = _MIN_DAYS if len(rows.days) > _FEW_DAYS else 1
    pairs, chains = _pairs(rows, names, needed), _chains(rows, names, needed)
    rooms, moves = _moves(rows, names)
    left_out = max(0, len(pairs) - MAX_PAIRS) + max(0, len(chains) - MAX_CHAINS)
    return Relations(pairs[:MAX_PAIRS], chains[:MAX_CHAINS], rooms, moves, left_out)


def _pairs(rows: StoredRows, names: Names, needed: int) -> list[Pair]:
    by_pair: defaultdict[str, list[CoOccurrenceDaily]] = defaultdict(list)
    for row in rows.of(CoOccurrenceDaily):
        by_pair[row.device_pair].append(row)
    found = []
    for device_pair, some in by_pair.items():
        if len(some) < needed:
            continue
        count = sum(row.co_occurrence_count for row in some)
        weights = [(row.first_share, row.co_occurrence_count) for row in some if row.first_share is not None]
        total = sum(number for _, number in weights)
        share = sum(one * number for one, number in weights) / total if total else 1 / 2
        ids, (first, second) = device_pair.split("|", 1), names.pair(device_pair)
        if share < 1 / 2:
            ids, first, second, share = ids[::-1], second, first, 1 - share
        note = _note(row.linked_by for row in some)
        found.append(Pair(first, second, " | ".join(ids), share >= _MIN_LEAD, len(some), count / len(some), note))
    return sorted(found, key=lambda one: (-one.days, -one.a_day, one.ids))


def _chains(rows: StoredRows, names: Names, needed: int) -> list[Chain]:
    classes = rows.classes()
    by_chain: defaultdict[tuple[str, ...], list[SequenceDaily]] = defaultdict(list)
    for row in rows.of(SequenceDaily):
        by_chain[tuple(row.sequence)].append(row)
    found = []
    for steps, some in by_chain.items():
        if len(some) < needed:
            continue
        count = sum(row.frequency for row in some)
        seconds = sum(row.avg_duration_seconds * row.frequency for row in some) / max(1, count)
        shown = [_step(step, names, classes) for step in steps]
        note = _note(row.linked_by for row in some)
        found.append(Chain(shown, ", ".join(steps), len(some), count / len(some), length(seconds), note))
    return sorted(found, key=lambda one: (-one.days, -one.a_day, one.ids))


def _note(links: Iterable[str | None]) -> str:
    """Return what links the entities in the home, in words."""
    known = Counter(link for link in links if link is not None)
    return _LINKS.get(known.most_common(1)[0][0], "") if known else ""


def _step(step: str, names: Names, classes: dict[str, str]) -> tuple[str, str]:
    """Return the name of a step's entity, and what it does as people say it."""
    entity_id, _, state = step.partition(":")
    words = _ON_OFF_WORDS.get(classes.get(entity_id, ""), ("on", "off"))
    shown = dict(zip(("on", "off"), words, strict=True)).get(state, state.replace("_", " "))
    return names.entity(entity_id), shown


def _moves(rows: StoredRows, names: Names) -> tuple[list[Node], list[Move]]:
    days = max(1, len(rows.runs("room_based")))
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows.of(RoomBasedDaily):
        for move in row.transition_patterns:
            counts[row.area_id, str(move.get("to"))] += int(move.get("count") or 0)
    visits: Counter[str] = Counter()
    for (start, end), count in counts.items():
        visits[start] += count
        visits[end] += count
    rooms = sorted(one for one, _ in sorted(visits.items(), key=lambda item: (-item[1], item[0]))[:MAX_ROOMS])
    nodes = dict(zip(rooms, circle([names.area(one) for one in rooms]), strict=True))
    highest = max((count for (start, end), count in counts.items() if start in nodes and end in nodes), default=1)
    moves = [
        Move(
            nodes[start].label,
            nodes[end].label,
            count / days,
            arrow(nodes[start], nodes[end]),
            round(max(_MIN_WIDTH, _MAX_WIDTH * count / highest), 1),
        )
        for (start, end), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if start in nodes and end in nodes and start != end
    ]
    return list(nodes.values()), moves[:MAX_MOVES]
