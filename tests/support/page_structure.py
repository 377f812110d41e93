"""Read a page as a screen reader does: headings, landmarks, tables, pictures and links."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

_VOID: Final = frozenset({"meta", "link", "br", "img", "input", "hr"})


@dataclass
class Page:
    """What is in a page.

    Attributes:
        headings: Their levels, in order.
        landmarks: ``header``, ``main``, ``footer``.
        tables: For each table whether it has a caption and header cells.
        pictures: The attributes of each ``svg``, and the text of its title.
        ids: All ids.
        targets: Where links and references point to.
        tags: All names of elements.
        text: All text outside of ``style``.
    """

    headings: list[int] = field(default_factory=list)
    landmarks: list[str] = field(default_factory=list)
    tables: list[set[str]] = field(default_factory=list)
    pictures: list[dict[str, str]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        page = self.page
        page.tags.add(tag)
        page.attributes += [(tag, name, value) for name, value in given.items()]
        if "id" in given:
            page.ids.append(given["id"])
        page.targets += [given["href"].removeprefix("#")] if "href" in given else []
        page.targets += given.get("aria-labelledby", "").split()
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            page.headings.append(int(tag[1]))
        if tag in ("header", "main", "footer"):
            page.landmarks.append(tag)
        if tag == "table":
            page.tables.append(set())
        elif tag in ("caption", "th") and page.tables:
            page.tables[-1].add(tag)
        if tag == "svg":
            page.pictures.append(given)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.page.text += data
        if self._open[-2:] == ["svg", "title"]:
            self.page.pictures[-1]["title"] = data


def read_page(html: str) -> Page:
    """Return what is in a page."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.page
