"""SVG paths of heat maps, bars and arrows, in as few characters as possible."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

LEVELS: Final = 5  # steps of the colour scale, beside "none"

_RADIUS: Final = 40.0
_NODE: Final = 5.0


def level_of(value: float, highest: float) -> int:
    """Return the step of the colour scale, 0 for nothing to 5; by square roots, so that small values can be seen.

    >>> [level_of(value, 100) for value in (0, 1, 10, 50, 100)]
    [0, 1, 2, 4, 5]
    """
    return min(LEVELS, math.ceil(LEVELS * math.sqrt(value / highest))) if value > 0 else 0


def level_paths(levels: Sequence[Sequence[int]]) -> list[tuple[int, str]]:
    """Return for each level above 0 the lines that draw its cells, row by row; a row is one unit high.

    >>> level_paths([[0, 1, 1, 5], [0, 0, 0, 1]])
    [(1, 'M1 0h2M3 1h1'), (5, 'M3 0h1')]
    """
    lines: dict[int, str] = {}
    for y, row in enumerate(levels):
        x = 0
        while x < len(row):
            end = x + 1
            while end < len(row) and row[end] == row[x]:
                end += 1
            if row[x]:
                lines[row[x]] = lines.get(row[x], "") + f"M{x} {y}h{end - x}"
            x = end
    return sorted(lines.items())


def dots(cells: Iterable[tuple[int, int]]) -> str:
    """Return the path of a dot in the middle of each cell (row, column): lines of no length with round ends."""
    return "".join(f"M{x}.5 {y}h0" for y, x in cells)


class Node(NamedTuple):
    """A place on a circle: its middle, and where its label stands."""

    label: str
    x: float
    y: float
    anchor: str
    label_x: float
    label_y: float


def circle(labels: Sequence[str]) -> list[Node]:
    """Return places on a circle around 0, 0, clockwise from the top."""
    nodes = []
    for number, label in enumerate(labels):
        angle = 2 * math.pi * number / len(labels)
        x, y = math.sin(angle), -math.cos(angle)
        anchor = "middle" if abs(x) < 0.2 else "start" if x > 0 else "end"  # noqa: PLR2004 - nearly above or below
        aside = _RADIUS + _NODE + 3
        down = 3 if y > 0.9 else -1 if y < -0.9 else 1.5  # noqa: PLR2004 - at the very bottom or top
        nodes.append(
            Node(label, _round(x * _RADIUS), _round(y * _RADIUS), anchor, _round(x * aside), _round(y * aside + down))
        )
    return nodes


def arrow(start: Node, end: Node) -> str:
    """Return a curve from one place to another; that of the way back bends to the other side."""
    dx, dy = end.x - start.x, end.y - start.y
    far = math.hypot(dx, dy)
    ux, uy = dx / far, dy / far
    away = _NODE + 2
    points = (
        (start.x + ux * away - uy * 2, start.y + uy * away + ux * 2),
        ((start.x + end.x) / 2 - uy * far * 0.12, (start.y + end.y) / 2 + ux * far * 0.12),
        (end.x - ux * away - uy * 2, end.y - uy * away + ux * 2),
    )
    (a, b), (c, d), (e, f) = ((_round(x), _round(y)) for x, y in points)
    return f"M{a} {b}Q{c} {d} {e} {f}"


def _round(value: float) -> float:
    return round(value, 1) + 0.0  # no minus zero
