"""Files of raw events of many homes, in Parquet: which there are, and the rows of one home in them.

A file of ``events/day=2026-11-28/shard=07/*.parquet`` holds rows of many homes. Only the row groups that may hold rows
of the home and the time at hand are read: folders named ``day=`` leave out the other days, and each file's footer says
between which home ids and which times its row groups lie. That leaves out most of a file if it is sorted by
``home_id``. Decoded row groups are kept for the homes that follow, up to ``MAX_CACHED_BYTES``.

``day=`` may be the day in UTC or the home's local day, so a folder's rows lie within its day and 14 hours around it.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, NamedTuple, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.activity.window import DAY, HOUR, to_instant
from jobs.isolation import describe
from jobs.sources.parquet_rows import (
    OPTIONAL,
    REQUIRED,
    RowGroup,
    Rows,
    check_columns,
    decode_rows,
    is_text,
    row_groups_of,
)
from storage.drivers.file_systems import find_files, find_matching, info_of, shown_path, without_secrets
from storage.errors import PatternAggregatesError, SettingsError, SourceCorrupt, SourceMismatch, SourceUnavailable

MAX_CACHED_BYTES: Final = 64 * 2**20
MAX_FOOTERS: Final = 256
MAX_ROWS_IN_GROUP: Final = 10_000_000  # decoded they take 300 MB, however few bytes they are in the file
MAX_BYTES_IN_GROUP: Final = 512 * 2**20  # not compressed
LISTING_SECONDS: Final = 60.0  # files that come later are found after this
_AROUND_DAY: Final = 14 * HOUR  # the farthest that a local day reaches beyond the same day in UTC
_DAY: Final = re.compile(r"(?:^|/)day=(\d{4}-\d{2}-\d{2})(?=/|$)")
_MAGIC: Final = re.compile(r"[*?\[]")

V = TypeVar("V")


class EventFile(NamedTuple):
    """A file of raw events.

    Attributes:
        path: Where it is on its file system.
        day: The day that its folder names; None if none does.
        version: What changes when the file does.
    """

    path: str
    day: dt.date | None
    version: str

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Between which instants its rows lie; None if its folder does not say."""
        if self.day is None:
            return None
        midnight = to_instant(dt.datetime.combine(self.day, dt.time(), dt.UTC))
        return midnight - _AROUND_DAY, midnight + DAY + _AROUND_DAY


