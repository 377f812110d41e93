"""InfluxQL: queries with bound values, and their answers as they stream in.

No value ever becomes a part of a query's text: ``Query.bind`` gives it a name (``$v0``) and the server puts it
in. Names of measurements, tags and fields come from models or settings and are quoted; times are integers.

An answer comes in chunks, one JSON document a line. Trouble may hide in any of them, under a status of 200.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

CHUNK_ROWS: Final = 2_000

_MISSING = ("database not found", "retention policy not found", "no dbrp mapping found")


class BrokenResponse(Exception):
    """The answer ended early or is no answer of InfluxDB's."""


class QueryRefused(Exception):
    """The server has answered with an error."""


class Series(NamedTuple):
    """A part of an answer: rows that share their measurement and, where the query grouped by tags, these."""

    name: str
    tags: dict[str, str]
    columns: list[str]
    values: list[list[Any]]


@dataclass(slots=True)
class Query:
    """A query in the making.

    Attributes:
        bucket: Bucket or database; ``database/policy`` names a retention policy of 1.x.
        text: What is asked.
        values: What is bound, by name.
        precision: In which unit times are answered: ``s``, ``u`` or ``ns``.
        streamed: Whether the answer comes in parts; 2.x answers nothing at all to a DELETE that asks for it.
    """

    bucket: str
    text: str = ""
    values: dict[str, str] = field(default_factory=dict)
    precision: str = "s"
    streamed: bool = True

    def bind(self, value: str) -> str:
        """Bind a value; returns what stands for it in the text."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def tag_in(self, tag: str, values: Iterable[str]) -> str:
        """The condition that a tag has one of some values."""
        return _any_of([f"{quote_tag(tag)} = {self.bind(value)}" for value in values])

    def tags_in(self, tags: Sequence[str], keys: Iterable[Sequence[str]]) -> str:
        """The condition that some tags together have one of some combinations of values."""
        return _any_of(
            [" AND ".join(self.tag_in(tag, [value]) for tag, value in zip(tags, key, strict=True)) for key in keys]
        )


def _any_of(conditions: Sequence[str]) -> str:
    """Conditions joined by OR, as a balanced tree: a chain of 3,000 takes a server 25 times as long."""
    if len(conditions) == 1:
        return f"({conditions[0]})"
    middle = len(conditions) // 2
    return f"({_any_of(conditions[:middle])} OR {_any_of(conditions[middle:])})"


def quote_name(name: str) -> str:
    """The name of a measurement, tag, field or database, as InfluxQL wants it."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def is_missing_bucket(words: str) -> bool:
    """Whether an error says that the bucket is not there."""
    return any(sign in words for sign in _MISSING)


def quote_tag(name: str) -> str:
    """A tag, also where another writer has made a field of the same name: a bare name would then be the field."""
    return f"{quote_name(name)}::tag"


def quote_field(name: str) -> str:
    """A field, whatever tags there are."""
    return f"{quote_name(name)}::field"


def parse_response(pieces: Iterable[bytes]) -> Iterator[Series]:
    """The series of an answer, from its body in pieces of any size.

    Raises:
        BrokenResponse: It ends early, or is none.
        QueryRefused: It says that the query failed; rows may have come before.
    """
    unfinished = True  # no line at all is no answer either
    for text in _lines(pieces):
        try:
            document = from_json(text)
        except ValueError as error:
            raise BrokenResponse(f"the answer is no JSON: {text[:60]!r}") from error
        unfinished = False
        for result in _results(document):
            unfinished = bool(result.get("partial", False))
            for series in result.get("series") or ():
                yield Series(
                    series.get("name", ""), series.get("tags") or {}, series["columns"], series.get("values") or []
                )
    if unfinished:
        raise BrokenResponse("the answer stopped before its last part")


def _results(document: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - parsed JSON
    if not isinstance(document, dict):
        raise BrokenResponse(f"the answer is no answer of InfluxDB's: {str(document)[:60]!r}")
    results = document.get("results", ())
    if not isinstance(results, list | tuple) or not all(isinstance(result, dict) for result in results):
        raise BrokenResponse(f"the answer is no answer of InfluxDB's: {str(document)[:60]!r}")
    for part in (document, *results):
        if "error" in part:
            raise QueryRefused(str(part["error"]))
    yield from results


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines from pieces; every line of an answer ends with a line break, so one that does not was cut."""
    rest: list[bytes] = []
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        for text in whole:
            rest.append(text)
            if joined := b"".join(rest):
                yield joined
            rest = []
        rest.append(last)
    if joined := b"".join(rest):
        yield joined
