"""How exported rows lie in a folder: ``measurement=time_based_daily/month=2026-11/homes-07.parquet``.

A file holds the rows of one home without a name (``home.parquet``), or of those named homes that share a shard. It is
sorted by home, date and tags, and each of its row groups has rows of one home only. All files of a measurement have
the schema of ``schema_of``. ``_homes.json`` says what is known of each home; names that begin with ``_`` or ``.`` are
no data for duckdb, polars and Spark either.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection
from typing import Final

import pyarrow as pa

from storage.arrow import schema_of
from storage.models import DailyAggregate

SHARDS: Final = 64  # never to be changed: it decides in which file the rows of a home are
HOMES_FILE: Final = "_homes.json"
UNNAMED_FILE: Final = "home.parquet"

_SHARD_FILE: Final = re.compile(r"homes-\d\d\.parquet")
_DATA_FILE: Final = re.compile(r"month=(\d{4}-\d{2})/([^/_.][^/]*\.parquet)")


def measurement_folder(model: type[DailyAggregate]) -> str:
    """Return the name of the folder of a measurement."""
    return f"measurement={model.measurement}"


def file_name(home: str) -> str:
    """Return the name of the files that hold the rows of a home."""
    return f"homes-{zlib.crc32(home.encode()) % SHARDS:02}.parquet" if home else UNNAMED_FILE


def month_of(path: str, homes: Collection[str] | None) -> str | None:
    """Return the month of a file that may have rows of some homes; None if it has none, or is not a file of rows.

    Args:
        path: Its path from the folder of its measurement on.
        homes: The homes; None for all.
    """
    found = _DATA_FILE.fullmatch(path)
    if found is None:
        return None
    month, name = found.groups()
    if homes is None or not (name == UNNAMED_FILE or _SHARD_FILE.fullmatch(name)):
        return str(month)
    return str(month) if any(name == file_name(home) for home in homes) else None


def row_schema(model: type[DailyAggregate]) -> pa.Schema:
    """Return the schema of all files of a measurement."""
    return schema_of(model, with_home=True)
