"""InfluxQL: queries with bound values, and their results while they arrive.

No value ever becomes a part of a query's text: ``Query.bind`` gives it a name (``$v0``), and the server inserts it.
Names of measurements, tags and fields come from models or settings and are quoted; times are integers.

A result arrives in chunks, one JSON document a line. Each of them may contain an error, although the status is 200.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

CHUNK_ROWS: Final = 2_000
MAX_ROWS: Final = 2**24  # of a response; kept as numbers they take 256 MB
MAX_LINE_BYTES: Final = 16 * 2**20  # a chunk of rows takes a fraction of it; its values take 20 times as much memory

_MISSING = ("database not found", "retention policy not found", "no dbrp mapping found")
_SHOWN_CHARACTERS = 60


class BrokenResponse(Exception):
    """The response is incomplete, or not a response of InfluxDB."""


class QueryRefused(Exception):
    """The server answered with an error."""


class Series(NamedTuple):
    """A part of a result: rows of one measurement and, where the query groups by tags, of one group."""

    name: str
    tags: dict[str, str]
    columns: list[str]
    values: list[list[Any]]


@dataclass(slots=True)
class Query:
    """A query that is being built.

    Attributes:
        bucket: Bucket or database; ``database/policy`` names a retention policy of 1.x.
        text: The InfluxQL.
        values: The bound values by name.
        precision: The unit of the times in the result: ``s``, ``u`` or ``ns``.
        streamed: Whether the result arrives in chunks; 2.x returns nothing for a DELETE that asks for chunks.
    """

    bucket: str
    text: str = ""
    values: dict[str, str] = field(default_factory=dict)
    precision: str = "s"
    streamed: bool = True

    def bind(self, value: str) -> str:
        """Bind a value and return its placeholder."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def tag_in(self, tag: str, values: Iterable[str]) -> str:
        """Return the condition that a tag has one of some values."""
        return _any_of([f"{quote_tag(tag)} = {self.bind(value)}" for value in values])

    def tags_in(self, tags: Sequence[str], keys: Iterable[Sequence[str]]) -> str:
        """Return the condition that some tags have one of some combinations of values."""
        return _any_of(
            [" AND ".join(self.tag_in(tag, [value]) for tag, value in zip(tags, key, strict=True)) for key in keys]
        )


def _any_of(conditions: Sequence[str]) -> str:
    """Join conditions by OR as a balanced tree: a chain of 3,000 takes a server 25 times as long."""
    if len(conditions) == 1:
        return f"({conditions[0]})"
    middle = len(conditions) // 2
    return f"({_any_of(conditions[:middle])} OR {_any_of(conditions[middle:])})"


def quote_name(name: str) -> str:
    """Return the name of a measurement, tag, field or database as an InfluxQL identifier."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def quote_tag(name: str) -> str:
    """Return an identifier that means the tag, even if another writer made a field of the same name."""
    return f"{quote_name(name)}::tag"


def quote_field(name: str) -> str:
    """Return an identifier that means the field, even if there is a tag of the same name."""
    return f"{quote_name(name)}::field"


def database_parameters(bucket: str) -> dict[str, str]:
    """Return a bucket as the parameters of ``/query`` and ``/write``: a database and, on 1.x, a retention policy."""
    database, _, policy = bucket.partition("/")
    return {key: value for key, value in (("db", database), ("rp", policy)) if value}


def is_missing_bucket(message: str) -> bool:
    """Return whether an error message says that the bucket does not exist."""
    return any(sign in message for sign in _MISSING)


def parse_response(chunks: Iterable[bytes], max_rows: int = MAX_ROWS) -> Iterator[Series]:
    """Yield the series of a response while its body arrives in chunks of any size.

    Args:
        chunks: The body.
        max_rows: How many rows it may have in all; there may be no end of them.

    Raises:
        BrokenResponse: It is incomplete, has too many rows, or is not a response of InfluxDB.
        QueryRefused: It contains an error, perhaps after some series.
    """
    unfinished = True  # a body without any line is incomplete too
    row_count = 0
    for text in _lines(chunks):
        try:
            document = from_json(text)
        except ValueError as error:
            raise BrokenResponse(f"the response is not valid JSON: {text[:_SHOWN_CHARACTERS]!r}") from error
        results = list(_results(document))
        unfinished = not results and "results" in document  # InfluxDB 2 answers {} where a statement gives nothing
        for result in results:
            unfinished = bool(result.get("partial", False))
            for series in result.get("series") or ():
                values = series.get("values") or []
                row_count += len(values)
                if row_count > max_rows:
                    raise BrokenResponse(f"the response has more than {max_rows} rows")
                yield Series(series.get("name", ""), series.get("tags") or {}, series["columns"], values)
    if unfinished:
        raise BrokenResponse("the response ended before its last part")


def _results(document: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - parsed JSON
    results = document.get("results", ()) if isinstance(document, dict) else None
    if not isinstance(results, list | tuple) or not all(isinstance(result, dict) for result in results):
        raise BrokenResponse(f"this is not a response of InfluxDB: {str(document)[:_SHOWN_CHARACTERS]!r}")
    for part in (document, *results):
        if "error" in part:
            raise QueryRefused(str(part["error"]))
    yield from results


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines; each line of a response ends with a line break, so a last one without it was cut off.

    Raises:
        BrokenResponse: A line is so long that parsing it would take too much memory.
    """
    pending: list[bytes] = []
    pending_bytes = 0
    for chunk in chunks:
        pending_bytes += len(chunk)
        if pending_bytes > MAX_LINE_BYTES:
            raise BrokenResponse(f"the response has a line of more than {MAX_LINE_BYTES // 2**20} MB")
        *complete, last = chunk.split(b"\n")
        for text in complete:
            pending.append(text)
            if joined := b"".join(pending):
                yield joined
            pending = []
        if complete:
            pending_bytes = len(last)
        pending.append(last)
    if joined := b"".join(pending):
        yield joined
