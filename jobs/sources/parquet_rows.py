"""Rows of Parquet files with raw events: which columns there are, what a footer says, and a row group in columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.activity.events import Codes
from jobs.activity.window import Instants
from storage.errors import SourceMismatch

REQUIRED: Final = ("home_id", "entity_id", "time", "state")
OPTIONAL: Final = ("area", "device_class")
NO_TIME: Final = np.iinfo(np.int64).min  # the instant of a row whose time is null
_UNITS: Final = {"milliseconds": (1_000, 1), "microseconds": (1, 1), "nanoseconds": (1, 1_000)}


class RowGroup(NamedTuple):
    """What a footer says of one row group; None where it says nothing."""

    homes: tuple[str, str] | None
    times: tuple[int, int] | None  # both included
    rows: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of raw events in columns, of one row group.

    Attributes:
        at: Instants, microseconds since 1970, or ``NO_TIME``, shape (n,).
        home: Index into ``texts["home_id"]``, or -1 where it is null, shape (n,).
        entity: Likewise into ``texts["entity_id"]``.
        state: Likewise.
        area: Likewise.
        device_class: Likewise.
        texts: The texts of each column; bytes that are not UTF-8 are lone surrogates.
    """

    at: Instants
    home: Codes
    entity: Codes
    state: Codes
    area: Codes
    device_class: Codes
    texts: dict[str, list[str]]

    def of_home(self, home: str) -> Rows:
        """Return the rows of one home, in the same order."""
        codes = [code for code, text in enumerate(self.texts["home_id"]) if text == home]
        chosen = np.flatnonzero(np.isin(self.home, codes))
        if len(chosen) == len(self.at):
            return self
        return replace(self, **{one.name: getattr(self, one.name)[chosen] for one in fields(self)[:-1]})

    @property
    def size_bytes(self) -> int:
        """About how much memory the rows take."""
        columns: int = sum(getattr(self, one.name).nbytes for one in fields(self)[:-1])
        return columns + sum(100 + len(text) for texts in self.texts.values() for text in texts)


def check_columns(name: str, schema: pa.Schema) -> None:
    """Refuse a file that has not the columns of raw events.

    Raises:
        SourceMismatch: A column is missing, or of another type.
    """
    missing = [name for name in REQUIRED if name not in schema.names]
    if missing:
        raise SourceMismatch(
            f"source.path: {name} has no column {missing[0]}",
            hint=f"It must have the columns {', '.join(REQUIRED)}; it may have {' and '.join(OPTIONAL)}.",
        )
    for column in (*REQUIRED, *OPTIONAL):
        if column not in schema.names:
            continue
        kind = schema.field(column).type
        if column == "time":
            is_valid, needed = pa.types.is_timestamp(kind), "a timestamp"
        else:
            is_valid, needed = is_text(kind) or (column == "home_id" and pa.types.is_integer(kind)), "a text"
        if not is_valid:
            raise SourceMismatch(
                f"source.path: {name}: the column {column} is of type {kind}", hint=f"It must be {needed}."
            )


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds texts."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def row_groups_of(metadata: pq.FileMetaData) -> list[RowGroup]:
    """Return what the footer of a file says of each row group."""
    place = {metadata.schema.column(number).path: number for number in range(metadata.num_columns)}
    scale = _scale_of_times(metadata, place["time"])
    groups = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        homes = _limits(group.column(place["home_id"]))
        times = None if scale is None else _limits(group.column(place["time"]), raw=True)
        groups.append(
            RowGroup(
                None if homes is None else (str(homes[0]), str(homes[1])) if isinstance(homes[0], str) else None,
                None if times is None or scale is None else tuple(one * scale[0] // scale[1] for one in times),
                group.num_rows,
            )
        )
    return groups


def _scale_of_times(metadata: pq.FileMetaData, column: int) -> tuple[int, int] | None:
    """Return by what to multiply and to divide a stored time for microseconds; None if it is stored otherwise."""
    described = metadata.schema.column(column).logical_type.to_json()
    return _UNITS.get(json.loads(described).get("timeUnit", "")) if described else None


def _limits(column: pq.ColumnChunkMetaData, *, raw: bool = False) -> tuple[Any, Any] | None:
    """Return the least and the greatest value of a column in a row group; None if the footer does not say."""
    statistics = column.statistics if column.is_stats_set else None
    if statistics is None or not statistics.has_min_max:
        return None
    try:
        return (statistics.min_raw, statistics.max_raw) if raw else (statistics.min, statistics.max)
    except (UnicodeDecodeError, pa.ArrowException):
        return None


def decode_rows(table: pa.Table) -> Rows:
    """Return a table of raw events as columns of numbers."""
    texts: dict[str, list[str]] = {}
    codes: dict[str, Codes] = {}
    for name in ("home_id", "entity_id", "state", *OPTIONAL):
        if name in table.column_names:
            codes[name], texts[name] = _codes(table.column(name))
        else:
            codes[name], texts[name] = np.full(table.num_rows, -1, np.int32), []
    times = table.column("time")
    exact = pc.CastOptions(target_type=pa.timestamp("us", times.type.tz), allow_time_truncate=True)
    at = pc.fill_null(times.cast(options=exact).cast(pa.int64()), NO_TIME).to_numpy()
    return Rows(at, codes["home_id"], codes["entity_id"], codes["state"], codes["area"], codes["device_class"], texts)


def _codes(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Return a column of texts as codes, -1 for null, and the text of each code."""
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    chunks: Sequence[pa.DictionaryArray] = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    if not chunks:
        return np.empty(0, np.int32), []
    raw = chunks[0].dictionary.cast(pa.large_binary()).to_pylist()
    found = [pc.fill_null(chunk.indices.cast(pa.int32()), -1).to_numpy(zero_copy_only=False) for chunk in chunks]
    return np.concatenate(found), [(text or b"").decode(errors="surrogateescape") for text in raw]
