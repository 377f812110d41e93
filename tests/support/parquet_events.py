"""Files of raw events of many homes, as a fleet's collector writes them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.activity.window import from_instant

SCHEMA: Final = pa.schema(
    [
        ("home_id", pa.string()),
        ("entity_id", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("state", pa.string()),
        ("area", pa.string()),
        ("device_class", pa.string()),
    ]
)


class EventRow(NamedTuple):
    """A raw event of one home; ``time`` in microseconds since 1970."""

    home_id: str
    entity_id: str
    time: int | None
    state: str | None
    area: str | None = None
    device_class: str | None = None


def write_events(
    folder: Path, rows: Iterable[EventRow], *, shards: int = 1, row_group_size: int = 10_000, name: str = "part-0"
) -> None:
    """Write rows as ``day=…/shard=…/*.parquet``, sorted by home; ``day`` is the day in UTC."""
    parts: dict[tuple[dt.date, int], list[EventRow]] = defaultdict(list)
    for row in rows:
        assert row.time is not None
        parts[from_instant(row.time).date(), sum(row.home_id.encode(errors="surrogateescape")) % shards].append(row)
    folder.mkdir(parents=True, exist_ok=True)
    if not parts:
        write_file(folder / "day=2025-10-21" / "shard=0" / f"{name}.parquet", [])
    for (day, shard), some in parts.items():
        file = folder / f"day={day}" / f"shard={shard}" / f"{name}.parquet"
        write_file(file, sorted(some, key=lambda row: row.home_id), row_group_size=row_group_size)


def write_file(
    file: Path, rows: Iterable[EventRow], *, row_group_size: int = 10_000, schema: pa.Schema = SCHEMA
) -> None:
    """Write one file; texts may hold bytes that are not UTF-8, as lone surrogates."""
    rows = list(rows)
    columns = []
    for place, field in enumerate(SCHEMA):
        values = [row[place] for row in rows]
        if field.type == pa.string():
            raw = [value.encode(errors="surrogateescape") if isinstance(value, str) else None for value in values]
            columns.append(pa.array(raw, pa.binary()).view(pa.string()))
        else:
            columns.append(pa.array(values, field.type))
    table = pa.table(columns, schema=SCHEMA)
    table = table.select(schema.names).cast(schema) if schema != SCHEMA else table
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, row_group_size=row_group_size, compression="zstd")
