"""Tables that fit the terminal: an id, a day or a number is never cut or broken over lines.

What fits gets a table with lines, else one without, and what fits in neither becomes a block of lines for each row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from jobs.cli.app import out, terminal_text

Cell = str | Text

SEVERITY_STYLE: Final = {"low": "", "medium": "yellow", "high": "red", "critical": "bold red"}
GAP: Final = 2  # blanks between the columns of a table without lines, and before the lines of a block
MAX_WIDTH: Final = 1000  # columns
MAX_NAME_WIDTH: Final = 28  # of a heading in a block


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    title: str = "",
    numbers: Collection[str] = (),
    texts: Collection[str] = (),
    with_lines: bool = True,
    max_width: int = MAX_WIDTH,
    key_columns: int = 1,
) -> None:
    """Print rows as a table, or as blocks of lines where the terminal is too narrow for it.

    Args:
        headings: One for each column; the first columns name their row.
        rows: Their cells. A ``str`` is cleaned and shown as it is; a ``Text`` is already.
        title: What the table is about.
        numbers: The headings of columns that are aligned to the right.
        texts: The headings of columns with sentences or lists, which may be wrapped between words.
        with_lines: Whether to draw lines between the columns where there is room for them.
        max_width: How wide the table may be where the terminal, or a file, has room for more.
        key_columns: How many columns name their row: together, they are the heading of its block.
    """
    width = min(out.width, max_width)
    cells = [[terminal_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    if with_lines and fits(headings, cells, width, texts=texts):
        table = Table(title=title or None, title_justify="left")
    elif fits(headings, cells, width, texts=texts, with_lines=False):
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    else:
        _print_blocks(headings, cells, title, key_columns)
        return
    for heading in headings:
        justify: JustifyMethod = "right" if heading in numbers else "left"
        table.add_column(Text(heading), justify=justify, no_wrap=heading not in texts, overflow="fold")
    for row in cells:
        table.add_row(*row)
    out.print(table, width=width)


def fits(
    headings: Sequence[str],
    rows: Sequence[Sequence[Text]],
    width: int | None = None,
    *,
    texts: Collection[str] = (),
    with_lines: bool = True,
) -> bool:
    """Return whether a width, by default that of the terminal, is enough for a table; see ``print_table``."""
    widths = [_width(place, heading, rows, heading in texts) for place, heading in enumerate(headings)]
    room_for_lines = (GAP + 1) * len(widths) + 1 if with_lines else GAP * (len(widths) - 1)
    return sum(widths) + room_for_lines <= (out.width if width is None else width)


def _width(place: int, heading: str, rows: Sequence[Sequence[Text]], may_wrap: bool) -> int:
    """Return how wide a column has to be, so that no word is broken."""
    lines = [line for row in rows for line in (row[place].plain.split() if may_wrap else row[place].plain.split("\n"))]
    return max(map(cell_len, (*heading.split("\n"), *lines)))


def _print_blocks(headings: Sequence[str], rows: Sequence[Sequence[Text]], title: str, key_columns: int) -> None:
    if title:
        out.print(Text(title, style="table.title"))
    names = [heading.replace("\n", "") for heading in headings[key_columns:]]
    width = min(MAX_NAME_WIDTH, max(map(cell_len, names), default=0)) + GAP
    for row in rows:
        keys = "  ".join(cell.plain for cell in row[:key_columns] if cell.plain)
        out.print(Text(keys, style="bold", overflow="fold"), soft_wrap=key_columns == 1)
        for name, cell in zip(names, row[key_columns:], strict=True):
            if cell.plain:
                _print_entry(Text(name, style="dim"), cell, width)


def _print_entry(name: Text, cell: Text, width: int) -> None:
    """Print a name and a value beside it; below it, if a word of the value is too long for that."""
    has_room = max(map(cell_len, cell.plain.split()), default=0) <= out.width - GAP - width
    grid = Table.grid(padding=0)
    grid.add_column(min_width=width, no_wrap=True)
    if has_room:
        grid.add_column(overflow="fold")
        grid.add_row(name, cell)
    else:
        grid.add_row(name)
    out.print(Padding(grid, (0, 0, 0, GAP), expand=False))
    if not has_room:
        out.print(Padding(cell, (0, 0, 0, 2 * GAP), expand=False))