class EventFiles:
    """The files of a fleet's raw events. Safe to use from several threads, and by the sources of many homes.

    Args:
        path: A folder, a file or a glob; or a URL of any file system that fsspec knows, such as ``s3://bucket/events``.
        max_rows_in_group: How many rows a row group may have; one with more is refused.
        max_cached_bytes: About how much memory decoded row groups may take that are kept for the homes that follow.

    Attributes:
        root: The path on its file system.
        shown: The path or URL for messages, without what is secret.

    Raises:
        SettingsError: The kind of URL is not known, or needs a library that is not installed.
    """

    def __init__(
        self, path: str, *, max_cached_bytes: int = MAX_CACHED_BYTES, max_rows_in_group: int = MAX_ROWS_IN_GROUP
    ) -> None:
        self._max_rows = max_rows_in_group
        try:
            self._system, self.root = fsspec.core.url_to_fs(path)
        except ImportError as error:
            raise SettingsError(f"source.path: {error}", hint="Install what this kind of URL needs.") from error
        except ValueError as error:
            raise SettingsError(f"source.path: {error}", hint="Name a folder, a glob or a URL.") from error
        self.shown = shown_path(self._system, self.root)
        self._lock = threading.RLock()
        self._listing: tuple[float, list[EventFile]] | None = None
        self._footers: _Cache[tuple[pq.FileMetaData, list[RowGroup]]] = _Cache(MAX_FOOTERS)
        self._decoded: _Cache[Rows] = _Cache(max_cached_bytes)

    @property
    def cached_bytes(self) -> int:
        """About how much memory the decoded row groups take that are kept."""
        return self._decoded.size

    def files(self) -> list[EventFile]:
        """Return all files, in the order of their paths.

        Raises:
            SourceUnavailable: They cannot be listed now, or there are none.
        """
        with self._lock:
            if self._listing is None or time.monotonic() - self._listing[0] > LISTING_SECONDS:
                with self._translated(self.root):
                    self._listing = time.monotonic(), self._list()
            return self._listing[1]

    def read(self, file: EventFile, home: str, start: int, end: int) -> Iterator[Rows]:
        """Yield the rows of one home from each row group that may have some of a span; they may lie beyond the span.

        Raises:
            SourceUnavailable: The file cannot be read now.
            SourceCorrupt: It is damaged.
            SourceMismatch: It has not the columns of raw events.
        """
        with self._lock:
            for number, group in enumerate(self._footer(file)[1]):
                if _may_have(group, file, home, start, end):
                    rows = self._row_group(file, number).of_home(home)
                    if len(rows.at):
                        yield rows

    def has_rows(self) -> bool:
        """Return whether any file has any row."""
        with self._lock:
            return any(group.rows for file in self.files() for group in self._footer(file)[1])

    def _list(self) -> list[EventFile]:
        found: dict[str, Any] = {}
        self._system.invalidate_cache()  # file systems of object storage keep what they once listed
        of_root = info_of(self._system, self.root)
        if of_root is None:
            for name, info in find_matching(self._system, self.root).items():
                found |= self._within(name) if info["type"] == "directory" else {name: info}
        else:
            found = self._within(self.root) if of_root["type"] == "directory" else {self.root: of_root}
        files = [
            EventFile(name, _day_of(name), f"{info.get('size')} {_changed(info)}")
            for name, info in sorted(found.items())
            if info["type"] == "file"
        ]
        if not files:
            raise SourceUnavailable(
                f"no Parquet file matches {self.shown}", hint="Correct source.path, a folder, a glob or a URL."
            )
        return files

    def _within(self, folder: str) -> dict[str, Any]:
        """Return the Parquet files in a folder; names that begin with ``_`` or ``.`` are of writers at work."""
        return {
            name: info
            for name, info in find_files(self._system, folder).items()
            if name.endswith(".parquet") and not re.search(r"/[_.]", name.removeprefix(folder.rstrip("/")))
        }

    def _footer(self, file: EventFile) -> tuple[pq.FileMetaData, list[RowGroup]]:
        found = self._footers.get(file)
        if found is None:
            with self._translated(file.path), self._open(file) as opened:
                metadata = pq.read_metadata(opened)
            check_columns(shown_path(self._system, file.path), metadata.schema.to_arrow_schema())
            found = metadata, row_groups_of(metadata)
            self._footers.put(file, found, 1)
        return found

    def _row_group(self, file: EventFile, number: int) -> Rows:
        rows = self._decoded.get((file, number))
        if rows is None:
            metadata, groups = self._footer(file)
            self._check_size(file, groups[number].rows, metadata.row_group(number).total_byte_size)
            schema = metadata.schema.to_arrow_schema()
            columns = [name for name in (*REQUIRED, *OPTIONAL) if name in schema.names]
            texts = [name for name in columns if is_text(schema.field(name).type)]
            with self._translated(file.path), self._open(file) as opened:
                reader = pq.ParquetFile(opened, metadata=metadata, read_dictionary=texts, pre_buffer=True)
                rows = decode_rows(reader.read_row_group(number, columns=columns))
            self._decoded.put((file, number), rows, rows.size_bytes)
        return rows

    def _open(self, file: EventFile) -> Any:  # noqa: ANN401 - fsspec has no types
        """Open a file so that only the bytes asked for are read; by default some megabytes more are, around each."""
        return self._system.open(file.path, "rb", cache_type="none")

    def _check_size(self, file: EventFile, rows: int, size_bytes: int) -> None:
        if rows > self._max_rows or size_bytes > MAX_BYTES_IN_GROUP:
            raise SourceMismatch(
                f"source.path: {shown_path(self._system, file.path)} has a row group of {rows:,} rows "
                f"and {size_bytes // 2**20:,} MB",
                hint=f"Write it with row groups of 20,000 to 100,000 rows; at most {self._max_rows:,} rows and "
                f"{MAX_BYTES_IN_GROUP // 2**20} MB are read at once.",
            )

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        """Raise errors of the file system and of Arrow as those of a source."""
        name = shown_path(self._system, path)
        try:
            yield
        except (pa.ArrowException, ValueError) as error:
            raise SourceCorrupt(
                f"{name} is not a valid Parquet file: {without_secrets(str(error))}",
                hint="Write it anew, or move it away.",
            ) from error
        except PatternAggregatesError:
            raise
        except Exception as error:  # the libraries beneath fsspec raise errors of their own
            if type(error) is OSError and error.errno is None:  # Arrow's, where bytes inside a file are wrong
                raise SourceCorrupt(
                    f"{name} is damaged: {without_secrets(describe(error))}", hint="Write it anew, or move it away."
                ) from error
            self._listing = None  # perhaps another program has replaced the files
            hint = "Check the account and its rights." if isinstance(error, PermissionError) else ""
            raise SourceUnavailable(f"{name}: {without_secrets(describe(error))}", hint=hint) from error


class _Cache(Generic[V]):
    """Keeps what was used last.

    Args:
        limit: How large everything in it may be together.

    Attributes:
        size: How large it is.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.size = 0
        self._kept: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        self._kept[key] = value, size
        self.size += size
        while self.size > self._limit and self._kept:
            _, (_, freed) = self._kept.popitem(last=False)
            self.size -= freed


def _day_of(path: str) -> dt.date | None:
    for text in _DAY.findall(path):
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            continue
    return None


def _changed(info: dict[str, Any]) -> str:
    """Return what a file system says of a file's last change; each names it otherwise."""
    return str(next((info[name] for name in ("mtime", "ETag", "etag", "LastModified", "updated") if name in info), ""))


def _may_have(group: RowGroup, file: EventFile, home: str, start: int, end: int) -> bool:
    if not group.rows or (group.homes is not None and not group.homes[0] <= home <= group.homes[1]):
        return False
    if group.times is None or (group.times[0] < end and group.times[1] >= start):
        return True
    bounds = file.bounds  # rows of another day than that of their folder are read to be reported
    return bounds is not None and (group.times[0] < bounds[0] or group.times[1] >= bounds[1])
